/**
 * How fast a cluster of real processes agrees: what is done, and which sighting ends each measurement. All times are on
 * the machine's monotonic clock, from the call in the acting process to the event in the last (or median) observer.
 */
import { machineMs } from '../lib/clock.js'
import { ProcessCluster, type Worker, type WorkerProgram } from '../lib/cluster.js'
import type { Sighting } from '../lib/protocol.js'
import { quantile } from '../lib/statistics.js'

export interface ConvergenceOptions {
  readonly nodes: number
  readonly profile: 'lan' | 'wan' | 'local'
  /** How often a join, a new service and a leave are measured. */
  readonly repeats: number
  /** How often a crash is measured; each takes many seconds. */
  readonly kills: number
}

export interface ConvergenceSink {
  readonly step: (what: string) => void
  /** One observation of a figure, in ms. */
  readonly record: (figure: string, ms: number) => void
  /** Something that should have been seen was not, within the limit. */
  readonly miss: (what: string) => void
}

/** Steps that `runConvergence` reports, for the progress line. */
export function convergenceSteps({ repeats, kills }: ConvergenceOptions): number {
  return 1 + repeats * 3 + kills
}

const COLD_START_LIMIT_MS = 30_000
const SPREAD_LIMIT_MS = 10_000
const DEATH_LIMIT_MS = 60_000

export async function runConvergence(
  program: WorkerProgram,
  options: ConvergenceOptions,
  sink: ConvergenceSink,
): Promise<void> {
  const cluster = new ProcessCluster(program, options.profile)
  try {
    await coldStart(cluster, options, sink)
    for (let i = 0; i < options.repeats; i++) {
      const newcomer = await joinOne(cluster, options.nodes, sink)
      await provideOne(cluster, `probe-${i}`, i, sink)
      await leaveOne(cluster, newcomer, sink)
    }
    for (let i = 0; i < options.kills; i++) await killOne(cluster, sink)
    for (const failure of cluster.failures()) sink.miss(failure)
  } finally {
    await cluster.stop()
  }
}

/** All processes but the seed are started at once; each provides one service. */
async function coldStart(cluster: ProcessCluster, { nodes }: ConvergenceOptions, sink: ConvergenceSink): Promise<void> {
  sink.step(`cold start of ${nodes} processes`)
  const seed = await cluster.add(['service-0'])
  const others = Array.from({ length: nodes - 1 }, (_, i) => cluster.add([`service-${i + 1}`]))
  const starts = [seed, ...(await Promise.all(others))]
  const lastStart = Math.max(...starts.map(({ started }) => started.calledAt))
  const names = starts.map(({ worker }) => worker.name)
  const seen = names.map((name) =>
    observe(
      starts.map(({ worker }) => worker),
      { what: 'member', detail: `join ${name}`, since: 0, limitMs: COLD_START_LIMIT_MS },
    ),
  )
  const times = (await Promise.all(seen)).flat()
  if (times.includes(undefined)) sink.miss('cold start: a view was not complete')
  else sink.record('cold start: all see all, after the last start', Math.max(...(times as number[])) - lastStart)
}

async function joinOne(cluster: ProcessCluster, services: number, sink: ConvergenceSink): Promise<Worker> {
  sink.step('one joins')
  const observers = cluster.workers
  const { worker, started } = await cluster.add()
  sink.record('join: createNode resolves', started.readyAt - started.calledAt)
  const wanted = { what: 'member', detail: `join ${worker.name}`, since: started.calledAt } as const
  recordSpread('join: known', started.calledAt, await observe(observers, { ...wanted, limitMs: SPREAD_LIMIT_MS }), sink)
  if (started.servicesSeen >= services) {
    sink.record('join: all services seen by the newcomer', started.readyAt - started.calledAt)
  } else sink.miss(`a newcomer saw ${started.servicesSeen} of at least ${services} services when createNode resolved`)
  return worker
}

async function provideOne(cluster: ProcessCluster, service: string, i: number, sink: ConvergenceSink): Promise<void> {
  sink.step('a new service')
  const observers = cluster.workers
  const provider = observers[i % observers.length]
  if (provider === undefined) return
  const { calledAt } = await provider.ask({ kind: 'provide', service }, 'provided')
  const listed = { what: 'service', detail: `up ${service}`, since: calledAt, limitMs: SPREAD_LIMIT_MS } as const
  const called = { what: 'called', detail: service, since: calledAt, limitMs: SPREAD_LIMIT_MS } as const
  recordSpread('service: listed', calledAt, await observe(observers, listed), sink)
  recordSpread('service: called from', calledAt, await observe(observers, called), sink)
}

async function leaveOne(cluster: ProcessCluster, worker: Worker, sink: ConvergenceSink): Promise<void> {
  sink.step('one leaves')
  const observers = cluster.workers.filter((other) => other !== worker)
  const { calledAt } = await worker.ask({ kind: 'leave' }, 'left')
  const wanted = { what: 'member', detail: `leave ${worker.name}`, since: calledAt, limitMs: SPREAD_LIMIT_MS } as const
  recordSpread('leave: known', calledAt, await observe(observers, wanted), sink)
  await worker.stop()
  cluster.forget(worker)
}

async function killOne(cluster: ProcessCluster, sink: ConvergenceSink): Promise<void> {
  sink.step('one is killed')
  const victim = cluster.workers.at(-1)
  if (victim === undefined) return
  const observers = cluster.workers.filter((other) => other !== victim)
  const killedAt = victim.kill()
  const wanted = { what: 'member', since: killedAt, limitMs: DEATH_LIMIT_MS } as const
  const suspected = observe(observers, { ...wanted, detail: `suspect ${victim.name}` })
  recordSpread('kill: suspected', killedAt, await suspected, sink)
  recordSpread('kill: dead', killedAt, await observe(observers, { ...wanted, detail: `dead ${victim.name}` }), sink)
  cluster.forget(victim)
}

interface Wanted {
  readonly what: Sighting['what']
  readonly detail: string
  readonly since: number
  readonly limitMs: number
}

function observe(
  observers: readonly Worker[],
  { what, detail, since, limitMs }: Wanted,
): Promise<(number | undefined)[]> {
  const untilMs = machineMs() + limitMs
  return Promise.all(observers.map((observer) => observer.sawAt(what, detail, since, untilMs)))
}

function recordSpread(
  figure: string,
  from: number,
  times: readonly (number | undefined)[],
  sink: ConvergenceSink,
): void {
  const seen = times.filter((at) => at !== undefined).map((at) => at - from)
  const missing = times.length - seen.length
  if (missing > 0) sink.miss(`${figure}: ${missing} of ${times.length} processes did not see it in time`)
  if (seen.length === 0) return
  seen.sort((a, b) => a - b)
  sink.record(`${figure} by the first`, seen[0] as number)
  sink.record(`${figure} by half`, quantile(seen, 0.5))
  if (missing === 0) sink.record(`${figure} by all`, seen.at(-1) as number)
}
