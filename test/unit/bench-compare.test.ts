/** Two runs of the bench compared: what is called a regression, and what is not. */
import { describe, expect, it } from 'vitest'
import { COMPARE_DEFAULTS, compareFigures, compareResults, renderComparison } from '../../bench/report/compare.js'
import { type Figure, figureId } from '../../bench/report/result.js'
import { type Random, seededRandom } from '../../src/random.js'
import { benchResult } from '../support/bench-result.js'

const LATENCY: Figure = {
  suite: 'calls',
  table: 'paths',
  row: 'remote',
  column: 'p50',
  unit: 'us',
  better: 'lower',
  values: [50, 51, 49, 52, 50],
}

function times(factor: number, figure: Figure = LATENCY): Figure {
  return { ...figure, values: figure.values.map((value) => value * factor) }
}

function verdict(before: Figure, after: Figure): string {
  return compareFigures(before, after, COMPARE_DEFAULTS).verdict
}

/** Latencies as machines give them: a floor, and now and then much more. */
function noisy(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => 50 * Math.exp(0.3 * (random() + random() + random() - 1.5)))
}

describe('a comparison of two runs', () => {
  it('calls a latency that rose by half a regression, and one that fell an improvement', () => {
    expect([verdict(LATENCY, times(1.5)), verdict(LATENCY, times(0.6))]).toEqual(['regression', 'improvement'])
  })

  it('knows which way is better, and for some figures that none is', () => {
    const rate: Figure = { ...LATENCY, better: 'higher' }
    const size: Figure = { ...LATENCY, better: 'neither' }
    expect([verdict(rate, times(0.5, rate)), verdict(rate, times(2, rate)), verdict(size, times(2, size))]).toEqual([
      'regression',
      'improvement',
      'changed',
    ])
  })

  it('says nothing of what lies within the margin, and does not claim equality where the spread is wide', () => {
    const wide: Figure = { ...LATENCY, values: [20, 40, 60, 80, 100] }
    expect([verdict(LATENCY, times(1.01)), verdict(wide, wide)]).toEqual(['no change', 'uncertain'])
  })

  it('does not judge with fewer than five repeats, however far apart they are', () => {
    const few: Figure = { ...LATENCY, values: [50, 51, 50, 50] }
    expect(verdict(few, times(10, few))).toBe('too few to tell')
  })

  it('takes nothing against nothing for no change, and something against nothing for a regression', () => {
    const none: Figure = { ...LATENCY, values: [0, 0, 0, 0, 0] }
    expect([verdict(none, none), verdict(none, LATENCY)]).toEqual(['no change', 'regression'])
  })

  it('finds a false regression between runs of the same code no more often than its confidence says', () => {
    const random = seededRandom(7)
    const verdicts = Array.from({ length: 200 }, () => {
      const [before, after] = [noisy(random, 5), noisy(random, 5)]
      return verdict({ ...LATENCY, values: before }, { ...LATENCY, values: after })
    })
    expect(verdicts.filter((one) => one === 'regression').length).toBeLessThanOrEqual(2)
  })

  it('finds a slowdown by half in the same noise', () => {
    const random = seededRandom(8)
    const verdicts = Array.from({ length: 100 }, () => {
      const after = noisy(random, 10).map((value) => value * 1.5)
      return verdict({ ...LATENCY, values: noisy(random, 10) }, { ...LATENCY, values: after })
    })
    expect(verdicts.filter((one) => one === 'regression').length).toBeGreaterThan(80)
  })

  it('is of the figures that both runs have, found by their names', () => {
    const other: Figure = { ...LATENCY, row: 'local' }
    const [before, after] = [benchResult({ figures: [LATENCY] }), benchResult({ figures: [other, times(2)] })]
    expect(compareResults(before, after, COMPARE_DEFAULTS).map(({ id }) => id)).toEqual([figureId(LATENCY)])
  })

  it('ends with the regressions in one list, the confidence and the margin', () => {
    const [before, after] = [benchResult({ figures: [LATENCY] }), benchResult({ figures: [times(2)] })]
    const text = renderComparison(before, after, COMPARE_DEFAULTS)
    expect(text).toMatch(/REGRESSIONS \(by more than 10 %\):\n {2}calls \/ paths \/ remote \/ p50: 2\.00/)
    expect(text).toMatch(/99\.0 % interval/)
    expect(renderComparison(before, before, COMPARE_DEFAULTS)).toMatch(/REGRESSIONS: none/)
  })

  it('tells of what makes runs differ without any change of the code', () => {
    const [before, after] = [benchResult({}), benchResult({ options: { nodes: 5 }, unitMs: 260, complete: false })]
    const text = renderComparison(before, after, COMPARE_DEFAULTS)
    expect(text).toMatch(/other options/)
    expect(text).toMatch(/fixed loop took 130 ms before and 260/)
    expect(text).toMatch(/interrupted/)
  })
})
