/** A node to which nobody answers: what it thinks of others then is its own affair, and no evidence. */
import { expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { ALL_FEATURES } from '../../src/membership/features.js'
import { type HarnessOptions, SwimHarness } from '../support/swim-harness.js'

const PEERS = ['a', 'b', 'c', 'd', 'e']
const QUIET = { pushPullIntervalMs: 1e9 }
/** The least and the most that a suspicion lasts among six. */
const SUSPICION_MS = { min: 4_000, max: 24_000 }

/** Six in good order, and then no packet of ours arrives any more. */
function cutOff(options: HarnessOptions = {}): SwimHarness {
  const h = new SwimHarness({ config: QUIET, ...options })
  h.settleWith(...PEERS)
  h.answering.clear()
  return h
}

function untilBuried(h: SwimHarness, count: number): string[] {
  const buried = (): string[] => PEERS.filter((name) => h.state(name) === 'dead')
  h.advanceUntil(() => buried().length >= count, 120_000)
  return buried()
}

it('whoever is answered by nobody buries its members in its own view and asks others about them, as of suspects', () => {
  const h = cutOff()
  const [first] = untilBuried(h, 1)
  h.clear()
  h.advance(1_000)
  expect(h.sent('suspect').map(({ message }) => message.node)).toContain(first)
  untilBuried(h, PEERS.length)
  expect(h.sent('dead')).toEqual([])
})

it('without that rule it would tell them dead', () => {
  const h = cutOff({ features: { ...ALL_FEATURES, silence: false } })
  untilBuried(h, PEERS.length)
  expect(h.sent('dead')).not.toEqual([])
})

it('packets of others are no answers: a node that hears all and is heard by nobody tells no deaths', () => {
  const h = cutOff()
  for (let second = 0; second < 120 && PEERS.some((name) => h.state(name) !== 'dead'); second++) {
    for (const name of PEERS) h.receive(name, { type: 'ping', seqNo: second, node: 'me', source: h.source(name) })
    h.advance(1_000)
  }
  expect(PEERS.map((name) => h.state(name))).toEqual(PEERS.map(() => 'dead'))
  expect(h.sent('dead')).toEqual([])
})

it.each(['ack', 'nack'] as const)('one %s since the last two probes is enough to tell a death', (type) => {
  const h = cutOff()
  const answer = (): void =>
    h.receive('a', type === 'ack' ? { type, seqNo: 0, payload: EMPTY_BYTES } : { type, seqNo: 0 })
  for (let second = 0; second < 60 && untilDead(h).length === 0; second++) {
    answer()
    h.advance(1_000)
  }
  expect(new Set(h.sent('dead').map(({ message }) => message.node))).toEqual(new Set(untilDead(h)))
})

function untilDead(h: SwimHarness): string[] {
  return PEERS.filter((name) => h.state(name) === 'dead')
}

it('unanswered probes of one member alone, with all that they asked for, are no silence', () => {
  const h = new SwimHarness({ config: { ...QUIET, awarenessMax: 1 } })
  h.settleWith(...PEERS)
  h.answering.delete('b') // helpers say nothing either
  h.advanceUntil(() => h.state('b') === 'dead', 60_000)
  h.advance(1_000)
  expect(h.sent('dead').map(({ message }) => message.node)).toContain('b')
})

it('when somebody answers again a suspicion has the time of the shortest left, and the suspect is warned', () => {
  const h = cutOff()
  const suspects = (): string[] => PEERS.filter((name) => h.state(name) === 'suspect')
  h.advanceUntil(() => suspects().length > 0, 60_000)
  const [first] = suspects() as [string]
  const dueAt = h.now + SUSPICION_MS.max
  h.advance(dueAt - h.now - 100)
  expect(h.state(first)).toBe('suspect')
  h.clear()
  const answeredAt = h.now
  h.receive('e', { type: 'nack', seqNo: 0 })
  h.advance(SUSPICION_MS.min - 1)
  expect(h.state(first)).toBe('suspect')
  const warnings = h.packets.filter(
    ({ to, messages }) => to === h.at(first) && messages.length === 1 && messages[0]?.type === 'suspect',
  )
  expect(warnings.map(({ at }) => at - answeredAt)).toEqual(expect.arrayContaining([2_500, 3_250]))
  h.advance(1)
  expect(h.state(first)).toBe('dead')
})
