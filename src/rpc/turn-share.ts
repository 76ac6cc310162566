/** What a connection may do in one turn of the event loop before others come first, as those see it that work for it. */

export interface TurnShare {
  /** Whether others should come first now: ask between two steps of work, and leave the rest for `later`. */
  isOver(): boolean
  /** When the clock was last looked at for it, in monotonic ms. */
  readonly lookedAt?: number
  /** Runs `work` on a later turn, after what waits already of this connection. It must not throw. */
  later(work: () => void): void
}

/** For those who share with nobody. */
export const WHOLE_TURN: TurnShare = { isOver: () => false, later: (work) => work() }
