/**
 * Checks one service now and again while it is started, and says when the verdict changes. A check that hangs counts as
 * failed at its limit; the next one starts all the same, but never more than a few are left hanging.
 */
import type { Clock, Timer } from '../clock.js'
import { HealthTracker, type ResolvedHealthCheck } from '../registry/index.js'
import { asError } from './emitter.js'
import { runHook } from './hook.js'

export interface HealthProbeParts {
  readonly service: string
  readonly clock: Clock
  readonly options: ResolvedHealthCheck
  readonly onVerdict: (verdict: 'healthy' | 'unhealthy', why: string | undefined) => void
}

/** Checks left hanging at once; further ones count as failed without being started. */
const HANGING_MAX = 4

export class HealthProbe {
  readonly #parts: HealthProbeParts
  #tracker: HealthTracker
  #timer: Timer | undefined
  #hanging = 0
  /** Aborted at the end of a life: what its checks bring comes too late, and nobody waits for them. */
  #life = new AbortController()

  constructor(parts: HealthProbeParts) {
    this.#parts = parts
    this.#tracker = new HealthTracker(parts.options)
  }

  get isOn(): boolean {
    return this.#timer !== undefined
  }

  /** Begins with a clean slate; the first check comes after the delay. */
  start(): void {
    this.stop()
    this.#life = new AbortController()
    this.#tracker = new HealthTracker(this.#parts.options)
    this.#schedule(this.#parts.options.delay)
  }

  stop(): void {
    this.#life.abort()
    this.#parts.clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#parts.clock.setTimeout(() => {
      this.#schedule(this.#parts.options.interval)
      void this.#checkOnce(this.#life.signal)
    }, delayMs)
  }

  async #checkOnce(life: AbortSignal): Promise<void> {
    const why = this.#hanging >= HANGING_MAX ? `${this.#hanging} earlier checks still hang` : await this.#run(life)
    if (life.aborted) return
    const verdict = this.#tracker.take(why === undefined)
    if (verdict !== undefined) this.#parts.onVerdict(verdict, why)
  }

  /** Why the check failed; undefined when it passed. */
  async #run(signal: AbortSignal): Promise<string | undefined> {
    const { service, options, clock } = this.#parts
    this.#hanging++
    const check = async (hook: { readonly signal: AbortSignal }): Promise<unknown> => {
      try {
        return await options.check(hook)
      } finally {
        this.#hanging--
      }
    }
    try {
      const what = `the health check of '${service}'`
      const result = await runHook({ hook: check, what, timeoutMs: options.timeout, clock, signal })
      return result === false ? 'the health check said false' : undefined
    } catch (error) {
      return asError(error).message
    }
  }
}
