/** What a node provides, how its calls are handled, and the counts of it. */
import type { RpcError, ShoalError } from '../errors.js'
import type { ActiveCall } from './active-call.js'
import type { Authorize } from './authorization.js'
import type { Middleware } from './middleware.js'
import type { MethodSchemas } from './schema-check.js'

/** Whether a service takes calls now. */
export type Admission = 'running' | 'draining' | 'unavailable'

export interface Provided {
  /** The implementation: an object with functions, or an instance of a class. Handlers get it as `this`. */
  readonly methods: object
  /** Asked for each call. */
  readonly admission: () => Admission
  /** Why it is not running, for the caller's error message. */
  readonly reason?: (() => string | undefined) | undefined
  readonly use?: readonly Middleware[] | undefined
  /**
   * Calls that may run at once; more are refused as OVERLOADED, and of the last eighth those of a connection that has its
   * part of them. Default 10,000.
   */
  readonly maxInFlight?: number | undefined
  /** Only these methods can be called, as a contract says. Default: every function of the implementation. */
  readonly only?: readonly string[] | undefined
  /** Of the methods, those that answer with a stream, as a contract says. Default: the async generator functions. */
  readonly streams?: readonly string[] | undefined
  /** What the arguments and results of methods have to conform to; of streams, their items. */
  readonly schemas?: ReadonlyMap<string, MethodSchemas> | undefined
}

export interface HandlersOptions {
  /** Name of this node, for error messages. */
  readonly node: string
  readonly now: () => number
  /** Makes the call known to the code that serves it. */
  readonly runInCall: <T>(call: ActiveCall, work: () => T) => T
  /** Send the stack of a thrown error to the caller. Default false: it shows paths of this machine. */
  readonly exposeStacks?: boolean | undefined
  /** Around every incoming call, outside the layers of its service. */
  readonly use?: readonly Middleware[] | undefined
  /** Asked for each admitted call before anything of it runs. */
  readonly authorize?: Authorize | undefined
  /** Told when `authorize` itself failed. */
  readonly onAuthorizeFailed?: ((error: ShoalError) => void) | undefined
  /** Told when the handler of a cast fails, since no caller waits for it. */
  readonly onCastFailed?: ((error: RpcError) => void) | undefined
  /** Told when a result does not conform to its schema: whoever called, the fault is here. */
  readonly onResultRefused?: ((error: RpcError) => void) | undefined
}

export interface HandlersStats {
  /** Calls whose handler has not answered, cancelled ones included. */
  readonly inFlight: number
  readonly inFlightByService: Readonly<Record<string, number>>
  /** Of those in flight: calls that were cancelled and still run. */
  readonly cancelledRunning: number
  /** Calls that were cancelled and ran on to a result: their handlers do not heed `signal`. */
  readonly ignoredCancel: number
  readonly served: number
  readonly refused: number
  /** Of the refused: by `authorize`. */
  readonly unauthorized: number
  /** Of those: since the hook threw, rejected, or gave no verdict. */
  readonly authorizeFailed: number
}
