/**
 * A whole simulated cluster from one seed: starts nodes, kills them, lets them leave, stalls them, cuts their links, and
 * shows what everyone sees. Decides nothing about when: that is the fault schedule's and the scenario's affair.
 */
import { formatHostPort, type HostPort } from '../../src/address.js'
import { type Profile, resolveSwimConfig, type SwimConfig } from '../../src/membership/config.js'
import { Envelope } from '../../src/membership/envelope.js'
import type { SwimFeatures } from '../../src/membership/features.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { EventQueue } from '../../src/testing/event-queue.js'
import type { ClusterSnapshot, NodeSnapshot, Observation, Observer } from './observation.js'
import { SimNode } from './sim-node.js'
import { type RunCounts, Tally } from './tally.js'
import { type Conditions, VirtualNetwork } from './virtual-network.js'

export interface ClusterOptions {
  readonly nodes: number
  readonly seed: number
  readonly profile?: Profile
  readonly tuning?: Partial<SwimConfig>
  /** For experiments that leave parts of the detector out. */
  readonly features?: SwimFeatures
  readonly conditions?: Partial<Conditions>
  /** Observe every change of every view, also those that no event tells of: for small clusters. */
  readonly everyChange?: boolean
  readonly statsIntervalMs?: number
  /** Whom everybody asks to get in. Without it the first node alone. */
  readonly seeds?: readonly number[]
  /** Which cluster a node belongs to, by its label. */
  readonly labelOf?: (index: number) => string
  /** As the node's option. */
  readonly recheckIntervalMs?: number
}

/** One place for a process: the same name for all its lives, and the same address until it moves. */
interface Slot {
  readonly name: string
  address: HostPort
  /** Its services, and how often each was touched. */
  readonly provided: Map<string, number>
  readonly envelope: Envelope
  /** What its wall clock is ahead of the others'. */
  wallStepMs: number
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
  readonly clock: EventQueue = new EventQueue()
  readonly network: VirtualNetwork
  readonly config: SwimConfig
  /** For the choices of schedules and scenarios. */
  readonly random: Random
  readonly #features: SwimFeatures | undefined
  readonly #seed: number
  readonly #options: ClusterOptions
  readonly #slots: Slot[] = []
  readonly #tally = new Tally()
  readonly #observers = new Set<Observer>()
  #moves = 0

  constructor(options: ClusterOptions) {
    this.#options = options
    const labelOf = options.labelOf ?? (() => LABEL)
    const envelopes = new Map<string, Envelope>()
    for (let i = 0; i < options.nodes; i++) {
      const label = labelOf(i)
      const envelope = envelopes.get(label) ?? new Envelope(label)
      envelopes.set(label, envelope)
      this.#slots.push(newSlot(i, envelope))
    }
    const overhead = Math.max(...Array.from(envelopes.values(), (envelope) => envelope.overhead))
    const profile = resolveSwimConfig(options.profile ?? 'lan', options.tuning)
    this.config = { ...profile, packetBytesMax: profile.packetBytesMax - overhead }
    this.#features = options.features
    this.#seed = options.seed
    this.random = seededRandom(options.seed)
    this.network = new VirtualNetwork({
      clock: this.clock,
      random: seededRandom(options.seed ^ 0x5eed_0001),
      conditions: { ...CALM, ...options.conditions },
      onPacket: () => {}, // nodes tell of what they send themselves
    })
    this.#watchStats()
  }

  get seed(): number {
    return this.#seed
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
    const overflowed = this.#slots.reduce(
      (sum, { node }) => sum + (node?.overflowed ?? 0),
      this.#tally.counts.overflowed,
    )
    return { ...this.#tally.counts, ...this.network.counts, overflowed }
  }

  /** Feeds everything that happens from now on to `observe`, until the returned function is called. */
  watch(observe: Observer): () => void {
    this.#observers.add(observe)
    return () => this.#observers.delete(observe)
  }

  nameOf(index: number): string {
    return this.#slot(index).name
  }

