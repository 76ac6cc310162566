import { expect, it } from 'vitest'
import { Burst } from '../../src/membership/burst.js'
import { SOURCE_FANOUT } from '../../src/membership/scaling.js'

const LAN = { packetsPerSecond: 50, fanout: 3 }

/** The instants of all rounds up to `end`, with `news` at the instants it names. */
function rounds(burst: Burst, end: number, news: (now: number) => 'own' | 'relayed' | undefined): number[] {
  const at: number[] = []
  for (let now = 0; now <= end; now++) {
    const kind = news(now)
    if (kind !== undefined) burst.start(kind === 'own', now)
    if (burst.takeRound(now) > 0) at.push(now)
  }
  return at
}

it('news is sent at once and then after 10, 20, 40 and 80 ms', () => {
  const burst = new Burst(LAN, 0)
  expect(rounds(burst, 1_000, (now) => (now === 5 ? 'own' : undefined))).toEqual([5, 15, 25, 45, 85])
  expect(burst.nextDeadline()).toBeUndefined()
})

it('relayed news during a burst is sent within 10 ms and begins no second first round', () => {
  const burst = new Burst(LAN, 0)
  const news = (now: number): 'own' | 'relayed' | undefined => (now === 0 ? 'own' : now === 50 ? 'relayed' : undefined)
  expect(rounds(burst, 300, news).filter((at) => at >= 50)).toEqual([60, 70, 90, 130])
})

it('relayed news takes no more rounds than it is given, and own news beside it takes all', () => {
  const relayed = new Burst(LAN, 0)
  relayed.start(false, 0, 3)
  expect(rounds(relayed, 300, () => undefined)).toEqual([0, 10, 20])
  const own = new Burst(LAN, 0)
  own.start(true, 0, 3)
  own.start(false, 0, 3)
  expect(rounds(own, 300, () => undefined)).toEqual([0, 10, 20, 40, 80])
})

it('own news during a burst goes out at once', () => {
  const burst = new Burst(LAN, 0)
  const news = (now: number): 'own' | undefined => (now === 0 || now === 50 ? 'own' : undefined)
  expect(rounds(burst, 300, news)).toEqual([0, 10, 20, 40, 50, 60, 70, 90, 130])
})

it('a storm of news never sends more than the bucket holds and gains', () => {
  const burst = new Burst(LAN, 0)
  let count = 0
  for (let now = 0; now <= 10_000; now++) {
    burst.start(true, now)
    count += burst.takeRound(now)
  }
  expect(count).toBeLessThanOrEqual(100 + 50 * 10)
  expect(count).toBeGreaterThan(550)
})

it('own news begins with a wide round, relayed news with one of the usual width', () => {
  const own = new Burst(LAN, 0)
  own.start(true, 0)
  expect([own.takeRound(0), own.takeRound(10), own.takeRound(20)]).toEqual([SOURCE_FANOUT, 3, 3])
  const relayed = new Burst(LAN, 0)
  relayed.start(false, 0)
  expect(relayed.takeRound(0)).toBe(3)
})

it('own news goes out in a round of the usual width when the tokens of a wide one are used up', () => {
  const burst = new Burst(LAN, 0)
  const widths: number[] = []
  for (let i = 0; i < 4; i++) {
    burst.start(true, i)
    widths.push(burst.takeRound(i))
  }
  expect(widths).toEqual([SOURCE_FANOUT, SOURCE_FANOUT, SOURCE_FANOUT, 3])
})

it('relayed news leaves five rounds of tokens for own news', () => {
  const burst = new Burst({ packetsPerSecond: 1, fanout: 3 }, 0)
  expect(rounds(burst, 400, () => 'relayed')).toHaveLength(5)
  expect(rounds(burst, 400, (now) => (now === 0 ? 'own' : undefined))).toHaveLength(5)
})

it('own news keeps its reserve when relayed news follows in the same moment', () => {
  const burst = new Burst({ packetsPerSecond: 1, fanout: 3 }, 0)
  rounds(burst, 400, () => 'relayed')
  burst.start(true, 500)
  burst.start(false, 500)
  expect(burst.takeRound(500)).toBeGreaterThan(0)
})

it('a burst that finds no tokens is over, so that no timer spins on it', () => {
  const burst = new Burst({ packetsPerSecond: 0, fanout: 3 }, 0)
  burst.start(true, 0)
  expect(burst.takeRound(0)).toBe(0)
  expect(burst.nextDeadline()).toBeUndefined()
})

it('a round is not due before its time', () => {
  const burst = new Burst(LAN, 0)
  burst.start(true, 0)
  expect(burst.takeRound(0)).toBeGreaterThan(0)
  expect(burst.nextDeadline()).toBe(10)
  expect(burst.takeRound(9.9)).toBe(0)
  expect(burst.takeRound(10)).toBe(LAN.fanout)
})
