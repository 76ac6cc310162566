/**
 * The failure detector's cycle (SWIM 3.1 and 4.3; memberlist probeNode): one member per interval, first directly, then
 * through others and over TCP. At most one probe is in flight. Decides only "answered" or "failed".
 */
import { formatHostPort, type HostPort, isSameEndpoint } from '../address.js'
import type { SwimConfig } from './config.js'
import type { LocalHealth } from './local-health.js'
import { isLive, type MemberEntry, observeAnswer, speaks } from './member.js'
import type { Members } from './members.js'
import type { Outbound } from './outbound.js'
import type { Silence } from './silence.js'
import { encodeMessage } from './wire/encode.js'
import type { StreamMessage } from './wire/messages.js'

interface InFlight {
  readonly target: MemberEntry
  /** Where it was when it was pinged: what comes from there says nothing of another address. */
  readonly at: HostPort
  readonly incarnation: number
  readonly seqNo: number
  readonly sentAt: number
  phase: 'direct' | 'indirect'
  /** When the direct ping counts as unanswered. */
  timeoutAt: number
  deadlineAt: number
  nacksExpected: number
  nacks: number
  /** The TCP ping was answered; looked at only when nothing else was. */
  answeredByTcp: boolean
}

export interface ProberParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly health: LocalHealth
  readonly self: string
  readonly outbound: Outbound
  readonly silence: Silence
  readonly failed: (target: MemberEntry, now: number) => void
  /** A suspect answered over TCP, where it cannot be told on the ping that it is one. */
  readonly tellByTcp: boolean
  readonly suspectAnsweredByTcp: (target: MemberEntry) => void
}

/** Further doubts are let pass: the round comes to those members by itself. */
const URGENT_MAX = 128
/** Probe intervals in which the round may stand still for doubts. */
const ROUND_WAITS = 2
const FIRST_TCP_PROTOCOL = 3
const FIRST_NACK_PROTOCOL = 4

export class Prober {
  readonly #parts: ProberParts
  /** Members that somebody has reason to doubt; probed before the round goes on. */
  readonly #urgent = new Set<string>()
  /** When the round went on last: doubts, which anybody can sow, must not keep it from going on for long. */
  #roundAt: number
  /** Pings over TCP under way, by exchange. */
  readonly #tcpPings = new Map<number, InFlight>()
  #inFlight: InFlight | undefined
  #tickAt: number

  /** The first probe comes after a random part of an interval, so that nodes do not probe in step. */
  constructor(parts: ProberParts, firstTickAt: number) {
    this.#parts = parts
    this.#tickAt = firstTickAt
    this.#roundAt = firstTickAt
  }

