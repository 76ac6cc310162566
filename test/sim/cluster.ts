/**
 * A whole simulated cluster from one seed: starts nodes, kills them, lets them leave, stalls them, cuts their links, and
 * shows what everyone sees. Decides nothing about when: that is the fault schedule's and the scenario's affair.
 */
import { formatHostPort, type HostPort } from '../../src/address.js'
import { type Profile, resolveSwimConfig, type SwimConfig } from '../../src/membership/config.js'
import { Envelope } from '../../src/membership/envelope.js'
import type { SwimFeatures } from '../../src/membership/features.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import type { ClusterSnapshot, NodeSnapshot, Observation, Observer } from './observation.js'
import { SimNode } from './sim-node.js'
import { type RunCounts, Tally } from './tally.js'
import { VirtualClock } from './virtual-clock.js'
import { type Conditions, VirtualNetwork } from './virtual-network.js'

export interface ClusterOptions {
  readonly nodes: number
  readonly seed: number
  readonly profile?: Profile
  readonly tuning?: Partial<SwimConfig>
  /** For experiments that leave parts of the detector out. */
  readonly features?: SwimFeatures
  readonly conditions?: Partial<Conditions>
}

/** One place for a process: the same name and address for all its lives. */
interface Slot {
  readonly name: string
  readonly address: HostPort
  readonly provided: Set<string>
  node: SimNode | undefined
  phase: NodeSnapshot['phase']
  lives: number
}

const PORT = 7_946
/** Unlabelled: stripping labels is tested elsewhere and costs time here. */
const LABEL = ''
/** 2026-01-01: simulated wall clocks begin there. */
const EPOCH_MS = 1_767_225_600_000
const CALM: Conditions = { lossRate: 0, latencyMs: 0.5, jitterMs: 1, duplicateRate: 0 }
const STATS_INTERVAL_MS = 1_000

export class Cluster {
  readonly clock: VirtualClock = new VirtualClock()
  readonly network: VirtualNetwork
  readonly config: SwimConfig
  /** For the choices of schedules and scenarios. */
  readonly random: Random
  readonly #features: SwimFeatures | undefined
  readonly #seed: number
  readonly #envelope = new Envelope(LABEL)
  readonly #slots: Slot[] = []
  readonly #tally = new Tally()
  readonly #observers = new Set<Observer>()
  #overflowed = 0

