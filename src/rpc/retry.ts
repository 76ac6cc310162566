/**
 * Passes over the instances of a service, again after a pause: while none takes the call (`unavailable`), and after other
 * failures when the executed rule allows it (`error`). One deadline covers all passes and pauses. A pause is the largest
 * `retryDelay` that still lets every pass happen before the deadline, so that a short timeout also gets its retries.
 */
import pRetry from 'p-retry'
import { type Clock, systemClock } from '../clock.js'
import { type CallErrorCode, isRpcError, RpcError } from '../errors.js'
import { AbortWatch } from './abort-watch.js'
import { AttemptHistory, mayTryAgain } from './attempt-history.js'
import type { CallRequest } from './call.js'
import type { RetryPolicy } from './call-options.js'
import type { CallPlan } from './call-plan.js'

/** Refusals that time may cure: an instance may come up, come back or get room. */
const CURABLE: ReadonlySet<CallErrorCode> = new Set([
  'NO_INSTANCES',
  'NOT_PROVIDED',
  'UNAVAILABLE',
  'DRAINING',
  'OVERLOADED',
  'UNREACHABLE',
])

/** A policy without end still spreads its pauses as if it had so many passes. */
const SPREAD_PASSES_MAX = 20

export interface RetrierOptions {
  /** One pass. */
  readonly pass: (plan: CallPlan) => Promise<unknown>
  readonly now: () => number
  /** Asked before a pass that burdens somebody again: false when the node has made enough of them. */
  readonly mayRetry: () => boolean
  /** Of the pauses. Default the system's. */
  readonly clock?: Clock | undefined
}

export class Retrier {
  readonly #pass: (plan: CallPlan) => Promise<unknown>
  readonly #now: () => number
  readonly #mayRetry: () => boolean
  readonly #clock: Clock
  readonly #pausing = new Set<Pause>()
  readonly #aborts = new AbortWatch<Pause>((pause) => pause.stop('CANCELLED', 'its caller cancelled it'))
  #closed = false

  constructor({ pass, now, mayRetry, clock = systemClock }: RetrierOptions) {
    this.#pass = pass
    this.#now = now
    this.#mayRetry = mayRetry
    this.#clock = clock
  }

  /** The first pass costs nothing beyond itself; only its failure brings in the retries. */
  run(plan: CallPlan, policy: RetryPolicy): Promise<unknown> {
    const pauseMs = this.#pauseMs(plan, policy)
    return this.#pass(plan).then(undefined, (error: unknown) => this.#again(error, { plan, policy, pauseMs }))
  }

  /** Calls in a pause reject with CLOSED at once; the rest end with their pass. */
  close(): void {
    this.#closed = true
    for (const pause of this.#pausing) pause.stop('CLOSED', 'its node was closed')
  }

  /** Calls that wait for their next pass. */
  pausing(): number {
    return this.#pausing.size
  }

  async #again(firstError: unknown, { plan, policy, pauseMs }: Retry): Promise<unknown> {
    const budget = { unavailable: policy.unavailable, error: policy.error }
    const allowed = (error: RpcError): boolean => {
      if (this.#closed || this.#now() + pauseMs >= plan.request.deadlineAt) return false
      const isAllowed = isUnavailable(error)
        ? budget.unavailable-- > 0
        : mayTryAgain(error, plan.idempotent) && budget.error-- > 0
      // Waiting for a first instance to come up burdens nobody.
      return isAllowed && (error.code === 'NO_INSTANCES' || this.#mayRetry())
    }
    if (!isRpcError(firstError) || !allowed(firstError)) throw firstError
    const history = new AttemptHistory()
    const pause = new Pause(plan.request)
    const pass = async (attempt: number): Promise<unknown> => {
      if (attempt === 1) throw firstError
      await pause.last(pauseMs, this.#clock)
      this.#leave(pause)
      return this.#pass(plan)
    }
    try {
      return await pRetry(pass, {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: 0, // its own pauses would take the system's time
        shouldRetry: ({ error, attemptNumber }) => {
          if (!isRpcError(error) || error === pause.stoppedBy) return false
          const again = attemptNumber === 1 || allowed(error)
          if (!again) return false
          history.addPass(error)
          this.#enter(pause)
          return true
        },
      })
    } catch (error) {
      if (!isRpcError(error)) throw error
      if (error !== pause.stoppedBy) history.addPass(error)
      throw history.conclude(error)
    } finally {
      this.#leave(pause)
    }
  }

  #enter(pause: Pause): void {
    this.#pausing.add(pause)
    const { signal } = pause.request
    if (signal === undefined) return
    if (signal.aborted) pause.stop('CANCELLED', 'its caller cancelled it')
    else this.#aborts.add(signal, pause)
  }

  #leave(pause: Pause): void {
    this.#pausing.delete(pause)
    const { signal } = pause.request
    if (signal !== undefined) this.#aborts.remove(signal, pause)
  }

  #pauseMs({ request }: CallPlan, { unavailable, error, delayMs }: RetryPolicy): number {
    const passes = Math.min(unavailable + error + 1, SPREAD_PASSES_MAX)
    return Math.max(1, Math.min(delayMs, (request.deadlineAt - this.#now()) / passes))
  }
}

interface Retry {
  readonly plan: CallPlan
  readonly policy: RetryPolicy
  readonly pauseMs: number
}

/** The time between two passes. Only then does it listen to the caller's signal: during a pass the pass does. */
class Pause {
  readonly request: CallRequest
  stoppedBy: RpcError | undefined
  #wake = (): void => {}

  constructor(request: CallRequest) {
    this.request = request
  }

  /** Rejects as soon as it is stopped. */
  async last(ms: number, clock: Clock): Promise<void> {
    if (this.stoppedBy === undefined) {
      const over = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const timer = clock.setTimeout(this.#wake, ms)
      await over
      clock.clearTimer(timer)
    }
    if (this.stoppedBy !== undefined) throw this.stoppedBy
  }

  stop(code: 'CANCELLED' | 'CLOSED', why: string): void {
    const { service, method, signal } = this.request
    this.stoppedBy = new RpcError(code, `${service}.${method} ended between two tries: ${why}`, {
      executed: 'no',
      cause: code === 'CANCELLED' ? signal?.reason : undefined,
    })
    this.#wake()
  }
}

/** Every instance refused, or could not be reached, and none has begun the work. */
function isUnavailable(error: RpcError): boolean {
  if (error.executed !== 'no' || !CURABLE.has(error.code)) return false
  return error.attempts.every((attempt) => attempt.executed === 'no' && CURABLE.has(attempt.code))
}
