/**
 * Who keeps a name that two addresses claim. Another record of our name is no proof of a rival, only an answered ping is:
 * a silent one is a former life of ours, whose record we retire so that ours is taken in at once; of two that live the
 * older boot keeps the name. A newcomer that no list knows yields to any that answers. Only between nodes with boot ids:
 * others keep memberlist's behaviour.
 */

import { formatHostPort, type HostPort, ipFromBytes } from '../address.js'
import { equalBytes } from '../bytes.js'
import { bootIdOf } from './boot-tag.js'
import { Challenge, type ChallengeParts, type ChallengeResult } from './challenge.js'
import type { Roster } from './roster.js'
import type { Sync } from './sync.js'
import { type Alive, type Ping, type PushNodeState, type StreamMessage, WIRE_STATE } from './wire/messages.js'

export interface ContestParts extends ChallengeParts {
  readonly roster: Roster
  readonly sync: Sync
}

/** Whether it is open whose this node's name is. */
export type NameContest = 'none' | 'open' | 'recent'

type Claim = Pick<Alive, 'addr' | 'port' | 'meta' | 'incarnation'>

interface Rival {
  claim: Claim
  bootId: string | undefined
  /** A third member's list holds it: then ours is refused there. */
  held: boolean
  /** It was met before anybody else was. */
  alone: boolean
}

type Phase =
  | { readonly type: 'idle' }
  | { readonly type: 'asking'; readonly rival: Rival; readonly challenge: Challenge; readonly again: boolean }
  /** It answered and is the older: it is asked once more before we give way, since it may be a newcomer about to. */
  | { readonly type: 'waiting'; readonly rival: Rival; readonly until: number }
  /** It answered; whether anybody takes us in shows when our joins have ended. */
  | { readonly type: 'joining'; readonly rival: Rival; readonly until: number }
  | { readonly type: 'lost' }

/**
 * Whoever never joined anybody founded its cluster; a newcomer asked and was not taken in yet; a member's record is held
 * by another one, or none of its name was known when it joined.
 */
type Standing = 'founder' | 'newcomer' | 'member'

/** Longer than a newcomer needs to find out that it has to go. */
const CONFIRM_MS = 5_000
const JOINING_CHECK_MS = 100
/** After a contest was won or settled, the same rival is not asked again for so long. */
const REST_MS = 10_000
/** A record that was retired and still turns up is retired again, at most this often. */
const REPEAT_MS = 1_000

export class Contest {
  readonly #parts: ContestParts
  #phase: Phase = { type: 'idle' }
  #standing: Standing = 'founder'
  #restUntil = Number.NEGATIVE_INFINITY
  #retired: { readonly claim: Claim; readonly at: number } | undefined

  constructor(parts: ContestParts) {
    this.#parts = parts
  }

