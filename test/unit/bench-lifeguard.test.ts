/** The bench's verdicts on the Lifeguard paper's relations bite. */
import { expect, it } from 'vitest'
import { DETECTORS, type Detector } from '../../bench/scenarios/lifeguard.js'
import { type DetectorFigures, judge } from '../../bench/suites/lifeguard-report.js'

interface Given {
  readonly falseDeaths: number
  readonly buriedAtHealthy: number
  readonly firstMs: number
}

/** About what the paper found. */
const PAPER_LIKE: Readonly<Record<Detector, Given>> = {
  SWIM: { falseDeaths: 1_000, buriedAtHealthy: 20, firstMs: 12_440 },
  'LHA-Probe': { falseDeaths: 680, buriedAtHealthy: 7, firstMs: 12_420 },
  'LHA-Suspicion': { falseDeaths: 30, buriedAtHealthy: 2, firstMs: 12_420 },
  Buddy: { falseDeaths: 940, buriedAtHealthy: 9, firstMs: 12_450 },
  Lifeguard: { falseDeaths: 15, buriedAtHealthy: 1, firstMs: 12_450 },
  shoal: { falseDeaths: 15, buriedAtHealthy: 0, firstMs: 10_000 },
}

function broken(changes: Partial<Record<Detector, Partial<Given>>> = {}): string[] {
  const figures = DETECTORS.map((detector): DetectorFigures => {
    const { firstMs, ...deaths } = { ...PAPER_LIKE[detector], ...changes[detector] }
    return {
      detector,
      interval: [
        { ...deaths, falseDeathsAtHealthy: 100 * deaths.buriedAtHealthy, trueDeaths: 1, packets: 1, bytes: 1 },
      ],
      threshold: [{ firstMs: [firstMs], fullMs: [firstMs + 500], blocked: 1 }],
    }
  })
  return judge(figures)
    .filter(({ holds }) => !holds)
    .map(({ relation }) => relation)
}

it('all relations hold for figures like the paper', () => {
  expect(broken()).toEqual([])
})

it.each([
  { changes: { 'LHA-Probe': { falseDeaths: 1_000 } }, relation: 'FP: LHA-Probe below SWIM' },
  { changes: { 'LHA-Suspicion': { falseDeaths: 170 } }, relation: 'FP: LHA-Suspicion below a quarter of LHA-Probe' },
  { changes: { Buddy: { falseDeaths: 1_051 } }, relation: 'FP: Buddy no more than SWIM, within 5 %' },
  { changes: { Lifeguard: { falseDeaths: 31 } }, relation: 'FP: Lifeguard no more than any of its parts' },
  {
    changes: { Buddy: { buriedAtHealthy: 36 } },
    relation: 'FP-: Lifeguard buries no more nodes than any part, and each part no more than SWIM, but for chance',
  },
])('$relation', ({ changes, relation }) => {
  expect(broken(changes)).toEqual([relation])
})

it('a rare count above another is chance until it is far above', () => {
  expect(broken({ Buddy: { buriedAtHealthy: 34 } })).toEqual([])
})

it('a detector whose median is 6 % off breaks both latency relations; shoal itself may be faster', () => {
  expect(broken({ Buddy: { firstMs: 13_200 } })).toHaveLength(2)
})
