/**
 * The options of the calling functions as users write them, and their checks. A wrong value is an INVALID_ARGUMENT that
 * names the value, the limit and the way out; nothing was sent then.
 */
import { RpcError } from '../errors.js'
import { namesOf, unknownName } from '../known-options.js'
import { TIMEOUT_MS_MAX } from './deadline.js'
import type { InstanceFacts, SelectionPolicy } from './directory.js'
import { describe, nameProblem } from './names.js'

export interface CallOptions {
  /**
   * Milliseconds for the whole call, all attempts and retry passes included; never more than what is left of the call
   * that this one is made from. `0` sends without waiting for a reply.
   */
  readonly timeout?: number | undefined
  /** Exactly these nodes, in this order. Default: the running instances, the local one first. */
  readonly nodes?: readonly string[] | undefined
  /** Gives the call up; the callee's own signal is aborted too. */
  readonly signal?: AbortSignal | undefined
  /** The work may be done twice without harm: a call whose execution is unknown may be tried again. */
  readonly idempotent?: boolean | undefined
  /** Only instances whose version is in this semver range, such as `^1.2.0`. */
  readonly version?: string | undefined
  /** Only instances that this accepts; looked at for each call. */
  readonly where?: ((instance: InstanceFacts) => boolean) | undefined
  /** In which order the instances are tried. Default the service's, or `random`; `key` when a key is given. */
  readonly policy?: SelectionPolicy | undefined
  /** Calls with the same key go to the same instance as long as it runs, from every node. */
  readonly key?: string | undefined
  /** Try the instance of this process first. Default true, but not with a key. */
  readonly localFirst?: boolean | undefined
  /** Call an instance of this process over the network too: for tests. */
  readonly forceRemote?: boolean | undefined
  /**
   * Milliseconds after which an unanswered call is made at the next instance as well; the first answer counts and the
   * other call is cancelled. For idempotent methods only.
   */
  readonly hedge?: number | undefined
  /** Strings for the handler, on top of those of the call that this one is made from. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface RetryOptions {
  /** Further passes over the instances: when all refused (default 5), and after other failures (default 0). */
  readonly retries?: { readonly unavailable?: number | undefined; readonly error?: number | undefined } | undefined
  /** Longest pause between two passes in ms, default 1,000. A timeout too short for all passes shortens the pauses. */
  readonly retryDelay?: number | undefined
}

/** Of `callCb`: `retry` makes it what `remote` is, with the timeout of `callCb`. */
export interface CallCbOptions extends CallOptions {
  readonly retry?: boolean | RetryOptions | undefined
}

/** Of `call`: `service` names the service whose nodes are tried when `nodes` is absent. */
export interface ModuleCallOptions extends CallOptions {
  readonly service?: string | undefined
}

/** Of `remote` and of stubs. */
export interface RemoteOptions extends CallOptions, RetryOptions {}

/** Of stubs, and with `retry` as in `callCb` of `streamCb`. */
export interface StreamOptions extends RemoteOptions {
  /**
   * Milliseconds for the whole stream, default 30,000; `Infinity` for one that only its reader or its handler ends. It
   * holds also while nobody reads.
   */
  readonly timeout?: number | undefined
  /** Milliseconds that the reader waits for one item. Default no limit but that of the whole. */
  readonly itemTimeout?: number | undefined
}

export interface StubOptions extends StreamOptions {
  /**
   * The only methods there are; a call while no instance is available then fails at once instead of being retried,
   * unless `retries` says otherwise.
   */
  readonly declare?: readonly string[] | undefined
}

/** Of `streamCb`. */
export interface StreamCbOptions extends CallCbOptions, Pick<StreamOptions, 'timeout' | 'itemTimeout'> {}

