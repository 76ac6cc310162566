/** How often what happened: a fuzz run that never met a class of faults has shown nothing about it. */

export class Tally {
  readonly #counts: Map<string, number>

  constructor(counts: Readonly<Record<string, number>> = {}) {
    this.#counts = new Map(Object.entries(counts))
  }

  count(what: string, times = 1): void {
    this.#counts.set(what, this.of(what) + times)
  }

  /** Keeps the highest. */
  raise(what: string, value: number): void {
    if (value > this.of(what)) this.#counts.set(what, value)
  }

  of(what: string): number {
    return this.#counts.get(what) ?? 0
  }

  /** Counts that began with `most` are compared, others added. */
  merge(other: Readonly<Record<string, number>>): void {
    for (const [what, value] of Object.entries(other)) {
      if (what.startsWith('most')) this.raise(what, value)
      else this.count(what, value)
    }
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}
