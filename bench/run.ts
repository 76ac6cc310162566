/**
 * `npm run bench`: convergence and calls between real processes on loopback, and by name what the registry and simulated
 * clusters cost, and the Lifeguard paper's experiments. Prints tables, writes one JSON file under `bench/results/`. Exit
 * code 1 when something that should have happened did not.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildProgram, type WorkerProgram } from './lib/cluster.js'
import { type Environment, readEnvironment } from './lib/environment.js'
import { describeJob, type Job } from './lib/job.js'
import { runJobs } from './lib/pool.js'
import { Progress } from './lib/progress.js'
import type { CallFigures } from './lib/protocol.js'
import { type Summary, summarize } from './lib/statistics.js'
import type { JobRunner, SuiteResult } from './lib/suite.js'
import { figure, renderTable } from './lib/table.js'
import { type CallsOptions, callSteps, runCalls } from './scenarios/calls.js'
import { type ConvergenceOptions, convergenceSteps, runConvergence } from './scenarios/convergence.js'
import { type LifeguardOptions, runLifeguardSuite } from './suites/lifeguard.js'
import { benchPeers } from './suites/peers.js'
import { type RegistrySuiteResult, runRegistrySuite } from './suites/registry.js'
import { runSimSuite, type SimSuiteOptions } from './suites/sim.js'

const SUITES = ['convergence', 'calls', 'registry', 'sim', 'lifeguard'] as const
type Suite = (typeof SUITES)[number]
const DEFAULT_SUITES: readonly Suite[] = ['convergence', 'calls']

interface BenchOptions {
  readonly suites: readonly Suite[]
  readonly convergence: ConvergenceOptions
  readonly calls: CallsOptions
  readonly sim: SimSuiteOptions
  readonly lifeguard: LifeguardOptions
}

interface Results {
  readonly environment: Environment
  readonly options: BenchOptions
  /** Milliseconds. */
  readonly convergence: Record<string, Summary & { readonly values: readonly number[] }>
  readonly calls: Record<string, readonly CallFigures[]>
  readonly simulated: Readonly<Partial<Record<Suite, SuiteResult>>>
  readonly registry: RegistrySuiteResult | undefined
  readonly misses: readonly string[]
}

const USAGE = `npm run bench -- [suite ...] [options]
  suites        ${SUITES.join(', ')}; default ${DEFAULT_SUITES.join(' and ')}
  --nodes N     processes of the convergence suite (default 30)
  --profile P   lan, wan or local (default lan)
  --repeats N   joins, services and leaves measured (default 10)
  --kills N     crashes measured (default 3)
  --seconds N   length of each call measurement (default 3)
  --quick       fewer repeats: under 90 s; of sim only 100 nodes
  --sub 96      lifeguard: 96 combinations of blocks instead of 24
  --full        lifeguard: the paper's whole grid, 4,320 runs for each detector
  --jobs N      lifeguard: processes (default one for each core)

npm run bench -- peers [options]: beside others in the same run; 'peers --help' tells its options
`

