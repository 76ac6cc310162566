/**
 * When the checks of a service change its status: so many failures in a row make it fail, so many successes bring it
 * back. A single result decides nothing by default. Pure; who runs the checks, and when, is decided elsewhere.
 */
import { ShoalError } from '../errors.js'
import { checkOptionTable, namesOf } from '../known-options.js'

/** Tells whether the service works: `false`, a throw, a rejection or no end within the limit is a failure. */
export type HealthCheckFunction = (options: { readonly signal: AbortSignal }) => unknown

export interface HealthCheckOptions {
  readonly check: HealthCheckFunction
  /** Milliseconds from one check to the next. Default 10,000. */
  readonly interval?: number
  /** Milliseconds that a check may take, at most. Default 5,000, or the interval where that is shorter. */
  readonly timeout?: number
  /** Failures in a row that make the service `failed`. Default 3. */
  readonly failures?: number
  /** Successes in a row that make a failed service run again. Default 1. */
  readonly successes?: number
  /** Milliseconds from the start of the service to its first check. Default 1,000. */
  readonly delay?: number
}

export type ResolvedHealthCheck = Required<HealthCheckOptions>

const NAMES = namesOf<HealthCheckOptions>({
  check: true,
  interval: true,
  timeout: true,
  failures: true,
  successes: true,
  delay: true,
})
const TIMER_MS_MAX = 0x7fff_ffff

/** Completes and checks the options. Throws INVALID_ARGUMENT that names the field. */
export function resolveHealthCheck(given: HealthCheckFunction | HealthCheckOptions): ResolvedHealthCheck {
  const options: Partial<HealthCheckOptions> = typeof given === 'function' ? { check: given } : given
  checkOptionTable(options, { what: 'option of healthCheck', names: NAMES, code: 'INVALID_ARGUMENT' })
  const { check, interval = 10_000, failures = 3, successes = 1, delay = 1_000 } = options
  if (typeof check !== 'function') throw invalid(`healthCheck must be a function, or an object with one as 'check'`)
  const resolved = {
    check,
    interval,
    timeout: options.timeout ?? Math.min(5_000, interval),
    failures,
    successes,
    delay,
  }
  for (const name of ['interval', 'timeout', 'failures', 'successes'] as const) assertCount(name, resolved[name], 1)
  assertCount('delay', delay, 0)
  return resolved
}

/** Counts results in a row. */
export class HealthTracker {
  readonly #failures: number
  readonly #successes: number
  #inRow = 0
  #isHealthy = true

  constructor({ failures, successes }: Pick<ResolvedHealthCheck, 'failures' | 'successes'>) {
    this.#failures = failures
    this.#successes = successes
  }

  get isHealthy(): boolean {
    return this.#isHealthy
  }

  /** The new verdict when this result changes it. */
  take(passed: boolean): 'healthy' | 'unhealthy' | undefined {
    if (passed === this.#isHealthy) {
      this.#inRow = 0
      return undefined
    }
    this.#inRow++
    if (this.#inRow < (passed ? this.#successes : this.#failures)) return undefined
    this.#inRow = 0
    this.#isHealthy = passed
    return passed ? 'healthy' : 'unhealthy'
  }
}

function assertCount(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= TIMER_MS_MAX) return
  throw invalid(`healthCheck.${name} is ${String(value)}, it must be a whole number from ${least} to ${TIMER_MS_MAX}`)
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message)
}
