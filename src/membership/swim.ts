/**
 * The membership machine: bytes, stream messages and time in, effects out. It routes what comes in to the parts that
 * know (roster, prober, gossip, sync) and owns what they share: sequence numbers, the effect queue, the counters.
 *
 * Pure: `now` is monotonic ms, `random` is injected. Inputs are synchronous and total; after each the driver pulls
 * `drain()` and arms one timer for `nextDeadline()`.
 */
import type { HostPort } from '../address.js'
import { Allowance } from './allowance.js'
import type { SwimConfig } from './config.js'
import { Contest, type NameContest } from './contest.js'
import { Corrections } from './corrections.js'
import { Dispatch } from './dispatch.js'
import type { Effect, MemberEventType } from './effects.js'
import { ALL_FEATURES, type SwimFeatures } from './features.js'
import { Gatekeeper } from './gatekeeper.js'
import { Gossip } from './gossip.js'
import { Healer } from './healer.js'
import { LocalHealth } from './local-health.js'
import { isLive, isShoalNode, type Member, type MemberEntry, snapshotOf } from './member.js'
import { Members } from './members.js'
import { Outbound, type OutboundParts } from './outbound.js'
import type { Broadcast } from './payload.js'
import { Pinger } from './pinger.js'
import { Prober } from './probe.js'
import { Responder } from './responder.js'
import { Roster } from './roster.js'
import { Self } from './self.js'
import { Silence } from './silence.js'
import type { DropReason, ExchangeResult, SwimOptions, SwimStats } from './swim-contract.js'
import { Sync, type SyncParts } from './sync.js'
import { UserMessages } from './user-messages.js'
import { Verdicts } from './verdicts.js'
import { decodePacket } from './wire/decode.js'
import { encodeMessage } from './wire/encode.js'
import type { Alive, Dead, StreamMessage, Suspect } from './wire/messages.js'

const REAP_INTERVAL_MS = 15_000 // Serf's ReapInterval
/** A hook has so long, and never more than half of what the peer waits on its stream. */
const VERDICT_MS_MAX = 5_000

export class Swim {
  readonly #config: SwimConfig
  readonly #wallOffsetMs: number
  readonly #self: Self
  readonly #members: Members
  readonly #health: LocalHealth
  readonly #silence: Silence
  readonly #roster: Roster
  readonly #gossip: Gossip
  readonly #prober: Prober
  readonly #responder: Responder
  readonly #pinger: Pinger
  readonly #verdicts: Verdicts
  readonly #gatekeeper: Gatekeeper
  readonly #sync: Sync
  readonly #healer: Healer
  readonly #outbound: Outbound
  readonly #corrections: Corrections
  readonly #dispatch: Dispatch
  readonly #users: UserMessages
  readonly #contest: Contest
  readonly #allowance = new Allowance()
  readonly #mayRun: NonNullable<SwimFeatures['mayRun']>
  readonly #drops: Partial<Record<DropReason, number>> = {}
  #reapAt: number
  /** When this node left; undefined while it has not, or is back. */
  #leftAt: number | undefined

