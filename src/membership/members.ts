/**
 * The member table: by name, and as the shuffled probe list in which each member comes up once a round (SWIM 4.3).
 * Bounded. Decides nothing about states.
 */
import type { HostPort } from '../address.js'
import { type Random, randomInt, shuffle } from '../random.js'
import { isLive, type MemberEntry } from './member.js'

/** In a larger table fewer than asked for will do, as long as there is one. */
const WALK_ALL_MAX = 64
/** A full table must not cost a walk through all of it for each name that comes in. */
const EVICTION_LOOKS = 64

export class Members {
  readonly #random: Random
  readonly #limit: number
  readonly #byName = new Map<string, MemberEntry>()
  readonly #probeList: MemberEntry[] = []
  #probeIndex = 0
  #gossipIndex = 0
  #evictIndex = 0

  constructor(random: Random, limit: number) {
    this.#random = random
    this.#limit = limit
  }

  get size(): number {
    return this.#byName.size
  }

  get(name: string): MemberEntry | undefined {
    return this.#byName.get(name)
  }

  values(): IterableIterator<MemberEntry> {
    return this.#byName.values()
  }

  /** Puts a new member at a random place of the probe list, so that joins do not cluster. False when the table is full. */
  add(entry: MemberEntry): boolean {
    if (this.#byName.size >= this.#limit) return false
    this.#byName.set(entry.name, entry)
    const at = randomInt(this.#random, this.#probeList.length + 1)
    this.#probeList.push(entry)
    const last = this.#probeList.length - 1
    this.#probeList[last] = this.#probeList[at] as MemberEntry
    this.#probeList[at] = entry
    return true
  }

  delete(name: string): void {
    const entry = this.#byName.get(name)
    if (entry === undefined) return
    this.#byName.delete(name)
    const at = this.#probeList.indexOf(entry)
    this.#probeList.splice(at, 1)
    if (at < this.#probeIndex) this.#probeIndex--
  }

  /** The next member to probe, suspects included; undefined when there is none. Reshuffles after each round. */
  nextToProbe(except: string): MemberEntry | undefined {
    // The rest of this round and the whole of the next: a live member may come last after the shuffle.
    const looksMax = 2 * this.#probeList.length
    for (let looked = 0; looked < looksMax; looked++) {
      if (this.#probeIndex >= this.#probeList.length) {
        this.#probeIndex = 0
        shuffle(this.#probeList, this.#random)
      }
      const entry = this.#probeList[this.#probeIndex++]
      if (entry !== undefined && entry.name !== except && isLive(entry)) return entry
    }
    return undefined
  }

  /**
   * The next `count` members to gossip to. They are taken in turn from the shuffled list rather than drawn: a rumour
   * that is sent k times reaches k different members, which in a small cluster is all of them.
   */
  nextToTell(count: number, accepts: (entry: MemberEntry) => boolean): MemberEntry[] {
    const total = this.#probeList.length
    const told: MemberEntry[] = []
    for (let looked = 0; looked < total && told.length < count; looked++) {
      this.#gossipIndex = (this.#gossipIndex + 1) % total
      const entry = this.#probeList[this.#gossipIndex]
      if (entry !== undefined && accepts(entry)) told.push(entry)
    }
    return told
  }

  /** Up to `count` distinct members that pass `accepts`, each about equally likely; none only if none passes. */
  pick(count: number, accepts: (entry: MemberEntry) => boolean): MemberEntry[] {
    const total = this.#probeList.length
    const picked: MemberEntry[] = []
    if (total === 0) return picked
    // A few random draws find enough in a healthy cluster; a walk from a random place makes sure when they do not.
    for (let draw = 0; draw < 3 * count && picked.length < count; draw++) {
      const entry = this.#probeList[randomInt(this.#random, total)]
      if (entry !== undefined && !picked.includes(entry) && accepts(entry)) picked.push(entry)
    }
    if (picked.length >= count || (picked.length > 0 && total > WALK_ALL_MAX)) return picked
    const start = randomInt(this.#random, total)
    for (let i = 0; i < total && picked.length < count; i++) {
      const entry = this.#probeList[(start + i) % total]
      if (entry !== undefined && !picked.includes(entry) && accepts(entry)) picked.push(entry)
    }
    return picked
  }

  /**
   * Whom to forget when the table is full: of the next few that are dead or left one that never proved its address, else
   * the one that is so for longest. Undefined when none of them is: the living stay.
   */
  evictable(): MemberEntry | undefined {
    let found: MemberEntry | undefined
    for (let looked = 0; looked < EVICTION_LOOKS; looked++) {
      this.#evictIndex = (this.#evictIndex + 1) % this.#probeList.length
      const entry = this.#probeList[this.#evictIndex]
      if (entry !== undefined && !isLive(entry) && (found === undefined || goesBefore(entry, found))) found = entry
    }
    return found
  }

  /** A member that has shown that it is at this address. */
  provenAt({ host, port }: HostPort): MemberEntry | undefined {
    for (const entry of this.#byName.values()) {
      if (entry.proven && entry.port === port && entry.host === host) return entry
    }
    return undefined
  }

  count(accepts: (entry: MemberEntry) => boolean): number {
    let count = 0
    for (const entry of this.#byName.values()) if (accepts(entry)) count++
    return count
  }
}

function goesBefore(a: MemberEntry, b: MemberEntry): boolean {
  return a.proven === b.proven ? a.stateAt < b.stateAt : !a.proven
}
