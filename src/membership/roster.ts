/**
 * The state machine of all members (SWIM 4.2; memberlist state.go): what is heard is judged by `precedence.ts`, and
 * `member-states.ts` carries out everything that entering a state entails. Knows neither packets nor probes; what follows
 * from a change leaves through `RosterOutput`.
 */
import { formatHostPort, ipFromBytes } from '../address.js'
import { equalBytes } from '../bytes.js'
import { unreachable } from '../errors.js'
import { Admission } from './admission.js'
import { bootIdOf } from './boot-tag.js'
import type { SwimConfig } from './config.js'
import type { LocalHealth } from './local-health.js'
import { aliveOf, createEntry, isLive, isShoalNode, type MemberEntry } from './member.js'
import { MemberStates } from './member-states.js'
import type { Members } from './members.js'
import { INCARNATION_MAX, mayMove, supersedes } from './precedence.js'
import type { RosterOutput, RosterParts } from './roster-output.js'
import type { Self } from './self.js'
import type { Silence } from './silence.js'
import type { Alive, Dead, Suspect } from './wire/messages.js'

export class Roster {
  readonly #config: SwimConfig
  readonly #members: Members
  readonly #self: Self
  readonly #health: LocalHealth
  readonly #silence: Silence
  readonly #output: RosterOutput
  readonly #states: MemberStates
  readonly #admission: Admission

  constructor({ config, members, self, health, silence, warnsSuspects, output }: RosterParts) {
    this.#config = config
    this.#members = members
    this.#self = self
    this.#health = health
    this.#silence = silence
    this.#output = output
    this.#states = new MemberStates({ config, members, warnsSuspects, event: output.event })
    this.#admission = new Admission({ config, members, self: self.name })
  }

  /** Alive and suspect members, this node included. */
  get liveCount(): number {
    return this.#states.liveCount
  }

  /** Alive and suspect members other than this node. */
  get otherCount(): number {
    return this.#self.leaving ? this.liveCount : this.liveCount - 1
  }

  /** Those of the live ones that are shoal nodes. */
  get shoalCount(): number {
    return this.#states.shoalCount
  }

  /** What the protocol's numbers grow with: live members, but no flood of names that nobody answers to. */
  get scale(): number {
    return this.#states.scale
  }

  /** Members that failed and did not say goodbye. */
  get deadCount(): number {
    return this.#states.deadCount
  }

  get suspicionCount(): number {
    return this.#states.suspicions.size
  }

