/**
 * When news is sent, and to how many: at once, then after 10, 20, 40 and 80 ms, while a token bucket allows it; gossip
 * ticks carry the rest. Exponential offsets reach a thousand nodes some thirty times faster than ticks with the same
 * number of packets; the bucket keeps a storm of changes from becoming a storm of packets. Pure arithmetic on `now`.
 */
import { SOURCE_FANOUT } from './scaling.js'

const OFFSETS_MS = [0, 10, 20, 40, 80] as const
const ROUNDS = OFFSETS_MS.length
/** Relayed news may not use the last tokens: a node's own change always finds some. */
const RESERVED_ROUNDS = ROUNDS

export interface BurstOptions {
  readonly packetsPerSecond: number
  /** Packets in one round; the first round of own news may have `SOURCE_FANOUT`. */
  readonly fanout: number
}

export class Burst {
  readonly #options: BurstOptions
  #tokens: number
  #filledAt: number
  #startedAt = 0
  #step: number = ROUNDS
  #rounds: number = ROUNDS
  #ownNews = false

  constructor(options: BurstOptions, now: number) {
    this.#options = options
    this.#tokens = this.#capacity()
    this.#filledAt = now
  }

  /**
   * News came up: a round is due now, or as soon as a burst under way allows. Relayed news gets `relayRounds` of them:
   * all that hear of it send as many, so few are enough, and the ticks carry the rest.
   */
  start(own: boolean, now: number, relayRounds: number = ROUNDS): void {
    const pending = this.#step < this.#rounds
    this.#ownNews = own || (pending && this.#ownNews)
    this.#rounds = this.#ownNews ? ROUNDS : Math.min(ROUNDS, relayRounds)
    if (pending && this.#step > 0 && !own) {
      // One more round soon is enough: the next ones serve the old news and the new alike.
      const nextAt = this.nextDeadline() ?? now
      this.#startedAt = Math.min(nextAt, now + OFFSETS_MS[1]) - OFFSETS_MS[1]
      this.#step = 1
      return
    }
    this.#startedAt = now
    this.#step = 0
  }

  nextDeadline(): number | undefined {
    const offset = OFFSETS_MS[this.#step]
    return offset === undefined || this.#step >= this.#rounds ? undefined : this.#startedAt + offset
  }

  /** How many to tell now: 0 unless a round is due and there are tokens for it; without tokens the burst is over. */
  takeRound(now: number): number {
    const dueAt = this.nextDeadline()
    if (dueAt === undefined || dueAt > now) return 0
    this.#refill(now)
    const { fanout } = this.#options
    const floor = this.#ownNews ? 0 : RESERVED_ROUNDS * fanout
    if (this.#tokens - fanout < floor) {
      this.stop()
      return 0
    }
    const isSource = this.#ownNews && this.#step === 0 && this.#tokens >= SOURCE_FANOUT
    const taken = isSource ? Math.max(fanout, SOURCE_FANOUT) : fanout
    this.#tokens -= taken
    this.#step++
    return taken
  }

  stop(): void {
    this.#step = ROUNDS
    this.#ownNews = false
  }

  #refill(now: number): void {
    const gained = ((now - this.#filledAt) * this.#options.packetsPerSecond) / 1_000
    this.#tokens = Math.min(this.#capacity(), this.#tokens + gained)
    this.#filledAt = now
  }

  /** Two seconds' worth, and never less than one burst of own and one of relayed news. */
  #capacity(): number {
    const { packetsPerSecond, fanout } = this.#options
    if (packetsPerSecond === 0) return 0
    return Math.max(2 * packetsPerSecond, 2 * RESERVED_ROUNDS * fanout)
  }
}
