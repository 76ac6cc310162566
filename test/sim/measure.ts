/**
 * How fast news travels: prints, for some cluster sizes and loss rates, the virtual ms until everybody knows of a new
 * member, a new service and a crash, and the packets of a quiet cluster. `npx tsx test/sim/measure.ts 30 100`
 */
import { Cluster } from './cluster.js'

const EVENTS = 20
/** Between two pieces of news, so that each meets full token buckets. */
const REST_MS = 2_000
const JOIN_LIMIT_MS = 200_000
const sizes = process.argv.slice(2).map(Number)

for (const nodes of sizes.length === 0 ? [30, 100] : sizes) for (const lossRate of [0, 0.2]) measure(nodes, lossRate)

function measure(nodes: number, lossRate: number): void {
  const cluster = new Cluster({ nodes: nodes + EVENTS, seed: 1, conditions: { lossRate: 0 } })
  for (let i = 0; i < nodes; i++) cluster.clock.after(20 * i, () => cluster.start(i))
  cluster.run(20 * nodes)
  const seesAll = (): boolean => cluster.running().every((index) => cluster.node(index).liveCount === nodes)
  if (cluster.runUntil(seesAll, JOIN_LIMIT_MS, 100) === undefined) console.log(`${nodes} nodes did not assemble`)
  cluster.run(60_000)
  const packets = cluster.counts.packets
  cluster.run(10_000)
  const perSecond = (cluster.counts.packets - packets) / nodes / 10
  cluster.network.conditions.lossRate = lossRate
  const indices = [...Array(EVENTS).keys()].map((i) => nodes + i)
  const joins = indices.map((index) => joinTime(cluster, index))
  const services = indices.map((index) => serviceTime(cluster, index))
  const crashes = indices.slice(0, 5).map((index) => crashTime(cluster, index))
  console.log(`${nodes} nodes, ${lossRate * 100} % loss: ${perSecond.toFixed(1)} packets per node and second in quiet`)
  console.log(`  join ${summary(joins)} | service ${summary(services)} | crash ${summary(crashes)}`)
}

function joinTime(cluster: Cluster, index: number): number {
  const name = cluster.nameOf(index)
  cluster.start(index)
  const { boot } = cluster.node(index)
  const tookMs = until(
    cluster,
    (other) => cluster.node(other).stateOf(name) !== undefined && knowsBoot(cluster, other, name, boot),
  )
  cluster.run(REST_MS)
  return tookMs
}

function knowsBoot(cluster: Cluster, other: number, name: string, boot: string): boolean {
  return cluster
    .node(other)
    .members()
    .some((member) => member.name === name && member.boot === boot)
}

function serviceTime(cluster: Cluster, index: number): number {
  const service = `news-${index}`
  cluster.provide(index, service)
  const tookMs = until(cluster, (other) => cluster.node(other).lists(service, cluster.nameOf(index)))
  cluster.run(REST_MS)
  return tookMs
}

function crashTime(cluster: Cluster, index: number): number {
  cluster.crash(index)
  return until(cluster, (other) => cluster.node(other).stateOf(cluster.nameOf(index)) === 'dead', 50)
}

/** The nodes that still wait are looked at again, the others are done. */
function until(cluster: Cluster, knows: (index: number) => boolean, stepMs: number = 1): number {
  let waiting = cluster.running()
  const isDone = (): boolean => {
    waiting = waiting.filter((index) => cluster.isRunning(index) && !knows(index))
    return waiting.length === 0
  }
  return cluster.runUntil(isDone, JOIN_LIMIT_MS, stepMs) ?? Number.POSITIVE_INFINITY
}

function summary(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): string =>
    `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)}`
  return `median ${at(0.5)} p90 ${at(0.9)} max ${at(1)} ms`
}
