/**
 * Which unknown names enter the member table, and when members are forgotten. An old record of somebody who has ended
 * raises nobody; a full table gives up first what never was more than a record, so a flood of forged names costs no real
 * member its place. States are the roster's affair.
 */
import type { SwimConfig } from './config.js'
import { createEntry, isLive, type MemberEntry } from './member.js'
import type { Members } from './members.js'
import { Tombstones } from './tombstones.js'
import type { Alive } from './wire/messages.js'

export interface AdmissionParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: string
}

export type Admitted =
  /** `evicted` had to go for it. */
  | { readonly type: 'new'; readonly entry: MemberEntry; readonly evicted: MemberEntry | undefined }
  | { readonly type: 'full' }

/** A dead name that never was more than a record is forgotten after this, whatever is kept of others. */
const UNVERIFIED_REAP_MS = 300_000

export class Admission {
  readonly #parts: AdmissionParts
  readonly #tombstones: Tombstones

  constructor(parts: AdmissionParts) {
    this.#parts = parts
    this.#tombstones = new Tombstones(parts.config.reapAfterMs)
  }

  /** The incarnation at which the name of this record ended, unless it began again since. */
  endOf(alive: Alive): number | undefined {
    const ended = this.#tombstones.get(alive.node)
    return ended !== undefined && alive.incarnation <= ended ? ended : undefined
  }

  /** Makes a row for a name that the table does not have, and that has not ended. */
  admit(alive: Alive, now: number): Admitted {
    const { members } = this.#parts
    const entry = createEntry(alive.node, alive, now)
    const evicted = members.isFull ? this.#makeRoom(entry, now) : undefined
    if (evicted === undefined && !members.add(entry)) return { type: 'full' }
    this.#tombstones.delete(entry.name)
    return { type: 'new', entry, evicted }
  }

  /** Somebody who is in no table here was said to have ended. */
  noteEnd(name: string, incarnation: number, now: number): void {
    if (this.#parts.members.get(name) === undefined) this.#tombstones.set(name, incarnation, now)
  }

  /** Forgets members that have been dead or left for long; gives them. */
  reap(now: number): MemberEntry[] {
    const { members, self } = this.#parts
    const reaped = [...members.values()].filter(
      (entry) => !isLive(entry) && entry.name !== self && now - entry.stateAt >= this.#keptMs(entry),
    )
    for (const { name, incarnation } of reaped) {
      members.delete(name)
      this.#tombstones.set(name, incarnation, now)
    }
    this.#tombstones.sweep(now)
    return reaped
  }

  /** One that is down and never showed itself goes first, then any that never did, then one that is down. */
  #makeRoom(entry: MemberEntry, now: number): MemberEntry | undefined {
    const { members, self } = this.#parts
    const ended = members.evictable()
    const unverified = ended?.verified === false ? undefined : members.replaceUnverified(entry)
    if (unverified !== undefined || ended === undefined || ended.name === self) return unverified
    members.delete(ended.name)
    this.#tombstones.set(ended.name, ended.incarnation, now)
    members.add(entry)
    return ended
  }

  #keptMs({ verified }: MemberEntry): number {
    const { reapAfterMs } = this.#parts.config
    return verified ? reapAfterMs : Math.min(reapAfterMs, UNVERIFIED_REAP_MS)
  }
}
