/** The Lifeguard paper's experiments over a grid of blocks: the jobs, and what they add up to beside the paper. */

import { answersOf, runBenchJobs } from '../lib/bench-jobs.js'
import type { Job } from '../lib/job.js'
import type { Bench, Suite } from '../lib/suite.js'
import type { Line } from '../report/result.js'
import {
  DETECTORS,
  type Detector,
  type IntervalFigures,
  type LifeguardRun,
  type ThresholdFigures,
} from '../scenarios/lifeguard.js'
import { type DetectorFigures, judge, renderInterval, renderThreshold } from './lifeguard-report.js'

export type GridName = 'small' | '24' | '96' | 'full'

interface Grid {
  readonly concurrent: readonly number[]
  readonly durationsMs: readonly number[]
  readonly intervalsMs: readonly number[]
  readonly repeats: number
  /** Of the threshold experiment; a block must outlast the verdict to be measured. */
  readonly threshold: { readonly durationsMs: readonly number[]; readonly repeats: number }
}

/** Of one process on an idle core. */
const SECONDS_A_RUN = 3
const PAPER_DURATIONS_MS = [128, 512, 2_048, 8_192, 16_384, 32_768]
const PAPER_INTERVALS_MS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384]
const PAPER_CONCURRENT = [1, 4, 8, 12, 16, 20, 24, 28, 32]

const GRIDS: Readonly<Record<GridName, Grid>> = {
  // Enough to see that the detectors differ; the paper's relations are judged on the larger ones.
  small: {
    concurrent: [8],
    durationsMs: [8_192],
    intervalsMs: [64],
    repeats: 1,
    threshold: { durationsMs: [], repeats: 0 },
  },
  '24': {
    concurrent: [16],
    durationsMs: [2_048, 8_192, 32_768],
    intervalsMs: PAPER_INTERVALS_MS,
    repeats: 1,
    threshold: { durationsMs: [32_768], repeats: 4 },
  },
  '96': {
    concurrent: [8, 32],
    durationsMs: PAPER_DURATIONS_MS,
    intervalsMs: PAPER_INTERVALS_MS,
    repeats: 1,
    threshold: { durationsMs: [8_192, 16_384, 32_768], repeats: 2 },
  },
  full: {
    concurrent: PAPER_CONCURRENT,
    durationsMs: PAPER_DURATIONS_MS,
    intervalsMs: PAPER_INTERVALS_MS,
    repeats: 10,
    threshold: { durationsMs: PAPER_DURATIONS_MS, repeats: 10 },
  },
}

export const lifeguardSuite: Suite = {
  name: 'lifeguard',
  about: "the Lifeguard paper's experiments, simulated: a part of its grid, more by --sub and --full",
  plan: ({ grid, jobs }) => {
    const steps = jobsOf(GRIDS[grid]).length
    return { steps, seconds: (steps * SECONDS_A_RUN) / Math.min(jobs, steps) }
  },
  run: runLifeguard,
  ownTables: true,
}

