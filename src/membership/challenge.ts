/**
 * Asks whether a process answers to this node's name at another address: named pings over UDP and TCP, then through
 * other members, twice. Decides only "answered", "silent", or that the address is this node's own. Knows nothing of who
 * should keep the name.
 */

import { type HostPort, ipFromBytes } from '../address.js'
import { equalBytes } from '../bytes.js'
import type { SwimConfig } from './config.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import type { Self } from './self.js'
import { encodeMessage } from './wire/encode.js'
import type { Ping, StreamMessage } from './wire/messages.js'

export interface ChallengeParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: Self
  readonly outbound: Outbound
}

/** `echo`: our own ping came back to us, so the address is one of ours. */
export type ChallengeResult = 'answered' | 'silent' | 'echo'

/** A lost packet must not pass for a dead node: everything is asked twice, each time for a probe interval. */
const ROUNDS = 2

export class Challenge {
  readonly #parts: ChallengeParts
  readonly #target: HostPort
  readonly #addr: Uint8Array
  readonly #seqNo: number
  #tcpPing: number | undefined
  #round = 0
  /** When others are asked, or the next round begins. */
  #nextAt: number
  #askedOthers = false
  #result: ChallengeResult | undefined

  constructor(parts: ChallengeParts, at: { readonly addr: Uint8Array; readonly port: number }, now: number) {
    this.#parts = parts
    this.#addr = at.addr
    this.#target = { host: ipFromBytes(at.addr) ?? '', port: at.port }
    this.#seqNo = parts.outbound.nextSeqNo()
    this.#nextAt = now
    this.handleTimeout(now)
  }

  get result(): ChallengeResult | undefined {
    return this.#result
  }

  get nextAt(): number {
    return this.#nextAt
  }

  /** True if the answer was to this challenge. */
  handleAck(seqNo: number): boolean {
    if (seqNo !== this.#seqNo) return false
    this.#result ??= 'answered'
    return true
  }

  /** True if the ping is our own: whoever bears our name and our address is ourselves. */
  handlePing({ seqNo, source }: Ping): boolean {
    const { name, identity } = this.#parts.self
    if (source === undefined || source.node !== name || source.port !== identity.port) return false
    if (!equalBytes(source.addr, identity.addr)) return false
    if (seqNo === this.#seqNo) this.#result ??= 'echo'
    return true
  }

  /** True if the exchange was this challenge's ping over TCP. */
  handleExchange(id: number, reply: StreamMessage | undefined): boolean {
    if (id !== this.#tcpPing) return false
    if (reply?.type === 'ack' && reply.seqNo === this.#seqNo) this.#result ??= 'answered'
    return true
  }

  handleTimeout(now: number): void {
    if (this.#result !== undefined || this.#nextAt > now) return
    const { probeTimeoutMs, probeIntervalMs } = this.#parts.config
    if (this.#round > 0 && !this.#askedOthers) {
      this.#askedOthers = true
      this.#askOthers()
      this.#nextAt = now + probeIntervalMs - probeTimeoutMs
    } else if (this.#round < ROUNDS) {
      this.#round++
      this.#askedOthers = false
      this.#ask()
      this.#nextAt = now + probeTimeoutMs
    } else this.#result = 'silent'
  }

  /** The event loop stood still: an answer may be waiting unread. */
  extend(ms: number): void {
    this.#nextAt += ms
  }

  #ask(): void {
    const { outbound, self, config } = this.#parts
    const ping: Ping = { type: 'ping', seqNo: this.#seqNo, node: self.name, source: outbound.source() }
    const bytes = encodeMessage(ping)
    outbound.sendParts(this.#target, [bytes])
    if (this.#round > 1) return
    const timeoutMs = ROUNDS * config.probeIntervalMs
    this.#tcpPing = outbound.startExchange({ to: this.#target, bytes, expectReply: true, timeoutMs })
  }

  #askOthers(): void {
    const { outbound, self, config, members } = this.#parts
    const others = members.pick(
      config.indirectChecks,
      (entry) => entry.state === 'alive' && entry.name !== self.name && members.trusts(entry),
    )
    const request = { type: 'indirectPing', seqNo: this.#seqNo, target: this.#addr, port: this.#target.port } as const
    for (const helper of others) {
      outbound.sendMessage(helper, { ...request, node: self.name, nack: false, source: outbound.source() }, helper)
    }
  }
}
