/**
 * Answers to pings, and pings made for others (SWIM 3.1, ping-req): an answer is passed on, and its absence is owned up
 * to with a nack.
 *
 * Whoever asks names the address to answer at, and may name a stranger's. So gossip rides along only to members that
 * have proven their address; all others get together no more bytes than the packet that asked for them had.
 */
import { type HostPort, ipFromBytes, isSameEndpoint } from '../address.js'
import { EMPTY_BYTES } from '../bytes.js'
import type { Allowance } from './allowance.js'
import type { SwimConfig } from './config.js'
import type { MemberEntry } from './member.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import type { Self } from './self.js'
import { TokenBucket } from './token-bucket.js'
import { encodeMessage } from './wire/encode.js'
import type { IndirectPing, Ping, Source } from './wire/messages.js'

export interface ResponderParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: Self
  readonly outbound: Outbound
  readonly allowance: Allowance
  /** A node of this name, which is no member, pings us from this address. */
  readonly onStranger: (name: string, at: HostPort, now: number) => void
  readonly count: (reason: 'wrong-name' | 'relays-full' | 'answers-full') => void
}

interface Relay {
  readonly origin: HostPort
  readonly originSeqNo: number
  readonly originName: string
  /** When a nack is due; undefined once it is sent, or when none is wanted. */
  nackAt: number | undefined
  /** An answer that comes later is not passed on. */
  deadlineAt: number
}

/** Whoever asks more of us than this at once gets no answer, which counts as none. */
const RELAYS_MAX = 1_024
/** Pings for others: a forged request makes us ping whomever it names. Far above what a cluster in trouble asks for. */
const RELAY_RATE = { perSecond: 128, burst: 256 }
/** Of the time that the asker has left when it asks: a nack must be there before its deadline (Lifeguard 3.1). */
const NACK_SHARE = 0.8

export class Responder {
  readonly #parts: ResponderParts
  readonly #relays = new Map<number, Relay>()
  readonly #relayBucket: TokenBucket

  constructor(parts: ResponderParts, now: number) {
    this.#parts = parts
    this.#relayBucket = new TokenBucket(RELAY_RATE, now)
  }

  handlePing(ping: Ping, from: HostPort, now: number): void {
    if (!this.#isForUs(ping)) return
    const { allowance, outbound, count, members, onStranger } = this.#parts
    const ack = { type: 'ack', seqNo: ping.seqNo, payload: EMPTY_BYTES } as const
    const to = endpointOf(ping.source) ?? from
    const claimed = ping.source === undefined ? undefined : members.get(ping.source.node)
    if (claimed !== undefined) members.verify(claimed, from)
    else if (ping.source !== undefined && isSameEndpoint(to, from)) onStranger(ping.source.node, from, now)
    const sender = this.#provenMember(ping.source?.node, to)
    if (sender === undefined ? !allowance.tryAckStranger(encodeMessage(ack).length) : !allowance.tryAnswer()) {
      count('answers-full')
    } else if (sender === undefined) outbound.sendBare(to, ack)
    else outbound.sendMessage(to, ack, sender)
  }

  /** The answer to a ping over TCP; undefined when it was meant for another node. */
  answerTcpPing(ping: Ping): Uint8Array | undefined {
    if (!this.#isForUs(ping)) return undefined
    return encodeMessage({ type: 'ack', seqNo: ping.seqNo, payload: EMPTY_BYTES })
  }

  handleIndirectPing(request: IndirectPing, from: HostPort, now: number): void {
    const { config, outbound, count } = this.#parts
    const host = ipFromBytes(request.target)
    if (host === undefined) return
    if (this.#relays.size >= RELAYS_MAX || !this.#relayBucket.tryTake(now)) {
      count('relays-full')
      return
    }
    const seqNo = outbound.nextSeqNo()
    const leftMs = Math.min(config.probeTimeoutMs, config.probeIntervalMs - config.probeTimeoutMs)
    this.#relays.set(seqNo, {
      origin: endpointOf(request.source) ?? from,
      originSeqNo: request.seqNo,
      originName: request.source?.node ?? '',
      nackAt: request.nack ? now + NACK_SHARE * leftMs : undefined,
      deadlineAt: now + config.probeTimeoutMs,
    })
    const ping = { type: 'ping', seqNo, node: request.node, source: outbound.source() } as const
    // The target can answer at the packet's own source as well: whoever asked little makes us send little.
    const isLarger = encodeMessage(ping).length > encodeMessage(request).length
    outbound.sendBare({ host, port: request.port }, isLarger ? { ...ping, source: undefined } : ping)
  }

  /** True if this answers a ping that we made for somebody. */
  handleAck(seqNo: number): boolean {
    const relay = this.#relays.get(seqNo)
    if (relay === undefined) return false
    this.#relays.delete(seqNo)
    const { origin, originName, originSeqNo } = relay
    const ack = { type: 'ack', seqNo: originSeqNo, payload: EMPTY_BYTES } as const
    const asker = this.#provenMember(originName, origin)
    if (asker === undefined) this.#parts.outbound.sendBare(origin, ack)
    else this.#parts.outbound.sendMessage(origin, ack, asker)
    return true
  }

  /** All relays are equally patient: the first in is the first due, and the first without a nack the next to have one. */
  nextDeadline(): number | undefined {
    let next: number | undefined
    for (const { nackAt, deadlineAt } of this.#relays.values()) {
      next ??= deadlineAt
      if (nackAt !== undefined) return Math.min(next, nackAt)
    }
    return next
  }

  handleTimeout(now: number): void {
    for (const [seqNo, relay] of this.#relays) {
      if (relay.nackAt !== undefined && relay.nackAt <= now) {
        relay.nackAt = undefined
        this.#parts.outbound.sendBare(relay.origin, { type: 'nack', seqNo: relay.originSeqNo })
      }
      if (relay.deadlineAt <= now) this.#relays.delete(seqNo)
    }
  }

  extend(ms: number): void {
    for (const relay of this.#relays.values()) {
      relay.deadlineAt += ms
      if (relay.nackAt !== undefined) relay.nackAt += ms
    }
  }

  #isForUs(ping: Ping): boolean {
    if (ping.node === '' || ping.node === this.#parts.self.name) return true
    this.#parts.count('wrong-name')
    return false
  }

  /** The member of this name, if this is the address that it has proven to be its own. */
  #provenMember(name: string | undefined, at: HostPort): MemberEntry | undefined {
    const entry = name === undefined ? undefined : this.#parts.members.get(name)
    return entry?.proven && isSameEndpoint(entry, at) ? entry : undefined
  }
}

function endpointOf(source: Source | undefined): HostPort | undefined {
  if (source === undefined) return undefined
  const host = ipFromBytes(source.addr)
  return host === undefined ? undefined : { host, port: source.port }
}
