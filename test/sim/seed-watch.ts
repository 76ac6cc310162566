/**
 * What `seeds.ts` does, on virtual time: a pass over the seeds, with backoff until one answers, and again whenever none
 * of them is in view. The real one is a shell of promises and timers and cannot run here.
 */
import { backoffMs, type Random } from '../../src/random.js'

const BACKOFF_BASE_MS = 250
const BACKOFF_MAX_MS = 10_000
const WATCH_INTERVAL_MS = 5_000

export interface SeedWatchParts {
  /** Asked for at each pass: names are resolved again. */
  readonly seeds: () => readonly string[]
  readonly random: Random
  readonly after: (delayMs: number, run: () => void) => void
  readonly join: (seed: string) => void
  readonly isInView: (seed: string) => boolean
}

export class SeedWatch {
  readonly #parts: SeedWatchParts
  #attempt = 0
  #pending = 0
  #anyJoined = false

  #stopped = false

  constructor(parts: SeedWatchParts) {
    this.#parts = parts
  }

  start(): void {
    const { join } = this.#parts
    const seeds = this.#parts.seeds()
    if (seeds.length === 0) return
    this.#pending = seeds.length
    this.#anyJoined = false
    for (const seed of seeds) join(seed)
  }

  /** One of the joins has ended. */
  handleJoined(error: string | undefined): void {
    if (this.#pending === 0) return
    this.#pending--
    this.#anyJoined ||= error === undefined
    if (this.#pending > 0) return
    this.#attempt = this.#anyJoined ? 0 : this.#attempt + 1
    this.#scheduleNext()
  }

  #scheduleNext(): void {
    const { random, after } = this.#parts
    const delay =
      this.#attempt === 0
        ? WATCH_INTERVAL_MS * (0.75 + 0.5 * random())
        : backoffMs(this.#attempt - 1, BACKOFF_BASE_MS, BACKOFF_MAX_MS, random)
    after(delay, () => this.#look())
  }

  /** From now on nobody is asked any more. */
  stop(): void {
    this.#stopped = true
  }

  #look(): void {
    if (this.#stopped) return
    if (!this.#parts.seeds().some((seed) => this.#parts.isInView(seed))) {
      this.start()
      return
    }
    this.#attempt = 0
    this.#scheduleNext()
  }
}
