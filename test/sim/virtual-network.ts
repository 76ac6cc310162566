/**
 * The network between simulated nodes: datagrams that are lost, delayed, doubled and overtaken, streams that retry as
 * TCP does, and cuts in one direction or both. Every chance is drawn from one seeded generator.
 */
import { formatHostPort, type HostPort } from '../../src/address.js'
import type { ExchangeResult } from '../../src/membership/swim-contract.js'
import type { Random } from '../../src/random.js'
import type { EventQueue } from '../../src/testing/event-queue.js'

/** What a link does to its traffic; may be changed while the simulation runs. */
export interface Conditions {
  /** Share of datagrams, and of TCP segments, that vanish. */
  lossRate: number
  latencyMs: number
  /** Up to so much is added to each datagram's latency, so that later ones overtake earlier ones. */
  jitterMs: number
  duplicateRate: number
}

/** One node's socket pair. */
export interface Endpoint {
  readonly receive: (bytes: Uint8Array, from: HostPort) => void
  /** A stream was opened and its request is here; the answer, or `undefined` for a close without one, goes to `reply`. */
  readonly accept: (bytes: Uint8Array, from: HostPort, reply: (bytes: Uint8Array | undefined) => void) => void
}

export interface StreamRequest {
  readonly from: HostPort
  readonly to: HostPort
  readonly bytes: Uint8Array
  readonly expectReply: boolean
  readonly timeoutMs: number
  /** Reads the reply's bytes. */
  readonly decode: (bytes: Uint8Array) => ExchangeResult
  readonly done: (result: ExchangeResult) => void
}

export interface Block {
  /** How long it takes to read each of what piled up. */
  readonly readMs?: number
  /** What its receive buffer holds. */
  readonly bufferPackets?: number
}

export interface NetworkCounts {
  packets: number
  bytes: number
  lost: number
  cut: number
  duplicated: number
  /** Sent to an address where nobody listens. */
  undelivered: number
  overtaken: number
  streams: number
  /** Requests and replies, without what TCP adds. */
  streamBytes: number
  streamFailures: number
}

interface Cut {
  readonly from: ReadonlySet<string>
  readonly to: ReadonlySet<string>
}

const CONNECT_TIMEOUT_MS = 3_000
/** Linux: the first SYN and the first segment are repeated after these. */
const SYN_RTO_MS = 1_000
const SEGMENT_RTO_MS = 200

export interface NetworkParts {
  readonly clock: EventQueue
  readonly random: Random
  readonly conditions: Conditions
  /** Told of every datagram as it is sent. */
  readonly onPacket: (from: string, to: string, bytes: Uint8Array) => void
}

export class VirtualNetwork {
  readonly conditions: Conditions
  /** Datagrams that are lost on purpose. */
  lose: ((bytes: Uint8Array, to: string) => boolean) | undefined
  readonly counts: NetworkCounts = {
    packets: 0,
    bytes: 0,
    lost: 0,
    cut: 0,
    duplicated: 0,
    undelivered: 0,
    overtaken: 0,
    streams: 0,
    streamBytes: 0,
    streamFailures: 0,
  }
  readonly #parts: NetworkParts
  readonly #endpoints = new Map<string, Endpoint>()
  /** Hosts that are gone with their process: nobody refuses a connection there. */
  readonly #silent = new Set<string>()
  readonly #cuts = new Set<Cut>()
  readonly #blocked = new Set<string>()
  /** What waits to be sent, and to be read, at blocked addresses; what is to be read at those that have not caught up. */
  readonly #unsent = new Map<string, (() => void)[]>()
  readonly #unread = new Map<string, { readonly waiting: (() => void)[]; readonly max: number }>()
  /** The text of each address, made once: every packet names two. */
  readonly #texts = new Map<string, Map<number, string>>()
  /** The order of packets is watched at one address only: it takes a look-up for each. */
  #watched: string | undefined
  readonly #lastArrival = new Map<string, number>()

  constructor(parts: NetworkParts) {
    this.#parts = parts
    this.conditions = { ...parts.conditions }
  }

