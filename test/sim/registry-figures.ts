/**
 * What the registry does in a simulated cluster, in figures: how long a change of status takes to everybody, how long an
 * update lives that gossip lost, and what rechecks cost when nothing happens. Used by tests and by the bench.
 */
import { Cluster, type ClusterOptions } from './cluster.js'

export interface SpreadOptions {
  readonly nodes: number
  readonly servicesPerNode: number
  readonly changes: number
  readonly lossRate: number
  readonly seed: number
}

const STARTS_MS = 2_000
const ASSEMBLE_LIMIT_MS = 120_000
const REST_MS = 20_000
const CHANGE_INTERVAL_MS = 100
const SETTLE_MS = 12_000
/** Between two of the push/pulls that follow a join at doubling intervals; the next one is at 255 s. */
const BETWEEN_PUSH_PULLS_MS = 140_000
const WINDOW_MS = 60_000
/** No regular push/pull, so that nothing else repairs or costs. */
const NO_PUSH_PULL = { pushPullIntervalMs: 1e9 }

/** Virtual ms from a change of one service to each other node's event of it; ascending. What never came is infinite. */
export function statusSpread({ nodes, servicesPerNode, changes, lossRate, seed }: SpreadOptions): number[] {
  const cluster = assemble({ nodes, seed, servicesPerNode })
  cluster.network.conditions.lossRate = lossRate
  const changedAt = new Map<string, number>()
  const times: number[] = []
  const stop = cluster.watch((seen) => {
    if (seen.type !== 'service' || seen.event !== 'down' || seen.observer === seen.node) return
    const at = changedAt.get(`${seen.node} ${seen.service}`)
    if (at !== undefined) times.push(seen.at - at)
  })
  const all = cluster
    .running()
    .flatMap((index) => servicesOf(index, servicesPerNode).map((service) => ({ index, service })))
  for (let i = 0; i < changes; i++) {
    const { index, service } = all.splice(Math.floor(cluster.random() * all.length), 1)[0] ?? { index: 0, service: '' }
    changedAt.set(`${cluster.nameOf(index)} ${service}`, cluster.now)
    cluster.node(index).setStatus(service, 'paused')
    cluster.run(CHANGE_INTERVAL_MS)
  }
  cluster.run(SETTLE_MS)
  stop()
  while (times.length < changes * (nodes - 1)) times.push(Number.POSITIVE_INFINITY)
  return times.sort((a, b) => a - b)
}

export interface LostUpdateOptions {
  readonly nodes: number
  /** Nodes that no gossip of the update reaches. */
  readonly deaf: number
  readonly recheckIntervalMs: number
  readonly seed: number
}

/**
 * Virtual ms until everybody has an update of which all gossip to some nodes was lost: every packet with it, until it had
 * been sent as often as it is.
 */
export function lostUpdate({ nodes, deaf, recheckIntervalMs, seed }: LostUpdateOptions): number | undefined {
  const cluster = assemble({ nodes, seed, servicesPerNode: 2, recheckIntervalMs, tuning: NO_PUSH_PULL })
  cluster.run(BETWEEN_PUSH_PULLS_MS - cluster.now)
  const owner = nodes - 1
  const [service] = servicesOf(owner, 1) as [string]
  const unreached = new Set(
    cluster
      .running()
      .slice(0, deaf)
      .map((index) => cluster.addressOf(index)),
  )
  cluster.network.lose = (bytes, to) => unreached.has(to) && holdsChange(bytes)
  const startedAt = cluster.now
  cluster.node(owner).setStatus(service, 'paused')
  const lists = (index: number): boolean => cluster.node(index).lists(service, cluster.nameOf(owner))
  const isSpread = (): boolean =>
    cluster.running().every((index) => cluster.node(index).stats().swim.queued.userMessages === 0)
  cluster.runUntil(isSpread, SETTLE_MS)
  cluster.network.lose = undefined
  const done = cluster.runUntil(() => !cluster.running().some(lists), WINDOW_MS)
  return done === undefined ? undefined : cluster.now - startedAt
}

/** Begins of registry messages of kind `change`. */
const CHANGE_HEAD = [0x53, 0x48, 0x01, 0x01] as const

function holdsChange(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(CHANGE_HEAD[0]); at >= 0; at = bytes.indexOf(CHANGE_HEAD[0], at + 1)) {
    if (CHANGE_HEAD.every((byte, i) => bytes[at + i] === byte)) return true
  }
  return false
}

export interface QuietCost {
  readonly packetBytes: number
  readonly streamBytes: number
  readonly streams: number
}

/** What a node sends in a second when nothing happens, over UDP and on streams; without push/pulls. */
export function quietCost(options: Omit<AssembleOptions, 'tuning'>): QuietCost {
  const cluster = assemble({ ...options, tuning: NO_PUSH_PULL })
  cluster.run(BETWEEN_PUSH_PULLS_MS - cluster.now)
  const before = cluster.counts
  cluster.run(WINDOW_MS)
  const after = cluster.counts
  const per = (of: 'bytes' | 'streamBytes' | 'streams'): number =>
    (after[of] - before[of]) / options.nodes / (WINDOW_MS / 1_000)
  return { packetBytes: per('bytes'), streamBytes: per('streamBytes'), streams: per('streams') }
}

interface AssembleOptions extends ClusterOptions {
  readonly servicesPerNode: number
}

/** A cluster at rest in which everybody lists every service. */
function assemble({ servicesPerNode, ...options }: AssembleOptions): Cluster {
  const cluster = new Cluster(options)
  for (let i = 0; i < options.nodes; i++)
    for (const service of servicesOf(i, servicesPerNode)) cluster.provide(i, service)
  cluster.startAll(STARTS_MS)
  const isWhole = (): boolean =>
    cluster.running().length === options.nodes &&
    cluster.running().every((index) => cluster.node(index).listedCount === options.nodes * servicesPerNode)
  if (cluster.runUntil(isWhole, ASSEMBLE_LIMIT_MS, 500) === undefined)
    throw new Error('not everybody lists every service')
  cluster.run(REST_MS)
  return cluster
}

/** Half of them are offered elsewhere too. */
function servicesOf(index: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => (i % 2 === 0 ? `service-${i}` : `service-${index}-${i}`))
}
