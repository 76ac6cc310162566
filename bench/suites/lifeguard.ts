/** The Lifeguard paper's experiments over a grid of blocks: the jobs, and what they add up to beside the paper. */
import type { Job } from '../lib/job.js'
import { answersOf, type JobRunner, type SuiteResult } from '../lib/suite.js'
import { DETECTORS, type Detector, type LifeguardRun } from '../scenarios/lifeguard.js'
import { type DetectorFigures, judge, renderInterval, renderThreshold } from './lifeguard-report.js'

export type GridName = '24' | '96' | 'full'

export interface LifeguardOptions {
  readonly grid: GridName
  readonly processes: number
}

interface Grid {
  readonly concurrent: readonly number[]
  readonly durationsMs: readonly number[]
  readonly intervalsMs: readonly number[]
  readonly repeats: number
  /** Of the threshold experiment; a block must outlast the verdict to be measured. */
  readonly threshold: { readonly durationsMs: readonly number[]; readonly repeats: number }
}

const PAPER_DURATIONS_MS = [128, 512, 2_048, 8_192, 16_384, 32_768]
const PAPER_CONCURRENT = [1, 4, 8, 12, 16, 20, 24, 28, 32]

const GRIDS: Readonly<Record<GridName, Grid>> = {
  '24': {
    concurrent: [8, 32],
    durationsMs: [2_048, 8_192, 32_768],
    intervalsMs: [1, 64, 1_024, 16_384],
    repeats: 1,
    threshold: { durationsMs: [32_768], repeats: 2 },
  },
  '96': {
    concurrent: [1, 8, 16, 32],
    durationsMs: PAPER_DURATIONS_MS,
    intervalsMs: [1, 64, 1_024, 16_384],
    repeats: 1,
    threshold: { durationsMs: [8_192, 16_384, 32_768], repeats: 2 },
  },
  full: {
    concurrent: PAPER_CONCURRENT,
    durationsMs: PAPER_DURATIONS_MS,
    intervalsMs: [1, 4, 16, 64, 256, 1_024, 4_096, 16_384],
    repeats: 10,
    threshold: { durationsMs: PAPER_DURATIONS_MS, repeats: 10 },
  },
}

export async function runLifeguardSuite(options: LifeguardOptions, runner: JobRunner): Promise<SuiteResult> {
  const grid = GRIDS[options.grid]
  const jobs = DETECTORS.flatMap((detector) => [...intervalJobs(detector, grid), ...thresholdJobs(detector, grid)])
  // Costly and cheap runs mixed: the estimate of the time left is then worth something.
  const order = [...jobs.keys()].sort((a, b) => scramble(a) - scramble(b))
  const shuffled = await runner.run(
    order.map((index) => jobs[index] as Job),
    options.processes,
  )
  const answers = jobs.map((_job, index) => shuffled[order.indexOf(index)])
  const figures = DETECTORS.map((detector): DetectorFigures => {
    const mine = answers.filter((answer, i) => answer !== undefined && detectorOf(jobs[i]) === detector)
    const present = mine.filter((answer) => answer !== undefined)
    return {
      detector,
      interval: answersOf(present, 'interval').map((answer) => answer.figures),
      threshold: answersOf(present, 'threshold').map((answer) => answer.figures),
    }
  })
  const verdicts = judge(figures)
  const lines = [
    renderInterval(figures),
    renderThreshold(figures),
    '\nRelations of the paper',
    ...verdicts.map(({ relation, holds, detail }) => `  ${holds ? 'holds' : 'FAILS'}  ${relation}: ${detail}`),
  ]
  const misses = verdicts.filter(({ holds }) => !holds).map(({ relation }) => `lifeguard: ${relation}`)
  return { figures: { grid, figures, verdicts }, lines, misses }
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

function detectorOf(job: Job | undefined): Detector | undefined {
  return job !== undefined && 'run' in job ? job.run.detector : undefined
}

function scramble(index: number): number {
  return Math.imul(index + 1, 0x9e37_79b1) >>> 0
}
