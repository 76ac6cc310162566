/**
 * The caller's half of the protocol on one connection, without the connection: greeting, requests, what comes back, and
 * what is known of each request when something goes wrong. It writes into an outbox and settles calls; bytes come in
 * through `handleBytes`. Time is an argument.
 */
import { EMPTY_BYTES } from '../bytes.js'
import { type CallErrorCode, type Executed, RpcError } from '../errors.js'
import { ByteBudget } from './byte-budget.js'
import { CallStreamsOut } from './call-streams.js'
import type { Counters } from './counters.js'
import { decodeErrorHead, decodeGoingAway, voidRequest } from './envelope.js'
import { withoutStack } from './error-values.js'
import { Feature, OWN_FEATURES } from './features.js'
import { FrameKind, HELLO_BYTES_MAX, isKnownKind, MORE_FLAG } from './frame.js'
import { FrameReader, type FrameSink, type Span } from './frame-reader.js'
import { decodeWelcome, encodeHello, PROTOCOL_MAX, PROTOCOL_MIN, type RpcIdentity } from './hello.js'
import { OutgoingMethods } from './method-table.js'
import type { Outbox } from './outbox.js'
import type { OutgoingCall } from './outgoing-call.js'
import { decodePart, type PayloadCodec } from './payload-codec.js'
import { isLaterId, PendingCalls } from './pending-calls.js'
import { Reassembly } from './reassembly.js'
import { remoteFailureFromPayload } from './remote-payload.js'
import { requestRefusal, writeRequest } from './request-writer.js'

export interface CallSessionOptions {
  readonly outbox: Outbox
  readonly codec: PayloadCodec
  readonly identity: RpcIdentity
  readonly target: { readonly node: string; readonly bootId: string }
  readonly frameBytesMax: number
  readonly callsMax: number
  readonly counters: Counters
  /** The callee answered calls, well or badly: told once for the bytes that come together. */
  readonly onAnswer: () => void
  /** Something was written that should leave soon, and by no method of the session. */
  readonly onWritten?: (() => void) | undefined
  /** Calls with streams at once. Default no bound besides that of calls. */
  readonly streamsMax?: number | undefined
  /** For what was received and nobody has taken yet. */
  readonly budget?: ByteBudget | undefined
}

/**
 * `greeting`: only a welcome may come. `ready`: calls are sent. `leaving`: the callee goes away, replies still come, no
 * call is sent. `failed`: the protocol was broken or the callee refused us; the connection must be closed.
 */
export type CallSessionState = 'greeting' | 'ready' | 'leaving' | 'failed'

export class CallSession implements FrameSink {
  readonly #options: CallSessionOptions
  readonly #outbox: Outbox
  readonly #reader: FrameReader
  readonly #pending: PendingCalls<OutgoingCall>
  readonly #methods = new OutgoingMethods()
  readonly #reassembly: Reassembly
  readonly #streams: CallStreamsOut
  #casts: OutgoingCall[] = []
  /** Something among the bytes at hand was an answer, and that is told. */
  #hasAnswered = false
  #peerFrameBytesMax = 0
  #state: CallSessionState = 'greeting'
  /** Why it failed, in words for the users whose calls fail by it. */
  failure: string | undefined

