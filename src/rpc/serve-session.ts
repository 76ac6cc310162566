/**
 * The callee's half of the protocol on one connection, without the connection: checks the hello, hands requests to the
 * dispatcher, writes what they settle with. It writes into an outbox and asks to be flushed; time is an argument.
 *
 * At its deadline a call's signal is aborted and nothing is answered: the caller keeps the same deadline itself, and
 * gave up first. Its place among the calls in flight is free when the handler settles, for until then it costs.
 */
import { RpcError } from '../errors.js'
import { PIECE_BYTES } from './bulk-queue.js'
import { ByteBudget } from './byte-budget.js'
import type { Dispatcher, IncomingCall, Outcome, ReadRequest } from './call.js'
import { type CallerIdentity, type ConnectionProof, NOTHING_PROVEN, type Refusal } from './caller-identity.js'
import { CallerPlaces } from './caller-places.js'
import type { Counters } from './counters.js'
import { TIMEOUT_MS_MAX } from './deadline.js'
import { decodeRequestHead, encodeErrorHead, encodeGoingAway, type RequestHead } from './envelope.js'
import { Feature, OWN_FEATURES } from './features.js'
import { FrameKind, HELLO_BYTES_MAX, isKnownKind, MORE_FLAG } from './frame.js'
import { FrameReader, type FrameSink, type Span } from './frame-reader.js'
import {
  beginsTls,
  decodeHello,
  encodeWelcome,
  type Hello,
  helloMismatch,
  PROTOCOL_MAX,
  PROTOCOL_MIN,
  type RpcIdentity,
} from './hello.js'
import { IncomingMethods, type MethodName } from './method-table.js'
import type { OrphanedCasts } from './orphaned-casts.js'
import type { Outbox } from './outbox.js'
import { decodePart, type PayloadCodec } from './payload-codec.js'
import { isLaterId } from './pending-calls.js'
import { Reassembly } from './reassembly.js'
import { ReplyWriter } from './reply-writer.js'
import { type RunningCall, RunningCalls } from './running-calls.js'
import { ServeStreams } from './serve-streams.js'
import { type TurnShare, WHOLE_TURN } from './turn-share.js'

export interface ServeSessionOptions {
  readonly outbox: Outbox
  readonly codec: PayloadCodec
  readonly identity: RpcIdentity
  readonly dispatcher: Dispatcher
  readonly frameBytesMax: number
  readonly callsMax: number
  readonly counters: Counters
  /** `host:port` of the caller's socket. */
  readonly callerAddress: string
  /** What the connection proves of the caller. Default nothing. */
  readonly proof?: ConnectionProof | undefined
  /** Something was written that should leave soon. */
  readonly onWritten: () => void
  /** Calls with streams at once. Default no bound besides that of calls. */
  readonly streamsMax?: number | undefined
  /** For what was received and nobody has taken yet. */
  readonly budget?: ByteBudget | undefined
  /** The caller is turned away, for a reason other than what its connection proved; that is counted. */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined
  /** Of the turns of the event loop. Default all. */
  readonly share?: TurnShare | undefined
  /** Whether the caller has so much to read that it should ask for no more. Default never. */
  readonly isBehind?: (() => boolean) | undefined
  /** Keeps the deadlines of casts whose connection is gone. */
  readonly orphans?: OrphanedCasts | undefined
}

/**
 * `hello`: nothing but a hello may come. `serving`. `leaving`: calls go on, new ones are ignored. `refused`: the hello,
 * or a message past a bound, was answered with an error, which should reach the caller before the connection ends.
 * `failed`: end it now.
 */
export type ServeSessionState = 'hello' | 'serving' | 'leaving' | 'refused' | 'failed'

export class ServeSession implements FrameSink {
  readonly #options: ServeSessionOptions
  readonly #outbox: Outbox
  readonly #reader: FrameReader
  readonly #methods = new IncomingMethods()
  readonly #running: RunningCalls
  readonly #places = new CallerPlaces()
  readonly #share: TurnShare
  readonly #replies: ReplyWriter
  readonly #reassembly: Reassembly
  readonly #streams: ServeStreams
  #state: ServeSessionState = 'hello'
  /** Who calls; made anew by the hello, and the same object for all its calls. */
  #caller: CallerIdentity
  #isFresh = true
  #lastAcceptedId = 0
  #acceptedCount = 0
  #now = 0

