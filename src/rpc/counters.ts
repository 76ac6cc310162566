/** Counts by reason, for `inspect()`. The reasons are literals of the code, so their number is bounded. */

/** One number per reason. */
export class Counters {
  readonly #counts = new Map<string, number>()

  add(reason: string): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1)
  }

  get(reason: string): number {
    return this.#counts.get(reason) ?? 0
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }
}
