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
  /** Between sweeps while something has a deadline. */
  readonly everyMs: number
  /** Between sweeps at rest: what only ages is looked at seldom, however many connections there are. */
  readonly restMs: number
  readonly clock: Clock
  readonly sweep: () => void
}

export class Sweeper {
  readonly #options: SweeperOptions
  #pace: 'stopped' | 'resting' | 'running' = 'stopped'
  #timer: Timer | undefined
  /** The last time that this process was seen to be at work; `undefined` unless it runs. */
  #seenAt: number | undefined
  #stalledMs = 0
  #turns = 0
  #isDue = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#pace === 'running'
  }

  start(): void {
    if (this.#pace === 'running') return
    this.#seenAt = this.#options.clock.monotonicMs()
    this.#keep('running', this.#options.everyMs)
  }

  rest(): void {
    if (this.#pace === 'resting') return
    this.#seenAt = undefined
    this.#keep('resting', this.#options.restMs)
  }

  stop(): void {
    this.#options.clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#seenAt = undefined
    this.#pace = 'stopped'
  }

  /** Monotonic ms in which a peer could be heard. For instants of connections, never for those of calls. */
  steadyNow(): number {
    const now = this.#options.clock.monotonicMs()
    const unseenMs = this.#seenAt === undefined ? 0 : now - this.#seenAt
    return now - this.#stalledMs - Math.max(0, unseenMs - STALL_MS)
  }

  /** A sweep as soon as the sockets were read. */
  readonly sweepSoon = (): void => {
    if (this.#isDue) return
    this.#isDue = true
    this.#turns = 0
    this.#options.clock.setImmediate(this.#turn)
  }

  #keep(pace: 'resting' | 'running', everyMs: number): void {
    this.#options.clock.clearTimer(this.#timer)
    this.#pace = pace
    this.#timer = this.#options.clock.setInterval(this.sweepSoon, everyMs)
    this.#timer.unref()
  }

  readonly #turn = (): void => {
    if (this.#noteStall() && ++this.#turns < TURNS_MAX) {
      this.#options.clock.setImmediate(this.#turn)
      return
    }
    this.#isDue = false
    this.#options.sweep()
  }

  #noteStall(): boolean {
    if (this.#seenAt === undefined) return false
    const now = this.#options.clock.monotonicMs()
    const takenMs = now - this.#seenAt
    this.#seenAt = now
    if (takenMs <= STALL_MS) return false
    this.#stalledMs += takenMs - STALL_MS
    return true
  }
}
