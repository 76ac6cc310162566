/**
 * What simulated time costs: a cluster that boots, and one that has come to rest. Each node runs membership and
 * registry, and provides two services. Times are processor seconds of this process, so that a busy machine spoils them
 * less.
 */
import { Cluster } from '../../test/sim/cluster.js'

export interface BootFigures {
  /** Until everybody sees everybody and every service, from the first start; the starts take the first 2 s. */
  readonly virtualMs: number
  readonly cpuSeconds: number
  readonly packets: number
  readonly streams: number
  readonly falseDeaths: number
}

export interface QuietFigures {
  /** Processor microseconds for one second of one node, for each slice of `SLICE_MS`. */
  readonly usPerNodeSecond: readonly number[]
  readonly packetsPerNodeSecond: number
  readonly rssBytes: number
}

const STARTS_MS = 2_000
const BOOT_LIMIT_MS = 120_000
const REST_LIMIT_MS = 600_000
/** Whoever joined exchanges its state at doubling intervals, 1 s to 128 s, before it does so at the regular one. */
const CATCH_UP_MS = 256_000
export const SLICE_MS = 10_000
const SERVICE_NAMES = 20

export function runBoot(options: {
  readonly nodes: number
  readonly lossRate: number
  readonly seed: number
}): BootFigures {
  const { nodes, lossRate, seed } = options
  const startedAt = cpuSeconds()
  const { cluster, virtualMs } = boot(new Cluster({ nodes, seed, conditions: { lossRate } }))
  const { packets, streams, falseDeaths } = cluster.counts
  return { virtualMs, cpuSeconds: cpuSeconds() - startedAt, packets, streams, falseDeaths }
}

/**
 * The cluster assembles by push/pull alone (a queue of one rumour): gossip of a thousand joins goes on for minutes of
 * virtual time, and once it is over nothing is left of it. At rest the queues are empty in any case.
 */
export function runQuiet({ nodes, slices, seed }: { nodes: number; slices: number; seed: number }): QuietFigures {
  const { cluster } = boot(new Cluster({ nodes, seed, tuning: { queueMax: 1 } }))
  const isAtRest = (): boolean =>
    cluster.running().every((index) => {
      const { queued } = cluster.node(index).stats().swim
      return queued.rumours + queued.userMessages === 0
    })
  if (cluster.runUntil(isAtRest, REST_LIMIT_MS, 1_000) === undefined) throw new Error('the gossip never ended')
  cluster.run(CATCH_UP_MS)
  const packets = cluster.counts.packets
  const usPerNodeSecond: number[] = []
  for (let i = 0; i < slices; i++) {
    const before = cpuSeconds()
    cluster.run(SLICE_MS)
    usPerNodeSecond.push(((cpuSeconds() - before) * 1e6) / nodes / (SLICE_MS / 1_000))
  }
  const nodeSeconds = (nodes * slices * SLICE_MS) / 1_000
  const packetsPerNodeSecond = (cluster.counts.packets - packets) / nodeSeconds
  return { usPerNodeSecond, packetsPerNodeSecond, rssBytes: process.memoryUsage.rss() }
}

function boot(cluster: Cluster): { cluster: Cluster; virtualMs: number } {
  const nodes = cluster.size
  for (let i = 0; i < nodes; i++) {
    cluster.provide(i, `a${i % SERVICE_NAMES}`)
    cluster.provide(i, `b${i % SERVICE_NAMES}`)
  }
  cluster.startAll(STARTS_MS)
  const isWhole = (): boolean =>
    cluster.running().length === nodes &&
    cluster.running().every((index) => cluster.node(index).liveCount === nodes) &&
    cluster.running().every((index) => cluster.node(index).listedCount === 2 * nodes)
  const virtualMs = cluster.runUntil(isWhole, BOOT_LIMIT_MS, 100)
  if (virtualMs === undefined) throw new Error(`${nodes} nodes did not see each other`)
  return { cluster, virtualMs }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
