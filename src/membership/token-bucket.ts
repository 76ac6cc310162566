/** How much of something there may be: a steady rate and a store for bursts. Pure arithmetic on `now`. */

export interface TokenRate {
  readonly perSecond: number
  /** The most that can be saved up; the bucket begins full. */
  readonly burst: number
}

export class TokenBucket {
  readonly #rate: TokenRate
  #tokens: number
  #filledAt: number

  constructor(rate: TokenRate, now: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#filledAt = now
  }

  /** Takes one token if there is one. */
  tryTake(now: number): boolean {
    const { perSecond, burst } = this.#rate
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) * perSecond) / 1_000)
    this.#filledAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
