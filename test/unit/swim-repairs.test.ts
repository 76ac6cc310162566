/** What is sent to those who missed something, so that one lost packet does not wait for the next push/pull. */
import { describe, expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { encodeTags } from '../../src/membership/tags.js'
import type { PushPull, WireState } from '../../src/membership/wire/messages.js'
import { broadcastOf, newCluster } from '../support/registry-cluster.js'
import { SwimHarness, TextPayload } from '../support/swim-harness.js'

const QUIET = { pushPullIntervalMs: 1e9, burstPacketsPerSecond: 0 }

function corrections(h: SwimHarness): string[] {
  return h.sent('alive').map(({ to, message }) => `${h.nameAt(to)}: ${message.node} ${message.incarnation}`)
}

it.each(['no packet', 'a short packet'])(
  'an ended name that a push/pull shows alive is told what to exceed, after %s',
  (before) => {
    const h = new SwimHarness({ config: QUIET })
    const list = (state: WireState, incarnation: number): PushPull => {
      return { type: 'pushPull', join: false, nodes: [h.pushNode('n', state, incarnation)], userState: EMPTY_BYTES }
    }
    h.request('b', list(2, 50))
    if (before !== 'no packet') h.receive('x', { type: 'nack', seqNo: 1 })
    h.request('b', list(0, 50))
    expect(h.sent('suspect').map(({ to, message }) => [to, message.node, message.incarnation])).toEqual([
      [h.at('n'), 'n', 50],
    ])
    h.receive('n', h.alive('n', 51))
    expect(h.state('n')).toBe('alive')
  },
)

describe('a stale accusation', () => {
  function accusable(): SwimHarness {
    const h = new SwimHarness({ config: QUIET })
    h.receive('a', h.alive('a', 1), h.alive('b', 7))
    h.settle('a', 'b')
    h.clear()
    return h
  }

  it('is answered to its sender with the refutation that it missed', () => {
    const h = accusable()
    h.receive('a', { type: 'suspect', node: 'b', incarnation: 5, from: 'a' })
    h.receive('a', { type: 'dead', node: 'b', incarnation: 6, from: 'a' })
    expect(corrections(h)).toEqual(['a: b 7', 'a: b 7'])
  })

  it('against ourselves is answered too, without a new incarnation', () => {
    const h = accusable()
    h.receive('a', { type: 'suspect', node: 'me', incarnation: 99, from: 'a' })
    expect(corrections(h)).toEqual(['a: me 100'])
  })

  it('that is not stale, or about somebody unknown, is not answered', () => {
    const h = accusable()
    h.receive('a', { type: 'suspect', node: 'b', incarnation: 7, from: 'a' })
    h.receive('a', { type: 'dead', node: 'nobody', incarnation: 1, from: 'a' })
    expect(corrections(h)).toEqual([])
  })

  it('is answered a bounded number of times per second', () => {
    const h = accusable()
    for (let i = 0; i < 500; i++) h.receive('a', { type: 'suspect', node: 'b', incarnation: 5, from: 'a' })
    expect(corrections(h)).toHaveLength(20)
  })

  it('about a member whose record no packet holds is not answered', () => {
    const h = accusable()
    h.receive('b', h.alive('b', 8, { meta: new Uint8Array(3_000) }))
    h.receive('a', { type: 'suspect', node: 'b', incarnation: 7, from: 'a' })
    expect(h.state('b')).toBe('alive')
    expect(corrections(h)).toEqual([])
  })
})

it('a user message has its share of each packet behind any number of rumours', () => {
  const shoal = { meta: encodeTags({ _b: 'x' }) }
  const h = new SwimHarness({ config: QUIET, tags: { _b: 'me' }, payload: new TextPayload() })
  for (let i = 0; i < 300; i++) h.receive('m0', h.alive(`m${i}`, 1, shoal))
  h.clear()
  h.swim.broadcast(TextPayload.broadcast(`k:${'1'.repeat(200)}`), h.now)
  h.advance(250)
  expect(h.sent('user').length).toBeGreaterThan(0)
})

it('after a join the state is exchanged again after one second, then at doubling intervals', () => {
  const h = new SwimHarness({ config: { ...QUIET, pushPullIntervalMs: 16_000 } })
  h.settleWith('a', 'b')
  const id = h.swim.join(h.address('a'))
  h.collect()
  const nodes = [{ name: 'a', ...h.alive('a'), state: 0 as const }]
  const exchange = h.exchanges.at(-1)
  expect(exchange?.id).toBe(id)
  h.swim.handleExchange(
    id,
    { ok: true, message: { type: 'pushPull', join: false, nodes, userState: new Uint8Array() } },
    h.now,
  )
  h.collect()
  const start = h.now
  const at: number[] = []
  for (let seen = h.exchanges.length; h.now - start < 20_000; h.advance(100)) {
    for (const { id: next } of h.exchanges.slice(seen)) {
      at.push(h.now - start)
      h.swim.handleExchange(next, { ok: false, error: 'gone' }, h.now)
    }
    seen = h.exchanges.length
  }
  expect(at.map((ms) => Math.round(ms / 1_000))).toEqual([1, 3, 7, 15])
})

it('a peer that lacks our latest record makes us gossip it once more', () => {
  const [a, b] = newCluster('a', 'b')
  a!.provide({ service: 'users', status: 'running' }, 1)
  expect(broadcastOf(a!.drain())).toBeDefined() // told to nobody: lost
  a!.mergeState(b!.localState(new Uint8Array()))
  const again = broadcastOf(a!.drain())
  expect(again).toBeDefined()
  b!.handleMessage(again!)
  a!.mergeState(b!.localState(new Uint8Array()))
  expect(broadcastOf(a!.drain())).toBeUndefined()
})