  attach(address: string, endpoint: Endpoint): void {
    this.#silent.delete(address)
    this.#watched ??= address
    this.#endpoints.set(address, endpoint)
  }

  detach(address: string, silently: boolean): void {
    this.#endpoints.delete(address)
    if (silently) this.#silent.add(address)
  }

  /** Nothing passes from these addresses to those until the returned function is called. */
  cut(from: Iterable<string>, to: Iterable<string>): () => void {
    const cut: Cut = { from: new Set(from), to: new Set(to) }
    this.#cuts.add(cut)
    return () => this.#cuts.delete(cut)
  }

  /**
   * Whatever is sent at this address, or arrives at it, waits until the returned function is called. Then the first goes
   * out at once, and the second is read in order, each item taking `readMs`, as is what comes in behind it until nothing
   * waits. Datagrams that find `bufferPackets` waiting are lost. The process behind it runs on: Lifeguard's anomaly.
   */
  block(address: string, { readMs = 0, bufferPackets = Number.POSITIVE_INFINITY }: Block = {}): () => void {
    this.#blocked.add(address)
    const unread = this.#unread.get(address)?.waiting ?? []
    this.#unread.set(address, { waiting: unread, max: bufferPackets })
    const unsent: (() => void)[] = []
    this.#unsent.set(address, unsent)
    return () => {
      this.#blocked.delete(address)
      this.#unsent.delete(address)
      for (const pass of unsent) pass()
      this.#read(address, unread, readMs)
    }
  }

