/**
 * The simulator's command line: sweeps seeds over one scenario and shows progress, each failure with the command that
 * replays it, how the scenario's times are spread, and what really happened. Exits 1 when a check failed or a promised
 * fault or transition never came.
 *
 *   npm run sim -- --seeds 20000
 *   npm run sim -- --scenario chaos --nodes 100 --seeds 200 --first-seed 1 --loss 0.2 --jobs 2
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { report } from './report.js'
import { SCENARIOS } from './scenarios.js'
import { replayCommand, type SimulationResult, simulate } from './simulate.js'
import { SweepSum } from './sweep.js'

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'swarm' },
    nodes: { type: 'string', default: '8' },
    seeds: { type: 'string', default: '20' },
    'first-seed': { type: 'string', default: '1' },
    loss: { type: 'string', default: '0.2' },
    /** Processes that share the work. */
    jobs: { type: 'string', default: String(availableParallelism()) },
    /** Internal: take every `jobs`-th seed and report to the parent. */
    worker: { type: 'string' },
  },
})

const scenario = values.scenario
const nodes = Number(values.nodes)
const seeds = Number(values.seeds)
const firstSeed = Number(values['first-seed'])
const loss = Number(values.loss)
const jobs = Math.min(Number(values.jobs), seeds)
/** Lines of progress, however long the sweep. */
const PROGRESS_LINES = 20
/** A sweep of so few shows each of its runs. */
const SHOWN_ONE_BY_ONE = 20

if (SCENARIOS[scenario] === undefined) fail(`no scenario '${scenario}': ${Object.keys(SCENARIOS).join(', ')}`)
if (!(nodes >= 1 && seeds >= 1 && jobs >= 1 && loss >= 0 && loss < 1 && Number.isInteger(firstSeed)))
  fail('nodes, seeds and jobs are at least 1, loss is in [0, 1), first-seed is a whole number')

if (values.worker !== undefined) work(Number(values.worker), (result) => process.send?.(result))
else await sweep()

function work(offset: number, take: (result: SimulationResult) => void): void {
  for (let i = offset; i < seeds; i += jobs) take(simulate({ scenario, nodes, seed: firstSeed + i, loss }))
}

async function sweep(): Promise<void> {
  const startedAt = process.hrtime.bigint()
  const sum = new SweepSum(scenario)
  const seconds = (): number => Number(process.hrtime.bigint() - startedAt) / 1e9
  const take = (result: SimulationResult): void => {
    sum.take(result)
    show(result, sum, seconds())
  }
  let crashed = 0
  if (jobs === 1) work(0, take)
  else
    crashed = (await Promise.all([...Array(jobs).keys()].map((job) => runWorker(job, take)))).filter((ok) => !ok).length
  const spent = seconds()
  console.log(`${sum.runs} runs of '${scenario}' with ${nodes} nodes in ${spent.toFixed(1)} s, trace ${sum.hash}`)
  for (const line of report(sum)) console.log(line)
  if (crashed > 0) console.log(`${crashed} of ${jobs} processes broke down`)
  const isGood = sum.failures.length === 0 && sum.missing.length === 0 && crashed === 0 && sum.runs === seeds
  console.log(isGood ? 'all held' : `${sum.failures.length} of ${seeds} seeds failed`)
  process.exitCode = isGood ? 0 : 1
}

function show(result: SimulationResult, { runs, failures }: SweepSum, seconds: number): void {
  for (const violation of result.violations.slice(0, 3)) console.log(`seed ${result.seed} FAILED: ${violation}`)
  if (result.violations.length > 0) console.log(`  replay: ${replayCommand(result)}`)
  if (seeds <= SHOWN_ONE_BY_ONE) {
    const times = Object.entries(result.times).map(([name, ms]) => `${name} ${Math.round(ms)} ms`)
    console.log(`[${runs}/${seeds}] seed ${result.seed} trace ${result.hash} | ${times.join(', ')}`)
  } else if (runs % Math.ceil(seeds / PROGRESS_LINES) === 0)
    console.log(`[${runs}/${seeds}] ${seconds.toFixed(0)} s, ${failures.length} failed`)
}

function runWorker(job: number, take: (result: SimulationResult) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), [
      ...process.argv.slice(2),
      '--jobs',
      String(jobs),
      '--worker',
      String(job),
    ])
    child.on('message', (result) => take(result as SimulationResult))
    child.on('exit', (code) => resolve(code === 0))
  })
}

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}
