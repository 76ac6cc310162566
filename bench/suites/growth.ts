/** Simulated clusters of several sizes under several rates of loss: how each figure grows, and how often a verdict is false. */
import { totalmem } from 'node:os'
import { answersOf, runBenchJobs } from '../lib/bench-jobs.js'
import type { Job } from '../lib/job.js'
import type { BenchOptions } from '../lib/options.js'
import { Spreads } from '../lib/spread.js'
import { summarize } from '../lib/statistics.js'
import type { Bench, Suite } from '../lib/suite.js'
import type { Line } from '../report/result.js'
import type { GrowthFigures, GrowthRun } from '../scenarios/growth.js'

const LOSS_RATES = [0, 0.1, 0.25, 0.4]
/** About the share of probes of a living node that fail, relays and TCP included. */
const FAILED_PROBES: Readonly<Record<number, number>> = { 0: 0, 0.1: 0.0015, 0.25: 0.06, 0.4: 0.25 }
/** Each failed probe is told to all by all and refuted likewise: beyond this a virtual second takes many real ones. */
const STORM = 6_000
/** From here on, under loss, the minute of virtual time until all have seen deaths takes more than a suite has. */
const NO_VERDICTS_FROM = 1_000
/** Beyond these a second seed of a size is not worth its time. */
const REPEATED_UP_TO = 100

const NOTES = [
  '\nVirtual time, on the real machines; packets take 0.5 to 1.5 ms, and TCP repeats what is lost. Each event begins',
  'when no gossip is queued; packets are lost from then until all know (120 s at most; "all" is left out when one',
  'did not). Cold start and partition: up to 100 nodes. Larger clusters begin with all told of all, queues of 16.',
  'No kills where loss makes all suspect all (300 nodes at 40 %, 1,000 from 10 %): a virtual second of that takes',
  'seconds. False deaths: members called dead that lived and were reachable, each once a minute.',
]

export const growthSuite: Suite = {
  name: 'growth',
  about: 'simulated: the same events at 30 to 1,000 nodes, 0 to 40 % loss; false deaths',
  plan: (options) => ({ steps: growthRuns(options).length, seconds: options.quick ? 15 : 260 }),
  run: (bench) => runSizes(bench, growthRuns(bench.options)),
}

export const scaleSuite: Suite = {
  name: 'scale',
  about: 'simulated: the same at 2,000 and 5,000 nodes, as far as the memory goes; hours',
  plan: (options) => ({ steps: scaleRuns(options).length, seconds: 10_000 }),
  run: runScale,
}

/** Each node holds a record of each other one. */
const BYTES_A_VIEW = 1_500

async function runScale(bench: Bench): Promise<void> {
  const runs = scaleRuns(bench.options)
  const needGb = ({ nodes }: Pick<GrowthRun, 'nodes'>): number => (BYTES_A_VIEW * nodes * nodes) / 1e9
  const haveGb = (0.9 * totalmem()) / 1e9
  for (const nodes of new Set(runs.filter((run) => needGb(run) > haveGb).map((run) => run.nodes))) {
    const need = needGb({ nodes })
    bench.miss(`${nodes} nodes need about ${need.toFixed(0)} GB of memory, ${haveGb.toFixed(0)} are here`)
  }
  await runSizes(
    bench,
    runs.filter((run) => needGb(run) <= haveGb),
  )
}

function growthRuns({ quick, seed, repeats }: BenchOptions): GrowthRun[] {
  const run = (nodes: number, lossRate: number, i: number): GrowthRun => {
    const small = nodes <= REPEATED_UP_TO
    return {
      nodes,
      lossRate,
      seed: seed + i,
      lives: small ? 2 : 1,
      kills: small ? 2 : 1,
      ...partsOf(nodes, lossRate),
    }
  }
  // The longest first, so that the cores end together; further seeds last, for as long as there is time.
  const sizes = quick ? [100, 30] : [1_000, 300, 100, 30]
  const rates = quick ? [0, 0.25] : LOSS_RATES.toReversed()
  const first = sizes.flatMap((nodes) => rates.map((lossRate) => run(nodes, lossRate, 0)))
  const more = Array.from({ length: quick ? 0 : repeats - 1 }, (_, i) => i + 1).flatMap((i) =>
    sizes.filter((nodes) => nodes <= REPEATED_UP_TO).flatMap((nodes) => rates.map((rate) => run(nodes, rate, i))),
  )
  return [...first, ...more]
}

function partsOf(nodes: number, lossRate: number): Pick<GrowthRun, 'verdicts' | 'halves' | 'coldStart'> {
  const isSmall = nodes <= REPEATED_UP_TO
  const isStormy = nodes * nodes * (FAILED_PROBES[lossRate] ?? 1) > STORM
  const verdicts = !isStormy && (lossRate === 0 || nodes < NO_VERDICTS_FROM)
  return { verdicts, halves: isSmall, coldStart: isSmall }
}

function scaleRuns({ seed }: BenchOptions): GrowthRun[] {
  const base = { seed, lives: 1, kills: 1 }
  return [2_000, 5_000].flatMap((nodes) =>
    LOSS_RATES.map((lossRate) => ({ ...base, nodes, lossRate, ...partsOf(nodes, lossRate) })),
  )
}

