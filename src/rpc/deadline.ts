/**
 * How long a call may take. One budget covers all attempts of a call, and a nested call never gets more than its parent
 * has left. Instants are monotonic ms of this process; only what remains is ever sent.
 */
import { RpcError } from '../errors.js'
import { describe } from './names.js'

/** Of `callCb`, `callCbAll` and `call`; also what a cast carries. */
export const CALL_TIMEOUT_MS = 30_000
/** Of `remote` and stubs. */
export const REMOTE_TIMEOUT_MS = 15_000
/** The longest delay that a timer can take. */
export const TIMEOUT_MS_MAX = 2_147_483_647

/** The `timeout` option in ms, or its default; a stream may take `Infinity`. Throws INVALID_ARGUMENT. */
export function resolveTimeout(timeout: unknown, defaultMs: number, isStream = false): number {
  if (timeout === undefined) return defaultMs
  if (isStream && timeout === Number.POSITIVE_INFINITY) return TIMEOUT_MS_MAX
  if (typeof timeout === 'number' && timeout >= 0 && timeout <= TIMEOUT_MS_MAX) return timeout
  throw new RpcError(
    'INVALID_ARGUMENT',
    `timeout must be a number of milliseconds from 0 to ${TIMEOUT_MS_MAX}, got ${describe(timeout)}; ` +
      `leave it out for ${defaultMs} ms, or pass 0 to send without waiting for the reply`,
    { executed: 'no' },
  )
}

/** When a call must be over: by its own timeout, and never later than the call it is made from. */
export function deadlineFor(now: number, timeoutMs: number, inheritedDeadlineAt: number | undefined): number {
  const own = now + timeoutMs
  return inheritedDeadlineAt !== undefined && inheritedDeadlineAt < own ? inheritedDeadlineAt : own
}

/** What is left of a deadline, never below zero. */
export function remainingMs(deadlineAt: number, now: number): number {
  return deadlineAt > now ? deadlineAt - now : 0
}
