/**
 * Middleware around the calls that this node makes: once around each call of the user, whatever attempts and passes it
 * takes. While a layer holds a call, nobody else keeps its deadline and its signal: this does. Does not know how a call
 * is made.
 */
import type { Clock } from '../clock.js'
import { type CallErrorCode, type Executed, isRpcError, RpcError } from '../errors.js'
import { AbortWatch } from './abort-watch.js'
import type { CallRequest } from './call.js'
import { invalidArgument } from './call-options.js'
import type { CallPlan } from './call-plan.js'
import { remainingMs } from './deadline.js'
import { DeadlineSweep } from './deadline-sweep.js'
import { NO_HEADERS } from './envelope.js'
import { type Headers, mergeHeaders } from './headers.js'
import { type Layer, runMiddleware } from './middleware.js'

/** After an answer that came at the last moment, or the end of a call that was given up, the layers have so long to look at it. */
const AFTERWARDS_MS = 100

/** What a middleware around outgoing calls sees of one. */
export interface OutgoingContext {
  readonly service: string
  readonly method: string
  readonly args: readonly unknown[]
  /** As they will be sent: inherited ones, the call's own, and those set so far. */
  readonly headers: Headers
  /** Milliseconds until the call must be over, never below zero. */
  remaining(): number
  /** No answer is waited for. */
  readonly cast: boolean
  /** All instances are called: the result is the list of what each answered. */
  readonly all: boolean
  /** Adds or replaces one, before the call is sent. Throws INVALID_ARGUMENT. */
  setHeader(name: string, value: string): void
}

/** One layer around the calls of a node: `await next()` makes the call and gives its result. */
export type OutgoingMiddleware = Layer<OutgoingContext>

export interface OutgoingLayersOptions {
  readonly layers: readonly OutgoingMiddleware[]
  readonly now: () => number
  /** Of the timers. Default the system's. */
  readonly clock?: Clock | undefined
}

/** A planned call, and how to make it. */
export interface PlannedCall {
  readonly plan: CallPlan
  readonly all: boolean
  readonly make: (plan: CallPlan) => Promise<unknown>
}

export class OutgoingLayers {
  readonly #options: OutgoingLayersOptions
  readonly #deadlines: DeadlineSweep<HeldCall>
  readonly #aborts = new AbortWatch<HeldCall>((held) => held.cancel())
  #closed = false

  constructor(options: OutgoingLayersOptions) {
    this.#options = options
    this.#deadlines = new DeadlineSweep(options.now, options.clock)
  }

  /** Settles as the outermost layer does, and by the call's deadline. What a layer throws is passed on as it is. */
  run(call: PlannedCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { layers, now } = this.#options
      const fail = (error: unknown): void => {
        this.#end(held)
        reject(error)
      }
      const held: HeldCall = new HeldCall(call, now, fail)
      this.#hold(held)
      if (held.isOver) return
      runMiddleware(layers, held, () => this.#make(held, call.make)).then((value) => {
        this.#end(held)
        resolve(value)
      }, fail)
    })
  }

  /** Ends the calls that a layer holds with CLOSED. */
  close(): void {
    this.#closed = true
    for (const held of this.#deadlines.stop()) held.close()
  }

  /** As long as it is under way the call itself keeps deadline and signal. */
  async #make(held: HeldCall, make: PlannedCall['make']): Promise<unknown> {
    if (held.endedBy !== undefined) throw held.endedBy
    this.#release(held)
    try {
      const value = await make(held.send())
      held.answered('yes', this.#closed)
      return value
    } catch (error) {
      held.answered(isRpcError(error) ? error.executed : 'maybe', this.#closed)
      throw error
    } finally {
      if (!held.isOver) this.#watch(held)
    }
  }

  #hold(held: HeldCall): void {
    this.#watch(held)
    if (held.request.signal?.aborted === true) held.cancel()
  }

  #watch(held: HeldCall): void {
    this.#deadlines.add(held)
    const { signal } = held.request
    if (signal?.aborted === false) this.#aborts.add(signal, held)
  }

  #end(held: HeldCall): void {
    held.isOver = true
    this.#release(held)
  }

  #release(held: HeldCall): void {
    this.#deadlines.remove(held)
    const { signal } = held.request
    if (signal !== undefined) this.#aborts.remove(signal, held)
  }
}

/** A call in the hands of the layers. */
class HeldCall implements OutgoingContext {
  readonly request: CallRequest
  readonly all: boolean
  deadlineAt: number
  /** Set when it did not end by its layers. */
  endedBy: RpcError | undefined
  isOver = false
  readonly #plan: CallPlan
  readonly #now: () => number
  readonly #reject: (error: RpcError) => void
  #headers: Headers | undefined
  #sent = false
  #executed: Executed = 'no'
  /** Its node was closed before it was answered. */
  #isClosed = false

  constructor({ plan, all }: PlannedCall, now: () => number, reject: (error: RpcError) => void) {
    this.request = plan.request
    this.all = all
    this.deadlineAt = plan.request.deadlineAt
    this.#plan = plan
    this.#headers = plan.request.headers
    this.#now = now
    this.#reject = reject
  }

  get service(): string {
    return this.request.service
  }

  get method(): string {
    return this.request.method
  }

  get args(): readonly unknown[] {
    return this.request.args
  }

  get cast(): boolean {
    return this.request.cast
  }

  get headers(): Headers {
    return this.#headers ?? NO_HEADERS
  }

  remaining(): number {
    return remainingMs(this.request.deadlineAt, this.#now())
  }

  setHeader(name: string, value: string): void {
    if (this.#sent) throw invalidArgument(`header '${name}' came too late: set it before next()`)
    this.#headers = mergeHeaders(this.#headers, { [name]: value })
  }

  /** The plan as the layers left it. */
  send(): CallPlan {
    this.#sent = true
    if (this.#headers === this.request.headers) return this.#plan
    return { ...this.#plan, request: { ...this.request, headers: this.#headers } }
  }

  /** The layers have it again: until its deadline, or for a moment when it was given up meanwhile. */
  answered(executed: Executed, isClosed: boolean): void {
    const soon = this.#now() + AFTERWARDS_MS
    const isGivenUp = isClosed || this.request.signal?.aborted === true
    this.#executed = executed
    this.#isClosed = isClosed
    this.deadlineAt = isGivenUp ? soon : Math.max(this.request.deadlineAt, soon)
  }

  expire(): void {
    if (this.#isClosed) this.close()
    else if (this.request.signal?.aborted === true) this.cancel()
    else this.#end('DEADLINE_EXCEEDED', 'was held by middleware until its deadline')
  }

  cancel(): void {
    this.#end('CANCELLED', 'was cancelled while middleware held it', this.request.signal?.reason)
  }

  close(): void {
    this.#end('CLOSED', 'was held by middleware when its node was closed')
  }

  #end(code: CallErrorCode, what: string, cause?: unknown): void {
    if (this.isOver) return
    const message = `${this.service}.${this.method} ${what}`
    this.endedBy = new RpcError(code, message, { executed: this.#executed, cause })
    this.#reject(this.endedBy)
  }
}
