/**
 * Casts whose caller is gone: they go on, since nobody meant to wait for them, but not past their deadlines, and not past
 * the end of their node. Knows nothing of how a call is stopped.
 */
import type { Clock } from '../clock.js'
import type { CancelReason } from './call.js'
import { DeadlineSweep, type Expiring } from './deadline-sweep.js'

export interface OrphanedCast {
  /** It has ended by itself. */
  release(): void
}

interface Adopted extends OrphanedCast, Expiring {
  close(): void
}

export class OrphanedCasts {
  readonly #deadlines: DeadlineSweep<Adopted>
  #isClosed = false

  constructor(clock: Clock) {
    this.#deadlines = new DeadlineSweep(clock.monotonicMs, clock)
  }

  /** `end` is called at the deadline, when the node ends, and at once when that was before; not after `release`. */
  adopt(deadlineAt: number, end: (reason: CancelReason) => void): OrphanedCast {
    const adopted: Adopted = {
      deadlineAt,
      expire: () => end('deadline'),
      close: () => end('caller-lost'),
      release: () => this.#deadlines.remove(adopted),
    }
    if (this.#isClosed) adopted.close()
    else this.#deadlines.add(adopted)
    return adopted
  }

  close(): void {
    this.#isClosed = true
    for (const adopted of this.#deadlines.stop()) adopted.close()
  }
}
