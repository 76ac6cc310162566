/**
 * Calls as a tracer sees them: two tracing channels of `node:diagnostics_channel`, one for the calls that this node makes
 * and one for those that it serves. Without a subscriber a call costs one look. Knows no tracer and sends nothing itself:
 * whoever subscribes puts its trace context into the headers, and reads it there.
 */
import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import type { CancelReason, Dispatcher, IncomingCall, Outcome } from './call.js'
import type { CallPlan } from './call-plan.js'
import type { CallerIdentity } from './caller-identity.js'
import { NO_HEADERS } from './envelope.js'
import { type Headers, tryAddHeader } from './headers.js'

/** What subscribers of `shoal:rpc:call` get of one call of the user: one object for all its events. */
export interface CallTrace {
  readonly service: string
  readonly method: string
  readonly cast: boolean
  /** The result is a stream; the call ends for this channel when its first item came, or the end. */
  readonly stream: boolean
  /** All instances are called. */
  readonly all: boolean
  /** As they will be sent. */
  readonly headers: Headers
  /** The nodes that were tried so far, in order. */
  readonly nodes: readonly string[]
  /** At `start` alone: adds a header, or replaces one. False, with nothing changed, for one that cannot be sent. */
  readonly setHeader: (name: string, value: string) => boolean
  /** In the events after the end of the call. */
  readonly result?: unknown
  /** In `error` and the events after it: an RpcError, or what middleware of this node threw. */
  readonly error?: unknown
}

/** What subscribers of `shoal:rpc:serve` get of one incoming call: one object for all its events. */
export interface ServeTrace {
  readonly service: string
  readonly method: string
  readonly cast: boolean
  readonly stream: boolean
  readonly caller: CallerIdentity
  readonly headers: Headers
  /** In the events after the end of the call; `undefined` for a stream. */
  readonly result?: unknown
  /** In `error` and the events after it: what the caller is answered. */
  readonly error?: unknown
}

const calls: TracingChannel<unknown, CallTrace> = tracingChannel('shoal:rpc:call')
const serves: TracingChannel<unknown, ServeTrace> = tracingChannel('shoal:rpc:serve')

export function areCallsTraced(): boolean {
  return calls.hasSubscribers
}

/** Makes a call, telling the subscribers of its beginning and end. */
export function traceCall(plan: CallPlan, all: boolean, make: (plan: CallPlan) => Promise<unknown>): Promise<unknown> {
  const trace = new TracedCall(plan, all)
  return calls.tracePromise(() => make(trace.send()), trace)
}

/** The same dispatcher, telling the subscribers of each call, also of those that it refuses. */
export function tracedDispatcher(inner: Dispatcher): Dispatcher {
  return {
    dispatch: (call, settle) =>
      serves.hasSubscribers ? traceServe(inner, call, settle) : inner.dispatch(call, settle),
  }
}

function traceServe(
  inner: Dispatcher,
  call: IncomingCall,
  settle: (outcome: Outcome) => void,
): ((reason: CancelReason) => void) | undefined {
  const { service, method, cast, caller, headers } = call
  const trace: { -readonly [Name in keyof ServeTrace]: ServeTrace[Name] } = {
    service,
    method,
    cast,
    stream: call.output !== undefined,
    caller,
    headers,
  }
  const settled = (outcome: Outcome): void => {
    if (outcome.ok) trace.result = outcome.value
    else {
      trace.error = outcome.error
      serves.error.publish(trace)
    }
    serves.asyncStart.runStores(trace, settle, undefined, outcome)
    serves.asyncEnd.publish(trace)
  }
  const stop = serves.start.runStores(trace, () => inner.dispatch(call, settled))
  serves.end.publish(trace)
  return stop
}

class TracedCall implements CallTrace {
  readonly service: string
  readonly method: string
  readonly cast: boolean
  readonly stream: boolean
  readonly all: boolean
  readonly nodes: string[] = []
  headers: Headers
  result?: unknown
  error?: unknown
  readonly #plan: CallPlan
  #isSent = false

  constructor(plan: CallPlan, all: boolean) {
    const { service, method, cast, stream, headers } = plan.request
    this.service = service
    this.method = method
    this.cast = cast
    this.stream = stream === true
    this.all = all
    this.headers = headers ?? NO_HEADERS
    this.#plan = plan
  }

  readonly setHeader = (name: string, value: string): boolean => {
    const headers = this.#isSent ? undefined : tryAddHeader(this.headers, name, value)
    if (headers === undefined) return false
    this.headers = headers
    return true
  }

  tried(node: string): void {
    this.nodes.push(node)
  }

  send(): CallPlan {
    this.#isSent = true
    const headers = this.headers === NO_HEADERS ? undefined : this.headers
    return { ...this.#plan, request: { ...this.#plan.request, headers, trace: this } }
  }
}
