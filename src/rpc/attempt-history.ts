/**
 * What a call has tried so far, and what may follow from it. The rule is one: 'no' may be tried again, 'maybe' only when
 * the method is idempotent, 'yes' never. Used between instances (failover) and between passes (retry) alike.
 */
import { type CallErrorCode, type Executed, type FailedAttempt, isRpcError, RpcError } from '../errors.js'

/** Enough for any pass over a service; a retry that goes on for hours keeps the newest. */
const ATTEMPTS_MAX = 128

/** Failures that every other instance would repeat: the caller's own doing, or the end of this node. */
const FINAL: ReadonlySet<CallErrorCode> = new Set(['INVALID_ARGUMENT', 'TOO_LARGE', 'CANCELLED', 'CLOSED'])

/** Whether the work may be tried again after this failure, here or elsewhere. */
export function mayTryAgain(error: RpcError, idempotent: boolean): boolean {
  if (FINAL.has(error.code)) return false
  return error.executed === 'no' || (error.executed === 'maybe' && idempotent)
}

export class AttemptHistory {
  readonly #attempts: FailedAttempt[] = []
  #executed: Executed = 'no'

  /** Takes in the failure of a try on one node. What is no RpcError is a bug of ours and is thrown on. */
  addAttempt(node: string, error: unknown): RpcError {
    if (!isRpcError(error)) throw error
    this.#add({ node, code: error.code, executed: error.executed, message: error.message })
    return error
  }

  /** Takes in the failure of a whole pass. */
  addPass(error: RpcError): void {
    this.#executed = worseOf(this.#executed, error.executed)
    for (const attempt of error.attempts) this.#add(attempt)
    if (error.attempts.length === 0 && error.node !== undefined) this.addAttempt(error.node, error)
  }

  /** The failure of the call as a whole: that of the last try, with all tries and the worst that is known of them. */
  conclude(last: RpcError): RpcError {
    return new RpcError(last.code, last.message, {
      executed: worseOf(this.#executed, last.executed),
      node: last.node,
      attempts: this.#attempts,
      remote: last.remote,
      cause: last.cause,
    })
  }

  #add(attempt: FailedAttempt): void {
    if (this.#attempts.length >= ATTEMPTS_MAX) this.#attempts.shift()
    this.#attempts.push(attempt)
    this.#executed = worseOf(this.#executed, attempt.executed)
  }
}

function worseOf(a: Executed, b: Executed): Executed {
  if (a === 'yes' || b === 'yes') return 'yes'
  return a === 'maybe' || b === 'maybe' ? 'maybe' : 'no'
}
