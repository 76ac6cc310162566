import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { encodeTags } from '../../src/membership/tags.js'
import type { User } from '../../src/membership/wire/messages.js'
import { SwimHarness, shoalBytes, TextPayload } from '../support/swim-harness.js'

const SHOAL = { meta: encodeTags({ _b: 'x' }) }
const QUIET = { pushPullIntervalMs: 1e9 }
const user = (text: string): User => ({ type: 'user', payload: shoalBytes(text) })

function mixed(shoal: readonly string[], foreign: readonly string[]): { h: SwimHarness; payload: TextPayload } {
  const payload = new TextPayload()
  const h = new SwimHarness({ config: QUIET, tags: { _b: 'me' }, payload })
  for (const name of shoal) h.receive(name, h.alive(name, 1, SHOAL))
  for (const name of foreign) h.receive(name, h.alive(name, 1))
  h.settle(...shoal, ...foreign)
  return { h, payload }
}

function receivers(h: SwimHarness, text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { to, message } of h.sent('user')) {
    if (TextPayload.text(message.payload) === text) counts.set(h.nameAt(to)!, (counts.get(h.nameAt(to)!) ?? 0) + 1)
  }
  return counts
}

it('with nothing queued, nothing but probes is sent', () => {
  const h = new SwimHarness({ config: QUIET })
  h.settleWith('a', 'b', 'c', 'd')
  h.advance(60_000)
  expect(h.packets.flatMap(({ messages }) => messages.map(({ type }) => type))).toEqual(
    new Array(h.packets.length).fill('ping'),
  )
  expect(h.packets.length).toBeLessThanOrEqual(61)
})

it('own news goes to everybody in a small cluster at once and then out in a short burst', () => {
  const { h } = mixed(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], [])
  const start = h.now
  h.swim.broadcast(TextPayload.broadcast('k:1'), h.now)
  h.collect()
  expect(new Set(h.sent('user').map(({ to }) => h.nameAt(to)))).toEqual(new Set('abcdefghi'))
  expect(h.sent('user').length).toBe(9)
  h.advance(100)
  const offsets = [...new Set(h.sent('user').map(({ at }) => at - start))]
  expect(offsets).toEqual([0, 10, 20, 40])
  expect(h.sent('user').length).toBe(6 + 12) // ten shoal nodes: three times RetransmitMult, and the rest of the first round
})

it('gossip ticks go on under constant news, without tokens as well', () => {
  const payload = new TextPayload()
  const h = new SwimHarness({ config: { ...QUIET, burstPacketsPerSecond: 0 }, tags: { _b: 'me' }, payload })
  for (const name of ['a', 'b', 'c', 'd']) h.receive(name, h.alive(name, 1, SHOAL))
  h.settle('a', 'b', 'c', 'd')
  const start = h.now
  for (let i = 0; i < 500; i++) {
    h.swim.broadcast(TextPayload.broadcast(`k${i}:1`), h.now)
    h.collect()
    h.advance(10)
  }
  const ticks = [...new Set(h.packets.filter(({ messages }) => messages[0]?.type === 'user').map(({ at }) => at))]
  expect(ticks.length).toBeGreaterThanOrEqual(24)
  for (let i = 1; i < ticks.length; i++) expect(ticks[i]! - ticks[i - 1]!).toBeLessThanOrEqual(220)
  expect(h.now - start).toBe(5_000)
})

