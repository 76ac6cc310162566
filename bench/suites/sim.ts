/** What a second of one simulated node costs at rest, and what a cold start costs. One job at a time: one core. */

import { answersOf, runBenchJobs } from '../lib/bench-jobs.js'
import type { Job } from '../lib/job.js'
import type { Bench, Suite } from '../lib/suite.js'
import { SLICE_MS } from '../scenarios/sim.js'

/** The promise: so many nodes, so long, in no more than as long on one core. */
const PROMISED = { nodes: 1_000, seconds: 60 } as const
/** Together they should hold a whole push/pull interval (180 s at 1,000). */
const SLICES = 18
const LOSS_RATES = [0, 0.2]

export const simSuite: Suite = {
  name: 'sim',
  about: 'what simulated time costs: 100 and 1,000 nodes at rest, and their cold start',
  plan: (options) => ({ steps: jobsFor(options).length, seconds: options.quick ? 20 : options.patient ? 1_200 : 600 }),
  run: runSim,
}

/** That a thousand nodes come together while packets are lost takes ten minutes by itself. */
function jobsFor({ quick, patient, seed }: Pick<Bench['options'], 'quick' | 'patient' | 'seed'>): Job[] {
  return (quick ? [100] : [100, 1_000]).flatMap((nodes): Job[] => [
    ...LOSS_RATES.filter((lossRate) => patient || lossRate === 0 || nodes === 100).map(
      (lossRate): Job => ({ kind: 'boot', nodes, lossRate, seed }),
    ),
    { kind: 'quiet', nodes, slices: SLICES, seed },
  ])
}

async function runSim(bench: Bench): Promise<void> {
  const { options, record, miss } = bench
  const jobs = jobsFor(options)
  const answers = await runBenchJobs(bench, jobs, { processes: 1 })
  for (const { job, answer } of answersOf(jobs, answers, 'quiet')) {
    const { nodes } = job
    const { figures } = answer
    const rest = { table: 'At rest: membership, registry, two services a node', row: `${nodes} nodes` }
    for (const value of figures.usPerNodeSecond) {
      record({ ...rest, column: 'processor for a node-second', unit: 'us', better: 'lower', value })
    }
    // Over a whole push/pull interval the mean is what time costs; a median would leave the exchanges out.
    const mean = figures.usPerNodeSecond.reduce((sum, us) => sum + us, 0) / figures.usPerNodeSecond.length
    const took = (mean * nodes * PROMISED.seconds) / 1e6
    record({ ...rest, column: `${PROMISED.seconds} s take`, unit: 's', better: 'lower', value: took })
    record({ ...rest, column: 'packets', unit: '/s', better: 'lower', value: figures.packetsPerNodeSecond })
    record({ ...rest, column: 'memory', unit: 'MB', better: 'lower', value: figures.rssBytes / 1e6 })
    if (nodes === PROMISED.nodes && mean * nodes > 1e6) miss(`${nodes} nodes at rest are slower than real time`)
  }
  for (const { job, answer } of answersOf(jobs, answers, 'boot')) {
    const { nodes, lossRate } = job
    const { figures } = answer
    const cold = {
      table: 'Cold start within 2 s from one seed, until all see all',
      row: `${nodes} nodes, ${lossRate * 100} % loss`,
    }
    record({ ...cold, column: 'virtual time', unit: 's', better: 'lower', value: figures.virtualMs / 1_000 })
    record({ ...cold, column: 'processor', unit: 's', better: 'lower', value: figures.cpuSeconds })
    record({ ...cold, column: 'packets', unit: '', better: 'lower', value: figures.packets })
    record({ ...cold, column: 'streams', unit: '', better: 'lower', value: figures.streams })
    record({ ...cold, column: 'false deaths', unit: '', better: 'lower', value: figures.falseDeaths })
  }
  bench.note(`\nProcessor time of one process, slices of ${SLICE_MS / 1_000} virtual s.`)
}
