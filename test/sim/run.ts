/**
 * The simulator's command line: sweeps seeds over one scenario, shows progress and what really happened, and for each
 * failure the seed and the command that replays it. Exits 1 when a check failed or a promised fault never came.
 *
 *   npm run sim -- --scenario chaos --nodes 100 --seeds 200 --first-seed 1 --loss 0.2 --jobs 2
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SCENARIOS } from './scenarios.js'
import { replayCommand, type SimulationResult, simulate } from './simulate.js'
import { addCounts, emptyCounts, missingClasses } from './tally.js'

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'chaos' },
    nodes: { type: 'string', default: '100' },
    seeds: { type: 'string', default: '20' },
    'first-seed': { type: 'string', default: '1' },
    loss: { type: 'string', default: '0.2' },
    /** Processes that share the work. */
    jobs: { type: 'string', default: '1' },
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

if (SCENARIOS[scenario] === undefined) fail(`no scenario '${scenario}': ${Object.keys(SCENARIOS).join(', ')}`)
if (!(nodes >= 1 && seeds >= 1 && jobs >= 1 && loss >= 0 && loss < 1 && Number.isInteger(firstSeed)))
  fail('nodes, seeds and jobs are at least 1, loss is in [0, 1), first-seed is a whole number')

if (values.worker !== undefined) work(Number(values.worker), (result) => process.send?.(result))
else await sweep()

function work(offset: number, report: (result: SimulationResult) => void): void {
  for (let i = offset; i < seeds; i += jobs) report(simulate({ scenario, nodes, seed: firstSeed + i, loss }))
}

async function sweep(): Promise<void> {
  const startedAt = process.hrtime.bigint()
  const total = emptyCounts()
  const failures: SimulationResult[] = []
  let done = 0
  let crashed = 0
  const take = (result: SimulationResult): void => {
    done++
    addCounts(total, result.counts)
    if (result.violations.length > 0) failures.push(result)
    const times = Object.entries(result.times).map(([name, ms]) => `${name} ${Math.round(ms)} ms`)
    const verdict = result.violations.length === 0 ? 'ok' : 'FAILED'
    console.log(`[${done}/${seeds}] seed ${result.seed} ${verdict} trace ${result.hash} | ${times.join(', ')}`)
  }
  if (jobs === 1) work(0, take)
  else
    crashed = (await Promise.all([...Array(jobs).keys()].map((job) => runWorker(job, take)))).filter((ok) => !ok).length
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9
  console.log(
    `${done} runs of '${scenario}' with ${nodes} nodes in ${seconds.toFixed(1)} s, ${(seconds / done).toFixed(2)} s each`,
  )
  for (const [name, count] of Object.entries(total)) console.log(`  ${name.padEnd(15)} ${count}`)
  for (const failure of failures) {
    console.log(`seed ${failure.seed} failed; replay: ${replayCommand(failure)}`)
    for (const violation of failure.violations.slice(0, 10)) console.log(`  ${violation}`)
  }
  const missing = missingClasses(total, SCENARIOS[scenario]?.promises ?? [])
  for (const one of missing) console.log(`never happened, so nothing was proved about it: ${one}`)
  const isGood = failures.length === 0 && missing.length === 0 && crashed === 0 && done === seeds
  console.log(isGood ? 'all held' : `${failures.length} of ${seeds} seeds failed`)
  process.exitCode = isGood ? 0 : 1
}

function runWorker(job: number, take: (result: SimulationResult) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--worker', String(job)])
    child.on('message', (result) => take(result as SimulationResult))
    child.on('exit', (code) => resolve(code === 0))
  })
}

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}
