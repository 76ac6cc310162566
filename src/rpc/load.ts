/**
 * How many calls run, and the moment when none does. However many wait for that moment, they share one promise, so a
 * waiter that gave up leaves nothing behind.
 */

import type { CallerPlaces } from './caller-places.js'

export class Load {
  count = 0
  /** Connections that have called. */
  callers = 0
  #idle: Promise<void> | undefined
  #resolve: (() => void) | undefined

  add(caller?: CallerPlaces): void {
    this.count++
    if (caller !== undefined) caller.at(this).count++
  }

  remove(caller?: CallerPlaces): void {
    this.count--
    if (caller !== undefined) caller.at(this).count--
    if (this.count > 0 || this.#resolve === undefined) return
    this.#resolve()
    this.#idle = undefined
    this.#resolve = undefined
  }

  idle(): Promise<void> {
    if (this.count === 0) return Promise.resolve()
    this.#idle ??= new Promise((resolve) => {
      this.#resolve = resolve
    })
    return this.#idle
  }
}
