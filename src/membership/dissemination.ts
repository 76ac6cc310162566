/**
 * The rumours on their way (SWIM 4.1; memberlist's TransmitLimitedQueue): each rides on a limited number of packets,
 * the least sent go first, our own before others' and doubted ones last, and a newer rumour about the same subject takes
 * the place of the older. Bounded: when full, whichever would go last gives way. Knows neither members nor time.
 */
import type { Broadcast } from './payload.js'

export interface News extends Broadcast {
  /** It goes ahead of what is only passed on: nobody else tells it. */
  readonly own: boolean
  /** It may well be forged: what is not goes ahead of it. */
  readonly doubted?: boolean
}

interface Rumour {
  readonly key: string
  readonly bytes: Uint8Array
  /** Tiers that it stands behind others sent as often. */
  readonly lag: number
  /** Called once when the rumour is told as often as it will be, also by giving way; not when it was replaced. */
  readonly onSpread: (() => void) | undefined
  transmits: number
  /** Neighbours in its tier. */
  previous: Rumour | undefined
  next: Rumour | undefined
}

/** Once so many rumours in a row were too large for the rest of a packet, the packet is full enough. */
const MISSES_MAX = 32
/** Of one queue in one packet: two queues and a message share a compound, which holds 255. */
const PARTS_MAX = 127
/** Behind others that were sent so many times more: about as often as a rumour is sent at all. */
const DOUBTED_TRANSMITS = 16

/** Rumours sent equally often, in the order of arrival. A linked list: every transmission moves each on to the next tier. */
class Tier {
  first: Rumour | undefined
  #last: Rumour | undefined

  append(rumour: Rumour): void {
    rumour.previous = this.#last
    rumour.next = undefined
    if (this.#last === undefined) this.first = rumour
    else this.#last.next = rumour
    this.#last = rumour
  }

  remove(rumour: Rumour): void {
    const { previous, next } = rumour
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
  }
}

export class TransmitQueue {
  readonly #capacity: number
  readonly #byKey = new Map<string, Rumour>()
  /** By number of transmissions so far and by lag; in a tier in the order of arrival. */
  readonly #tiers: Tier[] = []
  #dropped = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byKey.size
  }

  /** Rumours that were dropped because the queue was full. */
  get dropped(): number {
    return this.#dropped
  }

  add({ key, bytes, own, doubted = false }: News, onSpread?: () => void): void {
    this.#remove(key)
    if (this.#byKey.size >= this.#capacity) this.#dropMostSent()
    const lag = (own ? 0 : 1) + (doubted ? 2 * DOUBTED_TRANSMITS : 0)
    const rumour: Rumour = { key, bytes, lag, onSpread, transmits: 0, previous: undefined, next: undefined }
    this.#byKey.set(key, rumour)
    this.#tierOf(rumour).append(rumour)
  }

  has(key: string): boolean {
    return this.#byKey.has(key)
  }

  /**
   * Takes rumours for one packet of `budget` bytes, each costing `overhead` more than its length, and counts the
   * transmission. One that reached `limit` leaves the queue. An infinite limit counts nothing.
   */
  take(budget: number, overhead: number, limit: number): Uint8Array[] {
    const taken: Rumour[] = []
    let left = budget
    let misses = 0
    for (const tier of this.#tiers) {
      for (let rumour = tier.first; rumour !== undefined; rumour = rumour.next) {
        const cost = rumour.bytes.length + overhead
        if (cost <= left) {
          taken.push(rumour)
          left -= cost
        } else misses++
        if (misses > MISSES_MAX || taken.length === PARTS_MAX) break
      }
      if (misses > MISSES_MAX || taken.length === PARTS_MAX) break
    }
    if (limit < Number.POSITIVE_INFINITY) for (const rumour of taken) this.#countTransmit(rumour, limit)
    return taken.map((rumour) => rumour.bytes)
  }

  /** Nobody is left to tell: whatever is queued counts as told. */
  clear(): void {
    const told = [...this.#byKey.values()]
    this.#byKey.clear()
    this.#tiers.length = 0
    for (const rumour of told) rumour.onSpread?.()
  }

  #countTransmit(rumour: Rumour, limit: number): void {
    this.#tierOf(rumour).remove(rumour)
    rumour.transmits++
    if (rumour.transmits < limit) {
      this.#tierOf(rumour).append(rumour)
      return
    }
    this.#byKey.delete(rumour.key)
    rumour.onSpread?.()
  }

  #remove(key: string): void {
    const old = this.#byKey.get(key)
    if (old === undefined) return
    this.#byKey.delete(key)
    this.#tierOf(old).remove(old)
  }

  #dropMostSent(): void {
    for (let i = this.#tiers.length - 1; i >= 0; i--) {
      const oldest = this.#tiers[i]?.first
      if (oldest === undefined) continue
      this.#remove(oldest.key)
      this.#dropped++
      oldest.onSpread?.()
      return
    }
  }

  #tierOf({ transmits, lag }: Rumour): Tier {
    const index = 2 * transmits + lag
    for (let i = this.#tiers.length; i <= index; i++) this.#tiers.push(new Tier())
    return this.#tiers[index] as Tier
  }
}
