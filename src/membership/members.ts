/**
 * The member table: by name, and as the shuffled probe list in which each member comes up once a round (SWIM 4.3).
 * Bounded. Decides nothing about states.
 */
import { formatHostPort, type HostPort, isSameEndpoint } from '../address.js'
import { type Random, randomInt, shuffle } from '../random.js'
import { adoptIdentity, type Identity, isLive, type MemberEntry } from './member.js'

/** In a larger table fewer than asked for will do, as long as there is one. */
const WALK_ALL_MAX = 64
/** Of the table: more names than this that were never verified are a flood. */
const FLOOD_SHARE = 1 / 4
const VOUCHED_SHARE = 1 / 8
/** Of the verified ones: few of them must not be loaded with all that a node does. */
const LOAD_SHARE = 1 / 4
/** Whoever began less than so many probes ago knows few yet, and most of the others began with it. */
const SETTLED_PROBES = 20
/** A full table must not cost a walk through all of it for each name that comes in. */
const EVICTION_LOOKS = 64

export class Members {
  readonly #random: Random
  readonly #limit: number
  readonly #byName = new Map<string, MemberEntry>()
  readonly #probeList: MemberEntry[] = []
  /** Those that showed themselves at the address where they are. */
  readonly #verifiedAt = new Map<string, MemberEntry>()
  /** Members of which nothing but a record is known. */
  #unverifiedCount = 0
  /** Those of them for which a member vouched. */
  #vouchedCount = 0
  /** Verified in a flood, in which they were not passed on before. */
  #untold: MemberEntry[] = []
  #probeIndex = 0
  #probes = 0
  /** In a flood of unverified names the others are walked through on their own, every other time. */
  #verifiedIndex = 0
  #verifiedTurn = false
  #gossipIndex = 0
  #verifiedGossipIndex = 0
  #evictIndex = 0

  constructor(random: Random, limit: number) {
    this.#random = random
    this.#limit = limit
  }

  get size(): number {
    return this.#byName.size
  }

  get isFull(): boolean {
    return this.#byName.size >= this.#limit
  }

  /** So many names that nobody ever answered to that they are more likely forged than new. */
  get isFlooded(): boolean {
    return this.#unverifiedCount > this.#limit * FLOOD_SHARE
  }

  /** Members that answered us once, or spoke to us from their address. */
  get verifiedCount(): number {
    return this.#byName.size - this.#unverifiedCount
  }

  get(name: string): MemberEntry | undefined {
    return this.#byName.get(name)
  }

