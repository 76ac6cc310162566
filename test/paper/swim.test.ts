import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { SwimHarness } from '../support/swim-harness.js'

/** Claims of "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol" (DSN 2002). */

const CONFIG = { pushPullIntervalMs: 1e9 }

function clusterOf(size: number, seed = 1): SwimHarness {
  const h = new SwimHarness({ config: CONFIG, seed })
  h.settleWith(...Array.from({ length: size - 1 }, (_, i) => `m${i}`))
  return h
}

// SWIM 4.3: round-robin selection over a list that is shuffled after each round.
it('a member is probed again within 2n - 1 protocol periods', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const n = 9
    const h = clusterOf(n + 1, seed)
    h.advance(100_000)
    for (let i = 0; i < n; i++) {
      const at = h
        .sent('ping')
        .filter(({ message }) => message.node === `m${i}`)
        .map((ping) => ping.at)
      for (let k = 1; k < at.length; k++)
        expect(at[k]! - at[k - 1]!, `seed ${seed}`).toBeLessThanOrEqual((2 * n - 1) * 1_000)
      expect(at.length).toBeGreaterThanOrEqual(10)
    }
  }
})

// SWIM 3.1: the direct ping comes first, k indirect ones only when it was not answered.
it('a healthy member costs one ping in a period and no ping-req', () => {
  const h = clusterOf(10)
  h.advance(30_000)
  expect(h.sent('indirectPing')).toEqual([])
  expect(h.sent('ping').length).toBeLessThanOrEqual(31)
})

// SWIM 3.1: the load a failure adds is k requests, whatever the size of the group.
it('an unanswered ping asks k members, however many there are', () => {
  for (const size of [6, 60]) {
    const h = clusterOf(size)
    h.answering.delete('m2')
    h.swim.probeSoon('m2', h.now)
    h.advance(600)
    expect(h.sent('indirectPing')).toHaveLength(3)
  }
})

// SWIM 4.2: suspicion precedes failure.
it('a failed probe makes a suspect first, and a failed member only when its time is over', () => {
  const h = clusterOf(6)
  h.answering.delete('m2')
  h.advanceUntil(() => h.state('m2') === 'dead', 120_000)
  const about = h.events.filter(({ member }) => member.name === 'm2')
  expect(about.map(({ type }) => type)).toEqual(['suspect', 'dead'])
  expect(about[1]!.member.since - about[0]!.member.since).toBeGreaterThanOrEqual(4_000)
})

// SWIM 4.2: only the member itself raises its incarnation.
it('nothing that others say raises a member above the incarnation it gave itself', () => {
  const h = clusterOf(4)
  h.receive('m0', h.suspect('m1', 1, 'm0'))
  h.advance(1_000)
  expect(h.swim.member('m1')?.incarnation).toBe(1)
  for (const { message } of h.sent('suspect')) expect(message.incarnation).toBe(1)
})

// SWIM 4.2: a suspected member that learns of it spreads an alive with a higher incarnation.
it('a suspected member refutes with a higher incarnation', () => {
  const h = clusterOf(4)
  h.receive('m0', h.suspect('me', 100, 'm0'))
  expect(h.sent('alive')[0]!.message).toMatchObject({ node: 'me', incarnation: 101 })
})

// SWIM 4.1: rumours ride on pings and acks.
it('a rumour rides on an answer that is sent anyway', () => {
  const h = new SwimHarness({ config: { ...CONFIG, burstPacketsPerSecond: 0 } })
  h.settleWith('a', 'b')
  h.receive('a', h.alive('a', 2, { meta: utf8Encode('x') }))
  h.clear()
  h.receive('b', { type: 'ping', seqNo: 1, node: 'me', source: h.source('b') })
  expect(h.packets[0]!.messages.map(({ type }) => type)).toEqual(['ack', 'alive'])
})

// SWIM 4.1: each update is piggybacked at most lambda * log n times; ours are more in small groups, up to a few hundred.
it.each([
  [4, 9],
  [20, 12],
  [150, 12],
])('in a group of %i a rumour is sent at most %i times', (size, limit) => {
  const h = clusterOf(size)
  h.receive('m0', h.alive('m0', 2))
  h.advance(20_000)
  expect(h.sent('alive').filter(({ message }) => message.node === 'm0')).toHaveLength(limit)
})

// SWIM 4.1: what was sent less often goes first.
it('a young rumour goes before one that was told often', () => {
  const h = new SwimHarness({ config: { ...CONFIG, burstPacketsPerSecond: 0, packetBytesMax: 130 } })
  h.settleWith('a', 'b')
  h.receive('a', h.alive('a', 2))
  const ping = { type: 'ping', seqNo: 1, node: 'me', source: h.source('b') } as const
  h.receive('b', ping)
  h.receive('a', h.alive('b', 2))
  h.clear()
  h.receive('b', ping)
  expect(h.sent('alive').map(({ message }) => message.node)).toEqual(['b'])
})
