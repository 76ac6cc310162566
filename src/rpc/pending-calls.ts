/**
 * The calls in flight on one connection: ids, look-up of a reply's call, deadlines by a sweep instead of timers. Knows
 * nothing of frames. Ids only go up (modulo 2^32), so they also tell which of two requests was sent first, and a late
 * reply finds a slot whose call has another id.
 */

export interface Pending {
  /** Given by `add`; 0 means none. */
  id: number
  /** Monotonic ms. */
  readonly deadlineAt: number
}

const SLOTS_MIN = 64

/** True when `id` was given after `other`, as long as both are of the last 2^31 calls. */
export function isLaterId(id: number, other: number): boolean {
  return ((id - other) | 0) > 0
}

export class PendingCalls<T extends Pending> {
  readonly #sizeMax: number
  #slots: (T | undefined)[] = new Array<T | undefined>(SLOTS_MIN).fill(undefined)
  #nextId = 1
  #size = 0
  /** No pending deadline is earlier; may be too early after a call was taken. */
  #earliestAt = Number.POSITIVE_INFINITY

  constructor(sizeMax: number, firstId = 1) {
    this.#sizeMax = sizeMax
    this.#nextId = firstId
  }

  get size(): number {
    return this.#size
  }

  /** No pending call has to end earlier, and `Infinity` without any; it may be too early. */
  nextDeadlineAt(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : Math.min(this.#earliestAt, Number.MAX_VALUE)
  }

  isFull(): boolean {
    return this.#size >= this.#sizeMax
  }

  /** Gives the call its id. The caller has asked `isFull`. */
  add(call: T): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    const mask = this.#slots.length - 1
    let id = this.#nextId
    while (id === 0 || this.#slots[id & mask] !== undefined) id = (id + 1) >>> 0
    this.#nextId = (id + 1) >>> 0
    call.id = id
    this.#slots[id & mask] = call
    this.#size++
    if (call.deadlineAt < this.#earliestAt) this.#earliestAt = call.deadlineAt
  }

  /** The call with this id, if it is not over. */
  get(id: number): T | undefined {
    const call = this.#slots[id & (this.#slots.length - 1)]
    return call?.id === id ? call : undefined
  }

  /** Removes and returns the call with this id, `undefined` when it is over already or never was. */
  take(id: number): T | undefined {
    const slot = id & (this.#slots.length - 1)
    const call = this.#slots[slot]
    if (call === undefined || call.id !== id) return undefined
    this.#slots[slot] = undefined
    this.#size--
    return call
  }

  /** Removes and returns the calls whose deadline is over, earliest id first or not. */
  sweep(now: number): T[] {
    if (now < this.#earliestAt) return []
    let earliestAt = Number.POSITIVE_INFINITY
    const expired: T[] = []
    for (const call of this.#slots) {
      if (call === undefined) continue
      if (call.deadlineAt <= now) expired.push(call)
      else if (call.deadlineAt < earliestAt) earliestAt = call.deadlineAt
    }
    this.#earliestAt = earliestAt
    for (const call of expired) this.take(call.id)
    return expired
  }

  /** Removes and returns all that match. */
  takeAll(matches: (call: T) => boolean): T[] {
    const taken = this.#slots.filter((call) => call !== undefined && matches(call)) as T[]
    for (const call of taken) this.take(call.id)
    return taken
  }

  #grow(): void {
    const size = this.#slots.length * 2
    const slots = new Array<T | undefined>(size).fill(undefined)
    // Ids that differed in fewer low bits differ in more of them too: no two calls meet.
    for (const call of this.#slots) if (call !== undefined) slots[call.id & (size - 1)] = call
    this.#slots = slots
  }
}