function parseOptions(): BenchOptions {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      nodes: { type: 'string' },
      profile: { type: 'string', default: 'lan' },
      repeats: { type: 'string' },
      kills: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      sub: { type: 'string', default: '24' },
      full: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  const { profile, quick, sub } = values
  if (sub !== '24' && sub !== '96') throw new Error(`--sub ${sub} is neither 24 nor 96`)
  if (profile !== 'lan' && profile !== 'wan' && profile !== 'local') throw new Error(`unknown profile '${profile}'`)
  const unknown = positionals.find((name) => !SUITES.includes(name as Suite))
  if (unknown !== undefined) throw new Error(`unknown suite '${unknown}'; there are ${SUITES.join(', ')}`)
  const positive = (name: string, text: string | undefined, otherwise: number): number => {
    const value = text === undefined ? otherwise : Number(text)
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text} is no positive integer`)
    return value
  }
  return {
    suites: positionals.length === 0 ? DEFAULT_SUITES : (positionals as Suite[]),
    convergence: {
      nodes: positive('nodes', values.nodes, 30),
      profile,
      repeats: positive('repeats', values.repeats, quick ? 5 : 10),
      kills: positive('kills', values.kills, quick ? 1 : 3),
    },
    calls: { durationMs: positive('seconds', values.seconds, quick ? 1 : 3) * 1_000, rounds: quick ? 2 : 3 },
    sim: { sizes: quick ? [100] : [100, 1_000], slices: 18, lossRates: [0, 0.2] },
    lifeguard: { grid: values.full ? 'full' : sub, processes: positive('jobs', values.jobs, availableParallelism()) },
  }
}

async function measure(program: WorkerProgram, options: BenchOptions): Promise<Results> {
  const environment = readEnvironment()
  const values = new Map<string, number[]>()
  const calls: Record<string, CallFigures[]> = {}
  const misses: string[] = []
  const steps = { convergence: convergenceSteps(options.convergence), calls: callSteps(options.calls), registry: 1 }
  const has = (suite: Suite): boolean => options.suites.includes(suite)
  const counted = ['convergence', 'calls', 'registry'] as const
  const progress = new Progress(counted.reduce((sum, suite) => sum + (has(suite) ? steps[suite] : 0), 0))
  const step = (what: string): void => progress.step(what)
  const miss = (what: string): void => void misses.push(what)
  let registry: RegistrySuiteResult | undefined
  try {
    if (has('convergence')) {
      const record = (name: string, ms: number): void => void values.set(name, [...(values.get(name) ?? []), ms])
      await runConvergence(program, options.convergence, { step, record, miss })
    }
    if (has('calls')) {
      const record = (row: string, figures: CallFigures): void => {
        calls[row] = [...(calls[row] ?? []), figures]
        if (figures.errors > 0) miss(`calls, ${row}: ${figures.errors} failed`)
      }
      await runCalls(program, options.calls, { step, record })
    }
    if (options.suites.includes('registry')) {
      step('the registry, simulated, and its memory')
      registry = await runRegistrySuite()
      registry.misses.forEach(miss)
    }
  } catch (error) {
    miss(`stopped early: ${String(error)}`)
  }
  progress.end()
  const convergence = Object.fromEntries(
    [...values].map(([name, list]) => [name, { ...summarize(list), values: list }]),
  )
  const simulated = await simulate(options)
  for (const result of Object.values(simulated)) misses.push(...result.misses)
  return { environment, options, convergence, calls, registry, simulated, misses }
}

async function simulate({ suites, sim, lifeguard }: BenchOptions): Promise<Results['simulated']> {
  if (!suites.includes('sim') && !suites.includes('lifeguard')) return {}
  const program = await buildProgram('sim-worker')
  const runner: JobRunner = {
    run: async (jobs, processes) => {
      const progress = new Progress(jobs.length)
      const onStart = (job: Job): void => progress.step(describeJob(job))
      const answers = await runJobs(jobs, { file: program.file, processes, onStart })
      progress.end()
      return answers
    },
  }
  try {
    return {
      ...(suites.includes('sim') ? { sim: await runSimSuite(sim, runner) } : {}),
      ...(suites.includes('lifeguard') ? { lifeguard: await runLifeguardSuite(lifeguard, runner) } : {}),
    }
  } finally {
    await program.remove()
  }
}

function printResults({ environment, options, convergence, calls, registry, simulated, misses }: Results): void {
  const { node, cpu, cores, commit, loadBefore } = environment
  const lines = [`\nNode ${node} on ${cores} x ${cpu}, commit ${commit}, load before ${loadBefore}`]
  const rows = Object.entries(convergence).map(([name, s]) => [
    name,
    figure(s.median),
    figure(s.min),
    figure(s.max),
    `${s.count}`,
  ])
  if (rows.length > 0) {
    const { nodes, profile } = options.convergence
    lines.push(`\nConvergence of ${nodes} processes on loopback, profile ${profile}, in ms`)
    lines.push(renderTable(['', 'median', 'min', 'max', 'n'], rows))
    lines.push('"by all": the last of all processes; on loopback nothing is lost and the round trip is near zero.')
  }
  const callRows = Object.entries(calls).map(([name, rounds]) => {
    const of = (pick: (figures: CallFigures) => number): Summary => summarize(rounds.map(pick))
    const rate = of((f) => f.calls / f.seconds)
    const columns = [of((f) => f.p50), of((f) => f.p99), of((f) => f.p999)].map((s) => figure(s.median))
    const beside = rounds[0]?.mibPerSecond === undefined ? '' : figure(of((f) => f.mibPerSecond ?? 0).median)
    return [name, ...columns, figure(rate.median), `${figure(rate.min)}-${figure(rate.max)}`, beside]
  })
  if (callRows.length > 0) {
    lines.push('\nCalls of a small object, echoed; latency in microseconds, medians over rounds')
    lines.push(renderTable(['', 'p50', 'p99', 'p99.9', 'calls/s', 'range', 'MiB/s beside'], callRows))
    lines.push('Closed loops: a stalled callee slows the callers down, so the tail under a fixed load would be worse.')
  }
  lines.push(...(registry?.lines ?? []))
  for (const result of Object.values(simulated)) lines.push(...result.lines)
  for (const miss of misses) lines.push(`MISSED: ${miss}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}

async function main(): Promise<void> {
  const [first, ...others] = process.argv.slice(2)
  if (first === 'peers' || first === '--peers') return benchPeers(others)
  const options = parseOptions()
  const program = await buildProgram('worker')
  try {
    const results = await measure(program, options)
    printResults(results)
    const folder = resolve(import.meta.dirname, 'results')
    await mkdir(folder, { recursive: true })
    const file = join(folder, `${results.environment.at.replaceAll(':', '-').slice(0, 19)}.json`)
    await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
    process.stdout.write(`\nWritten to ${join('bench', 'results', file.slice(folder.length + 1))}\n`)
    if (results.misses.length > 0) process.exitCode = 1
  } finally {
    await program.remove()
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
})
