import { expect, it } from 'vitest'
import { type ExchangeEffect, SwimHarness } from '../support/swim-harness.js'

const toB = (h: SwimHarness): ExchangeEffect[] => h.exchanges.filter(({ to }) => to.host === h.address('b').host)

/** A cluster in which `dead` has been convicted, with everything of that time told. */
function withDead(dead: string, ...others: string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 100_000_000 } })
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
