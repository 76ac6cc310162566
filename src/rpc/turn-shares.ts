/**
 * Turns of the event loop, shared out among connections, so that none of them keeps the others waiting by what it sets
 * off. What comes from outside is worked on at once, but not for long, and the less the more came in the same turn; the
 * rest waits here, and connections take turns until the loop has to look at its sockets again. Those that have taken
 * little of late come before the others, as long as these are not kept waiting by it. Knows nothing of what is done.
 */
import type { Clock } from '../clock.js'
import type { TurnShare } from './turn-share.js'

/** Of one turn of the loop, all connections together: for what has just come, and as much for what waits. */
const TURN_MS = 1
/** The least that is worth a turn of a connection: about ten small calls. */
const SHARE_MS_MIN = 0.05
/** A connection that takes no more than this part of the time is before the others when it has to wait. */
const SPARING_PART = 0.1
/** So much of it is saved up at most. */
const SAVED_MS_MAX = 2
/** What a new connection owes, a quarter of a second of its part: whoever wants to can open many. */
const OWED_MS = 25

/** Of one connection. */
interface Share extends TurnShare {
  /** What waits for it, in order. */
  readonly works: (() => void)[]
  /** Of the time that it may take and be sparing, as of `savedAt`. What passes while something of it waits does not count. */
  savedMs: number
  savedAt: number
}

export class TurnShares {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'setImmediate'>
  /** Connections for which something waits, in the order of their next turn; `#sparing` has those that come first. */
  readonly #waiting: Share[] = []
  readonly #sparing: Share[] = []
  #wasSparing = false
  /** Whose work is under way. */
  #share: Share | undefined
  /** Of this turn, by what came from outside. */
  #usedMs = 0
  /** The piece of work under way, if any. */
  #isAtWork = false
  #beganAt = 0
  #lookedAt = 0
  #overAt = 0
  #turnEndsAt = 0
  #isDue = false

  constructor(clock: Pick<Clock, 'monotonicMs' | 'setImmediate'>) {
    this.#clock = clock
  }

  /** Of one more connection; needs no end. */
  open(): TurnShare {
    const shares = this
    const share: Share = {
      works: [],
      savedMs: -OWED_MS,
      savedAt: this.#clock.monotonicMs(),
      isOver: () => this.#isOver(share),
      get lookedAt() {
        return shares.#lookedAt
      },
      later: (work) => this.#add(share, work),
    }
    return share
  }

  /** So much has come in this turn that only those should be worked on at once who are known already. */
  get isCrowded(): boolean {
    return this.#usedMs >= TURN_MS
  }

  /** Something came from outside, at `now`, and is worked on until `end`; for a connection if it has a share. */
  begin(now: number, share?: TurnShare): void {
    // One that nobody has ended.
    if (this.#isAtWork) this.#usedMs += this.#stop(Math.min(now, this.#overAt))
    if (this.isCrowded) this.#demandTurn()
    if (share !== undefined) save(share as Share, now)
    this.#start(now, TURN_MS - this.#usedMs, share as Share | undefined)
  }

  end(): void {
    this.#usedMs += this.#stop(this.#clock.monotonicMs())
  }

  #start(now: number, ms: number, share: Share | undefined): void {
    this.#isAtWork = true
    this.#share = share
    this.#beganAt = now
    this.#lookedAt = now
    this.#overAt = now + Math.max(SHARE_MS_MIN, ms)
  }

  /** Returns how long it was. */
  #stop(now: number): number {
    if (this.#share !== undefined) {
      this.#share.savedMs = this.#savedOf(this.#share, now)
      this.#share.savedAt = now
    }
    this.#isAtWork = false
    this.#share = undefined
    return now - this.#beganAt
  }

  /** What is left of it after what is under way. */
  #savedOf(share: Share, now: number): number {
    if (share !== this.#share) return share.savedMs
    // What took longer than a turn was hardly its doing: a collection, or another process.
    return Math.max(-OWED_MS, share.savedMs - Math.min(now - this.#beganAt, TURN_MS))
  }

  #isOver(share: Share): boolean {
    const now = this.#clock.monotonicMs()
    this.#lookedAt = now
    if (this.#isAtWork) return now >= this.#overAt
    // Woken by something else: until the end of this turn it is a piece like any other.
    this.begin(now, share)
    this.#demandTurn()
    return false
  }

  #add(share: Share, work: () => void): void {
    if (share.works.push(work) === 1) this.#queue(share)
    this.#demandTurn()
  }

  #queue(share: Share): void {
    const now = this.#clock.monotonicMs()
    if (share !== this.#share) save(share, now)
    if (this.#savedOf(share, now) > 0) this.#sparing.push(share)
    else this.#waiting.push(share)
  }

  #demandTurn(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#clock.setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    if (this.#isAtWork) this.end()
    this.#usedMs = 0
    this.#turnEndsAt = this.#clock.monotonicMs() + TURN_MS
    this.#next()
  }

  readonly #next = (): void => {
    const now = this.#clock.monotonicMs()
    const share = this.#take()
    const work = share?.works.shift()
    if (share === undefined || work === undefined) {
      this.#isDue = false
      return
    }
    share.savedAt = now
    if (share.works.length > 0) this.#queue(share)
    const others = this.#waiting.length + this.#sparing.length
    this.#start(now, Math.min(TURN_MS / (others + 1), this.#turnEndsAt - now), share)
    try {
      work()
    } finally {
      queueMicrotask(this.#whenSettled)
    }
  }

  /** What promises set off that the work has settled is part of it: it is over before the next tick. */
  readonly #whenSettled = (): void => process.nextTick(this.#settled)

  readonly #settled = (): void => {
    const now = this.#clock.monotonicMs()
    this.#stop(now)
    if (now < this.#turnEndsAt) this.#next()
    else this.#clock.setImmediate(this.#turn)
  }

  /** Those that are sparing first, but no two of them while others wait. */
  #take(): Share | undefined {
    const isSparing = this.#sparing.length > 0 && (this.#waiting.length === 0 || !this.#wasSparing)
    this.#wasSparing = isSparing
    return isSparing ? this.#sparing.shift() : this.#waiting.shift()
  }
}

function save(share: Share, now: number): void {
  share.savedMs = Math.min(SAVED_MS_MAX, share.savedMs + (now - share.savedAt) * SPARING_PART)
  share.savedAt = now
}
