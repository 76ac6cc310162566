/**
 * How many bytes of the network may be kept at once: a bound of its own, and that of the whole node above it. Knows
 * nothing of what is kept.
 */

/** The part of a bound that spares may take is one of so many. */
const SPARE_SHARE = 4

export class ByteBudget {
  readonly #bytesMax: number
  readonly #parent: ByteBudget | undefined
  #taken = 0

  constructor(bytesMax: number, parent?: ByteBudget) {
    this.#bytesMax = bytesMax
    this.#parent = parent
  }

  get taken(): number {
    return this.#taken
  }

  /** False, with nothing taken, when that would be too much. */
  tryTake(bytes: number): boolean {
    if (this.#taken + bytes > this.#bytesMax) return false
    if (this.#parent?.tryTake(bytes) === false) return false
    this.#taken += bytes
    return true
  }

  /** As `tryTake`, for what could be done without: leaves most of the bound to others. */
  tryTakeSpare(bytes: number): boolean {
    for (let budget: ByteBudget | undefined = this; budget !== undefined; budget = budget.#parent)
      if ((budget.#taken + bytes) * SPARE_SHARE > budget.#bytesMax) return false
    return this.tryTake(bytes)
  }

  give(bytes: number): void {
    this.#taken -= bytes
    this.#parent?.give(bytes)
  }
}