  constructor(options: ServeSessionOptions) {
    this.#options = options
    this.#outbox = options.outbox
    this.#replies = new ReplyWriter(options.outbox, options.codec)
    const { outbox, codec, counters, onWritten, frameBytesMax, share = WHOLE_TURN } = options
    const budget = options.budget ?? new ByteBudget(Number.POSITIVE_INFINITY)
    this.#share = share
    this.#reader = new FrameReader(this, Math.min(HELLO_BYTES_MAX, frameBytesMax), budget)
    this.#reassembly = new Reassembly({ frameBytesMax, budget })
    const streamsMax = options.streamsMax ?? options.callsMax
    this.#streams = new ServeStreams({ table: { outbox, codec, counters, budget, onWritten, share }, streamsMax })
    this.#running = new RunningCalls({
      share,
      orphans: options.orphans,
      onAbandoned: (id, reason) => {
        outbox.dropBulk(id)
        this.#streams.abandon(id, reason)
      },
    })
    this.#caller = { node: '', address: options.callerAddress, verified: false, certificate: undefined }
  }

  get state(): ServeSessionState {
    return this.#state
  }

  /** The caller's node name, `''` before its hello. */
  get callerNode(): string {
    return this.#caller.node
  }

  get runningCount(): number {
    return this.#running.size
  }

  /** When the first call that runs is over, at the earliest; `Infinity` without any. */
  nextDeadlineAt(): number {
    return this.#running.nextDeadlineAt()
  }

  get acceptedCount(): number {
    return this.#acceptedCount
  }

  /**
   * Bytes from the caller. Afterwards the state may be `refused` or `failed`. Returns how many were taken: the rest is for
   * a later turn.
   */
  handleBytes(chunk: Uint8Array, length: number, now: number): number {
    if (this.#state === 'refused' || this.#state === 'failed') return length
    this.#now = now
    const isTls = this.#isFresh && beginsTls(chunk, length)
    this.#isFresh = false
    if (isTls) {
      const message = 'this node speaks no TLS: it was started with neither keys nor certificates'
      this.#refuse({ reason: 'tls-to-plaintext', message })
      return length
    }
    const fault = this.#reader.push(chunk, length)
    if (fault === undefined) return this.#reader.readBytes
    this.#fail(fault)
    return length
  }

  /** Between two frames: others wait, or the caller reads too little of what it gets. */
  givesWay(): boolean {
    return this.#share.isOver() || this.#options.isBehind?.() === true
  }

  handleFrame(kind: number, id: number, body: Span): boolean {
    if (this.#state === 'hello') return kind === FrameKind.hello ? this.#handleHello(body) : this.#fail('no-hello')
    if (kind < MORE_FLAG && this.#reassembly.size === 0) return this.#handleMessage(kind, id, body)
    const whole = this.#reassembly.handle(kind, id, body, this.#wantsPiece)
    if (typeof whole === 'string') return this.#breakOff(whole, `${whole}: see the limits of rpc`)
    return whole === undefined || this.#handleMessage(kind, id, whole)
  }

  #handleMessage(kind: number, id: number, body: Span): boolean {
    switch (kind) {
      case FrameKind.request:
        return this.#handleRequest(id, body)
      case FrameKind.cancel:
        return this.#handleCancel(id)
      case FrameKind.streamItem:
      case FrameKind.streamEnd:
      case FrameKind.streamCredit: {
        const fault = this.#streams.handleFrame(kind, id, body)
        return fault === undefined || this.#breakOff(fault, fault)
      }
      case FrameKind.ping:
        this.#outbox.bareFrame(FrameKind.pong, id)
        this.#options.onWritten()
        return true
      case FrameKind.pong:
        return true
      default:
        if (isKnownKind(kind)) return this.#fail('unexpected-frame')
        this.#options.counters.add('unknown-frame')
        return true
    }
  }

  /** Takes no more calls, and tells the caller up to which one they were taken. */
  goAway(): void {
    if (this.#state !== 'serving') return
    this.#state = 'leaving'
    const mark = this.#outbox.openFrame(FrameKind.goingAway, 0, 4)
    encodeGoingAway(this.#outbox.writer, this.#lastAcceptedId)
    this.#outbox.closeFrame(mark)
    this.#options.onWritten()
  }

  /** Aborts the calls whose deadline is over. */
  sweep(now: number): void {
    this.#reassembly.sweep(now)
    this.#running.expire(now)
  }

  /** The connection is gone, or given up. May be told twice. */
  callerLost(): void {
    if (this.#state !== 'refused') this.#state = 'failed'
    this.#running.callerLost()
    this.#places.close()
    this.#reader.clear()
    this.#reassembly.clear()
  }

  #handleHello(body: Span): boolean {
    const hello = decodeHello(body)
    if (hello === undefined) return this.#fail('bad-hello')
    const { identity, codec, frameBytesMax, callerAddress, proof = NOTHING_PROVEN } = this.#options
    // Whoever gave the proof has counted its refusal.
    if (proof.refusal !== undefined) return this.#answerRefused(proof.refusal.message)
    const mismatch = helloMismatch(hello, identity, codec.name)
    if (mismatch !== undefined) return this.#refuse(mismatch)
    const verified = proof.judgeName(hello.node)
    if (typeof verified === 'string') return this.#refuse({ reason: 'tls-wrong-name', message: verified })
    const { certificate } = proof
    this.#caller = Object.freeze({ node: hello.node, address: callerAddress, verified, certificate })
    this.#replies.frameBytesMax = hello.frameBytesMax
    this.#streams.setPeer(hello)
    this.#outbox.cutsPieces = (hello.features & Feature.pieces) !== 0
    this.#reader.setFrameBytesMax(frameBytesMax)
    this.#state = 'serving'
    this.#welcome(hello)
    return true
  }

  #welcome(hello: Hello): void {
    const { identity, frameBytesMax } = this.#options
    const mark = this.#outbox.openFrame(FrameKind.welcome, 0, 0)
    encodeWelcome(this.#outbox.writer, {
      protocol: Math.max(PROTOCOL_MIN, Math.min(PROTOCOL_MAX, hello.protocolMax)),
      features: OWN_FEATURES,
      frameBytesMax,
      node: identity.node,
      bootId: identity.bootId,
    })
    this.#outbox.closeFrame(mark)
    this.#options.onWritten()
  }

  #refuse(refusal: Refusal): boolean {
    this.#options.counters.add(refusal.reason)
    this.#options.onRefused?.(refusal)
    return this.#answerRefused(refusal.message)
  }

  /** A caller that broke the rules of long messages or streams. */
  #breakOff(reason: string, message: string): boolean {
    this.#options.counters.add(reason)
    return this.#answerRefused(message)
  }

  /** Ends the connection with a word to the caller. */
  #answerRefused(message: string): boolean {
    const mark = this.#outbox.openFrame(FrameKind.error, 0, 0)
    encodeErrorHead(this.#outbox.writer, { code: 'UNREACHABLE', executed: 'no', message })
    this.#outbox.closeFrame(mark)
    this.#state = 'refused'
    this.#options.onWritten()
    return false
  }

  #handleRequest(id: number, body: Span): boolean {
    const decoded = decodeRequestHead(body)
    if (decoded === undefined || id === 0) return this.#fail('bad-request')
    const { head, payloadAt } = decoded
    // Before anything is refused: later requests rely on the number.
    if (head.names !== undefined && !this.#methods.define(head.methodId, head.names)) return this.#fail('bad-method-id')
    const name = head.names ?? this.#methods.tryGet(head.methodId)
    if (name === undefined) return this.#fail('bad-method-id')
    if (this.#running.has(id)) return this.#fail('duplicate-call-id')
    if (this.#state !== 'serving') {
      this.#options.counters.add('request-while-leaving')
      // The caller believes that it was taken: it came in pieces, and a later one was.
      if (!isLaterId(id, this.#lastAcceptedId)) this.#refuseCall(id, head, 'UNAVAILABLE', 'the node goes away')
      return true
    }
    if (this.#acceptedCount === 0 || isLaterId(id, this.#lastAcceptedId)) this.#lastAcceptedId = id
    this.#acceptedCount++
    this.#accept(id, head, name, { bytes: body.bytes, start: payloadAt, end: body.end })
    return true
  }

  #accept(id: number, head: RequestHead, name: MethodName, payload: Span): void {
    const { callsMax, codec } = this.#options
    if (head.ttlMs === 0) {
      this.#refuseCall(id, head, 'DEADLINE_EXCEEDED', 'the deadline was over before the call arrived')
      return
    }
    if (this.#running.size >= callsMax) {
      this.#refuseCall(id, head, 'OVERLOADED', `${callsMax} calls of this connection are running`)
      return
    }
    if (this.#streams.isFull(head)) {
      this.#refuseCall(id, head, 'OVERLOADED', `${this.#streams.size} streams of this connection are open`)
      return
    }
    let args: unknown
    try {
      args = decodePart(codec, payload.bytes, payload.start, payload.end)
    } catch (error) {
      args = error instanceof Error ? error.message : 'malformed'
    }
    const lookedAt = payload.end - payload.start > PIECE_BYTES ? undefined : this.#share.lookedAt // reading takes time
    if (Array.isArray(args)) this.#dispatch(id, head, name, { args, lookedAt })
    else this.#refuseCall(id, head, 'INVALID_ARGUMENT', `the arguments could not be read: ${String(args)}`)
  }

  #dispatch(id: number, head: RequestHead, name: MethodName, { args, lookedAt }: ReadRequest): void {
    // What a caller may ask for here, and a timer can hold, whatever the number says.
    const deadlineAt = this.#now + Math.min(head.ttlMs, TIMEOUT_MS_MAX)
    const call: RunningCall = { id, deadlineAt, cast: head.cast, abandoned: false, cancel: undefined }
    let settled = false
    const settle = (outcome: Outcome): void => {
      if (settled) return
      settled = true
      this.#settle(call, outcome)
    }
    const { dispatcher, counters } = this.#options
    const streams = this.#streams.open(id, head, args)
    const incoming: IncomingCall = {
      service: name.service,
      method: name.method,
      args: streams?.args ?? args,
      deadlineAt,
      lookedAt,
      headers: head.headers,
      caller: this.#caller,
      places: this.#places,
      cast: head.cast,
      output: streams?.output,
    }
    try {
      call.cancel = dispatcher.dispatch(incoming, settle)
    } catch {
      // A bug of the dispatcher, which promises not to throw: no reason to lose the other calls of the process.
      counters.add('dispatcher-threw')
      settle({ ok: false, error: new RpcError('REMOTE', 'the callee failed to run the call', { executed: 'maybe' }) })
    }
    if (!settled) this.#running.add(call)
  }

  #settle(call: RunningCall, outcome: Outcome): void {
    this.#running.remove(call)
    const isStream = this.#streams.close(call.id)
    if (call.abandoned || call.cast || this.#state === 'failed' || this.#state === 'refused') return
    if (isStream && outcome.ok) this.#streams.writeEnd(call.id)
    else this.#replies.settle(call.id, outcome)
    this.#options.onWritten()
  }

  #refuseCall(
    id: number,
    head: RequestHead,
    code: 'DEADLINE_EXCEEDED' | 'OVERLOADED' | 'INVALID_ARGUMENT' | 'UNAVAILABLE',
    message: string,
  ): void {
    this.#options.counters.add(`refused-${code.toLowerCase().replaceAll('_', '-')}`)
    if (head.cast) return
    this.#replies.error(id, { code, executed: 'no', message }, undefined)
    this.#options.onWritten()
  }

  #handleCancel(id: number): boolean {
    this.#reassembly.drop(id)
    // Also what is still to be sent of a reply.
    this.#outbox.dropBulk(id)
    this.#running.cancel(id)
    return true
  }

  /** Requests are new ones; late pieces of a stream may come for a call that is over. */
  readonly #wantsPiece = (kind: number, id: number): boolean => {
    if (kind === FrameKind.request || (kind === FrameKind.streamItem && this.#streams.has(id))) return true
    this.#options.counters.add(kind === FrameKind.streamItem ? 'late-piece' : 'unknown-frame')
    return false
  }

  #fail(reason: string): boolean {
    this.#options.counters.add(reason)
    this.#state = 'failed'
    return false
  }
}
