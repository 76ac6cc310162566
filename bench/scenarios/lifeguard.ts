/**
 * The two experiments of the Lifeguard paper (Dadgar, Phillips, Currey: 2018, IV) on the real machine of 128 simulated
 * nodes. Some of them are blocked in lock-step: immediately before they send and after they receive any protocol
 * message, while their timers run. How late the healthy ones see a long block (threshold), and how often one who is not
 * blocked is declared dead in a row of short ones (interval).
 */
import { resolveSwimConfig } from '../../src/membership/config.js'
import { ALL_FEATURES, type SwimFeatures } from '../../src/membership/features.js'
import { shuffle } from '../../src/random.js'
import { Cluster } from '../../test/sim/cluster.js'
import type { SimNode } from '../../test/sim/sim-node.js'
import type { Block } from '../../test/sim/virtual-network.js'

/** As in the paper, and shoal as it is. */
export const DETECTORS = ['SWIM', 'LHA-Probe', 'LHA-Suspicion', 'Buddy', 'Lifeguard', 'shoal'] as const
export type Detector = (typeof DETECTORS)[number]

export interface LifeguardRun {
  readonly detector: Detector
  /** Blocked nodes. */
  readonly concurrent: number
  readonly durationMs: number
  /** Between two blocks; not used in the threshold experiment. */
  readonly intervalMs: number
  readonly seed: number
}

export interface IntervalFigures {
  /** Deaths of nodes that were never blocked, whoever saw them. */
  readonly falseDeaths: number
  /** Those seen by nodes that were never blocked (FP-). */
  readonly falseDeathsAtHealthy: number
  /** Nodes of which that is true: one verdict that gets about is seen by a hundred. */
  readonly buriedAtHealthy: number
  /** Deaths of blocked nodes seen by healthy ones: that the detector was not asleep. */
  readonly trueDeaths: number
  readonly packets: number
  readonly bytes: number
}

export interface ThresholdFigures {
  /** For each blocked node that was declared dead, ms from the block to the first healthy node that saw it. */
  readonly firstMs: readonly number[]
  /** To the last healthy one, where all of them saw it. */
  readonly fullMs: readonly number[]
  readonly blocked: number
}

const NODES = 128
const QUIESCE_MS = 15_000
const TEST_MS = 120_000
/**
 * What piled up at a blocked node is read one by one: memberlist 0.2.2 takes 40 us of processor time to read a packet and
 * to queue what it says, on a core of the bench's. It asks for a receive buffer of 2 MiB and gets what Linux grants
 * unless told otherwise: twice the default, which holds 256 small packets.
 */
const BLOCK: Block = { readMs: 0.04, bufferPackets: 512 }
/** A verdict may still be on its way when the block ends. */
const AFTER_BLOCK_MS = 2_000

export function runInterval(run: LifeguardRun): IntervalFigures {
  const { cluster, blocked } = prepare(run)
  let falseDeaths = 0
  let falseDeathsAtHealthy = 0
  const buriedAtHealthy = new Set<string>()
  let trueDeaths = 0
  cluster.watch((seen) => {
    if (seen.type !== 'member' || seen.event !== 'dead') return
    const isHealthy = !blocked.has(seen.observer)
    if (blocked.has(seen.member)) trueDeaths += isHealthy ? 1 : 0
    else {
      falseDeaths++
      if (!isHealthy) return
      falseDeathsAtHealthy++
      buriedAtHealthy.add(seen.member)
    }
  })
  const before = cluster.counts
  const endAt = cluster.now + TEST_MS
  for (;;) {
    blockFor(cluster, blocked, run.durationMs)
    if (cluster.now >= endAt) break
    cluster.run(run.intervalMs)
  }
  const after = cluster.counts
  const traffic = { packets: after.packets - before.packets, bytes: after.bytes - before.bytes }
  const healthy = { falseDeathsAtHealthy, buriedAtHealthy: buriedAtHealthy.size }
  return { falseDeaths, ...healthy, trueDeaths, ...traffic }
}

export function runThreshold(run: LifeguardRun): ThresholdFigures {
  const { cluster, blocked } = prepare(run)
  const blockedAt = cluster.now
  const seenBy = new Map(Array.from(blocked.keys(), (name) => [name, new Map<string, number>()]))
  cluster.watch((seen) => {
    if (seen.type !== 'member' || seen.event !== 'dead' || blocked.has(seen.observer)) return
    const observers = seenBy.get(seen.member)
    if (observers !== undefined && !observers.has(seen.observer)) observers.set(seen.observer, seen.at - blockedAt)
  })
  blockFor(cluster, blocked, run.durationMs)
  cluster.run(AFTER_BLOCK_MS)
  const times = [...seenBy.values()].map((observers) => [...observers.values()])
  const healthy = NODES - blocked.size
  return {
    firstMs: times.filter((each) => each.length > 0).map((each) => Math.min(...each)),
    fullMs: times.filter((each) => each.length === healthy).map((each) => Math.max(...each)),
    blocked: blocked.size,
  }
}

/** A cluster at rest, and the names of those that will be blocked. */
function prepare({ detector, concurrent, seed }: LifeguardRun): { cluster: Cluster; blocked: Map<string, SimNode> } {
  const cluster = new Cluster({ nodes: NODES, seed, ...setUpOf(detector) })
  cluster.startAll(2_000)
  const isWhole = (): boolean =>
    cluster.running().length === NODES && cluster.running().every((index) => cluster.node(index).liveCount === NODES)
  if (cluster.runUntil(isWhole, 60_000, 500) === undefined) throw new Error('the cluster did not assemble')
  cluster.run(QUIESCE_MS)
  const chosen = shuffle([...Array(NODES).keys()], cluster.random).slice(0, concurrent)
  return { cluster, blocked: new Map(chosen.map((index) => [cluster.nameOf(index), cluster.node(index)])) }
}

function blockFor(cluster: Cluster, blocked: ReadonlyMap<string, SimNode>, ms: number): void {
  const releases = Array.from(blocked.values(), (node) => node.block(BLOCK))
  cluster.run(ms)
  for (const release of releases) release()
}

const PAPER_SUSPICION_MULT = 5
const PAPER_MAX_TIMEOUT_MULT = 6
const NONE: SwimFeatures = {
  buddy: false,
  lastWord: false,
  tellByTcp: false,
  corrections: false,
  silence: false,
  eagerHealing: false,
}

/** What is on. Without the parts that are shoal's own, all but the last are memberlist as the paper measured it. */
function setUpOf(detector: Detector): Pick<ConstructorParameters<typeof Cluster>[0], 'tuning' | 'features'> {
  if (detector === 'shoal') return { tuning: {}, features: ALL_FEATURES }
  const isAll = detector === 'Lifeguard'
  return {
    tuning: {
      suspicionMult: PAPER_SUSPICION_MULT,
      suspicionMaxTimeoutMult: isAll || detector === 'LHA-Suspicion' ? PAPER_MAX_TIMEOUT_MULT : 1,
      awarenessMax: isAll || detector === 'LHA-Probe' ? resolveSwimConfig('lan').awarenessMax : 1,
      burstPacketsPerSecond: 0,
    },
    features: { ...NONE, buddy: isAll || detector === 'Buddy' },
  }
}
