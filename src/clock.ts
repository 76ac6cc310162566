/**
 * The time of a node: two clocks, and timers. Shells get one and have no other, so that a whole node can run on the
 * virtual time of `shoal/testing`. Pure code gets `now` as an argument.
 */

/** What the timers of Node.js and of a virtual clock have in common. */
export interface Timer {
  ref(): unknown
  unref(): unknown
}

export interface Clock {
  /** Milliseconds that a change of the wall clock does not affect. */
  readonly monotonicMs: () => number
  /** Milliseconds since 1970, for what is shown to people and compared between boots. */
  readonly wallMs: () => number
  readonly setTimeout: (callback: () => void, ms: number) => Timer
  readonly setInterval: (callback: () => void, ms: number) => Timer
  /** Of either kind; may be called for none and more than once. */
  readonly clearTimer: (timer: Timer | undefined) => void
  /** After the events that are already waiting. Gives a function that takes it back. */
  readonly setImmediate: (callback: () => void) => () => void
}

/** The globals are looked up at each use: tests of users may have replaced them. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  setInterval: (callback, ms) => setInterval(callback, ms),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  setImmediate: (callback) => {
    const immediate = setImmediate(callback)
    return () => clearImmediate(immediate)
  },
}

/** A longer timer of Node.js would fire at once. */
const TIMER_MS_MAX = 0x7fff_ffff

/** Timers in the form in which pure code takes them: setting one gives the function that takes it back. */
export function timerSetter(clock: Clock): (callback: () => void, ms: number) => () => void {
  return (callback, ms) => {
    const timer = clock.setTimeout(callback, Math.min(ms, TIMER_MS_MAX))
    return () => clock.clearTimer(timer)
  }
}
