/** The two clocks of the shells. Pure code gets `now` as an argument. */

/** Monotonic milliseconds; not affected by a change of the wall clock. */
export function monotonicMs(): number {
  return performance.now()
}

/** Wall clock milliseconds since 1970, for what is shown to people and compared between boots. */
export function wallMs(): number {
  return Date.now()
}
