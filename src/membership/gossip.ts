/**
 * Spreads what is queued (SWIM 4.1): on every packet that leaves anyway, in bursts right after news came up, and at the
 * gossip ticks. Members' own rumours come first; user messages fill the rest and go to shoal nodes only. With nothing
 * queued nothing is sent and no timer runs.
 */
import { Burst } from './burst.js'
import type { SwimConfig } from './config.js'
import { TransmitQueue } from './dissemination.js'
import { isLive, isShoalNode, type MemberEntry } from './member.js'
import type { Members } from './members.js'
import type { Broadcast } from './payload.js'
import { retransmitLimit } from './scaling.js'
import { COMPOUND_HEADER_BYTES, COMPOUND_PART_BYTES } from './wire/compound.js'
import { MESSAGE_TYPE } from './wire/messages.js'

export interface GossipParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: string
  readonly counts: { readonly liveCount: number; readonly shoalCount: number }
  /** Sends these messages to a member as one packet. */
  readonly send: (to: MemberEntry, parts: readonly Uint8Array[]) => void
}

export class Gossip {
  readonly #parts: GossipParts
  readonly #rumours: TransmitQueue
  readonly #userMessages: TransmitQueue
  readonly #burst: Burst
  #tickAt: number | undefined
  #lastTickAt: number

  constructor(parts: GossipParts, now: number) {
    this.#parts = parts
    this.#rumours = new TransmitQueue(parts.config.queueMax)
    this.#userMessages = new TransmitQueue(parts.config.queueMax)
    const { burstPacketsPerSecond, gossipNodes } = parts.config
    this.#burst = new Burst({ packetsPerSecond: burstPacketsPerSecond, fanout: gossipNodes }, now)
    this.#lastTickAt = now
  }

  get queued(): { readonly rumours: number; readonly userMessages: number; readonly dropped: number } {
    return {
      rumours: this.#rumours.size,
      userMessages: this.#userMessages.size,
      dropped: this.#rumours.dropped + this.#userMessages.dropped,
    }
  }

  /** `bytes` is a whole message; `onSpread` is called when it has been sent as often as it will be. */
  addRumour(rumour: Broadcast & { readonly own: boolean }, now: number, onSpread?: () => void): void {
    this.#rumours.add(rumour.key, rumour.bytes, onSpread)
    this.#wake(rumour.own, now)
  }

  /** `bytes` is the payload without the type byte. */
  addUserMessage({ key, bytes, own }: Broadcast & { readonly own: boolean }, now: number): void {
    const message = new Uint8Array(bytes.length + 1)
    message[0] = MESSAGE_TYPE.user
    message.set(bytes, 1)
    this.#userMessages.add(key, message)
    this.#wake(own, now)
  }

  /** What may ride along on a packet to `target`, at most `budget` bytes with the compound's part headers. */
  piggyback(target: MemberEntry | undefined, budget: number): Uint8Array[] {
    const { config, counts } = this.#parts
    const limit = retransmitLimit(config.retransmitMult, counts.liveCount)
    const parts = this.#rumours.take(budget, COMPOUND_PART_BYTES, limit)
    if (target === undefined || this.#userMessages.size === 0 || !isShoalNode(target)) return parts
    let left = budget
    for (const part of parts) left -= part.length + COMPOUND_PART_BYTES
    const userLimit = retransmitLimit(config.retransmitMult, counts.shoalCount)
    return [...parts, ...this.#userMessages.take(left, COMPOUND_PART_BYTES, userLimit)]
  }

  nextDeadline(): number | undefined {
    const burstAt = this.#burst.nextDeadline()
    if (burstAt === undefined) return this.#tickAt
    return this.#tickAt === undefined ? burstAt : Math.min(burstAt, this.#tickAt)
  }

  handleTimeout(now: number): void {
    if (this.#tickAt !== undefined && this.#tickAt <= now) {
      this.#lastTickAt = now
      this.#tickAt = undefined
      this.#round(now)
    } else if (this.#burst.tryRound(now)) this.#round(now)
    this.#rearm(now)
  }

  #wake(own: boolean, now: number): void {
    this.#burst.start(own, now)
    this.#rearm(now)
  }

  #rearm(now: number): void {
    if (this.#rumours.size + this.#userMessages.size === 0) {
      this.#tickAt = undefined
      this.#burst.stop()
      return
    }
    if (this.#tickAt !== undefined) return
    const { gossipIntervalMs } = this.#parts.config
    this.#tickAt = Math.max(this.#lastTickAt, now) + gossipIntervalMs
  }

  #round(now: number): void {
    const targets = this.#targets(now)
    if (targets.length === 0) {
      // Nobody to tell: whoever comes later learns all of it by push/pull.
      this.#rumours.clear()
      this.#userMessages.clear()
      return
    }
    for (const target of targets) {
      const parts = this.piggyback(target, this.#parts.config.packetBytesMax - COMPOUND_HEADER_BYTES)
      if (parts.length > 0) this.#parts.send(target, parts)
    }
  }

  #targets(now: number): MemberEntry[] {
    const { config, members, self } = this.#parts
    const listens = (entry: MemberEntry): boolean =>
      entry.name !== self &&
      (isLive(entry) || (entry.state === 'dead' && now - entry.stateAt < config.gossipToTheDeadMs))
    const targets = members.pick(config.gossipNodes, listens)
    if (this.#userMessages.size === 0) return targets
    // In a mixed cluster the user messages need a fan-out of their own.
    const missing = config.gossipNodes - targets.filter(isShoalNode).length
    if (missing === 0) return targets
    const others = (entry: MemberEntry): boolean => listens(entry) && isShoalNode(entry) && !targets.includes(entry)
    return [...targets, ...members.pick(missing, others)]
  }
}