/** The `itemTimeout` option in ms. Throws INVALID_ARGUMENT. */
export function checkItemTimeout(itemTimeout: unknown): number | undefined {
  if (itemTimeout === undefined || itemTimeout === Number.POSITIVE_INFINITY) return undefined
  if (typeof itemTimeout === 'number' && itemTimeout > 0 && itemTimeout <= TIMEOUT_MS_MAX) return itemTimeout
  throw invalidArgument(
    `itemTimeout must be a number of milliseconds above 0 and at most ${TIMEOUT_MS_MAX}, got ${describe(itemTimeout)}; leave it out for none`,
  )
}

/** Retries as numbers, checked. */
export interface RetryPolicy {
  readonly unavailable: number
  readonly error: number
  readonly delayMs: number
}

const RETRIES = namesOf<NonNullable<RetryOptions['retries']>>({ unavailable: true, error: true })

export const NO_RETRY: RetryPolicy = { unavailable: 0, error: 0, delayMs: 1_000 }

export function invalidArgument(message: string): RpcError {
  return new RpcError('INVALID_ARGUMENT', message, { executed: 'no' })
}

export function checkName(what: string, name: unknown, service?: string): string {
  const problem = nameProblem(name)
  if (problem === undefined) return name as string
  throw invalidArgument(`the name of the ${what}${service === undefined ? '' : ` of '${service}'`} ${problem}`)
}

export function checkArgs(args: unknown): readonly unknown[] {
  if (Array.isArray(args)) return args
  throw invalidArgument(
    `args must be an array, got ${describe(args)}; pass [] for none, or wrap a single one as [value]`,
  )
}

/** Each once: nobody is called twice for being named twice. */
export function checkNodes(nodes: unknown): readonly string[] | undefined {
  if (nodes === undefined) return undefined
  if (!Array.isArray(nodes)) {
    throw invalidArgument(`nodes must be an array of node names, got ${describe(nodes)}; wrap a single one as [name]`)
  }
  for (const node of nodes) checkName("node in 'nodes'", node)
  return nodes.length < 2 ? nodes : [...new Set<string>(nodes)]
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined
  const given = signal as AbortSignal | null
  if (typeof given?.aborted === 'boolean' && typeof given.addEventListener === 'function') return given
  throw invalidArgument(`signal must be an AbortSignal, got ${describe(signal)}; pass controller.signal`)
}

/** Throws INVALID_ARGUMENT. */
export function resolveRetry(options: RetryOptions): RetryPolicy {
  checkTable('retry', options, '{ retries: { unavailable: 3 } }')
  const { retries, retryDelay } = options
  if (retries !== undefined) checkRetries(retries)
  const delayMs = retryDelay ?? 1_000
  if (typeof delayMs !== 'number' || !(delayMs >= 1 && delayMs <= TIMEOUT_MS_MAX)) {
    throw invalidArgument(
      `retryDelay must be a number of milliseconds from 1 to ${TIMEOUT_MS_MAX}, got ${describe(retryDelay)}`,
    )
  }
  return {
    unavailable: resolveCount('retries.unavailable', retries?.unavailable, 5),
    error: resolveCount('retries.error', retries?.error, 0),
    delayMs,
  }
}

function checkRetries(retries: NonNullable<RetryOptions['retries']>): void {
  checkTable('retries', retries, '{ unavailable: 3 } or { error: 3 }')
  const unknown = unknownName(retries, RETRIES)
  if (unknown !== undefined) throw invalidArgument(`'${unknown}' is not in 'retries'; there are unavailable, error`)
}

function checkTable(what: string, value: unknown, example: string): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  throw invalidArgument(`${what} must be an object such as ${example}, got ${describe(value)}`)
}

function resolveCount(what: string, value: unknown, defaultCount: number): number {
  if (value === undefined) return defaultCount
  if (typeof value === 'number' && value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY)) {
    return value
  }
  throw invalidArgument(
    `${what} must be an integer of 0 or above, got ${describe(value)}; pass 0 for none, Infinity to go on until the deadline`,
  )
}
