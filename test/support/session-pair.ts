/** Both sessions of a connection with nothing between them but two buffers, moved by hand; streams and pieces included. */
import type { RpcError } from '../../src/errors.js'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import { ByteWriter } from '../../src/rpc/byte-writer.js'
import type { CallRequest, CancelReason, IncomingCall, Outcome } from '../../src/rpc/call.js'
import { CallSession, type CallSessionOptions } from '../../src/rpc/call-session.js'
import { Counters } from '../../src/rpc/counters.js'
import { FRAME_BYTES_MAX, FrameKind } from '../../src/rpc/frame.js'
import { encodeHello, encodeWelcome } from '../../src/rpc/hello.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { OutgoingCall } from '../../src/rpc/outgoing-call.js'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { ServeSession, type ServeSessionOptions } from '../../src/rpc/serve-session.js'

export interface ArrivedCall {
  readonly call: IncomingCall
  readonly settle: (outcome: Outcome) => void
  readonly cancelled: CancelReason[]
}

export interface StartedCall {
  readonly call: OutgoingCall
  outcome?: { readonly value: unknown } | { readonly error: RpcError }
}

export class SessionPair {
  readonly counters: Counters = new Counters()
  readonly arrived: ArrivedCall[] = []
  readonly callerBox: Outbox = new Outbox()
  readonly calleeBox: Outbox = new Outbox()
  readonly callerBudget: ByteBudget = new ByteBudget(1e8)
  readonly calleeBudget: ByteBudget = new ByteBudget(1e8)
  readonly codec: MsgpackCodec = new MsgpackCodec()
  readonly caller: CallSession
  readonly callee: ServeSession

  constructor(options: { caller?: Partial<CallSessionOptions>; callee?: Partial<ServeSessionOptions> } = {}) {
    const { counters, codec } = this
    this.caller = new CallSession({
      outbox: this.callerBox,
      codec,
      counters,
      identity: { cluster: 'c', node: 'n1', bootId: 'b1' },
      target: { node: 'n2', bootId: 'b2' },
      frameBytesMax: FRAME_BYTES_MAX,
      callsMax: 1_000,
      budget: this.callerBudget,
      onAnswer: () => {},
      ...options.caller,
    })
    this.callee = new ServeSession({
      outbox: this.calleeBox,
      codec,
      counters,
      dispatcher: {
        dispatch: (call, settle) => {
          const entry: ArrivedCall = { call, settle, cancelled: [] }
          this.arrived.push(entry)
          return (reason) => entry.cancelled.push(reason)
        },
      },
      identity: { cluster: 'c', node: 'n2', bootId: 'b2' },
      frameBytesMax: FRAME_BYTES_MAX,
      callsMax: 1_000,
      callerAddress: '127.0.0.1:1',
      budget: this.calleeBudget,
      onWritten: () => {},
      ...options.callee,
    })
  }

  greet(): void {
    this.caller.greet()
    this.deliver()
    this.answer()
  }

  /** One flush of the caller. */
  deliver(now = 0): void {
    const bytes = taken(this.callerBox)
    this.caller.flushed()
    this.callee.handleBytes(bytes, bytes.length, now)
  }

  /** One flush of the callee. */
  answer(): void {
    const bytes = taken(this.calleeBox)
    this.caller.handleBytes(bytes, bytes.length)
  }

  /** A frame to the callee that its caller never wrote. */
  forge(kind: number, id: number, body: Uint8Array = new Uint8Array(0)): void {
    const frame = rawFrame(kind, id, body)
    this.callee.handleBytes(frame, frame.length, 0)
  }

  /** A frame to the caller. */
  forgeAnswer(kind: number, id: number, body: Uint8Array = new Uint8Array(0)): void {
    const frame = rawFrame(kind, id, body)
    this.caller.handleBytes(frame, frame.length)
  }

  start(request: Partial<CallRequest> = {}, now = 0): StartedCall {
    const base: CallRequest = {
      service: 'users',
      method: 'get',
      args: [1],
      deadlineAt: 1_000,
      headers: undefined,
      signal: undefined,
      cast: false,
    }
    const started: StartedCall = {
      call: new OutgoingCall(
        { node: 'n2', bootId: 'b2', owner: { begun: () => {}, settled: () => {} }, request: { ...base, ...request } },
        (value) => {
          started.outcome = { value }
        },
        (error) => {
          started.outcome = { error }
        },
      ),
    }
    this.caller.send(started.call, this.codec.encode(started.call.request.args, 'args').slice(), now)
    return started
  }

  /** One that answers with a stream, taken by the callee. */
  startStream(request: Partial<CallRequest> = {}): { readonly started: StartedCall; readonly taken: ArrivedCall } {
    const started = this.start({ stream: true, ...request })
    this.deliver()
    const taken = this.arrived.at(-1)
    if (taken === undefined) throw new Error('the callee did not take the call')
    return { started, taken }
  }
}

/** `CODE executed`, `ok` or `pending`. */
export function outcomeOf({ outcome }: StartedCall): string {
  if (outcome === undefined) return 'pending'
  return 'error' in outcome ? `${outcome.error.code} ${outcome.error.executed}` : 'ok'
}

export function creditBody(items: number, bytes: number): Uint8Array {
  const writer = new ByteWriter(8)
  writer.u32(items)
  writer.u32(bytes)
  return writer.bytes.slice(0, 8)
}

/** The hello of a version before pieces and streams. */
export function oldHello(): Uint8Array {
  const writer = new ByteWriter(256)
  encodeHello(writer, {
    cluster: 'c',
    node: 'n1',
    bootId: 'b1',
    protocolMin: 1,
    protocolMax: 1,
    features: 0,
    frameBytesMax: FRAME_BYTES_MAX,
    codec: 'msgpack',
    expectedNode: 'n2',
    expectedBootId: 'b2',
  })
  return rawFrame(FrameKind.hello, 0, writer.bytes.slice(0, writer.length))
}

/** The welcome of a version before pieces and streams. */
export function oldWelcome(): Uint8Array {
  const writer = new ByteWriter(256)
  encodeWelcome(writer, { protocol: 1, features: 0, frameBytesMax: FRAME_BYTES_MAX, node: 'n2', bootId: 'b2' })
  return rawFrame(FrameKind.welcome, 0, writer.bytes.slice(0, writer.length))
}

export function rawFrame(kind: number, id: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const outbox = new Outbox()
  const mark = outbox.openFrame(kind, id, body.length)
  outbox.writer.raw(body)
  outbox.closeFrame(mark)
  return outbox.take(true)
}

export function taken(outbox: Outbox): Uint8Array {
  outbox.fillSlab()
  const bytes = outbox.take(true)
  outbox.slabReturned(true)
  outbox.tellItemRoom()
  return bytes
}
