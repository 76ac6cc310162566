/**
 * Spreads what is queued (SWIM 4.1): on every packet that leaves anyway, in bursts right after news came up, and at the
 * gossip ticks. User messages have a share of each packet to a shoal node, rumours the rest. With nothing
 * queued nothing is sent and no timer runs.
 */
import { Burst } from './burst.js'
import type { SwimConfig } from './config.js'
import { type News, TransmitQueue } from './dissemination.js'
import { isLive, isShoalNode, type MemberEntry } from './member.js'
import type { Members } from './members.js'
import type { Roster } from './roster.js'
import { relayRounds, retransmitLimit, sendLimit } from './scaling.js'
import { COMPOUND_HEADER_BYTES, COMPOUND_PART_BYTES } from './wire/compound.js'
import { MESSAGE_TYPE } from './wire/messages.js'

export interface GossipParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: string
  readonly counts: Pick<Roster, 'liveCount' | 'otherCount' | 'shoalCount' | 'deadCount'>
  /** Sends these messages to a member as one packet. */
  readonly send: (to: MemberEntry, parts: readonly Uint8Array[]) => void
  /** This member must prove its address before it is told more. */
  readonly mustProve: (entry: MemberEntry, now: number) => void
}

/** Of a packet, for user messages when there are any. */
const USER_SHARE = 1 / 3
/** What agents tell each other comes in bursts at most; the most often sent gives way. */
const AGENT_MESSAGES_MAX = 1_024
const NOTHING: readonly Uint8Array[] = []
/** What a member may be sent besides pings before it proved its address: it may be somebody's whom a liar named. */
export const UNPROVEN_BYTES_MAX = 4_096

/** The largest message, type byte included, that gossip can carry. */
function messageBytesMax({ packetBytesMax }: Pick<SwimConfig, 'packetBytesMax'>): number {
  return packetBytesMax - COMPOUND_HEADER_BYTES - COMPOUND_PART_BYTES
}

/** The largest user message, without its type byte. */
export function broadcastBytesMax(config: Pick<SwimConfig, 'packetBytesMax'>): number {
  return messageBytesMax(config) - 1
}