async function runLifeguard(bench: Bench): Promise<void> {
  const grid = GRIDS[bench.options.grid]
  const jobs = jobsOf(grid)
  // Costly and cheap runs mixed: the estimate of the time left is then worth something.
  const isSmall = bench.options.grid === 'small'
  const rank = (index: number): number => (isSmall ? urgencyOf(jobs[index]) : scramble(index))
  const order = [...jobs.keys()].sort((a, b) => rank(a) - rank(b))
  const shuffled = await runBenchJobs(
    bench,
    order.map((index) => jobs[index] as Job),
    { processes: bench.options.jobs, isSpare: () => isSmall },
  )
  const answers = jobs.map((_job, index) => shuffled[order.indexOf(index)])
  const all = DETECTORS.map((detector): DetectorFigures => {
    const mine = <T>(found: readonly { job: { run: LifeguardRun }; answer: { figures: T } }[]): T[] =>
      found.filter(({ job }) => job.run.detector === detector).map(({ answer }) => answer.figures)
    return {
      detector,
      interval: mine<IntervalFigures>(answersOf(jobs, answers, 'interval')),
      threshold: mine<ThresholdFigures>(answersOf(jobs, answers, 'threshold')),
    }
  })
  const figures = all.filter(({ interval }) => interval.length > 0)
  for (const { detector } of all.filter(({ interval }) => interval.length === 0))
    bench.note(`\nNOT MEASURED for want of time (see --patient): ${detector}`)
  if (figures.length === 0) return
  for (const one of figures) recordDetector(bench, one)
  const bars = (name: string, of: (run: IntervalFigures) => number): Line => ({
    name,
    points: figures.map(({ interval }, i) => [i, interval.reduce((sum, run) => sum + of(run), 0) / interval.length]),
  })
  bench.chart({
    title: 'Lifeguard: false positives in a run of 128 nodes, by detector',
    kind: 'bars',
    x: { title: '', scale: 'linear' },
    y: { title: 'a run', scale: 'linear' },
    groups: figures.map(({ detector }) => detector),
    lines: [bars('FP', (run) => run.falseDeaths), bars('FP-', (run) => run.falseDeathsAtHealthy)],
  })
  bench.note(renderInterval(figures))
  if (isSmall) return
  const verdicts = judge(figures)
  bench.note(renderThreshold(figures))
  bench.note('\nRelations of the paper')
  for (const { relation, holds, detail } of verdicts) {
    bench.note(`  ${holds ? 'holds' : 'FAILS'}  ${relation}: ${detail}`)
    if (!holds) bench.miss(relation)
  }
}

/** Each run of the grid is a repeat: compare only runs of one grid. */
function recordDetector({ record }: Bench, { detector, interval, threshold }: DetectorFigures): void {
  const add = (column: string, unit: string, value: number): void =>
    record({ table: 'Detectors', row: detector, column, unit, better: 'lower', value })
  for (const run of interval) {
    add('false positives', '', run.falseDeaths)
    add('false positives at healthy', '', run.falseDeathsAtHealthy)
    add('packets', '', run.packets)
  }
  for (const { firstMs, fullMs } of threshold) {
    for (const value of firstMs) add('first detection', 'ms', value)
    for (const value of fullMs) add('full dissemination', 'ms', value)
  }
}

function jobsOf(grid: Grid): Job[] {
  return DETECTORS.flatMap((detector) => [...intervalJobs(detector, grid), ...thresholdJobs(detector, grid)])
}

function intervalJobs(detector: Detector, grid: Grid): Job[] {
  return seeds(grid.repeats).flatMap((seed) =>
    grid.concurrent.flatMap((concurrent) =>
      grid.durationsMs.flatMap((durationMs) =>
        grid.intervalsMs.map((intervalMs): Job => {
          const run: LifeguardRun = { detector, concurrent, durationMs, intervalMs, seed }
          return { kind: 'interval', run }
        }),
      ),
    ),
  )
}

function thresholdJobs(detector: Detector, { concurrent: counts, threshold }: Grid): Job[] {
  return seeds(threshold.repeats).flatMap((seed) =>
    counts.flatMap((concurrent) =>
      threshold.durationsMs.map((durationMs): Job => {
        const run: LifeguardRun = { detector, concurrent, durationMs, intervalMs: 0, seed }
        return { kind: 'threshold', run }
      }),
    ),
  )
}

function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

/** Of the small grid: what bounds the others, and what is shipped, first. */
function urgencyOf(job: Job | undefined): number {
  const first: readonly Detector[] = ['SWIM', 'shoal', 'Lifeguard']
  const index = job !== undefined && 'run' in job && 'detector' in job.run ? first.indexOf(job.run.detector) : -1
  return index < 0 ? first.length : index
}

function scramble(index: number): number {
  return Math.imul(index + 1, 0x9e37_79b1) >>> 0
}
