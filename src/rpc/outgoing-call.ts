/**
 * One try of a call on its way through a peer and a connection: where it is, and what that says about its execution.
 * Settles its promise once; knows nothing of frames and sockets.
 */
import { type CallErrorCode, type Executed, RpcError } from '../errors.js'
import type { BulkMessage } from './bulk-queue.js'
import type { CallRequest } from './call.js'
import { withoutStack } from './error-values.js'
import type { ReceivedItems } from './received-items.js'

/** Who holds the call at the moment, and gives it up when its signal is aborted. */
export interface CallHolder {
  abort(call: OutgoingCall): void
}

/** Told when the call is over, whatever way. */
export interface CallOwner {
  /** Its stream began: it is no longer a question that waits for its answer. */
  begun(call: OutgoingCall): void
  settled(call: OutgoingCall, error: RpcError | undefined): void
}

export class OutgoingCall {
  /** Given by the connection that sends it. */
  id = 0
  /** The outbox epoch in which the request was written into the slab; it went to the socket when that epoch ended. */
  epoch = -1
  /** Where in the slab the body of the request begins. */
  bodyAt = 0
  /** The request as it waits for its turn, when it is a long one. */
  message: BulkMessage | undefined
  /** The stream that it answers with. */
  items: ReceivedItems | undefined
  /** The stream has begun: its reader has the promise's value, and hears of the end by the stream. */
  hasBegun = false
  /** Stops what draws the caller's own stream. */
  stopInput: (() => void) | undefined
  holder: CallHolder | undefined
  /** To whom it was given, which counts it until it is over. */
  peer: { pending: number } | undefined
  isSettled = false
  readonly node: string
  readonly bootId: string
  readonly request: CallRequest
  /** The arguments, encoded: kept only while the call waits for its connection. */
  payload: Uint8Array | undefined
  readonly #owner: CallOwner
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: RpcError) => void

  constructor(
    target: {
      readonly node: string
      readonly bootId: string
      readonly request: CallRequest
      readonly owner: CallOwner
    },
    resolve: (value: unknown) => void,
    reject: (error: RpcError) => void,
  ) {
    this.node = target.node
    this.bootId = target.bootId
    this.request = target.request
    this.#owner = target.owner
    this.#resolve = resolve
    this.#reject = reject
  }

  get deadlineAt(): number {
    return this.request.deadlineAt
  }

  succeed(value: unknown): void {
    if (this.#settle(undefined) && !this.hasBegun) this.#resolve(value)
  }

  /** The first item of its stream is there, or the end. */
  begin(): void {
    if (this.hasBegun || this.isSettled) return
    this.hasBegun = true
    this.#resolve(this.items)
    this.#owner.begun(this)
  }

  fail(error: RpcError): void {
    if (!this.#settle(error)) return
    if (this.hasBegun) this.items?.end(error)
    else this.#reject(error)
  }

  /** Fails with a framework status. */
  refuse(code: CallErrorCode, executed: Executed, message: string): void {
    this.fail(withoutStack(() => new RpcError(code, message, { executed, node: this.node })))
  }

  #settle(error: RpcError | undefined): boolean {
    if (this.isSettled) return false
    this.isSettled = true
    this.holder = undefined
    this.payload = undefined
    this.stopInput?.()
    this.#owner.settled(this, error)
    return true
  }
}
