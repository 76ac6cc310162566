import { expect, it } from 'vitest'
import { LocalHealth } from '../../src/membership/local-health.js'
import {
  pushPullIntervalMs,
  relayRounds,
  retransmitLimit,
  SOURCE_FANOUT,
  sendLimit,
  suspicionTimeoutMs,
} from '../../src/membership/scaling.js'
import { Suspicion, suspicionLimits, suspicionTotalMs } from '../../src/membership/suspicion.js'

const LAN = { suspicionMult: 4, suspicionMaxTimeoutMult: 6, probeIntervalMs: 1_000 }

it.each([
  { minMs: 2_000, maxMs: 30_000, totals: [30_000, 16_000, 7_810, 2_000, 2_000] },
  { minMs: 500, maxMs: 2_000, totals: [2_000, 1_250, 810, 500, 500] },
])('three confirmations shorten a suspicion from $maxMs to $minMs ms along a logarithm', ({ minMs, maxMs, totals }) => {
  const limits = { confirmations: 3, minMs, maxMs }
  for (const [confirmed, total] of totals.entries()) {
    expect(Math.abs(suspicionTotalMs(confirmed, limits) - total)).toBeLessThan(5)
  }
})

it('a suspicion that needs no confirmation lasts the minimum', () => {
  expect(suspicionTotalMs(0, { confirmations: 0, minMs: 500, maxMs: 2_000 })).toBe(500)
})

it('the deadline moves closer with each new accuser and is measured from the start', () => {
  const suspicion = new Suspicion('a', { confirmations: 3, minMs: 2_000, maxMs: 30_000 }, 100)
  expect(suspicion.deadlineAt).toBe(30_100)
  expect(suspicion.confirm('b', 0)).toBe(true)
  expect(suspicion.deadlineAt).toBe(16_100)
  expect(suspicion.confirm('c', 0)).toBe(true)
  expect(suspicion.confirm('d', 0)).toBe(true)
  expect(suspicion.deadlineAt).toBe(2_100)
})

it('the first accuser, a repeated one and those beyond the wanted number confirm nothing', () => {
  const suspicion = new Suspicion('a', { confirmations: 2, minMs: 100, maxMs: 1_000 }, 0)
  expect(suspicion.confirm('a', 0)).toBe(false)
  expect(suspicion.confirm('b', 0)).toBe(true)
  expect(suspicion.confirm('b', 0)).toBe(false)
  expect(suspicion.confirm('c', 0)).toBe(true)
  expect(suspicion.confirm('d', 0)).toBe(false)
})

it('a late confirmation brings the end no closer than it is told, and never moves it away', () => {
  const suspicion = new Suspicion('a', { confirmations: 2, minMs: 2_000, maxMs: 30_000 }, 0)
  suspicion.confirm('b', 29_000)
  expect(suspicion.deadlineAt).toBe(29_000)
  suspicion.confirm('c', 29_500)
  expect(suspicion.deadlineAt).toBe(29_000)
})

it('a suspicion that is held lasts at least as long as the shortest one that begins then', () => {
  const suspicion = new Suspicion('a', { confirmations: 1, minMs: 2_000, maxMs: 12_000 }, 0)
  suspicion.hold(5_000)
  expect(suspicion.deadlineAt).toBe(12_000)
  suspicion.hold(11_500)
  expect(suspicion.deadlineAt).toBe(13_500)
})

it('time in which nothing could be heard is added to a suspicion', () => {
  const suspicion = new Suspicion('a', { confirmations: 0, minMs: 500, maxMs: 500 }, 0)
  suspicion.extend(250)
  expect(suspicion.deadlineAt).toBe(750)
})

it.each([
  { members: 1, confirmations: 0, minMs: 4_000, maxMs: 24_000 },
  { members: 3, confirmations: 0, minMs: 4_000, maxMs: 24_000 },
  { members: 4, confirmations: 2, minMs: 4_000, maxMs: 24_000 },
  { members: 10, confirmations: 2, minMs: 4_000, maxMs: 24_000 },
  { members: 50, confirmations: 2, minMs: 6_792, maxMs: 40_752 },
  { members: 1_000, confirmations: 2, minMs: 12_000, maxMs: 72_000 },
])('on a LAN of $members members a suspicion lasts $minMs to $maxMs ms', ({ members, ...limits }) => {
  // The log factor is truncated to three decimals, and log10(1000) is a hair below 3 in floating point.
  const found = suspicionLimits(LAN, members)
  expect(found.confirmations).toBe(limits.confirmations)
  expect(Math.abs(found.minMs - limits.minMs)).toBeLessThanOrEqual(4)
  expect(Math.abs(found.maxMs - limits.maxMs)).toBeLessThanOrEqual(24)
})

it.each([
  [5, 1_000],
  [50, 1_698],
  [100, 2_000],
  [500, 2_698],
  [1_000, 3_000],
])('the least suspicion for %i members with mult 3 and a third of a second is %i ms', (members, ms) => {
  expect(Math.abs(suspicionTimeoutMs(3, members, 1_000 / 3) - ms)).toBeLessThanOrEqual(1)
})

it.each([
  [3, 0, 0],
  [3, 1, 3],
  [3, 99, 6],
  [4, 9, 4],
  [4, 10, 8],
  [4, 99, 8],
  [4, 100, 12],
  [4, 999, 12],
])('with mult %i and %i members a rumour rides on %i packets', (mult, members, limit) => {
  expect(retransmitLimit(mult, members)).toBe(limit)
})

it.each([
  [1, 1],
  [32, 1],
  [33, 2],
  [64, 2],
  [65, 3],
  [128, 3],
  [129, 4],
])('the push/pull interval of %i members is stretched %i times', (members, factor) => {
  expect(pushPullIntervalMs(30_000, members)).toBe(30_000 * factor)
})

it('the local health score stays between 0 and one below its maximum and stretches by one more than itself', () => {
  const health = new LocalHealth(8)
  health.change(-1)
  expect(health.score).toBe(0)
  expect(health.scale(1_000)).toBe(1_000)
  health.change(3)
  expect(health.scale(1_000)).toBe(4_000)
  health.change(100)
  expect(health.score).toBe(7)
  expect(health.scale(1_000)).toBe(8_000)
  health.change(-2)
  expect(health.score).toBe(5)
})

it.each([
  [2, 4],
  [3, 6],
  [5, 12],
  [30, 12],
  [999, 12],
  [1_000, 16],
])('among %i members a rumour is sent %i times: in small groups more often than by the formula', (members, times) => {
  expect(sendLimit(4, members)).toBe(times)
})

it.each([
  [100, 4],
  [1_000, 4],
  [20_000, 5],
])(
  'news is passed on at once in so many rounds of three that %i members miss less than a hundredth of one: %i',
  (members, times) => {
    expect(relayRounds(members, 3)).toBe(times)
    expect(members * Math.exp(-3 * times)).toBeLessThanOrEqual(0.01)
  },
)

it.each([0, 3, 30, SOURCE_FANOUT + 1])(
  'where the source tells all %i itself, news is passed on in one round',
  (members) => {
    expect(relayRounds(members, 3)).toBe(1)
  },
)
