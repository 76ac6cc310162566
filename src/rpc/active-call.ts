/**
 * A call while its handler runs: what the handler may ask about it, and the way to stop it. The AbortController is made
 * only when `signal` is read, since most handlers never do. Does not know how the handler gets hold of it.
 */
import { RpcError, unreachable } from '../errors.js'
import type { CancelReason, IncomingCall, ItemSink } from './call.js'
import type { CallerIdentity } from './caller-identity.js'
import type { CallerPlaces } from './caller-places.js'
import { remainingMs } from './deadline.js'
import { withoutStack } from './error-values.js'

/** What a handler can ask about the call that it serves. */
export interface CallContext {
  readonly service: string
  readonly method: string
  /** Who calls, and whether that is proven. */
  readonly caller: CallerIdentity
  /** Milliseconds until the caller stops waiting, never below zero. */
  remaining(): number
  /** Aborted when the caller cancels or goes away, and at the deadline. Made when first read. */
  readonly signal: AbortSignal
  /** Headers of the caller; calls made from within this one carry them on. */
  readonly headers: Readonly<Record<string, string>>
  /** W3C trace context of the caller, when it sent one. */
  readonly traceparent: string | undefined
}

/** What a middleware gets: the call's context and the arguments on their way to the handler. */
export interface MiddlewareContext extends CallContext {
  readonly args: readonly unknown[]
}

export class ActiveCall implements MiddlewareContext {
  readonly #call: IncomingCall
  readonly #now: () => number
  #controller: AbortController | undefined
  #cancelled: CancelReason | undefined
  #finished = false
  /** Stops the stream that the handler gives. */
  onCancelled: (() => void) | undefined
  /** The framework's own verdict on this call, on its way through the middleware like any error. */
  verdict: RpcError | undefined

  constructor(call: IncomingCall, now: () => number) {
    this.#call = call
    this.#now = now
  }

  get service(): string {
    return this.#call.service
  }

  get method(): string {
    return this.#call.method
  }

  get args(): readonly unknown[] {
    return this.#call.args
  }

  /** Where the items of a stream go. */
  get output(): ItemSink | undefined {
    return this.#call.output
  }

  get caller(): CallerIdentity {
    return this.#call.caller
  }

  get places(): CallerPlaces | undefined {
    return this.#call.places
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#call.headers
  }

  get traceparent(): string | undefined {
    return Object.hasOwn(this.#call.headers, 'traceparent') ? this.#call.headers['traceparent'] : undefined
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#cancelled !== undefined) this.#controller.abort(this.#reasonOf(this.#cancelled))
    }
    return this.#controller.signal
  }

  remaining(): number {
    return remainingMs(this.#call.deadlineAt, this.#now())
  }

  /** The instant behind `remaining`, which calls made from within this one inherit. */
  deadlineAt(): number {
    return this.#call.deadlineAt
  }

  /** Aborts the signal, now or when it is first read. Only the first reason counts. */
  cancel(reason: CancelReason): void {
    if (this.#cancelled !== undefined || this.#finished) return
    this.#cancelled = reason
    this.#controller?.abort(this.#reasonOf(reason))
    this.onCancelled?.()
  }

  isCancelled(): boolean {
    return this.#cancelled !== undefined
  }

  /** The handler has answered. Work that it left behind is no part of the call and inherits nothing from it. */
  finish(): void {
    this.#finished = true
  }

  isFinished(): boolean {
    return this.#finished
  }

  /** Many calls may end at once, with their caller: a stack, which would show nothing of theirs, is most of the cost. */
  #reasonOf(reason: CancelReason): RpcError {
    return withoutStack(() => this.#reason(reason))
  }

  #reason(reason: CancelReason): RpcError {
    const what = `${this.#call.service}.${this.#call.method}`
    switch (reason) {
      case 'cancelled':
        return new RpcError('CANCELLED', `${this.#call.caller.node} cancelled ${what}`, { executed: 'maybe' })
      case 'deadline':
        return new RpcError('DEADLINE_EXCEEDED', `the deadline of ${what} is over`, { executed: 'maybe' })
      case 'caller-lost':
        return new RpcError('CANCELLED', `${this.#call.caller.node}, which called ${what}, is gone`, {
          executed: 'maybe',
        })
      default:
        return unreachable(reason)
    }
  }
}
