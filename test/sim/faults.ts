/**
 * Chaos, then calm: a schedule of faults drawn from the cluster's seed. Every fault ends by itself before the calm, and
 * is short enough for the detector's own means to repair: cuts and stalls last less than the shortest suspicion.
 */
import { suspicionLimits } from '../../src/membership/suspicion.js'
import { randomInt, shuffle } from '../../src/random.js'
import type { Cluster } from './cluster.js'
import type { Conditions } from './virtual-network.js'

export interface ChaosOptions {
  readonly durationMs: number
  readonly conditions: Partial<Conditions>
  /** How many of each; all but the first node, everybody's seed, may leave for good. */
  readonly crashes: number
  readonly leaves: number
  readonly stalls: number
  readonly partitions: number
  readonly oneWayCuts: number
  readonly serviceChanges: number
}

/** Of the crashed nodes so many come back; the others stay dead. */
const RESTART_SHARE = 0.75
/** From at once, within the same second of boot time, to long after everybody has noticed. */
const DOWN_MS_MAX = 12_000
const SERVICES = 10

/** Puts the whole schedule on the cluster's clock and runs it to its end; the network is calm then. */
export function runChaos(cluster: Cluster, options: ChaosOptions): void {
  const before = { ...cluster.network.conditions }
  Object.assign(cluster.network.conditions, options.conditions)
  const healers: (() => void)[] = []
  const { random } = cluster
  const shortestMs = Math.min(suspicionLimits(cluster.config, cluster.size).minMs, options.durationMs)
  const soon = (run: () => void): void => cluster.clock.after(random() * options.durationMs * 0.8, run)
  const brief = (): number => shortestMs * (0.1 + 0.4 * random())
  const victims = shuffle([...Array(cluster.size).keys()].slice(1), random)
  const during = (heal: () => void): void => {
    healers.push(heal)
    cluster.clock.after(brief(), heal)
  }
  times(options.leaves, () => {
    const index = victims.pop()
    if (index !== undefined) soon(() => cluster.leave(index))
  })
  times(options.crashes, (i) => scheduleCrash(cluster, i === 0 ? 0 : victims.pop(), options.durationMs))
  times(options.stalls, () => soon(() => cluster.stall(cluster.pick(cluster.running()), brief())))
  times(options.partitions, () => soon(() => during(cluster.partition(randomSide(cluster)))))
  times(options.oneWayCuts, () =>
    soon(() => during(cluster.cutOneWay([cluster.pick(cluster.running())], random() < 0.5))),
  )
  times(options.serviceChanges, () => soon(() => changeService(cluster)))
  cluster.run(options.durationMs)
  for (const heal of healers) heal()
  Object.assign(cluster.network.conditions, before)
}

/** The first crash is the seed's own, which always returns: without it nobody could join. */
function scheduleCrash(cluster: Cluster, index: number | undefined, durationMs: number): void {
  const { random, clock } = cluster
  if (index === undefined) return
  const returns = index === 0 || random() < RESTART_SHARE
  const silently = random() < 0.5
  const downMs = Math.min(DOWN_MS_MAX, durationMs / 2) * random() ** 2
  clock.after(random() * durationMs * 0.4, () => {
    cluster.crash(index, silently)
    if (returns) clock.after(downMs, () => cluster.start(index))
  })
}

function randomSide(cluster: Cluster): number[] {
  const all = shuffle([...Array(cluster.size).keys()], cluster.random)
  return all.slice(0, 1 + randomInt(cluster.random, Math.max(1, cluster.size / 2)))
}

function changeService(cluster: Cluster): void {
  const index = cluster.pick(cluster.running())
  const service = serviceName(randomInt(cluster.random, SERVICES))
  if (cluster.random() < 0.5) cluster.withdraw(index, service)
  else cluster.provide(index, service)
}

/** Two services each, so that every one of them has several places. */
export function provideAll(cluster: Cluster): void {
  for (let i = 0; i < cluster.size; i++) {
    cluster.provide(i, serviceName(i % SERVICES))
    cluster.provide(i, serviceName((i * 3 + 1) % SERVICES))
  }
}

function serviceName(number: number): string {
  return `service-${number}`
}

function times(count: number, run: (i: number) => void): void {
  for (let i = 0; i < count; i++) run(i)
}
