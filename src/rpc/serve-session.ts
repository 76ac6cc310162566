/**
 * The callee's half of the protocol on one connection, without the connection: checks the hello, hands requests to the
 * dispatcher, writes what they settle with. It writes into an outbox and asks to be flushed; time is an argument.
 *
 * At its deadline a call's signal is aborted and nothing is answered: the caller keeps the same deadline itself, and
 * gave up first. Its place among the calls in flight is free when the handler settles, for until then it costs.
 */
import { RpcError } from '../errors.js'
import type { CancelReason, Dispatcher, IncomingCall, Outcome } from './call.js'
import { type CallerIdentity, type ConnectionProof, NOTHING_PROVEN, type Refusal } from './caller-identity.js'
import type { Counters } from './counters.js'
import { TIMEOUT_MS_MAX } from './deadline.js'
import { decodeRequestHead, encodeErrorHead, encodeGoingAway, type RequestHead } from './envelope.js'
import { FrameKind, HELLO_BYTES_MAX } from './frame.js'
import { FrameReader, type FrameSink, type Span } from './frame-reader.js'
import {
  decodeHello,
  encodeWelcome,
  type Hello,
  helloMismatch,
  PROTOCOL_MAX,
  PROTOCOL_MIN,
  type RpcIdentity,
} from './hello.js'
import { IncomingMethods, type MethodName } from './method-table.js'
import type { Outbox } from './outbox.js'
import type { PayloadCodec } from './payload-codec.js'
import { ReplyWriter } from './reply-writer.js'

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
  /** The caller is turned away, for a reason other than what its connection proved; that is counted. */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined
}

/**
 * `hello`: nothing but a hello may come. `serving`. `leaving`: calls go on, new ones are ignored. `refused`: the hello
 * was answered with an error, which should reach the caller before the connection ends. `failed`: end it now.
 */
export type ServeSessionState = 'hello' | 'serving' | 'leaving' | 'refused' | 'failed'

/** A call that did not settle at once. */
interface RunningCall {
  readonly id: number
  readonly deadlineAt: number
  readonly cast: boolean
  /** Nothing is answered any more. */
  abandoned: boolean
  cancel: ((reason: CancelReason) => void) | undefined
}

export class ServeSession implements FrameSink {
  readonly #options: ServeSessionOptions
  readonly #outbox: Outbox
  readonly #reader: FrameReader
  readonly #methods = new IncomingMethods()
  readonly #running = new Map<number, RunningCall>()
  readonly #replies: ReplyWriter
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
    this.#reader = new FrameReader(this, Math.min(HELLO_BYTES_MAX, options.frameBytesMax))
    this.#replies = new ReplyWriter(options.outbox, options.codec)
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

  get acceptedCount(): number {
    return this.#acceptedCount
  }

  /** Bytes from the caller. Afterwards the state may be `refused` or `failed`. */
  handleBytes(chunk: Uint8Array, length: number, now: number): void {
    if (this.#state === 'refused' || this.#state === 'failed') return
    this.#now = now
    const isTls = this.#isFresh && beginsTls(chunk, length)
    this.#isFresh = false
    if (isTls) {
      const message = 'this node speaks no TLS: it was started with neither keys nor certificates'
      this.#refuse({ reason: 'tls-to-plaintext', message })
      return
    }
    const fault = this.#reader.push(chunk, length)
    if (fault !== undefined) this.#fail(fault)
  }

  handleFrame(kind: number, id: number, body: Span): boolean {
    if (this.#state === 'hello') return kind === FrameKind.hello ? this.#handleHello(body) : this.#fail('no-hello')
    switch (kind) {
      case FrameKind.request:
        return this.#handleRequest(id, body)
      case FrameKind.cancel:
        return this.#handleCancel(id)
      case FrameKind.ping:
        this.#outbox.bareFrame(FrameKind.pong, id)
        this.#options.onWritten()
        return true
      case FrameKind.pong:
        return true
      default:
        return this.#fail('unexpected-frame')
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
    for (const call of this.#running.values())
      if (!call.abandoned && call.deadlineAt <= now) this.#abandon(call, 'deadline')
  }

  /** The connection is gone. Casts go on: their caller never meant to wait. */
  callerLost(): void {
    if (this.#state !== 'refused') this.#state = 'failed'
    for (const call of this.#running.values()) if (!call.abandoned && !call.cast) this.#abandon(call, 'caller-lost')
    this.#running.clear()
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
      features: 0,
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
      return true
    }
    this.#lastAcceptedId = id
    this.#acceptedCount++
    this.#accept(id, head, name, body.bytes.subarray(payloadAt, body.end))
    return true
  }

  #accept(id: number, head: RequestHead, name: MethodName, payload: Uint8Array): void {
    const { callsMax, codec } = this.#options
    if (head.ttlMs === 0) {
      this.#refuseCall(id, head, 'DEADLINE_EXCEEDED', 'the deadline was over before the call arrived')
      return
    }
    if (this.#running.size >= callsMax) {
      this.#refuseCall(id, head, 'OVERLOADED', `${callsMax} calls of this connection are running`)
      return
    }
    let args: unknown
    try {
      args = codec.decode(payload)
    } catch (error) {
      args = error instanceof Error ? error.message : 'malformed'
    }
    if (Array.isArray(args)) this.#dispatch(id, head, name, args)
    else this.#refuseCall(id, head, 'INVALID_ARGUMENT', `the arguments could not be read: ${String(args)}`)
  }

  #dispatch(id: number, head: RequestHead, name: MethodName, args: readonly unknown[]): void {
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
    const incoming: IncomingCall = {
      service: name.service,
      method: name.method,
      args,
      deadlineAt,
      headers: head.headers,
      caller: this.#caller,
      cast: head.cast,
    }
    try {
      call.cancel = dispatcher.dispatch(incoming, settle)
    } catch {
      // A bug of the dispatcher, which promises not to throw: no reason to lose the other calls of the process.
      counters.add('dispatcher-threw')
      const error = new RpcError('REMOTE', 'the callee failed to run the call', { executed: 'maybe' })
      settle({ ok: false, error })
    }
    if (!settled) this.#running.set(id, call)
  }

  #settle(call: RunningCall, outcome: Outcome): void {
    if (this.#running.get(call.id) === call) this.#running.delete(call.id)
    if (call.abandoned || call.cast || this.#state === 'failed') return
    this.#replies.settle(call.id, outcome)
    this.#options.onWritten()
  }

  #refuseCall(
    id: number,
    head: RequestHead,
    code: 'DEADLINE_EXCEEDED' | 'OVERLOADED' | 'INVALID_ARGUMENT',
    message: string,
  ): void {
    this.#options.counters.add(`refused-${code.toLowerCase().replaceAll('_', '-')}`)
    if (head.cast) return
    this.#replies.error(id, { code, executed: 'no', message }, undefined)
    this.#options.onWritten()
  }

  #handleCancel(id: number): boolean {
    const call = this.#running.get(id)
    if (call !== undefined && !call.abandoned) this.#abandon(call, 'cancelled')
    return true
  }

  #abandon(call: RunningCall, reason: CancelReason): void {
    call.abandoned = true
    call.cancel?.(reason)
  }

  #fail(reason: string): boolean {
    this.#options.counters.add(reason)
    this.#state = 'failed'
    return false
  }
}

/** The record of a ClientHello. As the length of a frame it would be above what a hello may have. */
function beginsTls(chunk: Uint8Array, length: number): boolean {
  return length >= 3 && chunk[0] === 0x16 && chunk[1] === 0x03 && (chunk[2] ?? 0) >= 1
}