  /** Evidence against this member came from elsewhere: look at once. */
  probeSoon(name: string, now: number): void {
    if (this.#urgent.size >= URGENT_MAX || name === this.#parts.self) return
    this.#urgent.add(name)
    if (this.#inFlight === undefined) this.#tickAt = Math.min(this.#tickAt, now)
  }

  handleAck(seqNo: number, now: number): void {
    const probe = this.#inFlight
    if (probe === undefined || probe.seqNo !== seqNo) return
    const { target, at, phase, sentAt } = probe
    if (phase === 'direct' && isSameEndpoint(target, at)) {
      observeAnswer(target, now - sentAt)
      this.#parts.members.prove(target, at)
    }
    this.#succeed(now)
  }

  /** This member answered something else than the probe. */
  handleSignOfLife(entry: MemberEntry, now: number): void {
    if (this.#inFlight?.target === entry) this.#succeed(now)
  }

  handleNack(seqNo: number): void {
    const probe = this.#inFlight
    if (probe !== undefined && probe.seqNo === seqNo) probe.nacks++
  }

  /** True if the exchange was a ping over TCP. `reply` is undefined when it failed. */
  handleTcpReply(exchange: number, reply: StreamMessage | undefined): boolean {
    const probe = this.#tcpPings.get(exchange)
    if (probe === undefined) return false
    this.#tcpPings.delete(exchange)
    if (reply?.type !== 'ack' || reply.seqNo !== probe.seqNo) return true
    probe.answeredByTcp = true
    const { members, tellByTcp, suspectAnsweredByTcp } = this.#parts
    members.prove(probe.target, probe.at)
    if (tellByTcp && probe.target.state === 'suspect') suspectAnsweredByTcp(probe.target)
    return true
  }

  nextDeadline(): number {
    const probe = this.#inFlight
    if (probe === undefined) return this.#tickAt
    return probe.phase === 'direct' ? probe.timeoutAt : probe.deadlineAt
  }

  handleTimeout(now: number): void {
    const probe = this.#inFlight
    if (probe === undefined) {
      if (this.#tickAt <= now) this.#tick(now)
    } else if (probe.phase === 'direct') {
      if (probe.timeoutAt <= now) this.#askOthers(probe, now)
    } else if (probe.deadlineAt <= now) this.#conclude(probe, now)
  }

  /** Whatever is under way has lost its meaning. */
  abandon(): void {
    this.#inFlight = undefined
  }

  /** The event loop stood still: an answer may be waiting unread. */
  extend(ms: number): void {
    if (this.#inFlight === undefined) return
    this.#inFlight.timeoutAt += ms
    this.#inFlight.deadlineAt += ms
  }

  #tick(now: number): void {
    const { config, health, outbound, silence } = this.#parts
    this.#tickAt = now + config.probeIntervalMs
    const target = this.#nextTarget(now)
    if (target === undefined) return
    const deadlineAt = now + health.scale(config.probeIntervalMs)
    this.#inFlight = {
      target,
      at: { host: target.host, port: target.port },
      incarnation: target.incarnation,
      seqNo: outbound.nextSeqNo(),
      sentAt: now,
      phase: 'direct',
      timeoutAt: Math.min(now + config.probeTimeoutMs, deadlineAt),
      deadlineAt,
      nacksExpected: 0,
      nacks: 0,
      answeredByTcp: false,
    }
    silence.handleProbe()
    outbound.sendPing(target, this.#inFlight.seqNo)
  }

  #nextTarget(now: number): MemberEntry | undefined {
    const { config, members, self } = this.#parts
    const isOverdue = now - this.#roundAt >= ROUND_WAITS * config.probeIntervalMs
    for (const name of isOverdue ? [] : this.#urgent) {
      this.#urgent.delete(name)
      const entry = members.get(name)
      if (entry !== undefined && isLive(entry)) return entry
    }
    this.#roundAt = now
    return members.nextToProbe(self)
  }

  #askOthers(probe: InFlight, now: number): void {
    const { config, members, self } = this.#parts
    probe.phase = 'indirect'
    const helpers = members.pick(
      config.indirectChecks,
      (entry) => entry.state === 'alive' && entry.name !== self && entry !== probe.target && members.trusts(entry),
    )
    for (const helper of helpers) this.#sendIndirectPing(probe, helper)
    if (speaks(probe.target, FIRST_TCP_PROTOCOL)) this.#sendTcpPing(probe, now)
  }

  #conclude(probe: InFlight, now: number): void {
    const { health, failed, silence, members } = this.#parts
    if (probe.answeredByTcp) {
      this.#succeed(now)
      this.#diagnose(probe.target)
      return
    }
    this.#inFlight = undefined
    // Helpers that said nothing at all speak against us, not against the target (Lifeguard 3.1). Forged names do not.
    const isReal = members.trusts(probe.target) && !members.doubts(probe.target.name)
    if (isReal) silence.handleFailure(probe.target.name)
    const missing = probe.nacksExpected > 0 ? Math.max(0, probe.nacksExpected - probe.nacks) : 1
    if (isReal) health.change(missing)
    // A higher incarnation since the ping is a sign of life.
    if (isLive(probe.target) && probe.target.incarnation === probe.incarnation) failed(probe.target, now)
    this.#scheduleNext(now)
  }

  /** Said once, until a ping over UDP is answered again. */
  #diagnose(target: MemberEntry): void {
    if (target.udpReachable === false) return
    target.udpReachable = false
    target.snapshot = undefined
    const { outbound } = this.#parts
    const { name: member, host, port } = target
    outbound.notice({ kind: 'udp-blocked', member, address: formatHostPort({ host, port }), local: outbound.address() })
  }

  #succeed(now: number): void {
    if (this.#inFlight !== undefined) this.#parts.members.verify(this.#inFlight.target, this.#inFlight.at)
    this.#inFlight = undefined
    this.#parts.health.change(-1)
    this.#scheduleNext(now)
  }

  #scheduleNext(now: number): void {
    if (this.#urgent.size > 0 || this.#tickAt < now) this.#tickAt = now
  }

  #sendIndirectPing(probe: InFlight, helper: MemberEntry): void {
    const { outbound } = this.#parts
    const { addr, port, name: node } = probe.target
    const nack = speaks(helper, FIRST_NACK_PROTOCOL)
    if (nack) probe.nacksExpected++
    const source = outbound.source()
    outbound.sendMessage(
      helper,
      { type: 'indirectPing', seqNo: probe.seqNo, target: addr, port, node, nack, source },
      helper,
    )
  }

  #sendTcpPing(probe: InFlight, now: number): void {
    const { outbound } = this.#parts
    const { target, seqNo } = probe
    const bytes = encodeMessage({ type: 'ping', seqNo, node: target.name, source: outbound.source() })
    const timeoutMs = Math.max(1, probe.deadlineAt - now)
    this.#tcpPings.set(outbound.startExchange({ to: target, bytes, expectReply: true, timeoutMs }), probe)
  }
}
