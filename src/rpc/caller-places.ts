/**
 * The places that the calls of one connection take at each service, so that no connection takes those of all others: the
 * last eighth of a service's places is for those that have less than their part. A connection that nobody shares the
 * service with may have all.
 */
import type { Load } from './load.js'

/** One place in so many is among the last. */
const LAST_PART = 8
/** Past so many services those are forgotten of which no call runs: services come and go, and a connection may stay. */
const IDLE_SERVICES_MAX = 64

interface Places {
  readonly load: Load
  count: number
}

export class CallerPlaces {
  #places: Places[] = []
  /** The one asked for last, since most connections call one service. */
  #last: Places | undefined
  #isClosed = false

  /** At a service, among whose callers the connection counts from then on. */
  at(load: Load): Places {
    if (this.#last?.load === load) return this.#last
    this.#last = this.#places.find((places) => places.load === load)
    if (this.#last !== undefined) return this.#last
    if (this.#places.length >= IDLE_SERVICES_MAX) this.#forgetIdle()
    this.#last = { load, count: 0 }
    this.#places.push(this.#last)
    load.callers++
    return this.#last
  }

  /** The connection is gone; what it called may still run. May be told twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { load } of this.#places) load.callers--
  }

  #forgetIdle(): void {
    for (const { load, count } of this.#places) if (count === 0) load.callers--
    this.#places = this.#places.filter(({ count }) => count > 0)
  }
}

/** Why a service with so many places takes no further call, as the middle of a sentence; `undefined` when it does. */
export function fullness(load: Load, placesMax: number, caller: CallerPlaces | undefined): string | undefined {
  const left = placesMax - load.count
  const own = left * LAST_PART > placesMax ? 0 : (caller?.at(load).count ?? 0)
  if (left <= 0) return `already runs ${placesMax} calls`
  if (load.callers < 2 || own * load.callers < placesMax) return undefined
  return `already runs ${own} calls of this caller, which is its part of the ${placesMax}`
}