  /** `recent` for a while after a living rival was met. */
  stateAt(now: number): NameContest {
    if (this.#phase.type !== 'idle' && this.#phase.type !== 'lost') return 'open'
    return this.#phase.type === 'lost' || now < this.#restUntil ? 'recent' : 'none'
  }

  /** We come back after a leave: nobody knows us. */
  reset(): void {
    this.#phase = { type: 'idle' }
    this.#standing = 'founder'
    this.#restUntil = Number.NEGATIVE_INFINITY
  }

  /** We ask to be taken in. */
  handleJoin(): void {
    if (this.#standing === 'founder') this.#standing = 'newcomer'
  }

  /** A list of push/pull, before it is merged. */
  handleList(nodes: readonly PushNodeState[], isJoinReply: boolean, now: number): void {
    const { self } = this.#parts
    const own = nodes.find(({ name }) => name === self.name)
    if (own === undefined) {
      if (isJoinReply) this.#standing = 'member'
    } else if (this.#isOurs(own)) this.#standing = 'member'
    else if (own.state === WIRE_STATE.alive || own.state === WIRE_STATE.suspect) {
      const alone = nodes.every(({ name }) => name === self.name)
      this.#hear(own, { held: !alone, alone }, now)
    } else if (own.state === WIRE_STATE.dead) this.#parts.sync.hurry(now)
  }

  /** A single record of our name at another address. */
  handleClaim(alive: Alive, now: number): void {
    this.#hear(alive, { held: false, alone: false }, now)
  }

  handleAck(seqNo: number, now: number): boolean {
    if (this.#phase.type !== 'asking' || !this.#phase.challenge.handleAck(seqNo)) return false
    this.#conclude(now)
    return true
  }

  handlePing(ping: Ping, now: number): boolean {
    if (this.#phase.type !== 'asking' || !this.#phase.challenge.handlePing(ping)) return false
    this.#conclude(now)
    return true
  }

  handleExchange(id: number, reply: StreamMessage | undefined, now: number): boolean {
    if (this.#phase.type !== 'asking' || !this.#phase.challenge.handleExchange(id, reply)) return false
    this.#conclude(now)
    return true
  }

  nextDeadline(): number | undefined {
    const phase = this.#phase
    if (phase.type === 'asking') return phase.challenge.nextAt
    return phase.type === 'waiting' || phase.type === 'joining' ? phase.until : undefined
  }

  handleTimeout(now: number): void {
    const phase = this.#phase
    if (phase.type === 'idle') return
    if (this.#parts.self.leaving) this.reset()
    else if (phase.type === 'asking') {
      phase.challenge.handleTimeout(now)
      this.#conclude(now)
    } else if (phase.type === 'waiting' && phase.until <= now) this.#ask(phase.rival, true, now)
    else if (phase.type === 'joining' && phase.until <= now) this.#meetLiving(phase.rival, false, now)
  }

  extend(ms: number): void {
    if (this.#phase.type === 'asking') this.#phase.challenge.extend(ms)
  }

  #hear(claim: Claim, how: { readonly held: boolean; readonly alone: boolean }, now: number): void {
    if (this.#ownBootId() === undefined || this.#parts.self.leaving) return
    const phase = this.#phase
    if (phase.type === 'idle') {
      if (this.#isRetired(claim)) this.#retireAgain(how.held, now)
      else if (now >= this.#restUntil) this.#ask({ claim, bootId: bootIdOf(claim.meta), ...how }, false, now)
      return
    }
    if (phase.type === 'lost' || !isSamePlace(phase.rival.claim, claim)) return
    phase.rival.held ||= how.held
    if (claim.incarnation < phase.rival.claim.incarnation) return
    phase.rival.claim = claim
    phase.rival.bootId = bootIdOf(claim.meta)
  }

  #ask(rival: Rival, again: boolean, now: number): void {
    const challenge = new Challenge(this.#parts, rival.claim, now)
    this.#phase = { type: 'asking', rival, challenge, again }
  }

  #conclude(now: number): void {
    if (this.#phase.type !== 'asking' || this.#parts.self.leaving) return
    const { rival, challenge, again } = this.#phase
    const result: ChallengeResult | undefined = challenge.result
    if (result === undefined) return
    if (result === 'answered') this.#meetLiving(rival, again, now)
    else this.#meetNobody(rival, now)
  }

  /** Nobody is there. A later boot of ours takes the name over; an earlier one leaves it to the detector. */
  #meetNobody(rival: Rival, now: number): void {
    this.#settle('freed', rival, now)
    this.#restUntil = Number.NEGATIVE_INFINITY
    if (!rival.held || (this.#isAccepted && !this.#isNewer(rival))) return
    this.#retired = { claim: rival.claim, at: now }
    this.#parts.roster.retireRival(rival.claim.incarnation, now)
  }

  #meetLiving(rival: Rival, again: boolean, now: number): void {
    if (!this.#isAccepted && !rival.alone) {
      if (this.#parts.sync.isJoining) this.#phase = { type: 'joining', rival, until: now + JOINING_CHECK_MS }
      else this.#lose(rival, now)
    } else if (rival.bootId === undefined || !this.#isNewer(rival)) this.#keep(rival, now)
    else if (again || !this.#isAccepted) this.#lose(rival, now)
    else {
      this.#phase = { type: 'waiting', rival, until: now + CONFIRM_MS }
      this.#parts.sync.meet(endpointOf(rival.claim))
    }
  }

  #keep(rival: Rival, now: number): void {
    this.#settle('kept', rival, now)
    // Above it, so that its leave does not count against us.
    if (rival.bootId !== undefined) this.#parts.roster.claimName(rival.claim.incarnation, now)
  }

  #lose(rival: Rival, now: number): void {
    this.#settle('lost', rival, now)
    this.#phase = { type: 'lost' }
  }

  #settle(outcome: 'kept' | 'freed' | 'lost', { claim }: Rival, now: number): void {
    this.#phase = { type: 'idle' }
    this.#restUntil = now + REST_MS
    const address = formatHostPort(endpointOf(claim))
    this.#parts.outbound.notice({ kind: 'name-settled', outcome, address, accepted: this.#isAccepted })
  }

  #retireAgain(held: boolean, now: number): void {
    const retired = this.#retired
    if (!held || retired === undefined || now - retired.at < REPEAT_MS) return
    this.#retired = { ...retired, at: now }
    this.#parts.roster.retireRival(retired.claim.incarnation, now)
  }

  #isRetired(claim: Claim): boolean {
    const retired = this.#retired?.claim
    return retired !== undefined && isSamePlace(retired, claim) && claim.incarnation <= retired.incarnation
  }

  #isNewer(rival: Rival): boolean {
    const own = this.#ownBootId() ?? ''
    if (own !== rival.bootId) return own > (rival.bootId ?? '')
    return formatHostPort(endpointOf(this.#parts.self.identity)) > formatHostPort(endpointOf(rival.claim))
  }

  get #isAccepted(): boolean {
    return this.#standing !== 'newcomer'
  }

  #ownBootId(): string | undefined {
    return bootIdOf(this.#parts.self.identity.meta)
  }

  #isOurs(claim: Pick<Claim, 'addr' | 'port'>): boolean {
    return isSamePlace(claim, this.#parts.self.identity)
  }
}

type Place = Pick<Claim, 'addr' | 'port'>

function isSamePlace(a: Place, b: Place): boolean {
  return a.port === b.port && equalBytes(a.addr, b.addr)
}

function endpointOf({ addr, port }: Place): HostPort {
  return { host: ipFromBytes(addr) ?? '', port }
}
