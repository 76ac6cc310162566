/** The parts that experiments leave out: each is on by default, and off means off. */
import { expect, it } from 'vitest'
import { ALL_FEATURES, type SwimFeatures } from '../../src/membership/features.js'
import { suspicionLimits } from '../../src/membership/suspicion.js'
import type { PacketMessage } from '../../src/membership/wire/messages.js'
import { SwimHarness } from '../support/swim-harness.js'

const QUIET = { pushPullIntervalMs: 1e9, burstPacketsPerSecond: 0, probeIntervalMs: 1_000 }

/** `b` is suspected by all and answers nothing; nothing is queued any more. */
function suspecting(features: SwimFeatures | undefined): SwimHarness {
  const h = new SwimHarness({ config: QUIET, ...(features === undefined ? {} : { features }) })
  h.settleWith('a', 'b') // too few for confirmations: what gossip says of `b` is not ours
  h.answering.delete('b')
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advanceUntil(() => h.state('b') === 'dead', 100_000)
  return h
}

/** Of ours: what others said of it rides along with gossip. */
function saysSuspect(message: PacketMessage | undefined): boolean {
  return message?.type === 'suspect' && message.from === 'me'
}

function toldSuspect(h: SwimHarness): { buddies: boolean; warnings: boolean } {
  const told = h.packets.filter(({ to }) => to === h.at('b')).map(({ messages }) => messages)
  return {
    buddies: told.some(([first, second]) => first?.type === 'ping' && saysSuspect(second)),
    warnings: told.some((messages) => messages.length === 1 && saysSuspect(messages[0])),
  }
}

it.each([
  { name: 'all, when nothing is said', features: undefined, buddies: true, warnings: true },
  { name: 'all but buddy', features: { ...ALL_FEATURES, buddy: false }, buddies: false, warnings: true },
  { name: 'all but the last word', features: { ...ALL_FEATURES, lastWord: false }, buddies: true, warnings: false },
])('$name: what a suspect is told', ({ features, buddies, warnings }) => {
  expect(toldSuspect(suspecting(features))).toEqual({ buddies, warnings })
})

it.each([true, false])('a suspect that answers over TCP only is shown the suspicion there: %s', (tellByTcp) => {
  const h = new SwimHarness({ config: QUIET, features: { ...ALL_FEATURES, tellByTcp } })
  h.settleWith('a', 'b', 'c')
  h.answering.delete('b')
  h.receive('a', h.suspect('b', 1, 'a'))
  const probe = h.untilProbeOf('b')
  h.advance(500)
  h.answer(h.exchanges[0]!, { type: 'ack', seqNo: probe.message.seqNo, payload: new Uint8Array(0) })
  expect(h.exchanges.length).toBe(tellByTcp ? 2 : 1)
})

it('without corrections a stale accusation is passed over in silence', () => {
  const h = new SwimHarness({ config: QUIET, features: { ...ALL_FEATURES, corrections: false } })
  h.receive('a', h.alive('a', 1), h.alive('b', 7))
  h.settle('a', 'b')
  h.receive('a', { type: 'suspect', node: 'b', incarnation: 5, from: 'a' })
  expect(h.sent('alive')).toEqual([])
})

it.each(['probe', 'gossip'] as const)('a model can keep %s alone from taking its turn', (loop) => {
  const h = new SwimHarness({ config: QUIET, features: { ...ALL_FEATURES, mayRun: (other) => other !== loop } })
  h.receive('a', h.alive('a'), h.alive('b'))
  h.advance(5_000)
  const begins = (type: PacketMessage['type']): boolean => h.packets.some(({ messages }) => messages[0]?.type === type)
  expect({ pings: begins('ping'), news: begins('alive') }).toEqual({ pings: loop === 'gossip', news: loop === 'probe' })
})

it('where the longest suspicion is the shortest, no confirmation is waited for or spread', () => {
  const config = { suspicionMult: 5, suspicionMaxTimeoutMult: 1, probeIntervalMs: 1_000 }
  const { confirmations, minMs, maxMs } = suspicionLimits(config, 128)
  expect({ confirmations, isFixed: minMs === maxMs }).toEqual({ confirmations: 0, isFixed: true })
})
