/**
 * Whoever spreads an accusation that was refuted long ago missed the refutation, and gossip will not repeat it: others
 * ignore the old incarnation in silence. So the sender is told at once what we hold. Without this a member whom one lost
 * rumour made a suspect stays dead in that one view until a push/pull. Bounded by a token bucket; the reply is an
 * ordinary `alive`, which any memberlist understands.
 */
import type { HostPort } from '../address.js'
import type { Allowance } from './allowance.js'
import { aliveOf } from './member.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import { TokenBucket } from './token-bucket.js'
import { encodeMessage } from './wire/encode.js'
import type { Alive, Suspect } from './wire/messages.js'

/** A forged sender address must not make us a source of traffic. */
const REPLIES_PER_SECOND = 20

export interface CorrectionParts {
  readonly members: Members
  readonly outbound: Outbound
  readonly allowance: Allowance
  /** Stale accusations are answered. */
  readonly isOn: boolean
}

export class Corrections {
  readonly #parts: CorrectionParts
  readonly #bucket: TokenBucket

  constructor(parts: CorrectionParts, now: number) {
    this.#parts = parts
    this.#bucket = new TokenBucket({ perSecond: REPLIES_PER_SECOND, burst: REPLIES_PER_SECOND }, now)
  }

  /** To be called after the accusation was judged. */
  handleAccusation(
    accused: { readonly node: string; readonly incarnation: number },
    from: HostPort,
    now: number,
  ): void {
    const { members, isOn } = this.#parts
    const entry = isOn ? members.get(accused.node) : undefined
    if (entry === undefined || entry.state !== 'alive' || entry.incarnation <= accused.incarnation) return
    this.tell(from, aliveOf(entry), now)
  }

  /** Sends one message to whom it concerns, unless too many were sent lately. */
  tell(to: HostPort, message: Alive | Suspect, now: number): void {
    const bytes = encodeMessage(message)
    if (this.#bucket.tryTake(now) && this.#mayAnswer(to, bytes.length)) this.#parts.outbound.sendIfFits(to, bytes)
  }

  /** An `alive` with its meta is larger than an accusation: only whoever proved to be there gets more than was sent. */
  #mayAnswer(from: HostPort, bytes: number): boolean {
    const { allowance, members } = this.#parts
    return members.provenAt(from) === undefined ? allowance.tryAnswerStranger(bytes) : allowance.tryAnswer()
  }
}
