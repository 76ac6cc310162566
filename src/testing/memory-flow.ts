/**
 * One direction of a stream: segments arrive in order, whatever is lost is sent again after ever longer pauses as TCP
 * does it, and the stream is given up when that was in vain. Knows nothing of sockets.
 */
import type { Timer } from '../clock.js'
import type { MemoryNetwork } from './memory-network.js'

export type Segment =
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  /** The process there knows nothing of this stream any more. */
  | { readonly kind: 'reset' }

export interface FlowEnds {
  readonly from: string
  readonly to: string
  readonly arrive: (segment: Segment) => void
  /** Nothing came through for a quarter of an hour. */
  readonly giveUp: () => void
}

/** Linux: the first repetition, and about as many as `tcp_retries2` makes. */
const REPEAT_MS = 200
const REPEAT_MS_MAX = 120_000
const REPEATS_MAX = 15

export class MemoryFlow {
  readonly #network: MemoryNetwork
  readonly #ends: FlowEnds
  readonly #unsent: Segment[] = []
  readonly #underWay: Segment[] = []
  #lastArrivesAt = 0
  #repeats = 0
  #repeatTimer: Timer | undefined

  constructor(network: MemoryNetwork, ends: FlowEnds) {
    this.#network = network
    this.#ends = ends
  }

  send(segment: Segment): void {
    this.#unsent.push(segment)
    if (this.#repeatTimer === undefined) this.#sendAll()
  }

  /** Sent once: nobody repeats a reset. What has not left yet never does. */
  sendReset(): void {
    this.stop()
    if (this.#network.passes(this.#ends.from, this.#ends.to)) this.#depart({ kind: 'reset' })
  }

  /** What is under way arrives; nothing else is sent. */
  stop(): void {
    this.#unsent.length = 0
    this.#network.clock.clearTimer(this.#repeatTimer)
    this.#repeatTimer = undefined
  }

  #sendAll(): void {
    const { from, to } = this.#ends
    for (let segment = this.#unsent[0]; segment !== undefined; segment = this.#unsent[0]) {
      if (!this.#network.passes(from, to)) {
        this.#repeatLater()
        return
      }
      this.#repeats = 0
      this.#unsent.shift()
      this.#depart(segment)
    }
  }

  #repeatLater(): void {
    if (this.#repeats === REPEATS_MAX) {
      this.stop()
      this.#ends.giveUp()
      return
    }
    const pauseMs = Math.min(REPEAT_MS_MAX, REPEAT_MS * 2 ** this.#repeats++)
    this.#repeatTimer = this.#network.clock.setTimeout(() => {
      this.#repeatTimer = undefined
      this.#sendAll()
    }, pauseMs)
  }

  /** A segment waits for the ones before it. Whichever timer fires, the first under way is the next to arrive. */
  #depart(segment: Segment): void {
    const { clock, roads } = this.#network
    const { from, to } = this.#ends
    const now = clock.monotonicMs()
    this.#underWay.push(segment)
    this.#lastArrivesAt = Math.max(this.#lastArrivesAt, now + roads.delayMs(from, to))
    const arrive = (): void => {
      const first = this.#underWay.shift()
      if (first !== undefined) this.#ends.arrive(first)
    }
    if (this.#lastArrivesAt <= now) clock.setImmediate(arrive)
    else clock.setTimeout(arrive, this.#lastArrivesAt - now)
  }
}