  constructor(options: ClusterOptions) {
    const profile = resolveSwimConfig(options.profile ?? 'lan', options.tuning)
    this.config = { ...profile, packetBytesMax: profile.packetBytesMax - this.#envelope.overhead }
    this.#features = options.features
    this.#seed = options.seed
    this.random = seededRandom(options.seed)
    this.network = new VirtualNetwork({
      clock: this.clock,
      random: seededRandom(options.seed ^ 0x5eed_0001),
      conditions: { ...CALM, ...options.conditions },
      onPacket: (from, _to, bytes) =>
        this.#observe({ type: 'packet', at: this.clock.now, node: from, bytes: bytes.length }),
    })
    for (let i = 0; i < options.nodes; i++) this.#slots.push(newSlot(i))
    this.clock.after(STATS_INTERVAL_MS, () => this.#watchStats())
  }

  get size(): number {
    return this.#slots.length
  }

  get now(): number {
    return this.clock.now
  }

  /** Two runs with the same hash went the same way. */
  get traceHash(): string {
    return this.#tally.hash
  }

  get counts(): RunCounts {
    return { ...this.#tally.counts, ...this.network.counts }
  }

  /** Packets lost because a stalled node's receive buffer was full. */
  get overflowed(): number {
    return this.#overflowed
  }

  /** Feeds everything that happens from now on to `observe`, until the returned function is called. */
  watch(observe: Observer): () => void {
    this.#observers.add(observe)
    return () => this.#observers.delete(observe)
  }

  nameOf(index: number): string {
    return this.#slot(index).name
  }

  addressOf(index: number): string {
    return formatHostPort(this.#slot(index).address)
  }

  node(index: number): SimNode {
    const { node, name } = this.#slot(index)
    if (node === undefined) throw new Error(`${name} does not run`)
    return node
  }

  isRunning(index: number): boolean {
    return this.#slot(index).node !== undefined
  }

  /** Indices of the nodes that run. */
  running(): number[] {
    return this.#slots.flatMap((slot, index) => (slot.node === undefined ? [] : [index]))
  }

  /** Services that running nodes provide. */
  providedCount(): number {
    return this.#slots.reduce((sum, { node, provided }) => sum + (node === undefined ? 0 : provided.size), 0)
  }

  /** Starts each node at a random instant of the next `withinMs`; the first one, everybody's seed, at once. */
  startAll(withinMs: number): void {
    for (let i = 0; i < this.size; i++) this.clock.after(i === 0 ? 0 : withinMs * this.random(), () => this.start(i))
  }

  /** First start or restart. A restarted node runs the services that it ran before. */
  start(index: number): void {
    const slot = this.#slot(index)
    if (slot.node !== undefined) return
    slot.lives++
    slot.phase = 'running'
    slot.node = new SimNode({
      name: slot.name,
      address: slot.address,
      seeds: this.#seedsOf(index, slot.lives),
      config: this.config,
      features: this.#features,
      envelope: this.#envelope,
      clock: this.clock,
      network: this.network,
      random: seededRandom((this.#seed * 1_000_003 + index * 1_009 + slot.lives) | 0),
      wallOffsetMs: EPOCH_MS,
      observe: (observation) => this.#observe(observation),
      onGone: () => this.#end(slot, 'left'),
    })
    slot.node.start()
    for (const service of slot.provided) slot.node.provide(service)
  }

  crash(index: number, silently: boolean = true): void {
    const slot = this.#slot(index)
    if (slot.node === undefined) return
    this.#observe({ type: 'crash', at: this.now, node: slot.name, boot: slot.node.boot })
    slot.node.crash(silently)
    this.#end(slot, 'crashed')
  }

  leave(index: number): void {
    this.#slot(index).node?.leave()
  }

  stall(index: number, ms: number): void {
    const { node } = this.#slot(index)
    if (node === undefined) return
    this.#tally.counts.stalls++
    node.stall(ms)
  }

  /** Two sides that do not hear each other, until the returned function is called. */
  partition(side: readonly number[]): () => void {
    this.#tally.counts.partitions++
    const [inside, outside] = this.#sides(side)
    const healers = [this.network.cut(inside, outside), this.network.cut(outside, inside)]
    return () => {
      for (const heal of healers) heal()
    }
  }

  /** These nodes hear nobody, but everybody hears them; or the other way round. */
  cutOneWay(side: readonly number[], deaf: boolean): () => void {
    this.#tally.counts.oneWayCuts++
    const [inside, outside] = this.#sides(side)
    return deaf ? this.network.cut(outside, inside) : this.network.cut(inside, outside)
  }

  /** Nothing passes from one node to another one; the way back is open. */
  cutLink(from: number, to: number): () => void {
    this.#tally.counts.oneWayCuts++
    return this.network.cut([this.addressOf(from)], [this.addressOf(to)])
  }

  provide(index: number, service: string): void {
    const slot = this.#slot(index)
    if (slot.provided.has(service)) return
    slot.provided.add(service)
    slot.node?.provide(service)
  }

  withdraw(index: number, service: string): void {
    const slot = this.#slot(index)
    if (slot.provided.delete(service)) slot.node?.withdraw(service)
  }

  run(ms: number): void {
    this.clock.runUntil(this.now + ms)
  }

  /** Runs until it is true, looking every `stepMs`; the time it took, or `undefined` when `limitMs` were not enough. */
  runUntil(isTrue: () => boolean, limitMs: number, stepMs: number = 10): number | undefined {
    const startedAt = this.now
    while (!isTrue()) {
      if (this.now - startedAt >= limitMs) return undefined
      this.run(stepMs)
    }
    return this.now - startedAt
  }

  snapshot(): ClusterSnapshot {
    return { at: this.now, nodes: this.#slots.filter((slot) => slot.lives > 0).map(snapshotOf) }
  }

  /** A random one of these. */
  pick(indices: readonly number[]): number {
    return indices[randomInt(this.random, indices.length)] ?? 0
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index]
    if (slot === undefined) throw new Error(`there is no node ${index}`)
    return slot
  }

  /** One seed for all; when that one itself comes back it asks some others, as its operator would have it. */
  #seedsOf(index: number, lives: number): string[] {
    if (index > 0) return [this.addressOf(0)]
    return lives === 1 ? [] : [1, 2, 3, 4].filter((other) => other < this.size).map((other) => this.addressOf(other))
  }

  #sides(side: readonly number[]): [string[], string[]] {
    const inside = new Set(side)
    const addresses = this.#slots.map((_slot, index) => ({ index, address: this.addressOf(index) }))
    const of = (within: boolean): string[] =>
      addresses.filter(({ index }) => inside.has(index) === within).map(({ address }) => address)
    return [of(true), of(false)]
  }

  #end(slot: Slot, phase: 'crashed' | 'left'): void {
    this.#overflowed += slot.node?.overflowed ?? 0
    slot.node = undefined
    slot.phase = phase
  }

  #observe(observation: Observation): void {
    this.#tally.observe(observation)
    for (const observe of this.#observers) observe(observation)
  }

  #watchStats(): void {
    for (const { name, node } of this.#slots) {
      if (node !== undefined) this.#observe({ type: 'stats', at: this.now, node: name, stats: node.stats() })
    }
    this.clock.after(STATS_INTERVAL_MS, () => this.#watchStats())
  }
}

function newSlot(index: number): Slot {
  const address = { host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: PORT }
  const name = `n${String(index).padStart(3, '0')}`
  return { name, address, provided: new Set(), node: undefined, phase: 'crashed', lives: 0 }
}

function snapshotOf({ name, node, phase, provided }: Slot): NodeSnapshot {
  return {
    name,
    boot: node?.boot ?? '',
    phase,
    provided: [...provided],
    members: node?.members() ?? [],
    services: node?.services() ?? new Map(),
    stats: node?.stats(),
  }
}
