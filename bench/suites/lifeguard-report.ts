/** Tables of the Lifeguard experiments with the paper's figures beside ours, and a verdict on each of its relations. */
import { PAPER, PAPER_RUNS, type PaperRow } from '../lib/lifeguard-paper.js'
import { quantile } from '../lib/statistics.js'
import { figure, renderTable } from '../lib/table.js'
import type { Detector, IntervalFigures, ThresholdFigures } from '../scenarios/lifeguard.js'

export interface DetectorFigures {
  readonly detector: Detector
  readonly interval: readonly IntervalFigures[]
  readonly threshold: readonly ThresholdFigures[]
}

export interface Verdict {
  readonly relation: string
  readonly holds: boolean
  readonly detail: string
}

const QUANTILES = [0.5, 0.99, 0.999] as const

/** Table IV, and the messages of Table VI. */
export function renderInterval(all: readonly DetectorFigures[]): string {
  const swim = totalsOf(all, 'SWIM')
  const runs = all[0]?.interval.length ?? 0
  const rows = all.map(({ detector }) => {
    const ours = totalsOf(all, detector)
    const paper = PAPER[detector]
    return [
      detector,
      figure(ours.falseDeaths / runs),
      paper === undefined ? '-' : figure(paper.falseDeaths / PAPER_RUNS),
      percent(ours.falseDeaths, swim.falseDeaths),
      paper === undefined ? '-' : percent(paper.falseDeaths, PAPER['SWIM']?.falseDeaths ?? 0),
      figure(ours.falseDeathsAtHealthy / runs),
      percent(ours.falseDeathsAtHealthy, swim.falseDeathsAtHealthy),
      paper === undefined ? '-' : percent(paper.falseDeathsAtHealthy, PAPER['SWIM']?.falseDeathsAtHealthy ?? 0),
      `${ours.buriedAtHealthy}`,
      `${ours.trueDeaths}`,
      percent(ours.packets, swim.packets),
    ]
  })
  const head = [
    '',
    'FP/run',
    'paper',
    'FP %',
    'paper',
    'FP-/run',
    'FP- %',
    'paper',
    'nodes',
    'true deaths',
    'packets %',
  ]
  return `\nInterval experiment, ${runs} runs each; % of SWIM\n${renderTable(head, rows)}`
}

/** Table V. */
export function renderThreshold(all: readonly DetectorFigures[]): string {
  const rows = all.map(({ detector, threshold }) => {
    const seen = threshold.reduce((sum, run) => sum + run.firstMs.length, 0)
    const blocked = threshold.reduce((sum, run) => sum + run.blocked, 0)
    const paper = PAPER[detector]
    const first = latencies(all, detector, 'firstMs').join(' / ')
    const full = latencies(all, detector, 'fullMs').join(' / ')
    return [detector, first, paperLatencies(paper, 'first'), full, paperLatencies(paper, 'full'), `${seen}/${blocked}`]
  })
  const head = ['', 'first detection', 'paper', 'full dissemination', 'paper', 'detected']
  return `\nThreshold experiment, seconds: median / 99 % / 99.9 %\n${renderTable(head, rows)}`
}

/** What the paper found, asked of our figures. */
export function judge(all: readonly DetectorFigures[]): Verdict[] {
  const fp = (detector: Detector): number => totalsOf(all, detector).falseDeaths
  const buried = (detector: Detector): number => totalsOf(all, detector).buriedAtHealthy
  const parts = ['LHA-Probe', 'LHA-Suspicion', 'Buddy'] as const
  const counts = (of: (detector: Detector) => number): string =>
    (['SWIM', ...parts, 'Lifeguard'] as const).map((detector) => `${detector} ${of(detector)}`).join(', ')
  return [
    {
      relation: 'FP: LHA-Probe below SWIM',
      holds: fp('LHA-Probe') < fp('SWIM'),
      detail: `${fp('LHA-Probe')} of ${fp('SWIM')}`,
    },
    {
      relation: 'FP: LHA-Suspicion below a quarter of LHA-Probe',
      holds: fp('LHA-Suspicion') < fp('LHA-Probe') / 4,
      detail: `${fp('LHA-Suspicion')} of ${fp('LHA-Probe')}`,
    },
    {
      relation: 'FP: Buddy no more than SWIM, within 5 %',
      holds: fp('Buddy') <= 1.05 * fp('SWIM'),
      detail: `${fp('Buddy')} of ${fp('SWIM')}`,
    },
    {
      relation: 'FP: Lifeguard no more than any of its parts',
      holds: parts.every((part) => fp('Lifeguard') <= fp(part)),
      detail: counts(fp),
    },
    {
      relation: 'FP-: Lifeguard buries no more nodes than any part, and each part no more than SWIM, but for chance',
      holds: parts.every((part) => !isMore(buried('Lifeguard'), buried(part)) && !isMore(buried(part), buried('SWIM'))),
      detail: counts(buried),
    },
    ...(['firstMs', 'fullMs'] as const).map((which) => judgeMedians(all, which)),
  ]
}

/** Counts of rare events differ by chance: two standard deviations of their difference. */
function isMore(count: number, other: number): boolean {
  return count - other > 2 * Math.sqrt(count + other)
}

function judgeMedians(all: readonly DetectorFigures[], which: 'firstMs' | 'fullMs'): Verdict {
  const measured = all.filter(({ detector }) => PAPER[detector] !== undefined)
  const medians = measured.map(({ detector }) => quantile(timesOf(all, detector, which), 0.5))
  const swim = medians[0] ?? Number.NaN
  return {
    relation: `latency: medians of ${which === 'firstMs' ? 'first detection' : 'full dissemination'} within 5 % of SWIM`,
    holds: medians.every((median) => Math.abs(median / swim - 1) <= 0.05),
    detail: medians.map((median) => `${figure(median / 1_000)} s`).join(', '),
  }
}

function totalsOf(all: readonly DetectorFigures[], detector: Detector): IntervalFigures {
  const runs = all.find((each) => each.detector === detector)?.interval ?? []
  const sum = (of: (run: IntervalFigures) => number): number => runs.reduce((total, run) => total + of(run), 0)
  return {
    falseDeaths: sum((run) => run.falseDeaths),
    falseDeathsAtHealthy: sum((run) => run.falseDeathsAtHealthy),
    buriedAtHealthy: sum((run) => run.buriedAtHealthy),
    trueDeaths: sum((run) => run.trueDeaths),
    packets: sum((run) => run.packets),
    bytes: sum((run) => run.bytes),
  }
}

function timesOf(all: readonly DetectorFigures[], detector: Detector, which: 'firstMs' | 'fullMs'): number[] {
  const runs = all.find((each) => each.detector === detector)?.threshold ?? []
  return runs.flatMap((run) => run[which]).sort((a, b) => a - b)
}

function latencies(all: readonly DetectorFigures[], detector: Detector, which: 'firstMs' | 'fullMs'): string[] {
  const times = timesOf(all, detector, which)
  return QUANTILES.map((q) => figure(quantile(times, q) / 1_000))
}

function paperLatencies(paper: PaperRow | undefined, which: 'first' | 'full'): string {
  return paper === undefined ? '-' : paper[which].map((seconds) => seconds.toFixed(2)).join(' / ')
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '-' : figure((100 * part) / whole)
}
