import { expect, it } from 'vitest'
import type { MemberState } from '../../src/membership/member.js'
import { mayMove, supersedes } from '../../src/membership/precedence.js'

const STATES: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left']

/** Heard with a lower, the same and a higher incarnation than held: written out, not computed. */
const TABLE: Readonly<Record<`${MemberState} over ${MemberState}`, readonly [boolean, boolean, boolean]>> = {
  'alive over alive': [false, false, true],
  'alive over suspect': [false, false, true],
  'alive over dead': [false, false, true],
  'alive over left': [false, false, true],
  'suspect over alive': [false, true, true],
  'suspect over suspect': [false, true, true],
  'suspect over dead': [false, false, false],
  'suspect over left': [false, false, false],
  'dead over alive': [false, true, true],
  'dead over suspect': [false, true, true],
  'dead over dead': [false, false, false],
  'dead over left': [false, false, false],
  'left over alive': [false, true, true],
  'left over suspect': [false, true, true],
  'left over dead': [false, false, false],
  'left over left': [false, false, false],
}

for (const heard of STATES) {
  for (const held of STATES) {
    it(`${heard} is judged against ${held} by incarnation alone`, () => {
      const judged = [4, 5, 6].map((incarnation) =>
        supersedes({ state: heard, incarnation }, { state: held, incarnation: 5 }),
      )
      expect(judged).toEqual(TABLE[`${heard} over ${held}`])
    })
  }
}

it('a member that left may move at once, a dead one after the reclaim time, any other never', () => {
  const reclaimMs = 30_000
  expect(mayMove({ state: 'left', stateAt: 0 }, reclaimMs, 0)).toBe(true)
  expect(mayMove({ state: 'dead', stateAt: 0 }, reclaimMs, 29_999)).toBe(false)
  expect(mayMove({ state: 'dead', stateAt: 0 }, reclaimMs, 30_000)).toBe(true)
  expect(mayMove({ state: 'suspect', stateAt: 0 }, reclaimMs, 1e9)).toBe(false)
  expect(mayMove({ state: 'alive', stateAt: 0 }, reclaimMs, 1e9)).toBe(false)
})

it('a reclaim time of 0 lets no dead member move, and one that left still', () => {
  expect(mayMove({ state: 'dead', stateAt: 0 }, 0, 1e9)).toBe(false)
  expect(mayMove({ state: 'left', stateAt: 0 }, 0, 0)).toBe(true)
})
