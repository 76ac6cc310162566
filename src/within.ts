/** Waiting with a limit, for work that goes on whether or not anybody waits. */
import type { Clock } from './clock.js'

/** `undefined` when the work takes longer; it goes on then. */
export function within<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => resolve(undefined), ms)
    const settled = (settle: () => void): void => {
      clock.clearTimer(timer)
      settle()
    }
    work.then(
      (value) => settled(() => resolve(value)),
      (error: unknown) => settled(() => reject(error)),
    )
  })
}
