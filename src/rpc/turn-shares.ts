/**
 * Turns of the event loop, shared out among connections, so that none of them keeps the others waiting by what it sets
 * off. What comes from outside is worked on at once, but not for long, and the less the more came in the same turn; the
 * rest waits here, and connections take turns until the loop has to look at its sockets again. Knows nothing of what is
 * done.
 */
import type { Clock } from '../clock.js'
import type { TurnShare } from './turn-share.js'

/** Of one turn of the loop, all connections together: for what has just come, and as much for what waits. */
const TURN_MS = 1
/** The least that is worth a turn of a connection: about ten small calls. */
const SHARE_MS_MIN = 0.05

export class TurnShares {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'setImmediate'>
  /** Of connections for which something waits, in the order of their next turn: what waits for each. */
  readonly #waiting: (() => void)[][] = []
  /** Of this turn, by what came from outside. */
  #usedMs = 0
  /** The piece of work under way, if any. */
  #isAtWork = false
  #beganAt = 0
  #overAt = 0
  #turnEndsAt = 0
  #isDue = false

  constructor(clock: Pick<Clock, 'monotonicMs' | 'setImmediate'>) {
    this.#clock = clock
  }

  /** Of one more connection; needs no end. */
  open(): TurnShare {
    const works: (() => void)[] = []
    return { isOver: this.#isOver, later: (work) => this.#add(works, work) }
  }

  /** So much has come in this turn that only those should be worked on at once who are known already. */
  get isCrowded(): boolean {
    return this.#usedMs >= TURN_MS
  }

  /** Something came from outside, at `now`, and is worked on until `end`. */
  begin(now: number): void {
    // One that nobody has ended.
    if (this.#isAtWork) this.#usedMs += Math.min(now, this.#overAt) - this.#beganAt
    if (this.isCrowded) this.#demandTurn()
    this.#start(now, TURN_MS - this.#usedMs)
  }

  end(): void {
    this.#isAtWork = false
    this.#usedMs += this.#clock.monotonicMs() - this.#beganAt
  }

  #start(now: number, ms: number): void {
    this.#isAtWork = true
    this.#beganAt = now
    this.#overAt = now + Math.max(SHARE_MS_MIN, ms)
  }

  readonly #isOver = (): boolean => {
    const now = this.#clock.monotonicMs()
    if (this.#isAtWork) return now >= this.#overAt
    // Woken by something else: until the end of this turn it is a piece like any other.
    this.begin(now)
    this.#demandTurn()
    return false
  }

  #add(works: (() => void)[], work: () => void): void {
    if (works.push(work) === 1) this.#waiting.push(works)
    this.#demandTurn()
  }

  #demandTurn(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#clock.setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#usedMs = 0
    this.#isAtWork = false
    this.#turnEndsAt = this.#clock.monotonicMs() + TURN_MS
    this.#next()
  }

  readonly #next = (): void => {
    const now = this.#clock.monotonicMs()
    const work = this.#take()
    if (work === undefined) {
      this.#isDue = false
      return
    }
    this.#start(now, Math.min(TURN_MS / (this.#waiting.length + 1), this.#turnEndsAt - now))
    try {
      work()
    } finally {
      queueMicrotask(this.#whenSettled)
    }
  }

  /** What promises set off that the work has settled is part of it: it is over before the next tick. */
  readonly #whenSettled = (): void => process.nextTick(this.#settled)

  readonly #settled = (): void => {
    this.#isAtWork = false
    if (this.#clock.monotonicMs() < this.#turnEndsAt) this.#next()
    else this.#clock.setImmediate(this.#turn)
  }

  #take(): (() => void) | undefined {
    const works = this.#waiting.shift()
    const work = works?.shift()
    if (works !== undefined && works.length > 0) this.#waiting.push(works)
    return work
  }
}
