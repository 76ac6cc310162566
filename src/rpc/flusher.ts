/**
 * When written frames leave: at the end of the current tick, or after the events that are already waiting, so that
 * calls caused by several sockets leave together. One schedule for all connections of a node.
 */
import { type Clock, systemClock } from '../clock.js'

export interface Flushable {
  flush(): void
}

export class Flusher {
  readonly #clock: Clock
  #soon: Flushable[] = []
  #later: Flushable[] = []

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** At the end of this tick: for a lone call, and for replies. */
  soon(target: Flushable): void {
    if (this.#soon.push(target) === 1) process.nextTick(this.#runSoon)
  }

  /** After this round of events: for calls among many. */
  later(target: Flushable): void {
    if (this.#later.push(target) === 1) this.#clock.setImmediate(this.#runLater)
  }

  readonly #runSoon = (): void => {
    const targets = this.#soon
    this.#soon = []
    for (const target of targets) target.flush()
  }

  readonly #runLater = (): void => {
    const targets = this.#later
    this.#later = []
    for (const target of targets) target.flush()
  }
}