  /** Puts this node into its own table and tells the others. */
  start(now: number): void {
    const alive = this.#self.toAlive()
    const entry = createEntry(this.#self.name, alive, now)
    this.#members.add(entry)
    this.#states.enroll()
    this.#members.verify(entry, entry)
    this.#states.becomeAlive(entry, alive, now)
    this.announce(now)
  }

  /** Tells the others what they should know of us. */
  announce(now: number): void {
    if (!this.#self.leaving) this.#output.rumour(this.#self.toAlive(), true, now)
  }

  handleAlive(alive: Alive, now: number): void {
    if (!this.#isSane(alive.incarnation)) return
    if (alive.node === this.#self.name) {
      this.#handleOwnAlive(alive, now)
      return
    }
    const known = this.#members.get(alive.node)
    if (known === undefined ? this.#hasEnded(alive, now) : !this.#isNews(alive, known, now)) return
    if (!this.#output.permits(alive, known, now)) return
    const entry = known ?? this.#addUnknown(alive, now)
    if (entry === undefined) return
    this.#states.becomeAlive(entry, alive, now)
    this.#passOn(alive, entry, now)
  }

  /** In a flood of forged names what is said of them is as little worth telling as that they live. */
  #passOn(message: Alive | Suspect | Dead, entry: MemberEntry, now: number): void {
    if (this.#members.trusts(entry)) this.#output.rumour(message, false, now)
  }

  #isNews(alive: Alive, entry: MemberEntry, now: number): boolean {
    const moved = alive.port !== entry.port || !equalBytes(alive.addr, entry.addr)
    if (moved && !mayMove(entry, this.#config.deadNodeReclaimMs, now)) {
      // What is older is only a rumour of a former address.
      if (alive.incarnation >= entry.incarnation) this.#refuseClaim(entry, alive, now)
      return false
    }
    // A memberlist node that moves begins at 1 again; one of ours outbids its former record.
    const mayBeLower = moved && bootIdOf(alive.meta) === undefined
    return mayBeLower || supersedes({ state: 'alive', incarnation: alive.incarnation }, entry)
  }

  handleSuspect(suspect: Suspect, now: number): void {
    if (this.#isRefutable(suspect.incarnation)) this.#suspect(suspect, now)
  }

  #suspect(suspect: Suspect, now: number): void {
    if (suspect.node === this.#self.name) {
      this.#handleAccusation(suspect.incarnation, now)
      return
    }
    const entry = this.#members.get(suspect.node)
    if (entry === undefined) {
      this.#admission.noteEnd(suspect.node, suspect.incarnation - 1, now) // it may live at this one
      return
    }
    const isNews = supersedes({ state: 'suspect', incarnation: suspect.incarnation }, entry)
    if (!isNews || entry.state === 'suspect') this.#raise(entry, suspect.incarnation)
    if (!isNews) return
    const { suspicions } = this.#states
    const suspicion = suspicions.get(entry.name)
    if (suspicion === undefined) {
      this.#states.becomeSuspect(entry, suspect, now)
      this.#passOn(suspect, entry, now)
    } else if (suspicions.confirm(suspicion, suspect.from, now)) this.#passOn(suspect, entry, now)
  }

  handleDead(dead: Dead, now: number): void {
    if (this.#isRefutable(dead.incarnation)) this.#dead(dead, now)
  }

  #dead(dead: Dead, now: number): void {
    if (dead.node === this.#self.name) {
      this.#handleAccusation(dead.incarnation, now)
      return
    }
    const state = dead.from === dead.node ? 'left' : 'dead'
    const entry = this.#members.get(dead.node)
    if (entry === undefined) this.#admission.noteEnd(dead.node, dead.incarnation, now)
    else if (!supersedes({ state, incarnation: dead.incarnation }, entry)) this.#raise(entry, dead.incarnation)
    else {
      this.#states.becomeDown(entry, dead, now)
      this.#passOn(dead, entry, now)
    }
  }

  /** Somebody who is in no table here was said to have ended: no record at or below this incarnation raises it. */
  noteEnd(name: string, incarnation: number, now: number): void {
    // One above it must be left.
    if (incarnation < INCARNATION_MAX) this.#admission.noteEnd(name, incarnation, now)
  }

  /** Our own probe of this member failed. */
  accuse(entry: MemberEntry, now: number): void {
    this.#suspect({ type: 'suspect', ...this.#accusationOf(entry) }, now)
  }

  updateMeta(meta: Uint8Array, now: number): void {
    this.#self.setMeta(meta)
    if (this.#self.leaving) return
    this.#announceSelf(this.#self.incarnation, now)
  }

  /** Tells the others that we go. We keep answering until the driver closes. */
  leave(now: number): void {
    if (this.#self.leaving) return
    this.#self.leave()
    const { name: node, incarnation } = this.#self
    const entry = this.#members.get(node)
    if (entry === undefined) return
    this.#states.becomeDown(entry, { type: 'dead', node, incarnation, from: node }, now)
    this.#output.rumour({ type: 'dead', node, incarnation, from: node }, true, now)
  }

  /** Comes back after a leave, as what it is now. */
  rejoin(now: number): void {
    if (!this.#self.leaving) return
    this.#self.rejoin()
    this.#announceSelf(this.#self.incarnation, now)
  }

  /** Tells of us above this incarnation of a rival for our name. */
  claimName(above: number, now: number): void {
    this.#announceSelf(above, now)
  }

  /**
   * An earlier life of ours at another address is taken to have left, which frees the name at once, and we come after it.
   * If it lives after all it refutes that, and the contest for the name begins anew.
   */
  retireRival(incarnation: number, now: number): void {
    const { name } = this.#self
    this.#output.rumour({ type: 'dead', node: name, incarnation, from: name }, true, now)
    this.#announceSelf(incarnation, now)
  }

  /** When the next suspicion runs out, or its suspect is to be warned. */
  nextDeadline(): number | undefined {
    return this.#states.suspicions.nextDeadline()
  }

  handleTimeout(now: number): void {
    for (const entry of this.#members.takeUntold()) {
      if (isLive(entry)) this.#output.rumour(aliveOf(entry), false, now)
    }
    for (const { name, what } of this.#states.suspicions.takeDue(now)) {
      const entry = this.#members.get(name)
      if (entry === undefined) continue
      if (what === 'end') this.#bury(entry, now)
      else this.#output.warn(entry, { type: 'suspect', ...this.#accusationOf(entry) })
    }
  }

  /** A suspicion has run out. Whom nobody answers believes it, but asks the others instead of telling them. */
  #bury(entry: MemberEntry, now: number): void {
    const accusation = this.#accusationOf(entry)
    if (!this.#silence.lasts) {
      this.#dead({ type: 'dead', ...accusation }, now)
      return
    }
    this.#states.becomeDown(entry, { type: 'dead', ...accusation }, now)
    this.#passOn({ type: 'suspect', ...accusation }, entry, now)
  }

  #accusationOf({ name: node, incarnation }: MemberEntry): Omit<Suspect, 'type'> {
    return { node, incarnation, from: this.#self.name }
  }

  /** We are answered again: whoever was suspected while nobody was heard can speak now. */
  handleSilenceEnd(now: number): void {
    this.#states.suspicions.hold(now)
  }

  /** Time in which we were deaf convicts nobody. */
  extendSuspicions(ms: number): void {
    this.#states.suspicions.extend(ms)
  }

  /** Forgets members that have been dead or left for long. */
  reap(now: number): void {
    for (const entry of this.#admission.reap(now)) this.#states.dismiss(entry, now)
  }

  #isSane(incarnation: number): boolean {
    if (incarnation > INCARNATION_MAX) this.#output.count('bad-incarnation')
    return incarnation <= INCARNATION_MAX
  }

  /** An accusation at the very end of the numbers would leave its victim none to refute it with. */
  #isRefutable(incarnation: number): boolean {
    return this.#isSane(incarnation + 1)
  }

  /** An old record of somebody who is gone. Whoever lives at that address learns what it has to exceed. */
  #hasEnded(alive: Alive, now: number): boolean {
    const incarnation = this.#admission.endOf(alive)
    if (incarnation === undefined) return false
    const to = { host: ipFromBytes(alive.addr) ?? '', port: alive.port }
    this.#output.tell(to, { type: 'suspect', node: alive.node, incarnation, from: this.#self.name }, now)
    return true
  }

  #addUnknown(alive: Alive, now: number): MemberEntry | undefined {
    const admitted = this.#admission.admit(alive, now)
    switch (admitted.type) {
      case 'new':
        if (admitted.evicted !== undefined) this.#states.dismiss(admitted.evicted, now)
        this.#states.enroll()
        return admitted.entry
      case 'full':
        this.#output.count('members-full')
        return undefined
      default:
        return unreachable(admitted)
    }
  }

  /** Says that its name was claimed from elsewhere; once for each claim. */
  #reportConflict(entry: MemberEntry, claim: Alive, now: number): void {
    this.#output.count('address-conflict')
    if (claim.incarnation <= entry.claimedIncarnation) return
    entry.claimedIncarnation = claim.incarnation
    this.#output.event('conflict', entry, now)
  }

  /** The two of them have to settle whose the name is, so the one that we hold must know of the other. */
  #refuseClaim(entry: MemberEntry, claim: Alive, now: number): void {
    this.#reportConflict(entry, claim, now)
    if (isLive(entry) && isShoalNode(entry) && bootIdOf(claim.meta) !== undefined) this.#output.tell(entry, claim, now)
  }

  /** Whatever is heard of a member, no record at or below it counts any more. */
  #raise(entry: MemberEntry, incarnation: number): void {
    if (incarnation <= entry.incarnation) return
    entry.incarnation = incarnation
    entry.snapshot = undefined
  }

  #handleOwnAlive(alive: Alive, now: number): void {
    const verdict = this.#self.judgeAlive(alive)
    if (verdict === 'ignore') return
    const entry = this.#members.get(alive.node)
    const address = formatHostPort({ host: ipFromBytes(alive.addr) ?? '', port: alive.port })
    this.#output.notice({ kind: 'foreign-self', meta: alive.meta, address })
    if (verdict === 'refute') this.#refute(alive.incarnation, now)
    else if (entry !== undefined) {
      this.#reportConflict(entry, alive, now)
      this.#output.rival(alive, now)
    }
  }

  #handleAccusation(incarnation: number, now: number): void {
    if (this.#self.judgeAccusation(incarnation) === 'refute') this.#refute(incarnation, now)
  }

  #refute(heard: number, now: number): void {
    this.#health.change(1) // somebody did not hear us: we may be slow (Lifeguard 3.1)
    this.#announceSelf(heard, now)
  }

  #announceSelf(above: number, now: number): void {
    this.#self.outbid(above)
    const alive = this.#self.toAlive()
    const entry = this.#members.get(this.#self.name)
    if (entry !== undefined) this.#states.becomeAlive(entry, alive, now)
    this.#output.rumour(alive, true, now)
  }
}
