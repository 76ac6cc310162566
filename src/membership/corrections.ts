/**
 * Whoever spreads an accusation that was refuted long ago missed the refutation, and gossip will not repeat it: others
 * ignore the old incarnation in silence. So the sender is told at once what we hold. Without this a member whom one lost
 * rumour made a suspect stays dead in that one view until a push/pull. Bounded by a token bucket; the reply is an
 * ordinary `alive`, which any memberlist understands.
 */
import type { HostPort } from '../address.js'
import { aliveOf } from './member.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import { encodeMessage } from './wire/encode.js'
import type { Alive, Suspect } from './wire/messages.js'

/** A forged sender address must not make us a source of traffic. */
const REPLIES_PER_SECOND = 20

export class Corrections {
  readonly #members: Members
  readonly #outbound: Outbound
  #tokens = REPLIES_PER_SECOND
  #filledAt: number

  constructor(members: Members, outbound: Outbound, now: number) {
    this.#members = members
    this.#outbound = outbound
    this.#filledAt = now
  }

  /** To be called after the accusation was judged. */
  handleAccusation(
    accused: { readonly node: string; readonly incarnation: number },
    from: HostPort,
    now: number,
  ): void {
    const entry = this.#members.get(accused.node)
    if (entry === undefined || entry.state !== 'alive' || entry.incarnation <= accused.incarnation) return
    this.tell(from, aliveOf(entry), now)
  }

  /** Sends one message to whom it concerns, unless too many were sent lately. */
  tell(to: HostPort, message: Alive | Suspect, now: number): void {
    const gained = ((now - this.#filledAt) * REPLIES_PER_SECOND) / 1_000
    this.#tokens = Math.min(REPLIES_PER_SECOND, this.#tokens + gained)
    this.#filledAt = now
    if (this.#tokens < 1) return
    this.#tokens--
    this.#outbound.sendIfFits(to, encodeMessage(message))
  }
}