  constructor(options: CallSessionOptions) {
    this.#options = options
    this.#outbox = options.outbox
    this.#pending = new PendingCalls(options.callsMax)
    const { outbox, codec, counters, frameBytesMax, budget = new ByteBudget(Number.POSITIVE_INFINITY) } = options
    this.#reader = new FrameReader(this, HELLO_BYTES_MAX, budget)
    this.#reassembly = new Reassembly({ frameBytesMax, budget })
    this.#streams = new CallStreamsOut({
      table: { outbox, codec, counters, budget, onWritten: options.onWritten ?? (() => {}) },
      streamsMax: options.streamsMax ?? options.callsMax,
      giveUp: (call, error) => this.#end(call, error),
      onAnswer: () => this.#answered(),
      finish: (call) => this.#finish(call),
    })
  }

  get state(): CallSessionState {
    return this.#state
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /** When the first call in flight is over, at the earliest; `Infinity` without any. */
  nextDeadlineAt(): number {
    return this.#pending.nextDeadlineAt()
  }

  /** Writes the hello. */
  greet(): void {
    const { identity, target, codec, frameBytesMax } = this.#options
    const mark = this.#outbox.openFrame(FrameKind.hello, 0, 0)
    encodeHello(this.#outbox.writer, {
      cluster: identity.cluster,
      node: identity.node,
      bootId: identity.bootId,
      protocolMin: PROTOCOL_MIN,
      protocolMax: PROTOCOL_MAX,
      features: OWN_FEATURES,
      frameBytesMax,
      codec: codec.name,
      expectedNode: target.node,
      expectedBootId: target.bootId,
    })
    this.#outbox.closeFrame(mark)
  }

  /** Writes the request, or refuses the call. The state must be `ready`. */
  send(call: OutgoingCall, payload: Uint8Array, now: number): void {
    if (this.#pending.isFull()) {
      call.refuse('OVERLOADED', 'no', `${this.#pending.size} calls are in flight to ${call.node}`)
      return
    }
    const { request } = call
    const hasStreams = request.stream === true || request.input !== undefined
    const refusal =
      requestRefusal(request, payload.length, this.#peerFrameBytesMax) ??
      (hasStreams ? this.#streams.refusal(call) : undefined)
    if (refusal !== undefined) {
      call.refuse(refusal.code, 'no', refusal.message)
      return
    }
    this.#pending.add(call)
    const stream = hasStreams ? this.#streams.open(call) : undefined
    writeRequest({ outbox: this.#outbox, methods: this.#methods, call, payload, now, stream })
    if (call.request.cast) this.#casts.push(call)
  }

  /** The outbox went to the socket: casts are done. */
  flushed(): void {
    if (this.#casts.length === 0) return
    const casts = this.#casts
    this.#casts = []
    for (const cast of casts) {
      // One that was given up is not sent any more.
      if (cast.isSettled) continue
      if (cast.message?.isSent === false) this.#casts.push(cast)
      else if (this.#pending.take(cast.id) === cast) cast.succeed(undefined)
    }
  }

  /** Gives the call up. Returns whether something was written. */
  abort(call: OutgoingCall): boolean {
    if (this.#pending.take(call.id) !== call) return false
    return this.#giveUp(call, 'CANCELLED', 'the signal was aborted')
  }

  /** Ends the calls whose deadline is over. Returns whether something was written. */
  sweep(now: number): boolean {
    this.#reassembly.sweep(now)
    let wrote = false
    for (const call of this.#pending.sweep(now))
      if (this.#giveUp(call, 'DEADLINE_EXCEEDED', `no reply from ${call.node} before the deadline`)) wrote = true
    return wrote
  }

  ping(): void {
    this.#outbox.bareFrame(FrameKind.ping, 0)
  }

  /** The connection is gone: every call ends with what is known about it. */
  lost(code: CallErrorCode, message: string): void {
    for (const call of this.#pending.takeAll(() => true)) {
      call.refuse(code, this.#executedOf(call), message)
      this.#streams.close(call.id)
    }
    this.#casts = []
    this.#reader.clear()
    this.#reassembly.clear()
  }

  /** Bytes from the callee. Afterwards the state may be `failed`. */
  handleBytes(chunk: Uint8Array, length: number): void {
    this.#hasAnswered = false
    const fault = this.#reader.push(chunk, length)
    if (fault !== undefined) this.#fail(fault, `${this.#options.target.node} broke the protocol: ${fault}`)
  }

  handleFrame(kind: number, id: number, body: Span): boolean {
    if (this.#state === 'greeting') return this.#handleGreeting(kind, body)
    if (kind < MORE_FLAG && this.#reassembly.size === 0) return this.#handleMessage(kind, id, body)
    const whole = this.#reassembly.handle(kind, id, body, this.#wantsPiece)
    if (typeof whole === 'string') return this.#fail(whole, `${this.#options.target.node} broke the protocol: ${whole}`)
    return whole === undefined || this.#handleMessage(kind, id, whole)
  }

  #handleMessage(kind: number, id: number, body: Span): boolean {
    switch (kind) {
      case FrameKind.reply:
        this.#handleReply(id, body)
        return true
      case FrameKind.error:
        return this.#handleError(id, body)
      case FrameKind.streamItem:
      case FrameKind.streamEnd:
      case FrameKind.streamCredit:
      case FrameKind.cancel: {
        const fault = this.#streams.handleFrame(kind, id, body)
        if (fault === undefined) return true
        return this.#fail(fault, `${this.#options.target.node} broke the protocol: ${fault}`)
      }
      case FrameKind.goingAway:
        return this.#handleGoingAway(body)
      case FrameKind.ping:
        this.#outbox.bareFrame(FrameKind.pong, id)
        return true
      case FrameKind.pong:
        return true
      default:
        if (isKnownKind(kind)) {
          return this.#fail('unexpected-frame', `${this.#options.target.node} sent a frame of kind ${kind}`)
        }
        this.#options.counters.add('unknown-frame')
        return true
    }
  }

  /** Late ones may still come for a call that was given up. */
  readonly #wantsPiece = (kind: number, id: number): boolean => {
    const isOfCall = kind === FrameKind.reply || kind === FrameKind.error || kind === FrameKind.streamItem
    if (isOfCall && this.#pending.get(id) !== undefined) return true
    this.#options.counters.add(isOfCall ? 'late-piece' : 'unknown-frame')
    return false
  }

  #handleGreeting(kind: number, body: Span): boolean {
    const { target, frameBytesMax } = this.#options
    if (kind === FrameKind.error) {
      const message = decodeErrorHead(body)?.head.message ?? 'no reason given'
      return this.#fail('hello-refused', `${target.node} refused the connection: ${message}`)
    }
    const welcome = kind === FrameKind.welcome ? decodeWelcome(body) : undefined
    if (welcome === undefined || welcome.protocol < PROTOCOL_MIN || welcome.protocol > PROTOCOL_MAX)
      return this.#fail('bad-welcome', 'whoever listens there does not speak this protocol')
    if (welcome.node !== target.node || (target.bootId !== '' && welcome.bootId !== target.bootId))
      return this.#fail('wrong-node', `expected node ${target.node}, found ${welcome.node}`)
    this.#peerFrameBytesMax = welcome.frameBytesMax
    this.#outbox.cutsPieces = (welcome.features & Feature.pieces) !== 0
    this.#streams.setPeer(welcome)
    this.#reader.setFrameBytesMax(frameBytesMax)
    this.#state = 'ready'
    return true
  }

  #handleReply(id: number, body: Span): void {
    const call = this.#take(id)
    if (call === undefined) {
      this.#options.counters.add('late-reply')
      return
    }
    this.#answered()
    if (call.items !== undefined) {
      this.#end(call, this.#streams.notStreamed(call))
      return
    }
    let value: unknown
    try {
      value = decodePart(this.#options.codec, body.bytes, body.start, body.end)
    } catch (error) {
      this.#options.counters.add('bad-reply')
      call.refuse('REMOTE', 'yes', `the result of ${call.node} could not be read: ${messageOf(error)}`)
      return
    }
    call.succeed(value)
  }

  #handleError(id: number, body: Span): boolean {
    const decoded = decodeErrorHead(body)
    if (decoded === undefined) return this.#fail('bad-error', `${this.#options.target.node} sent a malformed error`)
    const { head, payloadAt } = decoded
    if (id === 0) return this.#fail('peer-error', `${this.#options.target.node} closed the connection: ${head.message}`)
    const call = this.#take(id)
    if (call === undefined) {
      this.#options.counters.add('late-reply')
      return true
    }
    this.#answered()
    const payload = payloadAt < body.end ? body.bytes.subarray(payloadAt, body.end) : EMPTY_BYTES
    const remote = remoteFailureFromPayload(this.#options.codec, payload)
    const executed = call.hasBegun ? 'yes' : head.executed
    const fields = { executed, node: call.node, remote } as const
    call.fail(withoutStack(() => new RpcError(head.code, head.message, fields)))
    return true
  }

  #handleGoingAway(body: Span): boolean {
    const lastAcceptedId = decodeGoingAway(body)
    if (lastAcceptedId === undefined) return this.#fail('bad-going-away', 'a malformed going-away frame')
    this.#state = 'leaving'
    const refused = this.#pending.takeAll((call) => lastAcceptedId === 0 || isLaterId(call.id, lastAcceptedId))
    for (const call of refused) {
      if (this.#outbox.dropBulk(call.id)) this.#outbox.bareFrame(FrameKind.cancel, call.id)
      this.#streams.close(call.id)
      call.refuse('UNAVAILABLE', 'no', `${call.node} goes away and did not take the call`)
    }
    return true
  }

  #giveUp(call: OutgoingCall, code: CallErrorCode, message: string): boolean {
    const executed = this.#executedOf(call)
    this.#withdraw(call)
    call.refuse(code, executed, message)
    return true
  }

  /** Ends a call for a reason of this side. */
  #end(call: OutgoingCall, error: RpcError): void {
    this.#pending.take(call.id)
    this.#withdraw(call)
    this.#options.onWritten?.()
    call.fail(error)
  }

  /** Its stream has ended in order. */
  #finish(call: OutgoingCall): void {
    if (this.#take(call.id) !== call) return
    call.begin()
    call.succeed(undefined)
  }

  /** Takes back what was not sent of a call that is over here, and tells the callee if anything was. */
  #withdraw(call: OutgoingCall): void {
    const { id, message, epoch, bodyAt } = call
    const isInSlab = message === undefined && epoch === this.#outbox.epoch
    const mayHaveLeft = message === undefined ? !isInSlab : message.isSent
    const hasBegun = this.#outbox.dropBulk(id)
    if (isInSlab) voidRequest(this.#outbox.writer, bodyAt)
    else if (mayHaveLeft || hasBegun) this.#outbox.bareFrame(FrameKind.cancel, id)
    this.#streams.close(id)
    this.#reassembly.drop(id)
  }

  /** Takes a call that the callee has ended. */
  #take(id: number): OutgoingCall | undefined {
    const call = this.#pending.take(id)
    if (call !== undefined) this.#streams.close(id)
    return call
  }

  /** A request that is still in the slab has not been sent; one that the socket was given may have been. */
  #executedOf(call: OutgoingCall): Executed {
    if (call.hasBegun) return 'yes'
    if (call.message !== undefined) return call.message.isSent ? 'maybe' : 'no'
    return call.epoch === this.#outbox.epoch ? 'no' : 'maybe'
  }

  #answered(): void {
    if (this.#hasAnswered) return
    this.#hasAnswered = true
    this.#options.onAnswer()
  }

  #fail(reason: string, message: string): boolean {
    this.#options.counters.add(reason)
    this.#state = 'failed'
    this.failure ??= message
    return false
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error'
}
