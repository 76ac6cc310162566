/**
 * Brings back together what was cut apart (Serf's reconnect): members that died are tried again by push/pull, those that
 * died lately more often. Whoever answers shows each side that it was thought dead, both refute, and a second exchange
 * right after carries the refutations over. Without it two halves that buried each other would never meet again.
 *
 * The other way round, whoever pings us knows us. One that we do not know is asked for what it knows: we may have been
 * restarted so fast that nobody noticed, while our seeds are gone.
 */
import type { HostPort } from '../address.js'
import type { Random } from '../random.js'
import type { MemberEntry } from './member.js'
import type { Members } from './members.js'
import type { Roster } from './roster.js'
import type { Sync } from './sync.js'

export interface HealerParts {
  readonly members: Members
  readonly roster: Roster
  readonly sync: Sync
  readonly random: Random
  /** False: as Serf does, every 30 s, and no second exchange. */
  readonly isEager: boolean
}

const INTERVAL_MS = 5_000
/** Members that died longer ago than this are tried a sixth as often: every 30 s, as Serf does. */
const RECENT_MS = 600_000
const OLD_SHARE = 1 / 6
/** After an answer the state is exchanged again: the first time both sides learn what to refute, then they have. */
const AGAIN_MS = [500, 2_000] as const
const AGAIN_MAX = 64
/** A stranger is as a rule somebody who has just joined, and of whom gossip will tell. */
const STRANGE_FOR_MS = 2_000
/** One may be turned away by a rule of ours, and a ping forged to have us dial an address: each try makes the next rarer. */
const MEET_WAIT_MAX_MS = 300_000

interface Stranger {
  readonly name: string
  readonly at: HostPort
  readonly since: number
}

export class Healer {
  readonly #parts: HealerParts
  #tickAt: number
  /** Further exchanges that are due, soonest first. */
  #again: { readonly name: string; readonly at: number }[] = []
  #stranger: Stranger | undefined
  #meetAt = Number.NEGATIVE_INFINITY
  #meetWaitMs = INTERVAL_MS

  /** The first tick comes after a random part of the interval, so that nodes do not try in step. */
  constructor(parts: HealerParts, now: number) {
    this.#parts = parts
    this.#tickAt = now + parts.random() * INTERVAL_MS
  }

  nextDeadline(): number {
    return Math.min(this.#tickAt, this.#again[0]?.at ?? this.#tickAt)
  }

  handleTimeout(now: number): void {
    if (this.#tickAt <= now) {
      this.#tickAt = now + INTERVAL_MS
      this.#tryOne(now)
      this.#meetStranger(now)
    }
    for (let next = this.#again[0]; next !== undefined && next.at <= now; next = this.#again[0]) {
      this.#again.shift()
      const entry = this.#parts.members.get(next.name)
      if (entry !== undefined && entry.state !== 'left') this.#parts.sync.heal(entry)
    }
  }

  /** A member that was dead for us, or a suspect that only TCP reaches, has answered. */
  handleAnswer(name: string, now: number): void {
    if (!this.#parts.isEager || this.#again.length >= AGAIN_MAX) return
    if (this.#again.some((each) => each.name === name)) return
    for (const ms of AGAIN_MS) this.#again.push({ name, at: now + ms })
    this.#again.sort((a, b) => a.at - b.at)
  }

  /** Somebody at this address pings us, and we know nobody of that name. */
  handleStranger(name: string, at: HostPort, now: number): void {
    this.#stranger ??= { name, at, since: now }
  }

  #meetStranger(now: number): void {
    const { members, sync } = this.#parts
    const stranger = this.#stranger
    if (stranger === undefined || members.get(stranger.name) !== undefined) {
      this.#stranger = undefined
      this.#meetWaitMs = INTERVAL_MS
      return
    }
    if (members.isFull || now < this.#meetAt || now - stranger.since < STRANGE_FOR_MS) return
    this.#stranger = undefined
    this.#meetAt = now + this.#meetWaitMs
    this.#meetWaitMs = Math.min(2 * this.#meetWaitMs, MEET_WAIT_MAX_MS)
    sync.meet(stranger.at)
  }

  /** As many attempts as there are dead members are made in an interval by all together, not by each. */
  #tryOne(now: number): void {
    const { members, roster, sync, random, isEager } = this.#parts
    const isDead = (entry: MemberEntry): boolean => entry.state === 'dead' && members.trusts(entry)
    const { deadCount } = roster
    if (deadCount === 0 || random() * Math.max(1, roster.liveCount) >= deadCount) return
    const [entry] = members.pick(1, isDead)
    if (entry === undefined) return
    const isOften = isEager && now - entry.stateAt <= RECENT_MS
    if (!isOften && random() >= OLD_SHARE) return
    sync.heal(entry)
  }
}
