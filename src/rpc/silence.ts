/**
 * Whether the other side of a connection still lives, judged from what is heard while an answer is due: a pause brings a
 * ping, a ping that stays unanswered the end. Pure; time is an argument, and the time of a stall of this process must not
 * be in it. Knows nothing of calls: slow handlers are silent too, but their process answers pings.
 */

export interface SilenceLimits {
  readonly pingMs: number
  readonly probeMs: number
  readonly silenceMs: number
}

/** `ping`: send one now. `quiet`: others should be preferred from now on. `over`: give the connection up. */
export type SilenceStep = 'ping' | 'quiet' | 'over' | undefined

export class SilenceWatch {
  readonly #limits: SilenceLimits
  #heard = false
  /** Since when there was something to hear and nothing came. */
  #since: number
  #ping: { readonly sentAt: number; overAt: number; isTold: boolean } | undefined

  constructor(limits: SilenceLimits, now: number) {
    this.#limits = limits
    this.#since = now
  }

  /** A ping is on its way. */
  get isAsking(): boolean {
    return this.#ping !== undefined
  }

  /** Anything came in, or more of what was written went out. Costs nothing: it counts at the next sweep. */
  heard(): void {
    this.#heard = true
  }

  /** The other side has to be heard within `withinMs`. Returns whether a ping is to be sent for that. */
  demand(now: number, withinMs: number): boolean {
    const known = this.#ping
    if (known !== undefined) {
      known.overAt = Math.min(known.overAt, now + withinMs)
      return false
    }
    // What was heard before is no answer to what is asked now.
    this.#heard = false
    this.#ping = { sentAt: now, overAt: now + withinMs, isTold: false }
    return true
  }

  /** Looks at it again. `isAwaited`: an answer of any kind is due. */
  sweep(now: number, isAwaited: boolean): SilenceStep {
    if (this.#heard) {
      this.#heard = false
      this.#ping = undefined
      this.#since = now
    }
    const ping = this.#ping
    if (ping !== undefined) {
      if (now >= ping.overAt) return 'over'
      if (ping.isTold || now - ping.sentAt < this.#limits.probeMs) return undefined
      ping.isTold = true
      return 'quiet'
    }
    if (!isAwaited) this.#since = now
    if (now - this.#since < this.#limits.pingMs) return undefined
    this.demand(now, this.#limits.silenceMs)
    return 'ping'
  }
}
