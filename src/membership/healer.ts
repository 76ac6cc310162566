/**
 * Brings back together what was cut apart (Serf's reconnect): members that died are tried again by push/pull, those that
 * died lately more often. Whoever answers shows each side that it was thought dead, both refute, and a second exchange
 * right after carries the refutations over. Without it two halves that buried each other would never meet again.
 */
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
}

const INTERVAL_MS = 5_000
/** Members that died longer ago than this are tried a sixth as often: every 30 s, as Serf does. */
const RECENT_MS = 600_000
const OLD_SHARE = 1 / 6
/** After an answer the state is exchanged again: the first time both sides learn what to refute, then they have. */
const AGAIN_MS = [500, 2_000] as const
const AGAIN_MAX = 64

export class Healer {
  readonly #parts: HealerParts
  #tickAt: number
  /** Further exchanges that are due, soonest first. */
  #again: { readonly name: string; readonly at: number }[] = []

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
    }
    for (let next = this.#again[0]; next !== undefined && next.at <= now; next = this.#again[0]) {
      this.#again.shift()
      const entry = this.#parts.members.get(next.name)
      if (entry !== undefined && entry.state !== 'left') this.#parts.sync.heal(entry)
    }
  }

  /** A member that was dead for us, or a suspect that only TCP reaches, has answered. */
  handleAnswer(name: string, now: number): void {
    if (this.#again.length >= AGAIN_MAX || this.#again.some((each) => each.name === name)) return
    for (const ms of AGAIN_MS) this.#again.push({ name, at: now + ms })
    this.#again.sort((a, b) => a.at - b.at)
  }

  /** As many attempts as there are dead members are made in an interval by all together, not by each. */
  #tryOne(now: number): void {
    const { members, roster, sync, random } = this.#parts
    const isDead = (entry: MemberEntry): boolean => entry.state === 'dead' && members.trusts(entry)
    const { deadCount } = roster
    if (deadCount === 0 || random() * Math.max(1, roster.liveCount) >= deadCount) return
    const [entry] = members.pick(1, isDead)
    if (entry === undefined) return
    if (now - entry.stateAt > RECENT_MS && random() >= OLD_SHARE) return
    sync.heal(entry)
  }
}