it('user messages go to shoal nodes only, and their limit counts only those', () => {
  const { h } = mixed(['a', 'b'], ['f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'f9', 'f10'])
  h.swim.broadcast(TextPayload.broadcast('k:1'), h.now)
  h.collect()
  h.advance(5_000)
  const counts = receivers(h, 'k:1')
  expect(new Set(counts.keys())).toEqual(new Set(['a', 'b']))
  expect([...counts.values()].reduce((sum, count) => sum + count)).toBe(6) // three shoal nodes, not thirteen members
  expect(h.swim.stats().queued.userMessages).toBe(0)
})

it('user messages ride on acks to shoal nodes and not to others', () => {
  const { h } = mixed(['a'], ['f'])
  h.swim.broadcast(TextPayload.broadcast('k:1'), h.now)
  h.clear()
  const source = (name: string) => ({ addr: h.alive(name).addr, port: 7_946, node: name })
  h.receive('f', { type: 'ping', seqNo: 1, node: 'me', source: source('f') })
  expect(h.packets.filter(({ to }) => to === h.at('f')).flatMap(({ messages }) => messages)).toHaveLength(1)
  h.receive('a', { type: 'ping', seqNo: 2, node: 'me', source: source('a') })
  const answer = h.packets.find(({ messages }) => messages[0]?.type === 'ack' && messages[0].seqNo === 2)
  expect(answer?.messages.map(({ type }) => type)).toEqual(['ack', 'user'])
})

it('user messages wait until there is a shoal node to tell', () => {
  const { h } = mixed([], ['f1', 'f2'])
  h.swim.broadcast(TextPayload.broadcast('k:1'), h.now)
  h.collect()
  h.advance(10_000)
  expect(h.sent('user')).toEqual([])
  h.receive('a', h.alive('a', 1, SHOAL))
  h.advance(1_000)
  expect([...receivers(h, 'k:1').keys()]).toEqual(['a'])
})

it('a lone node queues nothing: whoever comes gets all of it by push/pull', () => {
  const h = new SwimHarness({ config: QUIET, tags: { _b: 'me' }, payload: new TextPayload() })
  for (let i = 0; i < 100; i++) h.swim.broadcast(TextPayload.broadcast(`k${i}:1`), h.now)
  h.collect()
  expect(h.swim.stats().queued).toEqual({ rumours: 0, userMessages: 0, dropped: 0 })
  h.advance(60_000)
  expect(h.packets).toEqual([])
})

it('the queues are empty again once the last other member is long dead', () => {
  const h = new SwimHarness({ config: QUIET, tags: { _b: 'me' }, payload: new TextPayload() })
  h.settleWith('a')
  h.receive('x', h.dead('a', 1, 'x'))
  h.advance(h.config.gossipToTheDeadMs + 1_000)
  h.swim.broadcast(TextPayload.broadcast('k:1'), h.now)
  h.collect()
  expect(h.swim.stats().queued).toMatchObject({ rumours: 0, userMessages: 0 })
})

it('two that convicted each other still tell each other, so that both can refute', () => {
  const h = new SwimHarness({ config: QUIET })
  h.settleWith('a')
  h.answering.clear()
  h.advanceUntil(() => h.state('a') === 'dead', 60_000)
  h.advance(300)
  expect(h.sent('dead')).toContainEqual({ at: expect.any(Number), to: h.at('a'), message: h.dead('a', 1, 'me') })
})

it('a fresh user message is relayed, a stale one is not', () => {
  const { h, payload } = mixed(['a', 'b', 'c'], [])
  h.receive('a', user('k:1'))
  h.advance(2_000)
  expect(payload.seen).toEqual(new Set(['k:1']))
  expect(h.sent('user').length).toBe(9) // four shoal nodes: three for each other one
  h.clear()
  h.receive('b', user('k:1'))
  h.advance(2_000)
  expect(h.sent('user')).toEqual([])
})

it('a user message over TCP is handled like one by gossip, and its stream is closed', () => {
  const { h, payload } = mixed(['a', 'b', 'c'], [])
  expect(h.request('a', user('k:1'))).toBeUndefined()
  expect(payload.seen).toEqual(new Set(['k:1']))
  h.advance(2_000)
  expect(h.sent('user').length).toBe(9) // four shoal nodes: three for each other one
})

it('a newer message takes the place of an older one with its key', () => {
  const { h } = mixed([...'abcdefghijkl'], [])
  for (const text of ['k:1', 'k:2', 'other:1']) h.swim.broadcast(TextPayload.broadcast(text), h.now)
  h.collect()
  h.clear()
  h.advance(2_000)
  expect(new Set(h.sent('user').map(({ message }) => TextPayload.text(message.payload)))).toEqual(
    new Set(['k:2', 'other:1']),
  )
})

it('a foreign user message is counted and not relayed', () => {
  const { h, payload } = mixed(['a', 'b'], [])
  h.receive('a', { type: 'user', payload: utf8Encode('\u0003a serf event') })
  h.advance(2_000)
  expect(payload.seen.size).toBe(0)
  expect(h.sent('user')).toEqual([])
  expect(h.swim.stats().drops['foreign-user-message']).toBe(1)
})

it('a node without a payload takes no user message', () => {
  const h = new SwimHarness({ config: QUIET })
  h.settleWith('a')
  h.receive('a', user('k:1'))
  expect(h.swim.stats()).toMatchObject({ drops: { 'foreign-user-message': 1 }, queued: { userMessages: 0 } })
})

it('a rumour is told as often as its limit says, whatever packets it rides on', () => {
  const h = new SwimHarness({ config: QUIET })
  h.settleWith('a', 'b', 'c', 'd')
  h.receive('a', h.alive('a', 2))
  h.advance(5_000)
  expect(h.sent('alive').filter(({ message }) => message.node === 'a')).toHaveLength(12)
})

it('whatever is queued, no packet exceeds the budget', () => {
  for (const packetBytesMax of [300, 1_400, 1_320]) {
    const payload = new TextPayload()
    const h = new SwimHarness({ config: { packetBytesMax }, tags: { _b: 'me' }, payload })
    for (let i = 0; i < 300; i++) {
      h.receive('x', h.alive(`member-${i}`, 1, i % 2 === 0 ? SHOAL : { meta: utf8Encode('y'.repeat(i)) }))
      h.swim.broadcast({ key: `k${i}`, bytes: shoalBytes('z'.repeat(i)) }, h.now)
    }
    for (let i = 0; i < 20; i++) h.receive('x', { type: 'ping', seqNo: i, node: 'me', source: undefined })
    h.advance(60_000)
    const sizes = h.packets.map(({ bytes }) => bytes.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(packetBytesMax)
    expect(sizes.filter((size) => size > packetBytesMax * 0.8).length).toBeGreaterThan(10)
  }
})

it('a record too large for any packet is left to push/pull and blocks nothing', () => {
  const h = new SwimHarness({ config: QUIET })
  h.settleWith('a', 'b')
  for (let i = 0; i < 50; i++) h.receive('x', h.alive(`large-${i}`, 1, { meta: new Uint8Array(2_000) }))
  h.receive('x', h.dead('b', 1, 'x'))
  h.advance(5_000)
  expect(h.sent('dead').length).toBeGreaterThan(0)
  expect(h.state('large-0')).toBe('alive')
  expect(h.swim.stats().queued.dropped).toBe(50)
})

it('the queue of rumours is bounded', () => {
  const h = new SwimHarness({ config: { ...QUIET, queueMax: 20, burstPacketsPerSecond: 0 } })
  for (let i = 0; i < 100; i++) h.receive('x', h.alive(`m${i}`))
  expect(h.swim.stats().queued).toMatchObject({ rumours: 20, dropped: 80 })
})

it('the recently dead still hear rumours, the long dead and those that left do not', () => {
  const h = new SwimHarness({ config: { ...QUIET, gossipToTheDeadMs: 5_000 } })
  h.settleWith('a', 'dead', 'gone')
  h.receive('a', h.dead('dead', 1, 'a'), h.dead('gone', 1, 'gone'))
  h.clear()
  h.receive('a', h.alive('a', 2))
  h.advance(2_000)
  const told = (): Set<string | undefined> =>
    new Set(h.packets.filter(({ messages }) => messages[0]?.type !== 'ping').map(({ to }) => h.nameAt(to)))
  expect(told()).toEqual(new Set(['a', 'dead']))
  h.advance(4_000)
  h.clear()
  h.receive('a', h.alive('a', 3))
  h.advance(2_000)
  expect(told()).toEqual(new Set(['a']))
})

it('one live member among hundreds of dead ones still gets the news', () => {
  const h = new SwimHarness({ config: { ...QUIET, gossipToTheDeadMs: 1 } })
  h.settleWith('live')
  for (let i = 0; i < 300; i++) h.receive('live', h.alive(`d${i}`), h.dead(`d${i}`, 1, 'live'))
  h.settle('live')
  h.advance(1_000)
  h.clear()
  h.receive('live', h.alive('live', 2))
  h.advance(2_000)
  expect(h.sent('alive').filter(({ to }) => to === h.at('live')).length).toBeGreaterThanOrEqual(4)
})
