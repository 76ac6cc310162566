/**
 * The calling side's transport: an `Attempt` for remote candidates, over one connection per peer. Owns the connections,
 * the one sweep that ends calls at their deadlines, and the listeners on users' signals. Which candidate is tried, and
 * whether another one is, is decided elsewhere.
 */
import { tryParseHostPort } from '../address.js'
import { type Clock, systemClock } from '../clock.js'
import { RpcError } from '../errors.js'
import type { Random } from '../random.js'
import { AbortWatch } from './abort-watch.js'
import { ByteBudget } from './byte-budget.js'
import type { Attempt, CallRequest } from './call.js'
import type { CircuitTarget } from './circuits.js'
import { Counters } from './counters.js'
import { type Dial, dialTcp } from './dialer.js'
import type { Candidate, PeerEvidence } from './directory.js'
import { Flusher } from './flusher.js'
import type { RpcIdentity } from './hello.js'
import { CLOSE_MS, HOUSEKEEPING_MS, LOOK_MS, type RpcLimits, resolveRpcLimits, SWEEP_MS } from './limits.js'
import { messageOf } from './names.js'
import { type CallOwner, OutgoingCall } from './outgoing-call.js'
import type { PayloadCodec } from './payload-codec.js'
import { Peer, type PeerStats } from './peer.js'
import { PlainCodec } from './plain-codec.js'
import { Slabs } from './slabs.js'
import { Sweeper } from './sweeper.js'
import { ValueError } from './values.js'

export interface PeersOptions {
  /** Read at every connect: the boot id may still change after construction. */
  readonly identity: RpcIdentity
  readonly random: Random
  readonly limits?: Partial<RpcLimits> | undefined
  readonly codec?: PayloadCodec | undefined
  readonly dial?: Dial | undefined
  /** Bytes that may be kept of what was received, shared with the called side. */
  readonly budget?: ByteBudget | undefined
  /** What is written into before it is sent, shared likewise. */
  readonly slabs?: Slabs | undefined
  /** Default the system's. */
  readonly clock?: Clock | undefined
  /** How a try on a boot of a node ended; `error` is undefined when it was answered. */
  readonly onOutcome?: ((service: string, target: CircuitTarget, error: RpcError | undefined) => void) | undefined
  /** What the connections show of a peer; `answered` comes at most every 200 ms per peer. */
  readonly onEvidence?: ((target: CircuitTarget, evidence: PeerEvidence) => void) | undefined
}

export interface PeersStats {
  /** Calls that wait for their answer. */
  readonly inFlight: number
  /** Streams that have begun. */
  readonly streams: number
  readonly connections: number
  readonly peers: readonly PeerStats[]
  /** What was dropped or went wrong, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

const EVIDENCE_MS = 200

export class Peers implements CallOwner {
  readonly #options: PeersOptions
  readonly #limits: RpcLimits
  readonly #codec: PayloadCodec
  readonly #budget: ByteBudget
  readonly #counters = new Counters()
  readonly #clock: Clock
  readonly #flusher: Flusher
  readonly #slabs: Slabs
  readonly #aborts = new AbortWatch<OutgoingCall>((call) => call.holder?.abort(call))
  /** By node name: the boot and address that new calls go to. */
  readonly #peers = new Map<string, Peer>()
  /** Earlier boots and addresses that still have something to finish. */
  readonly #retired = new Set<Peer>()
  #inFlight = 0
  #streams = 0
  readonly #sweeper: Sweeper
  #closing: Promise<void> | undefined
  #onAllClosed: (() => void) | undefined

