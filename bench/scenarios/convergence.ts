/**
 * What happens to a cluster of real processes, and which sighting tells an observer of it. Each event begins only when the
 * cluster is quiet: nobody has anything queued for gossip, so that no event rides on another one's packets. All times are
 * on the machine's monotonic clock, from right before the act to the event in the observer's process.
 */
import { type Random, randomInt } from '../../src/random.js'
import { machineMs } from '../lib/clock.js'
import type { Place, ProcessCluster } from '../lib/cluster.js'
import type { ServiceChange, Usage } from '../lib/protocol.js'
import type { Times } from '../lib/spread.js'
import type { Worker } from '../lib/worker-process.js'

export interface ConvergenceSink {
  readonly step: (what: string) => void
  readonly spread: (row: string, times: Times) => void
  /** Of one process that takes part all the time. */
  readonly duration: (row: string, ms: number) => void
  readonly cost: (row: string, cost: Cost) => void
  readonly miss: (what: string) => void
}

/** Means over the processes that were there from begin to end. */
export interface Cost {
  readonly packetsPerSecond: number
  readonly bytesPerSecond: number
  readonly cpuMsPerSecond: number
  readonly rssBytes: number
}

const NEWS_LIMIT_MS = 10_000
const DEATH_LIMIT_MS = 90_000
const START_LIMIT_MS = 60_000
const QUIET_SAMPLE_MS = 2_000

/** All processes but the seed are started at once; each provides one service. */
export async function coldStart(cluster: ProcessCluster, nodes: number, sink: ConvergenceSink): Promise<void> {
  sink.step(`cold start of ${nodes} processes`)
  const place: Place = { servicesOf: (name) => [`service-of-${name}`], expected: nodes }
  const seed = await cluster.add(place)
  const others = Array.from({ length: nodes - 1 }, () => cluster.add(place))
  const starts = [seed, ...(await Promise.all(others))]
  const lastStart = Math.max(...starts.map(({ started }) => started.calledAt))
  const times = await observe(cluster.workers, 'complete', { since: 0, limitMs: START_LIMIT_MS })
  sink.spread('cold start: sees all', since(lastStart, times))
}

export async function quietCost(cluster: ProcessCluster, sink: ConvergenceSink): Promise<void> {
  sink.step('nothing happens')
  await settle(cluster, sink)
  const workers = cluster.workers
  const before = await cluster.ask('usage', workers)
  await new Promise((resolve) => setTimeout(resolve, QUIET_SAMPLE_MS))
  sink.cost('quiet', costOf(before, await cluster.ask('usage', workers)))
}

/** One joins with a service; it offers another, changes and pauses that, withdraws the first; it leaves. */
export async function life(cluster: ProcessCluster, services: number, sink: ConvergenceSink): Promise<void> {
  const newcomer = await join(cluster, services, sink)
  const observers = cluster.others(newcomer)
  const [news, brought] = [`news-${newcomer.name}`, broughtBy(newcomer.name)]
  const change = (kind: ServiceChange, row: string, service: string, what: string): Promise<void> =>
    during(cluster, row, sink, async () => {
      const at = await newcomer.order('service', kind, service)
      const limits = { since: at, limitMs: NEWS_LIMIT_MS }
      sink.spread(row, since(at, await observe(observers, `${what} ${service}`, limits)))
      if (kind !== 'provide') return
      sink.spread('service provided: called from', since(at, await observe(observers, `called ${service}`, limits)))
    })
  await change('provide', 'service provided', news, 'up')
  await change('meta', 'service meta changed', news, 'update')
  await change('pause', 'service paused', news, 'down')
  await change('withdraw', 'service withdrawn', brought, 'down')
  await leave(cluster, newcomer, sink)
}

/** Paused services are not listed, so that the end of one is no event: withdrawn is one that still runs. */
function broughtBy(name: string): string {
  return `brought-by-${name}`
}

async function join(cluster: ProcessCluster, services: number, sink: ConvergenceSink): Promise<Worker> {
  let joined: Worker | undefined
  await during(cluster, 'join', sink, async (observers) => {
    const { worker, started } = await cluster.add({ servicesOf: (name) => [broughtBy(name)] })
    const limits = { since: started.calledAt, limitMs: NEWS_LIMIT_MS }
    sink.spread('join', since(started.calledAt, await observe(observers, `join ${worker.name}`, limits)))
    sink.duration('join: createNode resolves', started.readyAt - started.calledAt)
    if (started.servicesSeen < services)
      sink.miss(`a newcomer saw ${started.servicesSeen} of at least ${services} services when createNode resolved`)
    joined = worker
  })
  if (joined === undefined) throw new Error('nobody joined')
  return joined
}

