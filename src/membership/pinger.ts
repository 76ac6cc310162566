/**
 * Pings that users ask for: one packet to a member, and how long its answer took. An answer is a sign of life, and
 * silence has the failure detector look at once; neither convicts nor acquits anybody here.
 */
import { type HostPort, isSameEndpoint } from '../address.js'
import { isLive, type MemberEntry, observeAnswer } from './member.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import type { Prober } from './probe.js'

export interface PingerParts {
  readonly members: Members
  readonly outbound: Outbound
  readonly prober: Pick<Prober, 'probeSoon' | 'handleSignOfLife'>
  /** Somebody whom we hold for dead has answered. */
  readonly resurrected: (entry: MemberEntry) => void
}

interface AskedPing {
  readonly id: number
  readonly target: MemberEntry
  /** Where it was pinged. */
  readonly at: HostPort
  readonly sentAt: number
  deadlineAt: number
}

/** Of users' pings at once; further ones are refused. */
export const PINGS_MAX = 1_024

export class Pinger {
  readonly #parts: PingerParts
  readonly #pings = new Map<number, AskedPing>()
  #lastId = 0

  constructor(parts: PingerParts) {
    this.#parts = parts
  }

  /** The end comes as a `pinged` effect with the returned id; undefined when too many are under way. */
  ping(target: MemberEntry, timeoutMs: number, now: number): number | undefined {
    if (this.#pings.size >= PINGS_MAX) return undefined
    const seqNo = this.#parts.outbound.nextSeqNo()
    const at = { host: target.host, port: target.port }
    this.#pings.set(seqNo, { id: ++this.#lastId, target, at, sentAt: now, deadlineAt: now + timeoutMs })
    this.#parts.outbound.sendPing(target, seqNo)
    return this.#lastId
  }

  /** True if it answers one of these pings. */
  handleAck(seqNo: number, now: number): boolean {
    const ping = this.#pings.get(seqNo)
    if (ping === undefined) return false
    this.#pings.delete(seqNo)
    const { id, target, at, sentAt } = ping
    this.#parts.outbound.emit({ type: 'pinged', id, rttMs: now - sentAt })
    if (!isSameEndpoint(target, at)) return true // it has moved since
    observeAnswer(target, now - sentAt)
    this.#parts.members.prove(target, at)
    if (isLive(target)) this.#parts.prober.handleSignOfLife(target, now)
    else if (target.state === 'dead') this.#parts.resurrected(target)
    return true
  }

  nextDeadline(): number | undefined {
    let next: number | undefined
    for (const { deadlineAt } of this.#pings.values()) if (next === undefined || deadlineAt < next) next = deadlineAt
    return next
  }

  handleTimeout(now: number): void {
    for (const [seqNo, { id, target, deadlineAt }] of this.#pings) {
      if (deadlineAt > now) continue
      this.#pings.delete(seqNo)
      this.#parts.outbound.emit({ type: 'pinged', id, rttMs: undefined })
      this.#parts.prober.probeSoon(target.name, now)
    }
  }

  extend(ms: number): void {
    for (const ping of this.#pings.values()) ping.deadlineAt += ms
  }
}
