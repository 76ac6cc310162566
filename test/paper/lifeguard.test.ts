import { expect, it } from 'vitest'
import { SwimHarness } from '../support/swim-harness.js'

/** Claims of "Lifeguard: Local Health Awareness for More Accurate Failure Detection" (DSN-W 2018, arXiv 1707.00788). */

const CONFIG = { pushPullIntervalMs: 1e9 }

function clusterOf(...names: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: CONFIG })
  h.settleWith(...names)
  return h
}

// Lifeguard IV-A, local health aware probe: the multiplier is a saturating counter.
it('a refutation of ours, a failed probe and a missed nack each cost health, an answered probe restores it', () => {
  const h = clusterOf('a')
  h.receive('a', h.suspect('me', 100, 'a'))
  expect(h.swim.stats().healthScore).toBe(1)
  h.untilProbeOf('a')
  expect(h.swim.stats().healthScore).toBe(0)
  h.answering.delete('a')
  h.advanceUntil(() => h.state('a') === 'suspect', 10_000)
  expect(h.swim.stats().healthScore).toBe(1)
  for (let i = 0; i < 20; i++) h.receive('a', h.suspect('me', 200 + i, 'a'))
  expect(h.swim.stats().healthScore).toBe(7)
})

// Lifeguard IV-A: a node that does not trust itself probes more slowly.
it('the time for a whole probe grows with the health score plus one', () => {
  for (const score of [0, 2, 7]) {
    const h = clusterOf('a', 'b', 'c', 'd')
    for (let i = 0; i < score; i++) h.receive('a', h.suspect('me', 100 + i, 'a'))
    h.answering.delete('b')
    h.swim.probeSoon('b', h.now)
    const probe = h.untilProbeOf('b', 0)
    h.advanceUntil(() => h.state('b') === 'suspect', 60_000)
    expect(h.now - probe.at).toBe(1_000 * (score + 1))
  }
})

// Lifeguard IV-A: a helper without an answer says so, which tells a slow network from a slow prober.
it('a helper that says nack before the timeout keeps the prober healthy', () => {
  const h = clusterOf('a', 'b', 'c', 'd')
  h.answering.delete('b')
  h.swim.probeSoon('b', h.now)
  const probe = h.untilProbeOf('b', 0)
  h.advance(600)
  for (const helper of ['a', 'c', 'd']) h.receive(helper, { type: 'nack', seqNo: probe.message.seqNo })
  h.advanceUntil(() => h.state('b') === 'suspect', 1_000)
  expect(h.swim.stats().healthScore).toBe(0)
})

// Lifeguard IV-B, local health aware suspicion: max - (max - min) * log(C + 1) / log(K + 1).
it.each([
  [0, 24_000],
  [1, 11_381],
  [2, 4_000],
  [3, 4_000],
])('with %i independent confirmations a suspicion lasts %i ms', (confirmations, lastsMs) => {
  const h = clusterOf('a', 'b', 'c', 'd', 'e')
  const start = h.now
  h.receive('a', h.suspect('b', 1, 'a'))
  for (const from of ['c', 'd', 'e'].slice(0, confirmations)) h.receive(from, h.suspect('b', 1, from))
  h.advanceUntil(() => h.state('b') === 'dead', 60_000)
  expect(h.now - start).toBe(lastsMs)
})

// Lifeguard IV-B: the first K independent suspicions are gossiped again, later ones are not.
it('only the confirmations that count are passed on', () => {
  const h = clusterOf('a', 'b', 'c', 'd', 'e')
  const relayed = (from: string): boolean => {
    h.clear()
    h.receive(from, h.suspect('b', 1, from))
    h.advance(2_000)
    return h.sent('suspect').some(({ message }) => message.from === from)
  }
  expect(['a', 'c', 'd', 'e'].map(relayed)).toEqual([true, true, true, false])
})

// Lifeguard IV-C, buddy system.
it('each ping to a suspect tells it of the suspicion', () => {
  const h = clusterOf('a', 'b', 'c', 'd')
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advance(3_000) // the suspicion is told and no longer queued
  h.clear()
  h.swim.probeSoon('b', h.now)
  h.untilProbeOf('b', 1_000)
  const packet = h.packets.find(({ messages }) => messages.some((one) => one.type === 'ping' && one.node === 'b'))
  expect(packet?.messages[1]).toEqual(h.suspect('b', 1, 'me'))
})
