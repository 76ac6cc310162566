import { expect, it } from 'vitest'
import { SwimHarness } from '../support/swim-harness.js'

/** `b` is suspected, everything of it is told, and it answers nothing. */
function suspecting(): SwimHarness {
  const h = new SwimHarness({
    config: { pushPullIntervalMs: 100_000_000, probeIntervalMs: 100_000, probeTimeoutMs: 500 },
  })
  h.settleWith('a', 'b')
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advance(10_000)
  h.clear()
  return h
}

it('a suspect is told twice more before its time is over, and then declared dead', () => {
  const h = suspecting()
  h.advanceUntil(() => h.state('b') === 'dead', 1_000_000)
  const deadAt = h.now
  // Packets of their own, unlike the suspicion that rides with a ping to a suspect.
  const warnings = h.packets.filter(
    ({ to, messages }) => to === h.at('b') && messages.length === 1 && messages[0]!.type === 'suspect',
  )
  expect(warnings.map(({ at }) => deadAt - at)).toEqual([150_000, 75_000])
})

it('a suspect that refutes upon the warning lives', () => {
  const h = suspecting()
  const isWarned = (): boolean => h.sent('suspect').some(({ to }) => to === h.at('b'))
  h.advanceUntil(isWarned, 1_000_000)
  h.receive('b', h.alive('b', 2))
  h.clear()
  h.advance(400_000)
  expect(h.events.map(({ type }) => type)).not.toContain('dead')
})
