/**
 * What is known of names that are in no table: the incarnation at which they ended. Told by others' lists of the dead,
 * or kept when a member is forgotten, so that an old `alive` does not raise anybody. Never passed on: a name that all
 * have forgotten must not wander between them. Bounded; the oldest gives way.
 */

const TOMBSTONES_MAX = 4_096

interface Tombstone {
  readonly incarnation: number
  readonly at: number
}

export class Tombstones {
  readonly #keptMs: number
  /** In the order in which they were set, which is that of their age. */
  readonly #byName = new Map<string, Tombstone>()

  constructor(keptMs: number) {
    this.#keptMs = keptMs
  }

  get size(): number {
    return this.#byName.size
  }

  /** This name ended at this incarnation, or a later one that is known already. */
  set(name: string, incarnation: number, now: number): void {
    const known = this.#byName.get(name)?.incarnation ?? -1
    if (incarnation <= known) return
    this.#byName.delete(name)
    this.#byName.set(name, { incarnation, at: now })
    if (this.#byName.size <= TOMBSTONES_MAX) return
    for (const oldest of this.#byName.keys()) {
      this.#byName.delete(oldest)
      return
    }
  }

  /** The incarnation that a record of this name must exceed; undefined when nothing is known. */
  get(name: string): number | undefined {
    return this.#byName.get(name)?.incarnation
  }

  delete(name: string): void {
    this.#byName.delete(name)
  }

  /** Drops what is too old to be contradicted by anybody. */
  sweep(now: number): void {
    for (const [name, { at }] of this.#byName) {
      if (now - at < this.#keptMs) return
      this.#byName.delete(name)
    }
  }
}