async function runSizes(bench: Bench, runs: readonly GrowthRun[]): Promise<void> {
  const jobs = runs.map((run): Job => ({ kind: 'growth', run }))
  const isSpare = (job: Job): boolean => job !== jobs[0] && job.kind === 'growth' && isSpareRun(job.run, bench.options)
  // Thousands of nodes need the memory of the machine for themselves.
  const processes = runs.some(({ nodes }) => nodes > 1_000) ? 1 : bench.options.jobs
  const answers = await runBenchJobs(bench, jobs, { processes, isSpare })
  const found = answersOf(jobs, answers, 'growth').map(({ job, answer }) => ({ run: job.run, figures: answer.figures }))
  const missing = runs.filter((run, i) => answers[i] === undefined && run.seed === bench.options.seed)
  for (const { nodes, lossRate } of missing)
    bench.note(`\nNOT MEASURED for want of time (see --patient): ${nodes} nodes at ${lossRate * 100} % loss`)
  for (const lossRate of LOSS_RATES) reportRate(bench, lossRate, found)
  drawFalseDeaths(bench, found)
  for (const line of NOTES) bench.note(line)
}

/** Further seeds, and large clusters: they run only while there is time. */
function isSpareRun({ nodes, seed }: GrowthRun, options: BenchOptions): boolean {
  return seed !== options.seed || nodes === 1_000
}

interface Found {
  readonly run: GrowthRun
  readonly figures: GrowthFigures
}

function reportRate(bench: Bench, lossRate: number, all: readonly Found[]): void {
  const mine = all.filter(({ run }) => run.lossRate === lossRate).sort((a, b) => a.run.nodes - b.run.nodes)
  if (mine.length === 0) return
  const loss = `${lossRate * 100} % loss`
  const spreads = new Spreads(bench, `Time until nodes know, ${loss} (virtual)`, true)
  const events = [...new Set(mine.flatMap(({ figures }) => figures.spreads.map(({ event }) => event)))]
  for (const event of events) {
    for (const { run, figures } of mine) {
      for (const one of figures.spreads) if (one.event === event) spreads.add(`${event}, ${run.nodes} nodes`, one.times)
    }
  }
  for (const { run, figures } of mine) recordCost(bench, loss, run.nodes, figures)
  const x = { title: 'nodes', scale: 'log' } as const
  const lines = events.map((event) => growthOf(event, mine)).filter(({ points }) => points.length > 0)
  const y = { title: 'ms until all know', scale: 'log' } as const
  bench.chart({ title: `Growth with the cluster, ${loss}: until all know`, kind: 'lines', x, y, lines })
  const largest = mine.at(-1)?.run.nodes ?? 0
  const rows = events.map((event) => `${event}, ${largest} nodes`)
  spreads.chart(`Who knows after how long, ${largest} nodes, ${loss}`, rows, 'log')
}

/** Median over repeats of when the last node knew; a repeat in which one did not counts as none. */
function growthOf(event: string, all: readonly Found[]): Line {
  const sizes = [...new Set(all.map(({ run }) => run.nodes))]
  const points = sizes.flatMap((nodes): [number, number][] => {
    const times = all
      .filter(({ run }) => run.nodes === nodes)
      .flatMap(({ figures }) => figures.spreads.filter((one) => one.event === event && !one.times.includes(undefined)))
      .map((one) => Math.max(...(one.times as number[])))
    return times.length === 0 ? [] : [[nodes, summarize(times).median]]
  })
  return { name: event, points }
}

function recordCost({ record }: Bench, loss: string, nodes: number, figures: GrowthFigures): void {
  const { quiet, falseDeaths, nodeHours, cpuSeconds, rssBytes } = figures
  const cell = { table: 'Cost, and false deaths', row: `${nodes} nodes, ${loss}`, better: 'lower' } as const
  record({ ...cell, column: 'packets, quiet', unit: '/s', value: quiet.packets })
  record({ ...cell, column: 'bytes, quiet', unit: 'B/s', value: quiet.bytes })
  record({ ...cell, column: 'false deaths', unit: '/node-hour', value: falseDeaths / nodeHours })
  record({ ...cell, column: 'node-hours', unit: '', better: 'neither', value: nodeHours })
  record({ ...cell, column: 'simulated in', unit: 's CPU', value: cpuSeconds })
  record({ ...cell, column: 'memory', unit: 'MB', value: rssBytes / 1e6 })
}

function drawFalseDeaths(bench: Bench, all: readonly Found[]): void {
  const rates = LOSS_RATES.filter((rate) => all.some(({ run }) => run.lossRate === rate))
  const sizes = [...new Set(all.map(({ run }) => run.nodes))].sort((a, b) => a - b)
  const lines = sizes.map((nodes): Line => {
    const points = rates.flatMap((rate, i): [number, number][] => {
      const mine = all.filter(({ run }) => run.nodes === nodes && run.lossRate === rate)
      const hours = mine.reduce((sum, { figures }) => sum + figures.nodeHours, 0)
      return hours === 0 ? [] : [[i, mine.reduce((sum, { figures }) => sum + figures.falseDeaths, 0) / hours]]
    })
    return { name: `${nodes} nodes`, points }
  })
  if (lines.length === 0) return
  bench.chart({
    title: 'False deaths in a node-hour, by loss',
    kind: 'bars',
    x: { title: '', scale: 'linear' },
    y: { title: '/node-hour', scale: 'linear' },
    groups: rates.map((rate) => `${rate * 100} %`),
    lines,
  })
}
