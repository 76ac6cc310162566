/** What a second of one simulated node costs at rest, and what a cold start costs. One job at a time: one core. */
import { cpuUnitMs } from '../lib/clock.js'
import type { Job } from '../lib/job.js'
import { summarize } from '../lib/statistics.js'
import { answersOf, type JobRunner, type SuiteResult } from '../lib/suite.js'
import { figure, renderTable } from '../lib/table.js'
import { SLICE_MS } from '../scenarios/sim.js'

export interface SimSuiteOptions {
  readonly sizes: readonly number[]
  /** Slices of 10 virtual seconds at rest: together they should hold a whole push/pull interval (180 s at 1,000). */
  readonly slices: number
  readonly lossRates: readonly number[]
}

/** The promise: so many nodes, so long, in no more than as long on one core. */
const PROMISED = { nodes: 1_000, seconds: 60 } as const

export async function runSimSuite(options: SimSuiteOptions, runner: JobRunner): Promise<SuiteResult> {
  const { sizes, slices, lossRates } = options
  const jobs: Job[] = sizes.flatMap((nodes): Job[] => [
    ...lossRates.map((lossRate): Job => ({ kind: 'boot', nodes, lossRate, seed: 1 })),
    { kind: 'quiet', nodes, slices, seed: 1 },
  ])
  const unitMs = [cpuUnitMs()]
  const answers = await runner.run(jobs, 1)
  unitMs.push(cpuUnitMs())
  const boots = jobs
    .filter((job) => job.kind === 'boot')
    .map((job, i) => ({ ...job, ...answersOf(answers, 'boot')[i]?.figures }))
  const quiet = jobs
    .filter((job) => job.kind === 'quiet')
    .map((job, i) => ({ ...job, ...answersOf(answers, 'quiet')[i]?.figures }))
  const misses = quiet.filter(isTooSlow).map(({ nodes }) => `${nodes} nodes at rest are slower than real time`)
  const lines = [
    '\nSimulated clusters at rest (membership, registry, two services a node), after the gossip of the boot has ended',
    renderTable(
      ['nodes', 'us/node-second', 'median', 'min', 'max', 'packets/node/s', `${PROMISED.seconds} s take`, 'rss MB'],
      quiet.map(({ nodes, usPerNodeSecond = [], packetsPerNodeSecond = Number.NaN, rssBytes = Number.NaN }) => {
        const { median, min, max } = summarize(usPerNodeSecond)
        const tookSeconds = (meanOf(usPerNodeSecond) * nodes * PROMISED.seconds) / 1e6
        const columns = [meanOf(usPerNodeSecond), median, min, max, packetsPerNodeSecond].map(figure)
        return [`${nodes}`, ...columns, `${figure(tookSeconds)} s`, figure(rssBytes / 1e6)]
      }),
    ),
    '\nCold start: all start within 2 s from one seed, until all see all and all services',
    renderTable(
      ['nodes', 'loss', 'virtual s', 'processor s', 'packets', 'streams', 'false deaths'],
      boots.map((b) => [
        `${b.nodes}`,
        `${b.lossRate * 100} %`,
        figure((b.virtualMs ?? Number.NaN) / 1_000),
        ...[b.cpuSeconds, b.packets, b.streams, b.falseDeaths].map((value) => figure(value ?? Number.NaN)),
      ]),
    ),
    `Processor time of one process, ${slices} slices of ${SLICE_MS / 1_000} virtual s; a fixed loop took ${unitMs.map(figure).join(' ms before and ')} ms after`,
    'the runs: on a machine that others use it takes longer, and so does everything here.',
  ]
  return { figures: { boots, quiet, unitMs }, lines, misses }
}

function isTooSlow({ nodes, usPerNodeSecond }: { nodes: number; usPerNodeSecond?: readonly number[] }): boolean {
  return nodes === PROMISED.nodes && meanOf(usPerNodeSecond ?? []) * nodes > 1e6
}

/** Over a whole push/pull interval the mean is what time costs; a median would leave the exchanges out. */
function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
