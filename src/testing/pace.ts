/**
 * How the time of a test network passes: by itself, or only when a test moves it. Both are used alike, so that a test can
 * be tried in real time by one option.
 */
import { type Clock, systemClock, type Timer } from '../clock.js'
import { ShoalError } from '../errors.js'

export interface Pace {
  /** What the nodes live by. */
  readonly clock: Clock
  /** Milliseconds since the network was made. */
  now(): number
  /** Resolves when so much time has passed and all that was due in it is done. Rejects CLOSED. */
  advance(ms: number): Promise<void>
  /** Lets time pass until `look` gives true, or for `limitMs`: then false. Rejects CLOSED, or with what `look` throws. */
  until(look: () => boolean, limitMs: number): Promise<boolean>
  /** Things that are to happen. */
  pending(): number
  /** Nothing happens any more. */
  close(): void
}

const LOOK_MS = 5

/** The time of the process. */
export class RealPace implements Pace {
  readonly clock: Clock = systemClock
  readonly #startedAt = systemClock.monotonicMs()
  readonly #waiting = new Map<(error: ShoalError) => void, Timer>()

  now(): number {
    return this.clock.monotonicMs() - this.#startedAt
  }

  advance(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(
        reject,
        this.clock.setTimeout(() => {
          this.#waiting.delete(reject)
          resolve()
        }, ms),
      )
    })
  }

  async until(look: () => boolean, limitMs: number): Promise<boolean> {
    const endAt = this.now() + limitMs
    while (!look()) {
      const left = endAt - this.now()
      if (left <= 0) return false
      await this.advance(Math.min(LOOK_MS, left))
    }
    return true
  }

  pending(): number {
    return this.#waiting.size
  }

  close(): void {
    for (const [reject, timer] of this.#waiting) {
      this.clock.clearTimer(timer)
      reject(closed())
    }
    this.#waiting.clear()
  }
}

export function closed(): ShoalError {
  return new ShoalError('CLOSED', 'the test network is closed')
}
