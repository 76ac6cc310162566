/** The shapes in which a call travels between the parts of rpc: caller, failover, connection, handlers. */
import type { RpcError } from '../errors.js'
import type { CallerIdentity } from './caller-identity.js'
import type { CallerPlaces } from './caller-places.js'
import type { Candidate } from './directory.js'
import type { InputArgument } from './input-argument.js'

/** A call on its way out. The same object serves every attempt of one pass. */
export interface CallRequest {
  readonly service: string
  readonly method: string
  readonly args: readonly unknown[]
  /** Monotonic ms of this process. */
  readonly deadlineAt: number
  readonly headers: Readonly<Record<string, string>> | undefined
  /** The user's own signal, if one was given; nothing is ever derived from it. */
  readonly signal: AbortSignal | undefined
  /** No reply is wanted: the attempt resolves once the request was written. */
  readonly cast: boolean
  /** Goes over the network also to this process itself. */
  readonly forceRemote?: boolean | undefined
  /** The result is a stream: the attempt resolves with its reading end once the first item came, or the end. */
  readonly stream?: boolean | undefined
  /** The argument that is a stream of the caller; `args` has nothing in its place. */
  readonly input?: InputArgument | undefined
  /** Of a call that somebody traces: hears of each try. */
  readonly trace?: { tried(node: string): void } | undefined
}

/**
 * One try on one instance, local or remote alike. Rejects with an RpcError, always by `deadlineAt`. `now` is given by those
 * who have just looked at the clock.
 */
export type Attempt = (candidate: Candidate, request: CallRequest, now?: number) => Promise<unknown>

/** A call that came in, by the network or from this process. */
export interface IncomingCall {
  readonly service: string
  readonly method: string
  readonly args: readonly unknown[]
  /** Monotonic ms of this process. */
  readonly deadlineAt: number
  /** The last look at the clock before it is dispatched, if somebody has just looked. */
  readonly lookedAt?: number | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly caller: CallerIdentity
  /** Those of the connection. Without, only the limit of the service holds. */
  readonly places?: CallerPlaces | undefined
  readonly cast: boolean
  /** Of a call whose result is a stream: where its items go. It ends with the call. */
  readonly output?: ItemSink | undefined
}

/** What was read of a request's payload. */
export type ReadRequest = Pick<IncomingCall, 'args' | 'lookedAt'>

/** Takes the items of a stream, one after the other. */
export interface ItemSink {
  /** Nobody reads any more. */
  readonly isClosed: boolean
  /** `undefined` when an item may be sent now; else resolves when it is worth to ask again. */
  ready(): Promise<void> | undefined
  /** Throws an RpcError for an item that cannot travel. */
  send(item: unknown): void
}

export type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: RpcError }

/** Why a running call is stopped from outside. */
export type CancelReason = 'cancelled' | 'deadline' | 'caller-lost'

/** Runs incoming calls: admission, middleware, handler. */
export interface Dispatcher {
  /**
   * `settle` is called exactly once, possibly before `dispatch` returns, never with a throw. The returned function
   * aborts the call's signal; after it was called `settle` may still come and is ignored by the connection.
   * `undefined` means already settled.
   */
  dispatch(call: IncomingCall, settle: (outcome: Outcome) => void): ((reason: CancelReason) => void) | undefined
}
