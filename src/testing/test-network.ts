/**
 * Real nodes on a network in memory, for users' own tests. Everything of a node but its sockets, its clock and its
 * chance is what runs in production. Owns the nodes and the machines; what happens to packets, and how time passes, is
 * decided elsewhere.
 */
import { ShoalError } from '../errors.js'
import type { ShoalNode } from '../node/shoal-node.js'
import { startNode } from '../node.js'
import { type Random, randomInt, seededRandom } from '../random.js'
import { disagreement } from './agreement.js'
import { MemoryHost } from './memory-host.js'
import { MemoryNetwork } from './memory-network.js'
import {
  checkDelay,
  checkLimit,
  checkLoss,
  checkNodeOptions,
  checkTime,
  LIMIT_MS,
  type ResolvedNetworkOptions,
  resolveNetworkOptions,
  type TestNetworkOptions,
  type TestNodeOptions,
  type TimeLimit,
} from './network-options.js'
import { closed, type Pace, RealPace } from './pace.js'
import { Roads } from './roads.js'
import { VirtualPace } from './virtual-pace.js'

/** A node of the network, or its name. */
export type NodeRef = ShoalNode | string

export interface TestNetworkStats {
  /** Datagrams, and segments of streams. */
  readonly packets: number
  /** Of those, by chance. */
  readonly lost: number
  /** Of those, on a way that was cut. */
  readonly cut: number
  readonly connections: number
  /** Nodes that are not closed. */
  readonly nodes: number
  /** Timers and packets under way; in real time what the test itself waits for. */
  readonly pending: number
}

interface Placed {
  readonly node: ShoalNode
  readonly host: MemoryHost
  readonly address: string
}

const GOSSIP_PORT = 7_946
/** Between two looks at all views. */
const LOOK_MS = 10

/** Throws INVALID_OPTION. Nothing is open until a node is started. */
export function createTestNetwork(options: TestNetworkOptions = {}): TestNetwork {
  return new TestNetwork(resolveNetworkOptions(options))
}

/** Made by `createTestNetwork`. */
export class TestNetwork implements AsyncDisposable {
  readonly #options: ResolvedNetworkOptions
  readonly #random: Random
  readonly #pace: Pace
  readonly #network: MemoryNetwork
  /** By name; a node that starts again under its name does so at its address. */
  readonly #addresses = new Map<string, string>()
  readonly #hosts = new Map<string, MemoryHost>()
  readonly #placed = new Set<Placed>()
  readonly #closing = new Set<Promise<void>>()
  /** By address. */
  readonly #starting = new Map<string, Promise<ShoalNode>>()
  #unnamed = 0
  #closed: Promise<void> | undefined