  lifeOf(index: number): number {
    return this.#slot(index).lives
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
    const lives = slot.lives
    slot.node = new SimNode({
      name: slot.name,
      life: lives,
      address: slot.address,
      seeds: () => this.#seedsOf(index, lives),
      config: this.config,
      features: this.#features,
      envelope: slot.envelope,
      clock: this.clock,
      network: this.network,
      random: seededRandom((this.#seed * 1_000_003 + index * 1_009 + slot.lives) | 0),
      wallOffsetMs: () => EPOCH_MS + slot.wallStepMs,
      everyChange: this.#options.everyChange ?? false,
      recheckIntervalMs: this.#options.recheckIntervalMs,
      observe: (observation) => this.#observe(observation),
      onNotice: (notice) => {
        if (notice.kind === 'name-settled' && notice.outcome === 'lost') this.#yield(index, notice.accepted)
      },
      onGone: () => this.#end(slot, 'left'),
    })
    slot.node.start()
    for (const [service, revision] of slot.provided) {
      slot.node.provide(service)
      if (revision > 0) slot.node.touch(service, revision)
    }
  }

  crash(index: number, silently: boolean = true): void {
    const slot = this.#slot(index)
    if (slot.node === undefined) return
    this.#observe({ type: 'crash', at: this.now, node: slot.name, boot: slot.node.boot, life: slot.lives })
    this.#tally.counts[silently ? 'silentCrashes' : 'refusingCrashes']++
    slot.node.crash(silently)
    this.#end(slot, 'crashed')
  }

  leave(index: number): void {
    this.#slot(index).node?.leave()
  }

  stall(index: number, ms: number, bufferPackets?: number): void {
    const { node } = this.#slot(index)
    if (node === undefined) return
    this.#tally.counts.stalls++
    node.stall(bufferPackets === undefined ? { ms } : { ms, bufferPackets })
  }

  /** The machine is off for a while; what is sent to it meanwhile is lost. */
  sleep(index: number, ms: number, sleeps: 'clock-jumps' | 'clock-stands'): void {
    const { node } = this.#slot(index)
    if (node === undefined) return
    this.#tally.counts.sleeps++
    node.stall({ ms, sleeps })
  }

  /** Somebody sets the machine's wall clock. */
  stepClock(index: number, ms: number): void {
    this.#tally.counts[ms < 0 ? 'clockStepsBack' : 'clockStepsAhead']++
    this.#slot(index).wallStepMs += ms
  }

  /** Its next life has another address: a new one, or one that was another node's. Only between two lives. */
  move(index: number, address?: string): void {
    const slot = this.#slot(index)
    if (slot.node !== undefined) throw new Error(`${slot.name} runs, it cannot move`)
    if (slot.lives > 0) this.#tally.counts.moves++
    this.#moves++
    const host = address?.slice(0, address.lastIndexOf(':')) ?? `10.128.${this.#moves >> 8}.${this.#moves & 255}`
    slot.address = { host, port: PORT }
  }

  /** Everything reaches it so much later, until the returned function is called. */
  slowDown(index: number, ms: number): () => void {
    const { node } = this.#slot(index)
    if (node !== undefined) this.#tally.counts.slowLinks++
    node?.slowDown(ms)
    return () => node?.slowDown(0)
  }

  setTag(index: number, name: string, value: string): void {
    const { node } = this.#slot(index)
    if (node === undefined) return
    this.#tally.counts.metaUpdates++
    node.setTag(name, value)
  }

  countSpike(): void {
    this.#tally.counts.latencySpikes++
  }

  /** A packet that none of the nodes sent. */
  inject(index: number, bytes: Uint8Array): void {
    this.#tally.counts.forged++
    this.network.send({ host: '10.255.255.1', port: PORT }, this.#slot(index).address, bytes)
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
    slot.provided.set(service, 0)
    slot.node?.provide(service)
  }

  /** Changes what is said of a service. */
  touch(index: number, service: string): void {
    const slot = this.#slot(index)
    const revision = slot.provided.get(service)
    if (revision === undefined) return
    slot.provided.set(service, revision + 1)
    slot.node?.touch(service, revision + 1)
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
    const { seeds } = this.#options
    if (seeds !== undefined) return seeds.filter((seed) => seed !== index).map((seed) => this.addressOf(seed))
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
    this.#tally.counts.overflowed += slot.node?.overflowed ?? 0
    slot.node = undefined
    slot.phase = phase
  }

  #observe(observation: Observation): void {
    this.#tally.observe(observation)
    for (const observe of this.#observers) observe(observation)
  }

  /** As the node does that lost its name: who was taken in by nobody ends without a word, another one leaves. */
  #yield(index: number, accepted: boolean): void {
    const { lives } = this.#slot(index)
    this.clock.after(0, () => {
      if (this.#slot(index).lives !== lives) return
      if (accepted) this.leave(index)
      else this.crash(index, false)
    })
  }

  #watchStats(): void {
    for (const { name, node } of this.#slots) {
      if (node !== undefined) this.#observe({ type: 'stats', at: this.now, node: name, stats: node.stats() })
    }
    this.clock.after(this.#options.statsIntervalMs ?? STATS_INTERVAL_MS, () => this.#watchStats())
  }
}

function newSlot(index: number, envelope: Envelope): Slot {
  const address = { host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: PORT }
  const name = `n${String(index).padStart(3, '0')}`
  const provided = new Map<string, number>()
  return { name, address, provided, envelope, wallStepMs: 0, node: undefined, phase: 'crashed', lives: 0 }
}

function snapshotOf({ name, node, phase, provided }: Slot): NodeSnapshot {
  return {
    name,
    boot: node?.boot ?? '',
    phase,
    provided: Array.from(provided, ([service, revision]) => (revision === 0 ? service : `${service}#${revision}`)),
    members: node?.members() ?? [],
    services: node?.services() ?? new Map(),
    stats: node?.stats(),
  }
}
