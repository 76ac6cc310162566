/**
 * The machine's way out: messages become packets with whatever gossip lets ride along, and everything that the driver
 * is to do queues up until it is drained. Owns the sequence numbers.
 */
import { formatHostPort, type HostPort, ipFromBytes } from '../address.js'
import type { SwimConfig } from './config.js'
import type { Effect, Notice } from './effects.js'
import type { MemberEntry } from './member.js'
import type { Self } from './self.js'
import { COMPOUND_HEADER_BYTES, COMPOUND_PART_BYTES, encodeCompound } from './wire/compound.js'
import { encodeMessage } from './wire/encode.js'
import type { PacketMessage, Ping, Source } from './wire/messages.js'

export interface OutboundParts {
  readonly config: SwimConfig
  readonly self: Self
  /** A suspect is told of the suspicion with the ping. */
  readonly buddy: boolean
  readonly piggyback: (target: MemberEntry | undefined, budget: number) => readonly Uint8Array[]
}

export interface ExchangeRequest {
  readonly to: HostPort
  readonly bytes: Uint8Array
  readonly expectReply: boolean
  readonly timeoutMs: number
}

export class Outbound {
  readonly #parts: OutboundParts
  #effects: Effect[] = []
  #seqNo = 0
  #exchangeId = 0

  constructor(parts: OutboundParts) {
    this.#parts = parts
  }

  /** Sends one message, and on the same packet what gossip has for this target. */
  sendMessage(to: HostPort, message: PacketMessage, target: MemberEntry): void {
    const { config, piggyback } = this.#parts
    const bytes = encodeMessage(message)
    const budget = config.packetBytesMax - COMPOUND_HEADER_BYTES - COMPOUND_PART_BYTES - bytes.length
    this.sendParts(to, [bytes, ...piggyback(target, budget)])
  }

  /** A suspect is told of the suspicion on the very packet that gives it the chance to answer (Lifeguard 3.3, buddy). */
  sendPing(target: MemberEntry, seqNo: number): void {
    const { name: node, incarnation, state } = target
    const ping: Ping = { type: 'ping', seqNo, node, source: this.source() }
    if (state !== 'suspect' || !this.#parts.buddy) {
      this.sendMessage(target, ping, target)
      return
    }
    const suspect = encodeMessage({ type: 'suspect', node, incarnation, from: this.#parts.self.name })
    this.sendParts(target, [encodeMessage(ping), suspect])
  }

  /** Sends exactly these messages as one packet. */
  sendParts(to: HostPort, parts: readonly Uint8Array[]): void {
    const [only, second] = parts
    if (only === undefined) return
    const endpoint = { host: to.host, port: to.port }
    this.emit({ type: 'packet', to: endpoint, bytes: second === undefined ? only : encodeCompound(parts) })
  }

  /** Sends this message alone, unless no packet holds it: a record that came over TCP may be larger. */
  sendIfFits(to: HostPort, bytes: Uint8Array): void {
    if (bytes.length <= this.#parts.config.packetBytesMax) this.sendParts(to, [bytes])
  }

  /** Asks for a TCP exchange; its end comes back with the returned id. */
  startExchange({ to, ...request }: ExchangeRequest): number {
    const id = this.nextExchangeId()
    this.emit({ type: 'exchange', id, to: { host: to.host, port: to.port }, ...request })
    return id
  }

  nextExchangeId(): number {
    return ++this.#exchangeId
  }

  emit(effect: Effect): void {
    this.#effects.push(effect)
  }

  notice(notice: Notice): void {
    this.emit({ type: 'notice', notice })
  }

  drain(): Effect[] {
    const effects = this.#effects
    if (effects.length > 0) this.#effects = []
    return effects
  }

  nextSeqNo(): number {
    this.#seqNo = (this.#seqNo + 1) >>> 0
    return this.#seqNo
  }

  /** Sends one message alone: to an address that nobody has proven to be a member's. */
  sendBare(to: HostPort, message: PacketMessage): void {
    this.sendParts(to, [encodeMessage(message)])
  }

  /** Where we say that we are. */
  address(): string {
    const { addr, port } = this.#parts.self.identity
    return formatHostPort({ host: ipFromBytes(addr) ?? '', port })
  }

  /** How we name ourselves in a ping, so that the answer finds us. */
  source(): Source {
    const { name, identity } = this.#parts.self
    return { addr: identity.addr, port: identity.port, node: name }
  }
}