async function leave(cluster: ProcessCluster, worker: Worker, sink: ConvergenceSink): Promise<void> {
  await during(cluster, 'graceful leave', sink, async () => {
    const others = cluster.others(worker)
    const at = await worker.order('leave')
    const seen = await observe(others, `leave ${worker.name}`, { since: at, limitMs: NEWS_LIMIT_MS })
    sink.spread('graceful leave', since(at, seen))
    await worker.stop()
    cluster.forget(worker)
  })
}

/** SIGKILL, and a new process in its place afterwards. */
export async function kill(
  cluster: ProcessCluster,
  random: Random,
  sink: ConvergenceSink,
  onVictim: (name: string) => void,
): Promise<void> {
  const victim = pickVictim(cluster, random)
  onVictim(victim.name)
  await during(cluster, 'kill -9', sink, async () => {
    const others = cluster.others(victim)
    const at = victim.kill()
    const limits = { since: at, limitMs: DEATH_LIMIT_MS }
    const suspected = observe(others, `suspect ${victim.name}`, limits)
    sink.spread('kill -9: dead', since(at, await observe(others, `dead ${victim.name}`, limits)))
    sink.spread('kill -9: suspected', since(at, await suspected))
    cluster.forget(victim)
  })
  await cluster.add()
}

/** SIGSTOP until all call it dead, then SIGCONT until all see it alive. */
export async function stopAndResume(
  cluster: ProcessCluster,
  random: Random,
  sink: ConvergenceSink,
  onVictim: (name: string) => void,
): Promise<void> {
  const victim = pickVictim(cluster, random)
  onVictim(victim.name)
  await during(cluster, 'SIGSTOP', sink, async () => {
    const at = victim.pause()
    const limits = { since: at, limitMs: DEATH_LIMIT_MS }
    sink.spread('SIGSTOP: dead', since(at, await observe(cluster.workers, `dead ${victim.name}`, limits)))
  })
  await during(cluster, 'resume', sink, async (observers) => {
    const at = victim.resume()
    const limits = { since: at, limitMs: DEATH_LIMIT_MS }
    sink.spread('resume: alive again', since(at, await observe(observers, `join ${victim.name}`, limits)))
  })
}

/** Sightings of the death of a node that was neither killed nor stopped nor cut off. */
export function falseDeaths(workers: readonly Worker[], wronged: ReadonlySet<string>): number {
  const isFalse = (what: string): boolean => what.startsWith('dead ') && !wronged.has(what.slice('dead '.length))
  return workers.reduce((sum, { sightings }) => sum + sightings.filter(({ what }) => isFalse(what)).length, 0)
}

/** Not the seed: whoever comes back looks for it. */
function pickVictim(cluster: ProcessCluster, random: Random): Worker {
  const candidates = cluster.workers.slice(1)
  const victim = candidates[randomInt(random, candidates.length)]
  if (victim === undefined) throw new Error('there is nobody to spare')
  return victim
}

/** Runs an event of a quiet cluster; its cost is counted until the cluster is quiet again. */
export async function during(
  cluster: ProcessCluster,
  row: string,
  sink: ConvergenceSink,
  happen: (observers: readonly Worker[]) => Promise<void>,
): Promise<void> {
  sink.step(row)
  const observers = cluster.workers
  const before = await cluster.ask('usage', observers)
  await happen(observers)
  await settle(cluster, sink)
  const stayed = observers.map((worker) => worker.isAnswering)
  const after = await cluster.ask(
    'usage',
    observers.filter((_worker, i) => stayed[i]),
  )
  sink.cost(
    row,
    costOf(
      before.filter((_usage, i) => stayed[i]),
      after,
    ),
  )
}

async function settle(cluster: ProcessCluster, sink: ConvergenceSink): Promise<void> {
  if (!(await cluster.quiet()))
    sink.miss('the cluster did not become quiet: the next event begins in the midst of gossip')
}

function costOf(before: readonly Usage[], after: readonly Usage[]): Cost {
  const rate = (of: (usage: Usage) => number): number => {
    const rates = after.map((later, i) => {
      const earlier = before[i] as Usage
      return (of(later) - of(earlier)) / ((later.at - earlier.at) / 1_000)
    })
    return rates.reduce((sum, value) => sum + value, 0) / rates.length
  }
  return {
    packetsPerSecond: rate((usage) => usage.packetsSent),
    bytesPerSecond: rate((usage) => usage.bytesSent),
    cpuMsPerSecond: rate((usage) => usage.cpuMs),
    rssBytes: after.reduce((sum, usage) => sum + usage.rssBytes, 0) / after.length,
  }
}

export interface Limits {
  readonly since: number
  readonly limitMs: number
}

export function observe(observers: readonly Worker[], what: string, { since: from, limitMs }: Limits): Promise<Times> {
  const untilMs = machineMs() + limitMs
  return Promise.all(observers.map((observer) => observer.sawAt(what, from, untilMs)))
}

export function since(at: number, times: Times): Times {
  return times.map((time) => (time === undefined ? undefined : time - at))
}