export class Gossip {
  readonly #parts: GossipParts
  readonly #rumours: TransmitQueue
  readonly #userMessages: TransmitQueue
  /** For members that are no shoal nodes, who get nothing else of the kind. */
  readonly #agentMessages = new TransmitQueue(AGENT_MESSAGES_MAX)
  readonly #burst: Burst
  #tickAt: number | undefined
  #lastTickAt: number
  #oversized = 0

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
      userMessages: this.#userMessages.size + this.#agentMessages.size,
      dropped: this.#rumours.dropped + this.#userMessages.dropped + this.#agentMessages.dropped + this.#oversized,
    }
  }

  /** `bytes` is a whole message; `onSpread` is called when it has been sent as often as it will be. */
  addRumour(rumour: News, now: number, onSpread?: () => void): void {
    if (!this.#fits(rumour.bytes)) return
    this.#rumours.add(rumour, onSpread)
    this.#wake(rumour.own, now)
  }

  /** `bytes` is the payload without the type byte. */
  addUserMessage({ key, bytes, own }: News, now: number): void {
    const message = userMessage(bytes)
    if (!this.#fits(message)) return
    this.#userMessages.add({ key, bytes: message, own })
    this.#wake(own, now)
  }

  /** The same for members that are no shoal nodes. */
  addAgentMessage({ key, bytes, own }: News, now: number): void {
    const message = userMessage(bytes)
    if (!this.#fits(message)) return
    this.#agentMessages.add({ key, bytes: message, own })
    this.#wake(own, now)
  }

  /** What may ride along on a packet to `target`, at most `budget` bytes with the compound's part headers. */
  piggyback(target: MemberEntry | undefined, budget: number): readonly Uint8Array[] {
    // What a dead member is told in case it lives does not use up what the living are to hear.
    return this.#take(target, budget, target === undefined || isLive(target))
  }

  /** `counted`: as a transmission of whatever it takes. */
  #take(target: MemberEntry | undefined, budget: number, counted: boolean): readonly Uint8Array[] {
    if (this.#queuedCount() === 0) return NOTHING
    const { config, counts } = this.#parts
    const limit = counted ? sendLimit(config.retransmitMult, counts.liveCount) : Number.POSITIVE_INFINITY
    const room = target === undefined || target.proven ? budget : Math.min(budget, unprovenRoom(target))
    const takeUser = (bytes: number): Uint8Array[] => this.#takeUserMessages(target, bytes, counted)
    // A share is theirs: behind a storm of rumours they would wait until it is over.
    const first = takeUser(room * USER_SHARE)
    const rumours = this.#rumours.take(room - costOf(first), COMPOUND_PART_BYTES, limit)
    const parts = [...rumours, ...first]
    if (first.length === 0) parts.push(...takeUser(room - costOf(rumours)))
    if (target?.proven === false) target.unprovenBytes += costOf(parts)
    return parts
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
    } else {
      const fanout = this.#burst.takeRound(now)
      if (fanout > 0) this.#round(now, fanout)
    }
    this.#rearm(now)
  }

  /** What fits no packet would only block the queue: push/pull carries it. */
  #fits(message: Uint8Array): boolean {
    if (message.length <= messageBytesMax(this.#parts.config)) return true
    this.#oversized++
    return false
  }

  #wake(own: boolean, now: number): void {
    const { config, counts } = this.#parts
    this.#burst.start(own, now, relayRounds(counts.liveCount, config.gossipNodes))
    this.#rearm(now)
  }

  #queuedCount(): number {
    return this.#rumours.size + this.#userMessages.size + this.#agentMessages.size
  }

  #rearm(now: number): void {
    const isAlone = this.#queuedCount() > 0 && !this.#hasListeners(now)
    if (isAlone) {
      // Whoever comes gets all of it by push/pull. What is for agents waits: the answer to a join tells us their time
      // before it names them.
      this.#rumours.clear()
      this.#userMessages.clear()
    }
    if (isAlone || this.#queuedCount() === 0) {
      this.#tickAt = undefined
      this.#burst.stop()
      return
    }
    if (this.#tickAt !== undefined) return
    const { gossipIntervalMs } = this.#parts.config
    this.#tickAt = Math.max(this.#lastTickAt, now) + gossipIntervalMs
  }

  #round(now: number, fanout: number = this.#parts.config.gossipNodes): void {
    const targets = this.#targets(now)
    const listens = (entry: MemberEntry): boolean => this.#listens(entry) && !targets.includes(entry)
    const wide = fanout - targets.length
    // Forged names must not keep our news from those that we know to be there.
    const { members } = this.#parts
    const more = wide > 0 ? members.nextToTell(wide, listens, members.isOutnumbered ? wide : 0) : []
    // The rest of a wide round comes first, with the newest news, and is not counted: the source repeats its news as
    // often as without it.
    for (const target of more) this.#tell(target, false, now)
    for (const target of targets) this.#tell(target, isLive(target), now)
  }

  #tell(target: MemberEntry, counted: boolean, now: number): void {
    const { packetBytesMax } = this.#parts.config
    const parts = this.#take(target, packetBytesMax - COMPOUND_HEADER_BYTES, counted)
    if (parts.length > 0) this.#parts.send(target, parts)
    // In time: what is left may be too little for the next rumour.
    const hasRoom = target.proven || unprovenRoom(target) >= packetBytesMax
    if (!hasRoom) this.#parts.mustProve(target, now)
  }

  #listens(entry: MemberEntry): boolean {
    const { members, self } = this.#parts
    return entry.name !== self && isLive(entry) && members.trusts(entry)
  }

  /** The last member we lost must hear of it too: where two convicted each other, nobody else can tell them. */
  #hasListeners(now: number): boolean {
    const { counts, members } = this.#parts
    if (counts.otherCount > 0) return true
    return counts.deadCount > 0 && members.count((entry) => this.#isLost(entry, now)) > 0
  }

  #isLost(entry: MemberEntry, now: number): boolean {
    const { config, members } = this.#parts
    return entry.state === 'dead' && now - entry.stateAt < config.gossipToTheDeadMs && members.trusts(entry)
  }

  #targets(now: number): MemberEntry[] {
    const { config, members, counts } = this.#parts
    const listens = (entry: MemberEntry): boolean => this.#listens(entry)
    const targets = members.nextToTell(config.gossipNodes, listens, members.reservedOf(config.gossipNodes))
    if (counts.deadCount > 0) targets.push(...members.pick(1, (entry) => this.#isLost(entry, now)))
    // In a mixed cluster the user messages need a fan-out of their own.
    const widen = (isMeant: (entry: MemberEntry) => boolean): void => {
      const missing = config.gossipNodes - targets.filter(isMeant).length
      const others = (entry: MemberEntry): boolean => listens(entry) && isMeant(entry) && !targets.includes(entry)
      if (missing > 0) targets.push(...members.pick(missing, others))
    }
    if (this.#userMessages.size > 0) widen(isShoalNode)
    if (this.#agentMessages.size > 0) widen((entry) => !isShoalNode(entry))
    return targets
  }

  #takeUserMessages(target: MemberEntry | undefined, room: number, counted: boolean): Uint8Array[] {
    if (target === undefined) return []
    const toShoal = isShoalNode(target)
    const queue = toShoal ? this.#userMessages : this.#agentMessages
    if (queue.size === 0) return []
    const limit = counted ? this.#userLimit(toShoal) : Number.POSITIVE_INFINITY
    return queue.take(room, COMPOUND_PART_BYTES, limit)
  }

  #userLimit(toShoal: boolean): number {
    const { config, counts, members, self } = this.#parts
    if (toShoal) return sendLimit(config.retransmitMult, counts.shoalCount)
    const agents = members.count((entry) => isLive(entry) && entry.name !== self && !isShoalNode(entry))
    // Each once in turn; they pass it on among themselves, and other guests may do the same.
    return Math.max(agents, retransmitLimit(config.retransmitMult, agents + 1))
  }
}

function unprovenRoom({ unprovenBytes }: MemberEntry): number {
  return Math.max(0, UNPROVEN_BYTES_MAX - unprovenBytes)
}

function costOf(parts: readonly Uint8Array[]): number {
  let bytes = 0
  for (const part of parts) bytes += part.length + COMPOUND_PART_BYTES
  return bytes
}

/** A payload with the type byte before it. */
function userMessage(payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(payload.length + 1)
  message[0] = MESSAGE_TYPE.user
  message.set(payload, 1)
  return message
}