  /** Use `createTestNetwork`. */
  constructor(options: ResolvedNetworkOptions) {
    const { seed, latencyMs, jitterMs, loss, time } = options
    this.#options = options
    this.#random = seededRandom(seed)
    this.#pace = time === 'virtual' ? new VirtualPace() : new RealPace()
    this.#network = new MemoryNetwork(
      this.#pace.clock,
      new Roads({ latencyMs, jitterMs, loss }, seededRandom(this.#draw())),
    )
  }

  /**
   * Starts a node as `createNode` does, and lets pass the time that it takes. Rejects as `createNode`, and with
   * INVALID_OPTION for what the network decides, or a name that runs already.
   */
  async node(options: TestNodeOptions = {}): Promise<ShoalNode> {
    this.#assertOpen()
    checkNodeOptions(options, this.#options.time)
    const { seeds, name = `node-${++this.#unnamed}`, cluster = this.#options.cluster, ...rest } = options
    const address = this.#addressOf(name)
    if (this.#hosts.get(address)?.isUp === true || this.#starting.has(address))
      throw new ShoalError('INVALID_OPTION', `a node '${name}' runs already: crash or close it, or take another name`)
    const host = new MemoryHost(this.#network, this.#hosts, address)
    const bind = `${address}:${GOSSIP_PORT}`
    const runtime = { clock: this.#pace.clock, random: seededRandom(this.#draw()), sockets: host }
    const seedsNow = (): string[] => this.#seedsFor(cluster, seeds).filter((seed) => seed !== bind)
    const isAlone = seeds?.length === 0
    const own = { name, cluster, bind, advertise: address, seeds: isAlone ? [] : seedsNow }
    const starting = startNode({ ...rest, ...own }, runtime).then((node) => {
      this.#placed.add({ node, host, address })
      return node
    })
    this.#starting.set(address, starting)
    const node = await this.#untilSettled(
      starting.finally(() => this.#starting.delete(address)),
      LIMIT_MS,
    )
    this.#assertOpen()
    return node
  }

  /** The nodes that run, in the order in which they were started. */
  nodes(): ShoalNode[] {
    return this.#running().map(({ node }) => node)
  }

  /**
   * The process of a node is gone, without a word to anybody: its connections are reset, and nothing is sent any more.
   * Here its calls end, and its stop hooks are run, so that nothing of it is left behind. A node of the same name may be
   * started again, and does so at the same address.
   */
  crash(node: NodeRef): void {
    this.#assertOpen()
    const placed = this.#find(node)
    placed.host.sever()
    this.#placed.delete(placed)
    const closing = placed.node.close().finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  /**
   * Nothing passes between these groups, in neither direction; the nodes in none of them, also later ones, are one more
   * group: `partition([a])` cuts `a` off. Adds to what is cut already.
   */
  partition(...groups: readonly (readonly NodeRef[])[]): void {
    this.#assertOpen()
    if (groups.length === 0 || !groups.every((group) => Array.isArray(group)))
      throw new ShoalError(
        'INVALID_ARGUMENT',
        'partition needs arrays of nodes or names, such as partition([a], [b, c])',
      )
    this.#network.roads.partition(groups.map((group) => this.#addressesOf(group)))
  }

  /** Nothing passes from these nodes to those; the other direction stays open. */
  cut(from: NodeRef | readonly NodeRef[], to: NodeRef | readonly NodeRef[]): void {
    this.#assertOpen()
    this.#network.roads.cut(this.#addressesOf(from), this.#addressesOf(to))
  }

  /** All ways are open again. What TCP has to repeat comes when its next repetition is due. */
  heal(): void {
    this.#network.roads.heal()
  }

  /** Share of the packets that are lost from now on, from 0 to 1. */
  setLoss(loss: number): void {
    this.#network.roads.conditions.loss = checkLoss(loss)
  }

  /** Of the packets that are sent from now on, one way. */
  setLatency(latencyMs: number, jitterMs = 0): void {
    Object.assign(this.#network.roads.conditions, {
      latencyMs: checkDelay('latencyMs', latencyMs),
      jitterMs: checkDelay('jitterMs', jitterMs),
    })
  }

  /** Milliseconds since the network was made. */
  now(): number {
    return this.#pace.now()
  }

  /** Lets so much time pass, and all happen that is due in it. In real time it waits. */
  async advance(ms: number): Promise<void> {
    this.#assertOpen()
    await this.#pace.advance(checkTime('ms', ms))
  }

  /** Resolves when so much of the network's time has passed, without moving it: for handlers of users. */
  sleep(ms: number): Promise<void> {
    const delayMs = checkTime('ms', ms)
    return new Promise((resolve) => void this.#pace.clock.setTimeout(resolve, delayMs))
  }

  /** Lets time pass until the work is settled, and gives its outcome. Rejects WAIT_TIMEOUT when it takes too long. */
  run<T>(work: PromiseLike<T> | (() => PromiseLike<T>), limit: TimeLimit = {}): Promise<T> {
    this.#assertOpen()
    const limitMs = checkLimit('run', limit)
    return this.#untilSettled(typeof work === 'function' ? work() : work, limitMs)
  }

  /** Lets time pass until it is so. Rejects WAIT_TIMEOUT when it takes too long, or with what `look` throws. */
  async until(look: () => boolean, limit: TimeLimit = {}): Promise<void> {
    this.#assertOpen()
    if (typeof look !== 'function')
      throw new ShoalError('INVALID_ARGUMENT', `until needs a function that gives true or false, got ${typeof look}`)
    const limitMs = checkLimit('until', limit)
    if (await this.#pace.until(look, limitMs)) return
    throw new ShoalError('WAIT_TIMEOUT', `it did not become true within ${limitMs} ms of the network's time`)
  }

  /**
   * Lets time pass until all nodes agree: of those that can reach each other each sees each alive, and lists all that
   * they provide. Rejects WAIT_TIMEOUT with the first difference when that takes too long.
   */
  async settled(limit: TimeLimit = {}): Promise<void> {
    this.#assertOpen()
    const limitMs = checkLimit('settled', limit)
    let lookedAt = Number.NEGATIVE_INFINITY
    let difference: string | undefined
    const agree = (): boolean => {
      if (this.now() - lookedAt < LOOK_MS) return false
      lookedAt = this.now()
      difference = this.#disagreement()
      return difference === undefined
    }
    if (await this.#pace.until(agree, limitMs)) return
    throw new ShoalError('WAIT_TIMEOUT', `the nodes did not agree within ${limitMs} ms: ${difference ?? ''}`)
  }

  stats(): TestNetworkStats {
    return { ...this.#network.counts, nodes: this.#running().length, pending: this.#pace.pending() }
  }

  /** Closes all nodes, without a goodbye. Nothing is left behind. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#untilSettled(Promise.allSettled([...this.#starting.values()]), LIMIT_MS)
    const closings = [...this.#placed].map(({ node }) => node.close())
    await this.#untilSettled(Promise.all([...closings, ...this.#closing]), LIMIT_MS)
    this.#placed.clear()
    this.#pace.close()
  }

  /** Whatever it costs in time; a loop of its own, so that the pace need not know of promises. */
  async #untilSettled<T>(work: PromiseLike<T>, limitMs: number): Promise<T> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    work.then(settle, settle)
    if (await this.#pace.until(() => isSettled, limitMs)) return work
    throw new ShoalError('WAIT_TIMEOUT', `the work was not settled within ${limitMs} ms of the network's time`)
  }

  #disagreement(): string | undefined {
    const present = this.#running().filter(({ node }) => {
      return node.members().some(({ name, state }) => name === node.name && state === 'alive')
    })
    return disagreement(present, (from, to) => this.#network.roads.isCut(from, to))
  }

  #running(): Placed[] {
    return [...this.#placed].filter(({ host }) => host.isUp)
  }

  #seedsFor(cluster: string, seeds: readonly NodeRef[] | undefined): string[] {
    const running = this.#running().filter(({ node }) => node.cluster === cluster)
    const addresses = seeds?.map((seed) => this.#addressOf(nameOf(seed))) ?? running.map(({ address }) => address)
    return addresses.map((address) => `${address}:${GOSSIP_PORT}`)
  }

  /** Of a name, whether its node runs or not: loopback addresses, for nothing leaves this process. */
  #addressOf(name: string): string {
    const known = this.#addresses.get(name)
    if (known !== undefined) return known
    const number = this.#addresses.size + 1
    const address = `127.7.${number >> 8}.${number & 0xff}`
    this.#addresses.set(name, address)
    return address
  }

  #addressesOf(refs: NodeRef | readonly NodeRef[]): ReadonlySet<string> {
    const list: readonly NodeRef[] = Array.isArray(refs) ? refs : [refs as NodeRef]
    return new Set(
      list.map((ref) => {
        const address = this.#addresses.get(nameOf(ref))
        if (address !== undefined) return address
        throw new ShoalError('INVALID_ARGUMENT', `no node ${shown(ref)} was ever on this network; ${this.#known()}`)
      }),
    )
  }

  #find(ref: NodeRef): Placed {
    const name = nameOf(ref)
    const placed = this.#running().find(({ node }) => node.name === name)
    if (placed !== undefined) return placed
    throw new ShoalError('INVALID_ARGUMENT', `no node ${shown(ref)} runs on this network; ${this.#known()}`)
  }

  #known(): string {
    const names = this.nodes().map(({ name }) => `'${name}'`)
    return names.length === 0 ? 'none does' : `there are ${names.join(', ')}`
  }

  #draw(): number {
    return randomInt(this.#random, 0x1_0000_0000)
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw closed()
  }
}

function nameOf(ref: NodeRef): string {
  return typeof ref === 'string' ? ref : ref?.name
}

function shown(ref: NodeRef): string {
  const name = nameOf(ref)
  return typeof name === 'string' ? `'${name}'` : String(ref)
}
