/** The options of a node's own functions, with a check of their names. Values are checked by whoever uses them. */
import { checkOptionTable, namesOf } from '../known-options.js'
import type { PingOptions } from '../membership/index.js'

export interface WaitForServicesOptions {
  /** Milliseconds for the whole list. Default 10,000. */
  readonly timeout?: number
  /** Malla's form of the same: so many seconds. */
  readonly retries?: number
  /** Instances wanted of each. Default 1. */
  readonly min?: number
  readonly signal?: AbortSignal
}

export interface LeaveOptions {
  /** How long running calls may take to finish, in ms. Default 5,000. */
  readonly drain?: number
}

export interface CloseOnSignalOptions extends LeaveOptions {
  /** When everything is closed, end the process by the signal, as if nobody had caught it. Default true. */
  readonly exit?: boolean
}

export interface WatchOptions {
  readonly signal?: AbortSignal
}

/** Of a registration's `drain`, `deactivate` and `stop`. */
export interface TimeoutOptions {
  readonly timeout?: number
}

type Owner = 'waitForServices' | 'leave' | 'closeOnSignal' | 'watch' | 'ping' | 'drain' | 'deactivate' | 'stop'

const TIMEOUT = namesOf<TimeoutOptions>({ timeout: true })
const NAMES: Readonly<Record<Owner, ReadonlySet<string>>> = {
  waitForServices: namesOf<WaitForServicesOptions>({ timeout: true, retries: true, min: true, signal: true }),
  leave: namesOf<LeaveOptions>({ drain: true }),
  closeOnSignal: namesOf<CloseOnSignalOptions>({ drain: true, exit: true }),
  watch: namesOf<WatchOptions>({ signal: true }),
  ping: namesOf<PingOptions>({ timeout: true }),
  drain: TIMEOUT,
  deactivate: TIMEOUT,
  stop: TIMEOUT,
}

/** The options as they are. Throws INVALID_ARGUMENT for what is no object, or has a name in it that nobody reads. */
export function checkNames<Options>(of: Owner, options: Options): Options {
  checkOptionTable(options, { what: `option of ${of}`, names: NAMES[of], code: 'INVALID_ARGUMENT' })
  return options
}