  /** It has answered from this address, or has spoken from it: it is no mere record any more, unless it moved meanwhile. */
  verify(entry: MemberEntry, at: HostPort): void {
    if (!isSameEndpoint(entry, at) || this.#byName.get(entry.name) !== entry) return
    this.#verifiedAt.set(formatHostPort(at), entry)
    if (entry.verified) return
    if (this.isFlooded) this.#untold.push(entry)
    this.#uncount(entry)
    entry.verified = true
    entry.vouched = false
  }

  /** Something that only the owner of this address can have seen came back from there. */
  prove(entry: MemberEntry, at: HostPort): void {
    if (!isSameEndpoint(entry, at)) return
    entry.proven = true
    this.verify(entry, at)
  }

  /** Takes over what it says of itself now. At another address it has shown nothing yet. */
  adopt(entry: MemberEntry, identity: Identity): void {
    const before = { host: entry.host, port: entry.port }
    adoptIdentity(entry, identity)
    if (!isSameEndpoint(entry, before)) this.#unplace(entry, before)
  }

  /**
   * In a flood members pass on only whom they trust: whom one of them tells of keeps its place until it has shown itself.
   * Of so many at most, since those that told of it may have been deceived before they were flooded.
   */
  vouch(name: string): void {
    const entry = this.#byName.get(name)
    if (entry === undefined || entry.verified || entry.vouched || !this.isFlooded) return
    if (this.#vouchedCount >= this.#limit * VOUCHED_SHARE) return
    entry.vouched = true
    this.#vouchedCount++
  }

  /** Members that were verified in a flood since the last time: now they are worth passing on. */
  takeUntold(): MemberEntry[] {
    return this.#untold.length === 0 ? [] : this.#untold.splice(0)
  }

  /** True if a member that showed itself lives at this address. */
  hasVerifiedAt(address: HostPort): boolean {
    return this.#verifiedAt.has(formatHostPort(address))
  }

  /** Whether to rely on this member: in a flood only on those that showed themselves. */
  trusts(entry: MemberEntry): boolean {
    return entry.verified || !this.isFlooded
  }

  /**
   * Of `count` members to choose, how many are to be verified ones. Where the others outnumber these, as forged names do,
   * a choice at random would find next to none of them.
   */
  reservedOf(count: number): number {
    return this.isOutnumbered ? Math.min(Math.ceil(count / 2), Math.floor((this.verifiedCount - 1) * LOAD_SHARE)) : 0
  }

  /** Of this name there is only a record, and there are more such than members that showed themselves. */
  doubts(name: string): boolean {
    return this.isOutnumbered && this.#byName.get(name)?.verified !== true
  }

  /** We had time to meet members, and there are more names than those who ever showed themselves. */
  get isOutnumbered(): boolean {
    return this.#probes >= SETTLED_PROBES && this.#unverifiedCount > this.verifiedCount
  }

  /** Lets a new member take the place of a random one that was never verified; gives that one, if there was any. */
  replaceUnverified(entry: MemberEntry): MemberEntry | undefined {
    const total = this.#probeList.length
    const start = randomInt(this.#random, Math.max(1, total))
    for (let i = 0; i < total && this.#unverifiedCount > this.#vouchedCount; i++) {
      const at = (start + i) % total
      const victim = this.#probeList[at]
      if (victim === undefined || victim.verified || victim.vouched) continue
      this.#byName.delete(victim.name)
      this.#byName.set(entry.name, entry)
      this.#probeList[at] = entry
      return victim
    }
    return undefined
  }

  values(): IterableIterator<MemberEntry> {
    return this.#byName.values()
  }

  /** Puts a new member at a random place of the probe list, so that joins do not cluster. False when the table is full. */
  add(entry: MemberEntry): boolean {
    if (this.isFull) return false
    this.#byName.set(entry.name, entry)
    if (!entry.verified) this.#unverifiedCount++
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
    this.#uncount(entry)
    this.#unplace(entry, entry)
    const at = this.#probeList.indexOf(entry)
    this.#probeList.splice(at, 1)
    if (at < this.#probeIndex) this.#probeIndex--
  }

  /** The next member to probe, suspects included; undefined when there is none. Reshuffles after each round. */
  nextToProbe(except: string): MemberEntry | undefined {
    this.#probes++
    this.#verifiedTurn = (this.isFlooded || this.reservedOf(1) > 0) && !this.#verifiedTurn
    return (this.#verifiedTurn ? this.#nextVerified(except) : undefined) ?? this.#nextOfRound(except)
  }

  #nextVerified(except: string): MemberEntry | undefined {
    for (let looked = 0; looked < this.#probeList.length; looked++) {
      this.#verifiedIndex = (this.#verifiedIndex + 1) % this.#probeList.length
      const entry = this.#probeList[this.#verifiedIndex]
      if (entry?.verified === true && entry.name !== except && isLive(entry)) return entry
    }
    return undefined
  }

  #nextOfRound(except: string): MemberEntry | undefined {
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
   * that is sent k times reaches k different members, which in a small cluster is all of them. `reserved` of them are
   * verified ones, in a turn of their own.
   */
  nextToTell(count: number, accepts: (entry: MemberEntry) => boolean, reserved: number): MemberEntry[] {
    const total = this.#probeList.length
    const told: MemberEntry[] = []
    for (let looked = 0; looked < total && told.length < reserved; looked++) {
      this.#verifiedGossipIndex = (this.#verifiedGossipIndex + 1) % total
      const entry = this.#probeList[this.#verifiedGossipIndex]
      if (entry?.verified === true && accepts(entry)) told.push(entry)
    }
    for (let looked = 0; looked < total && told.length < count; looked++) {
      this.#gossipIndex = (this.#gossipIndex + 1) % total
      const entry = this.#probeList[this.#gossipIndex]
      if (entry !== undefined && accepts(entry) && !(reserved > 0 && told.includes(entry))) told.push(entry)
    }
    return told
  }

  /**
   * Up to `count` distinct members that pass `accepts`, each about equally likely; none only if none passes. Where others
   * outnumber them, verified ones come first.
   */
  pick(count: number, accepts: (entry: MemberEntry) => boolean): MemberEntry[] {
    const verified = this.#pickFrom(this.reservedOf(count), (entry) => entry.verified && accepts(entry))
    if (verified.length >= count) return verified
    const others = this.#pickFrom(count - verified.length, (entry) => accepts(entry) && !verified.includes(entry))
    return [...verified, ...others]
  }

  #pickFrom(count: number, accepts: (entry: MemberEntry) => boolean): MemberEntry[] {
    const total = this.#probeList.length
    const picked: MemberEntry[] = []
    if (total === 0 || count <= 0) return picked
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

  #unplace(entry: MemberEntry, at: HostPort): void {
    const key = formatHostPort(at)
    if (this.#verifiedAt.get(key) === entry) this.#verifiedAt.delete(key)
  }

  #uncount({ verified, vouched }: MemberEntry): void {
    if (!verified) this.#unverifiedCount--
    if (vouched) this.#vouchedCount--
  }

  /**
   * Whom to forget when the table is full: of the next few that are dead or left one that never showed itself, else the
   * one that is so for longest. Undefined when none of them is: the living stay.
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
  provenAt(address: HostPort): MemberEntry | undefined {
    for (const entry of this.#byName.values()) if (entry.proven && isSameEndpoint(entry, address)) return entry
    return undefined
  }

  count(accepts: (entry: MemberEntry) => boolean): number {
    let count = 0
    for (const entry of this.#byName.values()) if (accepts(entry)) count++
    return count
  }
}

function goesBefore(a: MemberEntry, b: MemberEntry): boolean {
  return a.verified === b.verified ? a.stateAt < b.stateAt : !a.verified
}
