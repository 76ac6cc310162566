/**
 * The states of members, and what entering one entails: the counts, the suspicion that begins or ends, the event. Who
 * enters which state is judged by `roster.ts`; whom to tell is not decided here.
 */
import { equalBytes } from '../bytes.js'
import type { SwimConfig } from './config.js'
import { type Identity, isLive, isShoalNode, type MemberEntry } from './member.js'
import type { Members } from './members.js'
import type { RosterOutput } from './roster-output.js'
import { Suspicion, suspicionLimits } from './suspicion.js'
import { Suspicions } from './suspicions.js'
import type { Dead, Suspect } from './wire/messages.js'

export interface MemberStatesParts {
  readonly config: SwimConfig
  readonly members: Members
  /** Suspects are told before their time is over. */
  readonly warnsSuspects: boolean
  readonly event: RosterOutput['event']
}

export class MemberStates {
  /** Of those that are suspect. */
  readonly suspicions: Suspicions
  readonly #parts: MemberStatesParts
  #liveCount = 0
  #shoalCount = 0
  #deadCount = 0

  constructor(parts: MemberStatesParts) {
    this.#parts = parts
    this.suspicions = new Suspicions(parts.config.probeIntervalMs, parts.warnsSuspects)
  }

  get liveCount(): number {
    return this.#liveCount
  }

  /** Those of the live ones that are shoal nodes. */
  get shoalCount(): number {
    return this.#shoalCount
  }

  /** Members that failed and did not say goodbye. */
  get deadCount(): number {
    return this.#deadCount
  }

  /** Live members, but no flood of names that nobody answers to. */
  get scale(): number {
    const { members } = this.#parts
    return members.isFlooded ? Math.min(this.#liveCount, members.verifiedCount) : this.#liveCount
  }

  /** Another row of the table, which counts as dead until it enters its first state. */
  enroll(): void {
    this.#deadCount++
  }

  /** It is out of the table already; so it must be out of everything else. */
  dismiss(entry: MemberEntry, now: number): void {
    this.#uncount(entry)
    this.suspicions.delete(entry.name)
    this.#parts.event('reap', entry, now)
  }

  becomeAlive(entry: MemberEntry, alive: Identity & { readonly incarnation: number }, now: number): void {
    const { members, event } = this.#parts
    const before = entry.state
    const metaChanged = !equalBytes(entry.meta, alive.meta)
    const moved = entry.port !== alive.port || !equalBytes(entry.addr, alive.addr)
    this.#uncount(entry)
    this.suspicions.delete(entry.name)
    if (metaChanged || moved || !equalBytes(entry.vsn, alive.vsn)) members.adopt(entry, alive)
    entry.incarnation = alive.incarnation
    this.#enter(entry, 'alive', now)
    if (before === 'dead' || before === 'left') event('join', entry, now)
    else if (before === 'suspect') event('alive', entry, now)
    if ((metaChanged || moved) && (before === 'alive' || before === 'suspect')) event('update', entry, now)
  }

  becomeSuspect(entry: MemberEntry, { incarnation, from }: Suspect, now: number): void {
    const { config, event } = this.#parts
    this.#uncount(entry)
    entry.incarnation = incarnation
    this.#enter(entry, 'suspect', now)
    this.suspicions.set(entry.name, new Suspicion(from, suspicionLimits(config, this.scale), now))
    event('suspect', entry, now)
  }

  becomeDown(entry: MemberEntry, { incarnation, from, node }: Dead, now: number): void {
    this.#uncount(entry)
    this.suspicions.delete(entry.name)
    entry.incarnation = incarnation
    const state = from === node ? 'left' : 'dead'
    this.#enter(entry, state, now)
    this.#parts.event(state === 'left' ? 'leave' : 'dead', entry, now)
  }

  #enter(entry: MemberEntry, state: MemberEntry['state'], now: number): void {
    if (entry.state !== state) entry.stateAt = now
    entry.state = state
    entry.snapshot = undefined
    if (state === 'dead') this.#deadCount++
    if (!isLive(entry)) return
    this.#liveCount++
    if (isShoalNode(entry)) this.#shoalCount++
  }

  /** Takes the entry out of the counts before it changes; `#enter` counts it again. */
  #uncount(entry: MemberEntry): void {
    if (entry.state === 'dead') this.#deadCount--
    if (!isLive(entry)) return
    this.#liveCount--
    if (isShoalNode(entry)) this.#shoalCount--
  }
}
