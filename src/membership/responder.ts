/**
 * Answers to pings, and pings made for others (SWIM 3.1, ping-req): an answer is passed on, and its absence is owned up
 * to with a nack.
 */
import { type HostPort, ipFromBytes } from '../address.js'
import { EMPTY_BYTES } from '../bytes.js'
import type { SwimConfig } from './config.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import type { Self } from './self.js'
import { encodeMessage } from './wire/encode.js'
import type { IndirectPing, Ping, Source } from './wire/messages.js'

export interface ResponderParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: Self
  readonly outbound: Outbound
  readonly count: (reason: 'wrong-name' | 'relays-full') => void
}

interface Relay {
  readonly origin: HostPort
  readonly originSeqNo: number
  readonly wantsNack: boolean
  deadlineAt: number
}

/** Whoever asks more of us than this at once gets no answer, which counts as none. */
const RELAYS_MAX = 1_024

export class Responder {
  readonly #parts: ResponderParts
  readonly #relays = new Map<number, Relay>()

  constructor(parts: ResponderParts) {
    this.#parts = parts
  }

  handlePing(ping: Ping, from: HostPort): void {
    if (!this.#isForUs(ping)) return
    const { members, outbound } = this.#parts
    const sender = ping.source === undefined ? undefined : members.get(ping.source.node)
    const to = endpointOf(ping.source) ?? from
    if (sender?.host === from.host && sender.port === from.port) members.verify(sender)
    outbound.sendMessage(to, { type: 'ack', seqNo: ping.seqNo, payload: EMPTY_BYTES }, sender)
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
    if (this.#relays.size >= RELAYS_MAX) {
      count('relays-full')
      return
    }
    const seqNo = outbound.nextSeqNo()
    this.#relays.set(seqNo, {
      origin: endpointOf(request.source) ?? from,
      originSeqNo: request.seqNo,
      wantsNack: request.nack,
      deadlineAt: now + config.probeTimeoutMs,
    })
    const to = { host, port: request.port }
    outbound.sendMessage(to, { type: 'ping', seqNo, node: request.node, source: outbound.source() })
  }

  /** True if this answers a ping that we made for somebody. */
  handleAck(seqNo: number): boolean {
    const relay = this.#relays.get(seqNo)
    if (relay === undefined) return false
    this.#relays.delete(seqNo)
    const ack = { type: 'ack', seqNo: relay.originSeqNo, payload: EMPTY_BYTES } as const
    this.#parts.outbound.sendMessage(relay.origin, ack)
    return true
  }

  nextDeadline(): number | undefined {
    // All relays are equally patient, so the first in is the first due.
    for (const relay of this.#relays.values()) return relay.deadlineAt
    return undefined
  }

  handleTimeout(now: number): void {
    for (const [seqNo, relay] of this.#relays) {
      if (relay.deadlineAt > now) break
      this.#relays.delete(seqNo)
      if (relay.wantsNack) this.#parts.outbound.sendMessage(relay.origin, { type: 'nack', seqNo: relay.originSeqNo })
    }
  }

  extend(ms: number): void {
    for (const relay of this.#relays.values()) relay.deadlineAt += ms
  }

  #isForUs(ping: Ping): boolean {
    if (ping.node === '' || ping.node === this.#parts.self.name) return true
    this.#parts.count('wrong-name')
    return false
  }
}

function endpointOf(source: Source | undefined): HostPort | undefined {
  if (source === undefined) return undefined
  const host = ipFromBytes(source.addr)
  return host === undefined ? undefined : { host, port: source.port }
}