  constructor(options: PeersOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#flusher = new Flusher(this.#clock)
    this.#slabs = options.slabs ?? new Slabs()
    this.#sweeper = new Sweeper({
      soonMs: SWEEP_MS,
      everyMs: LOOK_MS,
      restMs: HOUSEKEEPING_MS,
      clock: this.#clock,
      sweep: () => this.#sweep(),
    })
    this.#limits = resolveRpcLimits(options.limits)
    this.#budget = options.budget ?? new ByteBudget(this.#limits.receivedBytesNodeMax)
    this.#codec = options.codec ?? new PlainCodec({ payloadBytesMax: this.#limits.frameBytesMax })
  }

  /** One try on one remote instance. Never throws, and rejects at most a sweep (25 ms) after the deadline. */
  readonly attempt: Attempt = (candidate, request, now = this.#clock.monotonicMs()) =>
    new Promise((resolve, reject) => {
      const { node, bootId } = candidate
      const call = new OutgoingCall({ node, bootId, request, owner: this }, resolve, reject)
      this.#inFlight++
      this.#start(call, candidate, request, now)
    })

  /** Calls under way at this node. */
  pending(node: string): number {
    let count = this.#peers.get(node)?.pending ?? 0
    for (const peer of this.#retired) if (peer.target.node === node) count += peer.pending
    return count
  }

  /** Membership calls the node dead: its connections are pinged, and ended after a second of silence. */
  probe(node: string): void {
    for (const peer of this.#all()) if (peer.target.node === node) peer.probe()
    this.#sweepOften()
  }

  /** New calls open connections of their own; what runs on the present ones goes on to its end. */
  renewConnections(): void {
    for (const peer of this.#peers.values()) peer.retire()
    this.#sweepOften()
  }

  stats(): PeersStats {
    return {
      inFlight: this.#inFlight,
      streams: this.#streams,
      connections: this.#connectionCount(),
      peers: this.#all().map((peer) => peer.stats()),
      drops: this.#counters.snapshot(),
    }
  }

  /** Fails every call with CLOSED and ends the connections; resolves when they are gone, within about a second. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#sweeper.stop()
      const cut = this.#clock.setTimeout(() => {
        for (const peer of this.#all()) peer.destroy()
      }, CLOSE_MS)
      this.#onAllClosed = () => {
        this.#clock.clearTimer(cut)
        resolve()
      }
      for (const peer of this.#all()) peer.close()
      this.#connectionClosed()
    })
    return this.#closing
  }

  begun(_call: OutgoingCall): void {
    this.#inFlight--
    this.#streams++
  }

  settled(call: OutgoingCall, error: RpcError | undefined): void {
    if (call.hasBegun) this.#streams--
    else this.#inFlight--
    this.#options.onOutcome?.(call.request.service, call, error)
    if (call.peer !== undefined) call.peer.pending--
    const { signal } = call.request
    if (signal !== undefined) this.#aborts.remove(signal, call)
  }

  #start(call: OutgoingCall, candidate: Candidate, request: CallRequest, now: number): void {
    if (this.#closing !== undefined) call.refuse('CLOSED', 'no', 'this node was closed')
    else if (request.signal?.aborted) call.refuse('CANCELLED', 'no', 'the signal was aborted before the call')
    else if (request.deadlineAt <= now) call.refuse('DEADLINE_EXCEEDED', 'no', 'the deadline was over before the call')
    else {
      const payload = this.#encode(call, request)
      const peer = payload === undefined ? undefined : this.#peerFor(candidate, call)
      if (payload === undefined || peer === undefined) return
      call.peer = peer
      peer.pending++
      peer.send(call, payload, now)
      if (request.signal !== undefined && !call.isSettled) this.#aborts.add(request.signal, call)
      this.#sweepOften(call.deadlineAt)
    }
  }

  #encode(call: OutgoingCall, request: CallRequest): Uint8Array | undefined {
    try {
      return this.#codec.encode(request.args, 'args')
    } catch (error) {
      const code = error instanceof ValueError && error.tooLarge ? 'TOO_LARGE' : 'INVALID_ARGUMENT'
      const message = messageOf(error, 'the arguments cannot be sent')
      call.fail(new RpcError(code, message, { executed: 'no', node: call.node, cause: error }))
      return undefined
    }
  }

  #peerFor(candidate: Candidate, call: OutgoingCall): Peer | undefined {
    const known = this.#peers.get(candidate.node)
    if (known?.target.address === candidate.address && known.target.bootId === candidate.bootId) return known
    const hostPort = tryParseHostPort(candidate.address)
    if (hostPort === undefined) {
      call.refuse('UNREACHABLE', 'no', `'${candidate.address}' is no address of the form host:port`)
      return undefined
    }
    if (known !== undefined) {
      this.#retired.add(known)
      known.retire()
    }
    const { node, bootId, address } = candidate
    const target = { node, bootId, address }
    const onEvidence = this.#evidenceOf(target)
    const peer = new Peer({
      target,
      hostPort,
      random: this.#options.random,
      onEvidence,
      mayDial: () => this.#mayDial(),
      onClosed: () => this.#connectionClosed(),
      connection: {
        address: hostPort,
        dial: this.#options.dial ?? dialTcp,
        flusher: this.#flusher,
        slabs: this.#slabs,
        limits: this.#limits,
        budget: this.#budget,
        now: this.#clock.monotonicMs,
        steadyNow: () => this.#sweeper.steadyNow(),
        isLoneCall: () => this.#inFlight <= 1,
        session: {
          codec: this.#codec,
          identity: this.#options.identity,
          target,
          counters: this.#counters,
          onAnswer: () => onEvidence('answered'),
        },
      },
    })
    this.#peers.set(node, peer)
    return peer
  }

  #evidenceOf(target: CircuitTarget): (evidence: PeerEvidence) => void {
    const { onEvidence } = this.#options
    if (onEvidence === undefined) return () => {}
    let answeredAt = Number.NEGATIVE_INFINITY
    return (evidence) => {
      if (evidence === 'answered') {
        const now = this.#clock.monotonicMs()
        if (now - answeredAt < EVIDENCE_MS) return
        answeredAt = now
      }
      onEvidence(target, evidence)
    }
  }

  #mayDial(): boolean {
    if (this.#connectionCount() < this.#limits.outgoingConnectionsMax) return true
    let idlest: Peer | undefined
    for (const peer of this.#peers.values()) {
      const since = peer.idleSince()
      if (since !== undefined && since < (idlest?.idleSince() ?? Number.POSITIVE_INFINITY)) idlest = peer
    }
    idlest?.retire()
    return idlest !== undefined
  }

  #connectionCount(): number {
    let count = 0
    for (const peer of this.#peers.values()) count += peer.connectionCount
    for (const peer of this.#retired) count += peer.connectionCount
    return count
  }

  #connectionClosed(): void {
    if (this.#closing === undefined && this.#onAllClosed === undefined) return
    if (this.#connectionCount() === 0) this.#onAllClosed?.()
  }

  #all(): Peer[] {
    return [...this.#peers.values(), ...this.#retired]
  }

  #sweepOften(at?: number): void {
    if (this.#closing === undefined) this.#sweeper.start(at)
  }

  #sweep(): number | undefined {
    if (this.#closing !== undefined) return undefined
    const now = this.#clock.monotonicMs()
    let nextAt = Number.POSITIVE_INFINITY
    for (const peer of this.#all()) {
      nextAt = Math.min(nextAt, peer.sweep(now))
      if (peer.isForgettable(now)) this.#forget(peer)
    }
    return this.#peers.size + this.#retired.size > 0 ? nextAt : undefined
  }

  #forget(peer: Peer): void {
    if (!this.#retired.delete(peer)) this.#peers.delete(peer.target.node)
  }
}
