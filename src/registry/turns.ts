/** Whose turn it is, per service: a count that goes up with each call. One count for all would favour some by accident. */

/** Services remembered; past so many all begin anew. */
const SERVICES_MAX = 16_384

export class Turns {
  readonly #counts = new Map<string, number>()

  next(service: string): number {
    const turn = this.#counts.get(service) ?? 0
    if (turn === 0 && this.#counts.size >= SERVICES_MAX) this.#counts.clear()
    this.#counts.set(service, (turn + 1) % Number.MAX_SAFE_INTEGER)
    return turn
  }
}
