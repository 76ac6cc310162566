/**
 * Two runs side by side: the ratio of the medians of each figure with a bootstrap interval. It is a regression only when
 * the whole interval lies beyond the margin, and nothing is said of figures with fewer repeats than can support the
 * confidence. The margin stands for what repeats within a run cannot show: that a machine has better and worse minutes.
 */
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { quantile } from '../lib/statistics.js'
import { figure, renderTable } from '../lib/table.js'
import { type Better, type Figure, figureId, type Result } from './result.js'

export interface CompareOptions {
  /** Of the interval of each figure. */
  readonly confidence: number
  /** 0.1: what is within a tenth is no change. */
  readonly margin: number
  readonly seed: number
}

export const COMPARE_DEFAULTS: CompareOptions = { confidence: 0.99, margin: 0.1, seed: 1 }

export type Verdict = 'regression' | 'improvement' | 'no change' | 'uncertain' | 'too few to tell' | 'changed'

export interface Comparison {
  readonly id: string
  /** Where it stands: suite and table, row and column. */
  readonly table: string
  readonly cell: string
  readonly unit: string
  readonly before: number
  readonly after: number
  readonly ratio: number
  readonly low: number
  readonly high: number
  readonly verdict: Verdict
}

/** Five and five values fall apart by chance once in 252 times; with fewer no interval of 99 % means what it says. */
const REPEATS_MIN = 5
const RESAMPLES = 2_000

export function compareResults(before: Result, after: Result, options: CompareOptions): Comparison[] {
  const earlier = new Map(before.figures.map((one) => [figureId(one), one]))
  return after.figures.flatMap((later) => {
    const former = earlier.get(figureId(later))
    return former === undefined ? [] : [compareFigures(former, later, options)]
  })
}

export function compareFigures(before: Figure, after: Figure, options: CompareOptions): Comparison {
  const [a, b] = [medianOf(before.values), medianOf(after.values)]
  const count = Math.min(before.values.length, after.values.length)
  const { suite, table, row, column, unit } = after
  const place = { id: figureId(after), table: `${suite}: ${table}`, cell: `${row}: ${column}` }
  const told = { ...place, unit, before: a, after: b, ratio: ratioOf(b, a) }
  if (count < REPEATS_MIN) return { ...told, low: Number.NaN, high: Number.NaN, verdict: 'too few to tell' }
  const [low, high] = interval(before.values, after.values, options)
  return { ...told, low, high, verdict: judge(after.better, low, high, options.margin) }
}

function judge(better: Better, low: number, high: number, margin: number): Verdict {
  const [above, below] = [1 + margin, 1 / (1 + margin)]
  if (low > above) return better === 'neither' ? 'changed' : better === 'lower' ? 'regression' : 'improvement'
  if (high < below) return better === 'neither' ? 'changed' : better === 'lower' ? 'improvement' : 'regression'
  return low >= below && high <= above ? 'no change' : 'uncertain'
}

/** Percentile bootstrap of the ratio of medians: both runs are drawn again from their own repeats. */
function interval(a: readonly number[], b: readonly number[], { confidence, seed }: CompareOptions): [number, number] {
  const random = seededRandom(seed)
  const ratios = Array.from({ length: RESAMPLES }, () =>
    ratioOf(resampledMedian(b, random), resampledMedian(a, random)),
  )
  ratios.sort((x, y) => x - y)
  const tail = (1 - confidence) / 2
  return [quantile(ratios, tail), quantile(ratios, 1 - tail)]
}

function resampledMedian(values: readonly number[], random: Random): number {
  return medianOf(values.map(() => values[randomInt(random, values.length)] as number))
}

function medianOf(values: readonly number[]): number {
  return quantile(
    [...values].sort((x, y) => x - y),
    0.5,
  )
}

/** Nothing against nothing is no change: counts of errors are zero on good days. */
function ratioOf(later: number, former: number): number {
  return later === former ? 1 : later / former
}

function tablesIn(all: readonly Comparison[]): string[] {
  return [...new Set(all.map(({ table }) => table))]
}

function renderRows(table: string, all: readonly Comparison[], percent: string): string {
  const rows = all
    .filter((one) => one.table === table)
    .map(({ cell, unit, before, after, ratio, low, high, verdict }) => [
      unit === '' ? cell : `${cell}, ${unit}`,
      ...[before, after, ratio].map(figure),
      Number.isNaN(low) ? '-' : `${figure(low)}-${figure(high)}`,
      verdict,
    ])
  return `\n${table}\n${renderTable(['', 'before', 'after', 'ratio', `${percent} interval`, 'verdict'], rows)}`
}

export function renderComparison(before: Result, after: Result, options: CompareOptions): string {
  const all = compareResults(before, after, options)
  const of = (verdict: Verdict): Comparison[] => all.filter((one) => one.verdict === verdict)
  const percent = `${(options.confidence * 100).toFixed(1)} %`
  const beyond = `by more than ${(options.margin * 100).toFixed(0)} %`
  const counted = (['improvement', 'changed', 'no change', 'uncertain', 'too few to tell'] as const)
    .map((verdict) => `${of(verdict).length} ${verdict}`)
    .join(', ')
  const judged = all.length - of('too few to tell').length
  return [
    ...doubts(before, after),
    ...tablesIn(all).map((table) => renderRows(table, all, percent)),
    '',
    `${judged} of ${all.length} figures judged: a change is one whose whole ${percent} interval differs ${beyond}.`,
    `By chance alone about ${figure(judged * (1 - options.confidence))} of them would lie outside of theirs.`,
    `${counted}.`,
    of('regression').length === 0 ? 'REGRESSIONS: none' : `REGRESSIONS (${beyond}):`,
    ...of('regression').map((one) => `  ${one.id}: ${figure(one.ratio)} (${figure(one.low)}-${figure(one.high)})`),
  ].join('\n')
}

/** What makes two runs differ without any change of the code. */
function doubts({ environment: a, options: x, complete }: Result, after: Result): string[] {
  const { environment: b, options: y } = after
  const told = (what: string, one: unknown, other: unknown): string[] =>
    JSON.stringify(one) === JSON.stringify(other)
      ? []
      : [`NOTE: ${what}: ${JSON.stringify(one)} and ${JSON.stringify(other)}`]
  const speed = Math.abs(Math.log(b.unitMs / a.unitMs)) > Math.log(1.05)
  return [
    `before: ${a.commit}, ${a.at}; after: ${b.commit}, ${b.at}`,
    ...told('other machines', `${a.cores} x ${a.cpu}`, `${b.cores} x ${b.cpu}`),
    ...told('other versions of Node', a.node, b.node),
    ...told('other options', x, y),
    ...(speed ? [`NOTE: a fixed loop took ${figure(a.unitMs)} ms before and ${figure(b.unitMs)} ms after`] : []),
    ...(a.loadBefore > 1 || b.loadBefore > 1
      ? [`NOTE: loads of ${a.loadBefore} and ${b.loadBefore} before the runs`]
      : []),
    ...(complete && after.complete ? [] : ['NOTE: one of the runs was interrupted']),
    '',
  ]
}
