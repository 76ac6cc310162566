/**
 * Which part of the machine a message is for: an ack belongs to whoever sent that ping, an accusation is judged first and
 * corrected then, and in a flood a verified member that tells of somebody vouches for it. Decides nothing else.
 */
import type { HostPort } from '../address.js'
import { unreachable } from '../errors.js'
import type { Contest } from './contest.js'
import type { Corrections } from './corrections.js'
import type { Members } from './members.js'
import type { Pinger } from './pinger.js'
import type { Prober } from './probe.js'
import type { Responder } from './responder.js'
import type { Roster } from './roster.js'
import type { UserMessages } from './user-messages.js'
import type { PacketMessage, PushPull, StreamMessage } from './wire/messages.js'

export interface DispatchParts {
  readonly members: Members
  readonly roster: Roster
  readonly prober: Prober
  readonly pinger: Pinger
  readonly responder: Responder
  readonly contest: Contest
  readonly corrections: Corrections
  readonly users: UserMessages
  /** Somebody answered what we sent. */
  readonly answered: (now: number) => void
  readonly count: (reason: 'unexpected-stream') => void
}

export class Dispatch {
  readonly #parts: DispatchParts

  constructor(parts: DispatchParts) {
    this.#parts = parts
  }

  /** One message of a packet from this address. */
  handleMessage(message: PacketMessage, from: HostPort, now: number): void {
    const { members, roster, prober, responder, contest, corrections, users } = this.#parts
    switch (message.type) {
      case 'ping':
        if (!contest.handlePing(message, now)) responder.handlePing(message, from, now)
        break
      case 'indirectPing':
        responder.handleIndirectPing(message, from, now)
        break
      case 'ack':
        this.#handleAck(message.seqNo, now)
        break
      case 'nack':
        this.#parts.answered(now)
        prober.handleNack(message.seqNo)
        break
      case 'alive':
        roster.handleAlive(message, now)
        if (members.isFlooded && members.hasVerifiedAt(from)) members.vouch(message.node)
        break
      case 'suspect':
        roster.handleSuspect(message, now)
        corrections.handleAccusation(message, from, now)
        break
      case 'dead':
        roster.handleDead(message, now)
        corrections.handleAccusation(message, from, now)
        break
      case 'user':
        users.handleMessage(message.payload, now)
        break
      default:
        unreachable(message)
    }
  }

  /** What a stream that is no push/pull is answered with; undefined for nothing. */
  answerStream(message: Exclude<StreamMessage, PushPull>, now: number): Uint8Array | undefined {
    const { contest, responder, users, count } = this.#parts
    switch (message.type) {
      case 'ping':
        return contest.handlePing(message, now) ? undefined : responder.answerTcpPing(message)
      case 'user':
        users.handleMessage(message.payload, now)
        return undefined
      case 'ack':
      case 'err':
        count('unexpected-stream')
        return undefined
      default:
        return unreachable(message)
    }
  }

  #handleAck(seqNo: number, now: number): void {
    const { prober, pinger, responder, contest, answered } = this.#parts
    answered(now)
    if (responder.handleAck(seqNo) || contest.handleAck(seqNo, now) || pinger.handleAck(seqNo, now)) return
    prober.handleAck(seqNo, now)
  }
}
