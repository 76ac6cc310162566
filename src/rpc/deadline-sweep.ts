/**
 * One timer for the deadlines of all local calls. It is armed for the earliest deadline that was waiting when it was
 * set and then looks through all; a call that settles in time costs no timer. Deadlines that lie close together share a
 * sweep, so one is met at most a few ms late and never early; of many that end at once a few do on each turn. Does not
 * know what expires.
 */
import { type Clock, systemClock, type Timer } from '../clock.js'

const SWEEP_GAP_MS = 5
/** Without a break: each sets off what its handler does then. */
const EXPIRED_AT_ONCE = 16
const DELAY_MS_MAX = 2_147_483_647

/** Something that ends at `deadlineAt` unless it was removed before. */
export interface Expiring {
  readonly deadlineAt: number
  expire(): void
}

export class DeadlineSweep<T extends Expiring> {
  readonly #now: () => number
  readonly #clock: Clock
  readonly #waiting = new Set<T>()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(now: () => number, clock: Clock = systemClock) {
    this.#now = now
    this.#clock = clock
  }

  add(item: T): void {
    this.#waiting.add(item)
    if (item.deadlineAt < this.#timerAt) this.#arm(item.deadlineAt)
    else if (this.#waiting.size === 1) this.#timer?.ref()
  }

  remove(item: T): void {
    // The timer may stay armed for what has gone, but alone it must not keep the process alive.
    if (this.#waiting.delete(item) && this.#waiting.size === 0) this.#timer?.unref()
  }

  size(): number {
    return this.#waiting.size
  }

  /** Stops the timer and hands back what still waited; nothing expires any more. */
  stop(): T[] {
    this.#disarm()
    const left = [...this.#waiting]
    this.#waiting.clear()
    return left
  }

  #arm(at: number): void {
    this.#disarm()
    this.#timerAt = at
    const delay = Math.ceil(at - this.#now())
    this.#timer = this.#clock.setTimeout(() => this.#sweep(), Math.min(Math.max(delay, 0), DELAY_MS_MAX))
  }

  #disarm(): void {
    this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #sweep(): void {
    this.#disarm()
    const now = this.#now()
    const over: T[] = []
    let next = Number.POSITIVE_INFINITY
    for (const item of this.#waiting) {
      if (item.deadlineAt <= now) over.push(item)
      else if (item.deadlineAt < next) next = item.deadlineAt
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(Math.max(next, now + SWEEP_GAP_MS))
    this.#expire(over)
  }

  #expire(over: T[]): void {
    for (const item of over.splice(0, EXPIRED_AT_ONCE)) {
      if (!this.#waiting.has(item)) continue
      this.remove(item)
      item.expire()
    }
    if (over.length > 0) this.#clock.setImmediate(() => this.#expire(over))
  }
}