  #read(address: string, unread: (() => void)[], readMs: number): void {
    while (!this.#blocked.has(address)) {
      const next = unread.shift()
      if (next === undefined) {
        this.#unread.delete(address)
        return
      }
      next()
      if (readMs > 0) {
        this.#parts.clock.after(readMs, () => this.#read(address, unread, readMs))
        return
      }
    }
  }

  send(from: HostPort, to: HostPort, bytes: Uint8Array): void {
    this.#emit(this.#textOf(from), () => this.#send(from, to, bytes))
  }

  #send(from: HostPort, to: HostPort, bytes: Uint8Array): void {
    const { random, onPacket } = this.#parts
    const source = this.#textOf(from)
    const target = this.#textOf(to)
    this.counts.packets++
    this.counts.bytes += bytes.length
    onPacket(source, target, bytes)
    if (this.#isCut(source, target)) this.counts.cut++
    else if (random() < this.conditions.lossRate || this.lose?.(bytes, target) === true) this.counts.lost++
    else {
      this.#deliver(from, target, bytes)
      if (this.conditions.duplicateRate > 0 && random() < this.conditions.duplicateRate) {
        this.counts.duplicated++
        this.#deliver(from, target, bytes)
      }
    }
  }

  /** Connect, request, reply. `done` is called once, at the latest when both time limits have passed. */
  exchange(request: StreamRequest): void {
    this.#emit(formatHostPort(request.from), () => this.#exchange(request))
  }

  #exchange(request: StreamRequest): void {
    this.counts.streams++
    this.counts.streamBytes += request.bytes.length
    const { clock } = this.#parts
    let ended = false
    const finish = (result: ExchangeResult): void => {
      if (ended) return
      ended = true
      if (!result.ok) this.counts.streamFailures++
      this.#take(formatHostPort(request.from), () => request.done(result))
    }
    const connectMs = Math.min(CONNECT_TIMEOUT_MS, request.timeoutMs)
    const connectBy = clock.now + connectMs
    const [source, target] = [formatHostPort(request.from), formatHostPort(request.to)]
    clock.at(connectBy, () => {
      if (!connected) finish({ ok: false, error: `no connection within ${Math.round(connectMs)} ms` })
    })
    let connected = false
    this.#roundTrip(source, target, { rtoMs: SYN_RTO_MS, until: connectBy }, () => {
      if (ended || this.#silent.has(target)) return
      connected = true
      const endpoint = this.#endpoints.get(target)
      if (endpoint === undefined) finish({ ok: false, error: 'connection refused' })
      else this.#converse(request, endpoint, finish)
    })
  }

  #converse(request: StreamRequest, endpoint: Endpoint, finish: (result: ExchangeResult) => void): void {
    const { clock } = this.#parts
    const [source, target] = [formatHostPort(request.from), formatHostPort(request.to)]
    const until = clock.now + request.timeoutMs
    clock.at(until, () => finish({ ok: false, error: `no reply within ${Math.round(request.timeoutMs)} ms` }))
    const limits = { rtoMs: SEGMENT_RTO_MS, until }
    const answer = (reply: Uint8Array | undefined): void =>
      this.#oneWay(target, source, limits, () => {
        this.counts.streamBytes += reply?.length ?? 0
        if (reply !== undefined) finish(request.decode(reply))
        else if (request.expectReply) finish({ ok: false, error: 'closed without a reply' })
        else finish({ ok: true, message: undefined })
      })
    const answered = (reply: Uint8Array | undefined): void => this.#emit(target, () => answer(reply))
    this.#oneWay(source, target, limits, () => {
      if (this.#endpoints.get(target) !== endpoint) finish({ ok: false, error: 'connection reset' })
      else this.#take(target, () => endpoint.accept(request.bytes, request.from, answered))
    })
  }

  #deliver(from: HostPort, target: string, bytes: Uint8Array): void {
    const { clock } = this.#parts
    const at = clock.now + this.#latency()
    if (target === this.#watched) this.#noteOrder(from.host, at)
    clock.at(at, () => {
      const endpoint = this.#endpoints.get(target)
      if (endpoint === undefined) this.counts.undelivered++
      else if (this.#isFull(target)) this.counts.lost++
      else this.#take(target, () => endpoint.receive(bytes, from))
    })
  }

  #noteOrder(source: string, at: number): void {
    const previous = this.#lastArrival.get(source) ?? 0
    if (at < previous) this.counts.overtaken++
    else this.#lastArrival.set(source, at)
  }

  #roundTrip(a: string, b: string, limits: { rtoMs: number; until: number }, run: () => void): void {
    this.#retried(() => this.#passes(a, b) && this.#passes(b, a), 2, limits, run)
  }

  #oneWay(from: string, to: string, limits: { rtoMs: number; until: number }, run: () => void): void {
    this.#retried(() => this.#passes(from, to), 1, limits, run)
  }

  #retried(passes: () => boolean, hops: number, limits: { rtoMs: number; until: number }, run: () => void): void {
    const { clock } = this.#parts
    if (clock.now > limits.until) return
    if (passes()) {
      clock.after(hops * this.#latency(), run)
      return
    }
    const later = { rtoMs: 2 * limits.rtoMs, until: limits.until }
    clock.after(limits.rtoMs, () => this.#retried(passes, hops, later, run))
  }

  #passes(from: string, to: string): boolean {
    return !this.#isCut(from, to) && this.#parts.random() >= this.conditions.lossRate
  }

  /** At once, or when the address is no longer blocked. */
  #emit(address: string, run: () => void): void {
    const queue = this.#unsent.size === 0 ? undefined : this.#unsent.get(address)
    if (queue === undefined) run()
    else queue.push(run)
  }

  /** At once, or when all that came before it has been read. */
  #take(address: string, run: () => void): void {
    const queue = this.#unread.size === 0 ? undefined : this.#unread.get(address)
    if (queue === undefined) run()
    else queue.waiting.push(run)
  }

  #isFull(address: string): boolean {
    const queue = this.#unread.size === 0 ? undefined : this.#unread.get(address)
    return queue !== undefined && queue.waiting.length >= queue.max
  }

  #textOf(address: HostPort): string {
    let ports = this.#texts.get(address.host)
    if (ports === undefined) {
      ports = new Map()
      this.#texts.set(address.host, ports)
    }
    let text = ports.get(address.port)
    if (text === undefined) {
      text = formatHostPort(address)
      ports.set(address.port, text)
    }
    return text
  }

  #isCut(from: string, to: string): boolean {
    for (const cut of this.#cuts) if (cut.from.has(from) && cut.to.has(to)) return true
    return false
  }

  #latency(): number {
    const { latencyMs, jitterMs } = this.conditions
    return latencyMs + jitterMs * this.#parts.random()
  }
}
