/**
 * When the connections of one side are looked at, and how much time counts against the other side. After a stall of this
 * process expired timers run before the sockets are read: so a sweep that comes late first lets the loop read, until a
 * turn was quick, and what the stall took is no time in which a peer could have been heard.
 */
import type { Clock, Timer } from '../clock.js'

/** A turn that took longer was a stall. */
const STALL_MS = 50
/** A process that always stalls has to judge all the same. */
const TURNS_MAX = 16

export interface SweeperOptions {
  /** Between sweeps while something is due before the next of the others: the precision of what is due. */
  readonly soonMs: number
  /**
   * Between sweeps while something is waited for. Each timer costs more than its callback: the system sets its own clock
   * anew for it, again and again until it is over.
   */
  readonly everyMs: number
  /** Between sweeps at rest: what only ages is looked at seldom, however many connections there are. */
  readonly restMs: number
  readonly clock: Clock
  /**
   * Gives the instant by which something has to be looked at again: `Infinity` when nothing is waited for, `undefined` when
   * there is nothing to look at.
   */
  readonly sweep: () => number | undefined
}

export class Sweeper {
  readonly #options: SweeperOptions
  /** Between the sweeps to come; 0 while there are none. */
  #intervalMs = 0
  #timer: Timer | undefined
  /** When this process will be seen at work, if it does not stall; `undefined` at rest. */
  #seenBy: number | undefined
  #stalledMs = 0
  #turns = 0
  #isDue = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  /** Something waits, and has to be looked at by this instant; default as soon as may be. */
  start(at = 0): void {
    const { soonMs, everyMs, clock } = this.#options
    if (this.#intervalMs === soonMs) return
    // One that is overdue comes by itself, when the sockets were read, and sees what was a stall.
    if (this.#intervalMs === everyMs && Math.max(at, clock.monotonicMs()) >= (this.#seenBy ?? 0)) return
    this.#keep(at < clock.monotonicMs() + everyMs ? soonMs : everyMs)
  }

  stop(): void {
    this.#options.clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#seenBy = undefined
    this.#intervalMs = 0
  }

  /** Monotonic ms in which a peer could be heard. For instants of connections, never for those of calls. */
  steadyNow(): number {
    const now = this.#options.clock.monotonicMs()
    return now - this.#stalledMs - this.#stallAt(now)
  }

  /** A sweep as soon as the sockets were read. */
  readonly #sweepSoon = (): void => {
    if (this.#isDue) return
    this.#isDue = true
    this.#turns = 0
    this.#options.clock.setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    if (this.#noteStall() && ++this.#turns < TURNS_MAX) {
      this.#options.clock.setImmediate(this.#turn)
      return
    }
    this.#isDue = false
    this.#goOn(this.#options.sweep())
  }

  #goOn(at: number | undefined): void {
    this.#noteStall() // the sweep's own
    const { soonMs, everyMs, restMs, clock } = this.#options
    const now = clock.monotonicMs()
    if (at === undefined) this.stop()
    else if (at === Number.POSITIVE_INFINITY) this.#keep(restMs)
    else this.#keep(at < now + everyMs ? soonMs : everyMs)
    if (this.#seenBy !== undefined) this.#seenBy = now + this.#intervalMs
  }

  #keep(intervalMs: number): void {
    if (this.#intervalMs === intervalMs) return
    const { clock, restMs } = this.#options
    clock.clearTimer(this.#timer)
    this.#intervalMs = intervalMs
    this.#seenBy = intervalMs === restMs ? undefined : clock.monotonicMs() + intervalMs
    this.#timer = clock.setInterval(this.#sweepSoon, intervalMs)
    this.#timer.unref()
  }

  #noteStall(): boolean {
    if (this.#seenBy === undefined) return false
    const now = this.#options.clock.monotonicMs()
    const stallMs = this.#stallAt(now)
    this.#seenBy = now
    this.#stalledMs += stallMs
    return stallMs > 0
  }

  /** What this process did not see of the time so far, beyond a turn. */
  #stallAt(now: number): number {
    return this.#seenBy === undefined ? 0 : Math.max(0, now - this.#seenBy - STALL_MS)
  }
}
