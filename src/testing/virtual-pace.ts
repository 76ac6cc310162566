/**
 * Time that stands still until a test moves it. What needs no time happens by itself all the same. Between any two things
 * that happen the process gets a turn of its real loop, so that promises settle as they do in real life, and the order
 * of everything depends on nothing but the calls of the test.
 */
import { AsyncResource } from 'node:async_hooks'
import type { Clock, Timer } from '../clock.js'
import { EventQueue } from './event-queue.js'
import { closed, type Pace } from './pace.js'

/** Taken at once: fake timers that a test installs later must not stop this clock too. */
const nextTurn = globalThis.setImmediate

/** 2025-01-01T00:00:00Z, whenever the test runs. */
const EPOCH_MS = 1_735_689_600_000
/** Whoever waits for something to become true looks at least so often: it may be the time itself. */
const LOOK_MS = 10
/** Instants are multiples of this many to the ms: no timer is early by a rounding error, to be set again and again. */
const TICKS_PER_MS = 1_024

class VirtualTimer implements Timer {
  isSet = true
  /** Does not hold a process: work that looks from time to time whether something is over. */
  isHousekeeping = false

  ref(): void {
    this.isHousekeeping = false
  }

  unref(): void {
    this.isHousekeeping = true
  }
}

interface Waiter {
  readonly limitAt: number
  /** At the limit the housekeeping was done. */
  isSwept: boolean
  /** Undefined waits for the limit. */
  readonly look: (() => boolean) | undefined
  readonly resolve: (found: boolean) => void
  readonly reject: (error: unknown) => void
}

export class VirtualPace implements Pace {
  readonly clock: Clock
  readonly #queue = new EventQueue()
  readonly #waiters = new Set<Waiter>()
  readonly #intervals = new Map<VirtualTimer, () => void>()
  #pending = 0
  #hasRun = false
  #isTurning = false
  #isClosed = false

  constructor() {
    this.clock = {
      monotonicMs: () => this.#queue.now,
      wallMs: () => EPOCH_MS + Math.floor(this.#queue.now),
      setTimeout: (callback, ms) => this.#set(new VirtualTimer(), ms, callback),
      setInterval: (callback, ms) => this.#repeat(callback, Math.max(1, ms)),
      clearTimer: (timer) => this.#clear(timer),
      setImmediate: (callback) => {
        const timer = this.#set(new VirtualTimer(), 0, callback)
        return () => this.#clear(timer)
      },
    }
  }

  now(): number {
    return this.#queue.now
  }

  async advance(ms: number): Promise<void> {
    await this.#wait(ms, undefined)
  }

  until(look: () => boolean, limitMs: number): Promise<boolean> {
    return this.#wait(limitMs, look)
  }

  pending(): number {
    return this.#pending
  }

  close(): void {
    this.#isClosed = true
    this.#queue.clear()
    this.#intervals.clear()
    this.#pending = 0
    for (const { reject } of this.#waiters) reject(closed())
    this.#waiters.clear()
  }

  #wait(ms: number, look: (() => boolean) | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiters.add({ limitAt: this.#at(ms), isSwept: look !== undefined, look, resolve, reject })
      this.#wake()
    })
  }

  #at(ms: number): number {
    const delayMs = ms > 0 ? ms : 0 // NaN too is at once
    return Math.ceil((this.#queue.now + delayMs) * TICKS_PER_MS) / TICKS_PER_MS
  }

  /** The callback keeps the context of whoever set the timer, as with real ones: `currentCall()` depends on it. */
  #set(timer: VirtualTimer, ms: number, callback: () => void): VirtualTimer {
    if (this.#isClosed) return timer
    const run = AsyncResource.bind(callback)
    const at = this.#at(ms)
    this.#pending++
    this.#queue.at(at, () => {
      if (!timer.isSet) return
      timer.isSet = false
      this.#pending--
      this.#hasRun = true
      run()
    })
    if (at <= this.#queue.now) this.#wake()
    return timer
  }

  #repeat(callback: () => void, ms: number): VirtualTimer {
    const timer = new VirtualTimer()
    this.#intervals.set(timer, AsyncResource.bind(callback))
    const again = (): void => {
      timer.isSet = true
      this.#set(timer, ms, again)
      callback()
    }
    return this.#set(timer, ms, again)
  }

  #clear(timer: Timer | undefined): void {
    if (!(timer instanceof VirtualTimer) || !timer.isSet) return
    timer.isSet = false
    this.#intervals.delete(timer)
    this.#pending--
  }

  #wake(): void {
    if (this.#isTurning || this.#isClosed) return
    this.#isTurning = true
    nextTurn(() => this.#turn())
  }

  /** At most one thing happens in a turn, at the latest at the limit of whoever waits the shortest. */
  #turn(): void {
    this.#isTurning = false
    if (this.#isClosed) return
    if (this.#tellFound()) {
      this.#wake() // who has found it goes on first, at this very instant
      return
    }
    let limitAt = this.#waiters.size === 0 ? this.#queue.now : Number.POSITIVE_INFINITY
    for (const waiter of this.#waiters) limitAt = Math.min(limitAt, this.#nextLookAt(waiter))
    this.#hasRun = false
    try {
      while (!this.#hasRun && this.#queue.runNext(limitAt));
    } finally {
      // What it threw is the process's affair, as with any timer; the others go on.
      if (this.#hasRun) this.#wake()
    }
    if (this.#hasRun) return
    this.#queue.runUntil(limitAt)
    this.#tellFound()
    for (const waiter of [...this.#waiters]) {
      if (waiter.limitAt > limitAt) continue
      if (waiter.isSwept) this.#end(waiter, false)
      else this.#sweep(waiter)
    }
    if (this.#waiters.size > 0) this.#wake()
  }

  #nextLookAt({ look, limitAt }: Waiter): number {
    return look === undefined ? limitAt : Math.min(limitAt, this.#queue.now + LOOK_MS)
  }

  /**
   * Housekeeping comes at moments of its own: what is over at the end of an `advance` should not have to wait for the
   * next of them, which does not come by itself.
   */
  #sweep(waiter: Waiter): void {
    waiter.isSwept = true
    for (const [timer, run] of this.#intervals) {
      if (timer.isHousekeeping) this.#set(new VirtualTimer(), 0, () => timer.isSet && run())
    }
  }

  /** Whether anybody has to wait no longer. */
  #tellFound(): boolean {
    const before = this.#waiters.size
    for (const waiter of [...this.#waiters]) {
      try {
        if (waiter.look?.() === true) this.#end(waiter, true)
      } catch (error) {
        this.#waiters.delete(waiter)
        waiter.reject(error)
      }
    }
    return this.#waiters.size < before
  }

  #end(waiter: Waiter, found: boolean): void {
    this.#waiters.delete(waiter)
    waiter.resolve(found)
  }
}
