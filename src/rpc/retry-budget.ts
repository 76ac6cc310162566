/**
 * How many tries beyond the first a node may make, so that retries cannot make an outage worse: each call earns a tenth
 * of one, time earns a few a second, and what is earned is kept up to a limit. Pure arithmetic on `now`.
 */

const EARNED_PER_CALL = 0.1
const EARNED_PER_SECOND = 10
const KEPT_MAX = 100

export class RetryBudget {
  #tokens = KEPT_MAX
  #filledAt: number
  #denied = 0

  constructor(now: number) {
    this.#filledAt = now
  }

  /** Retries that were not made. */
  get denied(): number {
    return this.#denied
  }

  noteCall(): void {
    this.#tokens = Math.min(KEPT_MAX, this.#tokens + EARNED_PER_CALL)
  }

  /** False when nothing is left: then the call has to fail with what it has. */
  tryTake(now: number): boolean {
    this.#tokens = Math.min(KEPT_MAX, this.#tokens + ((now - this.#filledAt) * EARNED_PER_SECOND) / 1_000)
    this.#filledAt = now
    if (this.#tokens < 1) {
      this.#denied++
      return false
    }
    this.#tokens--
    return true
  }
}