  constructor(options: SwimOptions, now: number) {
    const { config, name, identity, incarnation, random, payload, features = ALL_FEATURES } = options
    this.#config = config
    this.#wallOffsetMs = options.wallOffsetMs
    this.#mayRun = features.mayRun ?? (() => true)
    this.#self = new Self(name, identity, incarnation)
    this.#members = new Members(random, config.memberMax)
    this.#health = new LocalHealth(config.awarenessMax)
    this.#silence = new Silence(features.silence)
    const piggyback: OutboundParts['piggyback'] = (target, budget) => this.#gossip.piggyback(target, budget)
    this.#outbound = new Outbound({ config, self: this.#self, buddy: features.buddy, piggyback })
    this.#verdicts = new Verdicts(this.#outbound, Math.min(VERDICT_MS_MAX, config.streamTimeoutMs / 2))
    this.#gatekeeper = this.#createGatekeeper(options)
    const answering = { members: this.#members, outbound: this.#outbound, allowance: this.#allowance }
    this.#corrections = new Corrections({ ...answering, isOn: features.corrections }, now)
    this.#roster = this.#createRoster(features)
    this.#gossip = this.#createGossip(now)
    const count = (reason: DropReason): void => this.count(reason)
    const isGuest = options.amongSerf === true
    const userParts = { config, members: this.#members, self: name, payload, gossip: this.#gossip, isGuest, count }
    this.#users = new UserMessages({ ...userParts, ask: (member) => this.syncWith(member) })
    const shared = { config, members: this.#members, health: this.#health, outbound: this.#outbound }
    const failed = (target: MemberEntry, at: number): void => this.#roster.accuse(target, at)
    const suspectAnsweredByTcp = (target: MemberEntry): void => this.#sync.heal(target)
    const proberParts = {
      ...shared,
      silence: this.#silence,
      self: name,
      failed,
      suspectAnsweredByTcp,
      tellByTcp: features.tellByTcp,
    }
    this.#prober = new Prober(proberParts, now + random() * config.probeIntervalMs)
    const onStranger = (stranger: string, at: HostPort, since: number): void =>
      this.#healer.handleStranger(stranger, at, since)
    const responding = { ...shared, self: this.#self, allowance: this.#allowance, onStranger, count }
    this.#responder = new Responder(responding, now)
    const onHealed = (member: string, at: number): void => this.#healer.handleAnswer(member, at)
    const onForeignState = (state: Uint8Array, at: number): void => this.#users.handleForeignState(state, at)
    const onList: SyncParts['onList'] = (nodes, isJoinReply, at) => this.#contest.handleList(nodes, isJoinReply, at)
    const judging = { verdicts: this.#verdicts, judgesJoins: options.asks?.merges === true }
    const owning = { ...shared, self: this.#self, roster: this.#roster }
    const reports = { onList, onHealed, onForeignState, wallOffsetMs: options.wallOffsetMs }
    const firstTickAt = now + random() * config.pushPullIntervalMs
    this.#sync = new Sync({ ...owning, ...reports, ...judging, payload }, firstTickAt)
    this.#contest = new Contest({ ...owning, sync: this.#sync })
    const healing = { members: this.#members, roster: this.#roster, sync: this.#sync, random }
    this.#healer = new Healer({ ...healing, isEager: features.eagerHealing }, now)
    const resurrected = (entry: MemberEntry): void => this.#sync.heal(entry)
    this.#pinger = new Pinger({ ...shared, prober: this.#prober, resurrected })
    const probing = { prober: this.#prober, pinger: this.#pinger, responder: this.#responder }
    const answered = (at: number): void => this.#handleAnswer(at)
    const naming = { contest: this.#contest, corrections: this.#corrections }
    this.#dispatch = new Dispatch({ ...owning, ...probing, ...naming, users: this.#users, answered, count })
    this.#reapAt = now + REAP_INTERVAL_MS
  }

  /** Enters this node into its own table; call once, before any other input. */
  start(now: number): void {
    this.#roster.start(now)
    this.#spread(now)
  }

  handlePacket(bytes: Uint8Array, from: HostPort, now: number): void {
    const { messages, drops } = decodePacket(bytes)
    for (const drop of drops) this.count(drop)
    this.#allowance.begin(bytes.length)
    for (const message of messages) this.#dispatch.handleMessage(message, from, now)
    this.#spread(now)
  }

  /** A whole message on an accepted stream. It is answered by exactly one `reply` effect, after a hook's verdict for some. */
  handleStream(stream: number, message: StreamMessage, from: HostPort, now: number): void {
    this.#allowance.beginStream()
    const reply = (bytes: Uint8Array | undefined): void => this.#outbound.emit({ type: 'reply', stream, bytes })
    if (message.type === 'pushPull') this.#sync.handleRequest({ request: message, from, reply }, now)
    else reply(this.#dispatch.answerStream(message, now))
    this.#spread(now)
  }

  /** How an `exchange` effect ended. */
  handleExchange(id: number, result: ExchangeResult, now: number): void {
    this.#allowance.beginStream()
    const reply = result.ok ? result.message : undefined
    if (reply !== undefined) this.#handleAnswer(now)
    if (this.#prober.handleTcpReply(id, reply) || this.#contest.handleExchange(id, reply, now)) return
    if (!result.ok) this.#sync.handleFailure(id, result.error)
    else if (result.message?.type === 'pushPull') this.#sync.handleReply(id, result.message, now)
    else if (result.message?.type === 'err') this.#sync.handleFailure(id, `peer says: ${result.message.error}`)
    else if (result.message !== undefined) this.#sync.handleFailure(id, `unexpected ${result.message.type} as reply`)
    this.#spread(now)
  }

  /** What the user's hook said; `refusal` is its reason, undefined a yes. Too late it is let pass. */
  handleVerdict(id: number, refusal: string | undefined, now: number): void {
    this.#allowance.beginStream()
    this.#verdicts.handleVerdict(id, refusal, now)
    this.#spread(now)
  }

  handleTimeout(now: number): void {
    this.#pinger.handleTimeout(now)
    this.#verdicts.handleTimeout(now)
    // Nobody tells one that has left what happens: from then on it judges nobody and spreads no more of what it knows.
    if (!this.#hasLeft && this.#mayRun('probe')) this.#prober.handleTimeout(now)
    if (!this.#hasLeft) this.#sync.handleTimeout(now)
    if (!this.#hasLeft) this.#roster.handleTimeout(now)
    this.#responder.handleTimeout(now)
    this.#contest.handleTimeout(now)
    if (!this.#self.leaving) this.#healer.handleTimeout(now)
    if (this.#users.guest?.takeLeave(now) === true) this.#roster.leave(now)
    if (this.#reapAt <= now) {
      this.#reapAt = now + REAP_INTERVAL_MS
      this.#roster.reap(now)
    }
    this.#spread(now)
  }

  /**
   * The event loop stood still for `stallMs`, and what arrived meanwhile has been handled: running deadlines are
   * extended by it, and the local health score rises (a deaf node must not judge others).
   */
  handleStall(stallMs: number): void {
    this.#prober.extend(stallMs)
    this.#responder.extend(stallMs)
    this.#contest.extend(stallMs)
    this.#pinger.extend(stallMs)
    this.#verdicts.extend(stallMs)
    this.#roster.extendSuspicions(stallMs)
    this.#health.change(Math.floor(stallMs / this.#config.probeTimeoutMs))
  }

  /** Push/pull with an address of which nothing is known; ends with a `joined` effect that carries the returned id. */
  join(to: HostPort): number {
    this.#contest.handleJoin()
    return this.#sync.join(to)
  }

  /** Push/pull with a member, because the payload has reason to think that it missed something. */
  syncWith(name: string): void {
    const entry = this.#members.get(name)
    if (entry !== undefined && isLive(entry) && name !== this.#self.name) this.#sync.syncWith(entry)
  }

  /** A payload message to this member alone, over TCP; only to a shoal node, others would log it as an error. */
  send(name: string, payload: Uint8Array): void {
    const entry = this.#members.get(name)
    if (entry === undefined || name === this.#self.name || !isLive(entry) || !isShoalNode(entry)) return
    this.#sync.send({ host: entry.host, port: entry.port }, payload)
  }

  /** Something outside saw trouble with this member: probe it now. Convicts nobody by itself. */
  probeSoon(name: string, now: number): void {
    this.#prober.probeSoon(name, now)
  }

  /** One ping to a known member, ended by a `pinged` effect with the returned id; undefined when too many are under way. */
  ping(name: string, timeoutMs: number, now: number): number | undefined {
    const entry = this.#members.get(name)
    return entry === undefined ? undefined : this.#pinger.ping(entry, timeoutMs, now)
  }

  updateMeta(meta: Uint8Array, now: number): void {
    this.#roster.updateMeta(meta, now)
    this.#spread(now)
  }

  /** Spreads a payload message of ours. */
  broadcast({ key, bytes }: Broadcast, now: number): void {
    this.#gossip.addUserMessage({ key, bytes, own: true }, now)
    this.#spread(now)
  }

  /**
   * Tells the others; a `left` effect follows when that has been sent often enough, at once if nobody is there. What
   * goes before it takes at most half of `timeoutMs`.
   */
  leave(now: number, timeoutMs: number = Number.POSITIVE_INFINITY): void {
    if (this.#hasLeft) this.#outbound.emit({ type: 'left' })
    if (this.#users.leaves(timeoutMs, now)) this.#roster.leave(now)
    this.#spread(now)
  }

  /** Comes back after a leave, as what this node is now; without effect unless it left. Others hear of it by a join. */
  rejoin(now: number): void {
    if (!this.#self.leaving) return
    if (this.#leftAt !== undefined) this.#resume(now - this.#leftAt)
    this.#contest.reset()
    this.#roster.rejoin(now)
    this.#users.guest?.rejoin(now)
    this.#spread(now)
  }

  /** Whether another address claims this node's name. */
  nameContest(now: number): NameContest {
    return this.#contest.stateAt(now)
  }

  drain(): Effect[] {
    return this.#outbound.drain()
  }

  nextDeadline(): number {
    let next = this.#reapAt
    if (!this.#hasLeft) next = Math.min(next, this.#sync.tickAt)
    if (!this.#hasLeft && this.#mayRun('probe')) next = Math.min(next, this.#prober.nextDeadline())
    if (!this.#self.leaving) next = Math.min(next, this.#healer.nextDeadline())
    next = Math.min(next, this.#users.guest?.nextDeadline() ?? next)
    next = Math.min(next, this.#pinger.nextDeadline() ?? next, this.#verdicts.nextDeadline() ?? next)
    next = Math.min(next, this.#responder.nextDeadline() ?? next)
    next = Math.min(next, this.#contest.nextDeadline() ?? next)
    if (!this.#hasLeft) next = Math.min(next, this.#roster.nextDeadline() ?? next)
    return this.#mayRun('gossip') ? Math.min(next, this.#gossip.nextDeadline() ?? next) : next
  }

  /** Every member known, this node, the dead and those that left included, until they are reaped. */
  members(): Member[] {
    return [...this.#members.values()].map((entry) => snapshotOf(entry, this.#wallOffsetMs))
  }

  member(name: string): Member | undefined {
    const entry = this.#members.get(name)
    return entry === undefined ? undefined : snapshotOf(entry, this.#wallOffsetMs)
  }

  stats(): SwimStats {
    return {
      healthScore: this.#health.score,
      members: this.#members.size,
      live: this.#roster.liveCount,
      suspicions: this.#roster.suspicionCount,
      queued: this.#gossip.queued,
      drops: { ...this.#drops },
    }
  }

  /** Counts something that was dropped, by reason; the driver uses it for what never reaches the machine. */
  count(reason: DropReason): void {
    this.#drops[reason] = (this.#drops[reason] ?? 0) + 1
  }

  /** Somebody answered what we sent: packets go both ways. */
  #handleAnswer(now: number): void {
    if (this.#silence.handleAnswer()) this.#roster.handleSilenceEnd(now)
  }

  #spread(now: number): void {
    if (this.#mayRun('gossip')) this.#gossip.handleTimeout(now)
  }

  get #hasLeft(): boolean {
    return this.#leftAt !== undefined
  }

  /** Our leave is told, or the last member that could be told has gone; said once, and not if we are back by then. */
  #becomeLeft(now: number): void {
    if (this.#hasLeft || !this.#self.leaving) return
    this.#leftAt = now
    this.#outbound.emit({ type: 'left' })
  }

  /** What was known of others when we left is known no better now: it convicts nobody. */
  #resume(goneMs: number): void {
    this.#leftAt = undefined
    this.#prober.abandon()
    this.#roster.extendSuspicions(goneMs)
  }

  #event(type: MemberEventType, entry: MemberEntry, now: number): void {
    if (type === 'join') this.#users.noteJoin(entry, now)
    this.#outbound.emit({ type: 'event', event: { type, member: snapshotOf(entry, this.#wallOffsetMs) } })
    // Our own leave comes by here as well: with nobody left to tell it is done at once.
    if (this.#self.leaving && this.#roster.otherCount === 0) this.#becomeLeft(now)
  }

  #createRoster(features: SwimFeatures): Roster {
    return new Roster({
      config: this.#config,
      members: this.#members,
      self: this.#self,
      health: this.#health,
      silence: this.#silence,
      warnsSuspects: features.lastWord,
      output: {
        rumour: (message, own, now) => {
          const ourLeave = message.type === 'dead' && message.node === this.#self.name && this.#self.leaving
          const onSpread = ourLeave ? () => this.#becomeLeft(now) : undefined
          const doubted = !own && this.#members.doubts(message.node)
          const news = { key: keyOf(message), bytes: encodeMessage(message), own, doubted }
          this.#gossip.addRumour(news, now, onSpread)
        },
        warn: (entry, suspect) => this.#outbound.sendParts(entry, [encodeMessage(suspect)]),
        tell: (to, message, now) => this.#corrections.tell(to, message, now),
        rival: (alive, now) => this.#contest.handleClaim(alive, now),
        permits: (alive, known, now) => this.#gatekeeper.permits(alive, known, now),
        event: (type, entry, now) => this.#event(type, entry, now),
        notice: (notice) => this.#outbound.notice(notice),
        count: (reason) => this.count(reason),
      },
    })
  }

  #createGossip(now: number): Gossip {
    const { name } = this.#self
    const send = (to: MemberEntry, messages: readonly Uint8Array[]): void => this.#outbound.sendParts(to, messages)
    const mustProve = (entry: MemberEntry, at: number): void => this.#prober.probeSoon(entry.name, at)
    const parts = { config: this.#config, members: this.#members, self: name, counts: this.#roster }
    return new Gossip({ ...parts, send, mustProve }, now)
  }

  #createGatekeeper({ asks, isAllowed, wallOffsetMs }: SwimOptions): Gatekeeper {
    return new Gatekeeper({
      outbound: this.#outbound,
      verdicts: this.#verdicts,
      asksMembers: asks?.members === true,
      isAllowed,
      wallOffsetMs,
      retry: (alive, now) => this.#roster.handleAlive(alive, now),
      count: (reason) => this.count(reason),
    })
  }
}

/** One rumour about a member at a time; but that it left may have to go ahead of its return at another address. */
function keyOf(message: Alive | Suspect | Dead): string {
  return message.type === 'dead' && message.from === message.node ? `\u0000left ${message.node}` : message.node
}
