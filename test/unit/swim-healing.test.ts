import { describe, expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { ALL_FEATURES } from '../../src/membership/features.js'
import { decodePushPull, type ExchangeEffect, SwimHarness } from '../support/swim-harness.js'

const toB = (h: SwimHarness): ExchangeEffect[] => h.exchanges.filter(({ to }) => to.host === h.address('b').host)

/** A cluster in which `dead` has been convicted, with everything of that time told. */
function withDead(dead: string, ...others: string[]): SwimHarness {
  return withDeadAnd(true, dead, ...others)
}

function withDeadAnd(eagerHealing: boolean, dead: string, ...others: string[]): SwimHarness {
  const config = { pushPullIntervalMs: 100_000_000 }
  const h = new SwimHarness({ config, features: { ...ALL_FEATURES, eagerHealing } })
  h.settleWith(dead, ...others)
  h.receive(others[0]!, h.dead(dead, 1, others[0]!))
  h.advance(1_000)
  h.clear()
  return h
}

it('a dead member is tried again over TCP, and its silence is no trouble worth a notice', () => {
  const h = withDead('b', 'a')
  h.advanceUntil(() => toB(h).length > 0, 120_000)
  h.fail(toB(h)[0]!, 'connection refused')
  expect(h.notices).toEqual([])
  h.clear()
  h.advanceUntil(() => toB(h).length > 0, 120_000)
})

it.each([true, false])(
  'one that died lately is tried six times as often as Serf does, unless that is off: %s',
  (eager) => {
    const h = withDeadAnd(eager, 'b', 'a')
    let tries = 0
    for (let second = 0; second < 300; second++) {
      h.advance(1_000)
      for (const exchange of toB(h)) h.fail(exchange)
      tries += toB(h).length
      h.clear()
    }
    if (eager)
      expect(tries).toBeGreaterThan(15) // sixty ticks, two members
    else expect(tries).toBeLessThanOrEqual(15)
  },
)

it('a member that left is not tried again', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 100_000_000 } })
  h.settleWith('a', 'b')
  h.receive('b', h.dead('b', 1, 'b'))
  h.advance(120_000)
  expect(toB(h)).toEqual([])
})

it('the more members live, the less each of them tries the dead', () => {
  const h = withDead('b', ...'acdefghijkl')
  h.advance(300_000)
  const few = toB(h).length
  expect(few).toBeGreaterThan(0)
  expect(few).toBeLessThan(25) // sixty ticks, twelve members
})

describe('a stranger that pings', () => {
  const ping = (h: SwimHarness, name: string, from = name): void =>
    h.receive(from, { type: 'ping', seqNo: 1, node: 'me', source: h.source(name) })
  const alone = (): SwimHarness => new SwimHarness({ config: { pushPullIntervalMs: 100_000_000 } })
  /** Pings us every second for so long. */
  const goOn = (h: SwimHarness, name: string, seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      ping(h, name)
      h.advance(1_000)
    }
  }

  it('is asked for what it knows, told only of us, and known from its answer', () => {
    const h = alone()
    ping(h, 'b')
    h.advance(10_000)
    expect(toB(h)).toHaveLength(1)
    const request = decodePushPull(toB(h)[0]!.bytes)
    expect(request).toMatchObject({ join: false, nodes: [{ name: 'me' }] })
    const nodes = [h.pushNode('b', 0), h.pushNode('c', 0)]
    h.answer(toB(h)[0]!, { type: 'pushPull', join: false, nodes, userState: EMPTY_BYTES })
    expect([h.state('b'), h.state('c')]).toEqual(['alive', 'alive'])
  })

  it('is not asked when gossip tells of it in time', () => {
    const h = alone()
    ping(h, 'b')
    h.advance(1_000)
    h.answering.add('b')
    h.receive('b', h.alive('b'))
    h.advance(20_000)
    expect(toB(h)).toEqual([])
  })

  it('is not asked when it names another address than the one it pings from', () => {
    const h = alone()
    ping(h, 'b', 'c')
    h.advance(20_000)
    expect(h.exchanges).toEqual([])
  })

  it('is asked ever more rarely when it never answers', () => {
    const h = alone()
    const asked: number[] = []
    for (const seconds of [20, 20, 40, 80, 160, 320]) {
      h.clear()
      goOn(h, 'b', seconds)
      asked.push(toB(h).length)
      for (const exchange of toB(h)) h.fail(exchange)
    }
    expect(asked.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(8)
    expect(asked.at(-1)).toBeGreaterThan(0)
    expect(h.notices).toEqual([])
  })

  it('is not asked by a node whose table is full, or that has left', () => {
    const full = new SwimHarness({ config: { pushPullIntervalMs: 100_000_000, memberMax: 2 } })
    full.settleWith('a')
    goOn(full, 'b', 20)
    expect(toB(full)).toEqual([])
    const gone = alone()
    gone.swim.leave(gone.now)
    goOn(gone, 'b', 20)
    expect(toB(gone)).toEqual([])
  })
})
