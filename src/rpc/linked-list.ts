/**
 * A set in the order of insertion, for what comes and goes by the thousand. In a `Set` or a `Map` that has lived for a
 * while, what was deleted is kept until the next full collection: each table that it has outgrown holds on to the next.
 */

/** Where a value stands: for its removal. */
export interface Place<T> {
  readonly value: T
  /** Both `undefined` once it was removed, so that nothing hangs on to what has gone. */
  before: Place<T> | undefined
  after: Place<T> | undefined
}

export class LinkedList<T> {
  #first: Place<T> | undefined
  #last: Place<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): Place<T> | undefined {
    return this.#first
  }

  /** At the end. */
  add(value: T): Place<T> {
    const place: Place<T> = { value, before: this.#last, after: undefined }
    if (this.#last === undefined) this.#first = place
    else this.#last.after = place
    this.#last = place
    this.#size++
    return place
  }

  /** False when it has gone already. */
  remove(place: Place<T>): boolean {
    const { before, after } = place
    if (before === undefined && this.#first !== place) return false
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    place.before = undefined
    place.after = undefined
    this.#size--
    return true
  }

  /** The place just given may be removed meanwhile, and no other. */
  *[Symbol.iterator](): IterableIterator<Place<T>> {
    let place = this.#first
    while (place !== undefined) {
      const { after } = place
      yield place
      place = after
    }
  }
}
