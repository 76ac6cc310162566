/**
 * How much this node trusts itself (Lifeguard 3.1; memberlist awareness.go): 0 is healthy, each sign of being slow
 * adds to it, each answered probe takes one off. The probe interval is stretched by it.
 */

/** The score and what is scaled by it. */
export class LocalHealth {
  readonly #limit: number
  #score = 0

  /** The score stays in [0, max). */
  constructor(max: number) {
    this.#limit = max - 1
  }

  get score(): number {
    return this.#score
  }

  change(delta: number): void {
    this.#score = Math.min(this.#limit, Math.max(0, this.#score + delta))
  }

  scale(ms: number): number {
    return ms * (this.#score + 1)
  }
}
