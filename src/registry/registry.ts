/**
 * The registry of one node: its own services, what it learned of the others', and the messages between them. A node is
 * the only writer of its records; everyone else takes them in by boot and rev. Pure: inputs are synchronous and total,
 * effects are pulled by `drain`. It rides on membership as a PayloadHandler and knows no other way to send.
 */
import { ShoalError, unreachable } from '../errors.js'
import type { PayloadHandler, Verdict } from '../membership/payload.js'
import { isShoalPayload } from '../membership/payload.js'
import type { Random } from '../random.js'
import { isBootId } from './boot-id.js'
import { ClusterView } from './cluster-view.js'
import { decodeMessage, encodeMessage } from './codec.js'
import type { ServiceDeclaration } from './declaration.js'
import { type DropCounts, newDropCounts } from './drops.js'
import type { MemberView, RegistryEffect, ServiceEndpoint } from './effects.js'
import type { Change, DigestEntry, RecordSet, RegistryMessage } from './messages.js'
import type { NodeRecords } from './node-records.js'
import { OwnRecords, type StatusChange } from './own-records.js'
import { type Instance, isName, type ServiceMeta } from './record.js'
import { matches, type SelectionContext, type SelectionWish, selectInstances } from './selection.js'
import { digestOf, lackingSets } from './sync.js'
import { Turns } from './turns.js'

export interface RegistryOptions {
  readonly node: string
  readonly bootId: string
  /** Our own RPC `host:port`. */
  readonly rpcAddress: string
  readonly random: Random
  /** The most bytes of one gossiped message. Default 1,200. */
  readonly packetBytesMax?: number | undefined
  /** About the most bytes of records in one push/pull direction. Default 8 MiB. */
  readonly syncBytesMax?: number | undefined
  /** Calls under way at a node, for `least-pending`. Default unknown, which is 0. */
  readonly pending?: ((node: string) => number) | undefined
  /** Round trip to a node in ms, for `nearest`. Default unknown. */
  readonly rttMs?: ((node: string) => number | undefined) | undefined
  /** How long a change is repeated along with later ones. Default 10,000 ms. */
  readonly recentMs?: number | undefined
  /** Nodes whose records may wait for membership to show them. Default 4,096. */
  readonly earlyNodesMax?: number | undefined
  /** About the bytes of those records. Default 16 MiB. */
  readonly earlyBytesMax?: number | undefined
}

/** One JSON-ready snapshot. */
export interface RegistryInspection {
  readonly node: string
  readonly bootId: string
  readonly rev: number
  /** Members known, with and without services, this node included. */
  readonly nodes: number
  /** Nodes whose records wait for membership. */
  readonly early: number
  /** Visible nodes of which more was heard than is held. */
  readonly behind: readonly string[]
  /** Listed instances by service. */
  readonly services: Readonly<Record<string, number>>
  readonly drops: Readonly<DropCounts> & {
    /** Nodes whose records were given up while they waited for membership. */
    readonly earlyEvicted: number
  }
}

const NOT_FRESH: Verdict = { fresh: false }
const MIB = 1024 * 1024
const PACKET_BYTES_MIN = 512

export class Registry implements PayloadHandler {
  readonly #own: OwnRecords
  readonly #view: ClusterView
  readonly #turns = new Turns()
  readonly #selection: Omit<SelectionContext, 'turn' | 'suspects'>
  readonly #syncBytesMax: number
  readonly #drops: DropCounts = newDropCounts()
  #effects: RegistryEffect[] = []
  #hasOwnNews = false
  /** Members known when our news was last sent. */
  #toldCount = 1
  #rivalBootId: string | undefined

  constructor(options: RegistryOptions) {
    const { node, bootId, rpcAddress, random, packetBytesMax = 1_200, recentMs = 10_000 } = options
    if (!isName(node)) throw new ShoalError('INVALID_OPTION', 'a node name must be 1 to 255 bytes of text')
    checkBootId(bootId)
    if (packetBytesMax < PACKET_BYTES_MIN) {
      throw new ShoalError(
        'INVALID_OPTION',
        `packetBytesMax must be at least ${PACKET_BYTES_MIN}, not ${packetBytesMax}`,
      )
    }
    this.#own = new OwnRecords(node, bootId, { packetBytesMax, recentMs })
    const { pending = () => 0, rttMs = () => undefined } = options
    this.#selection = { random, pending, rttMs }
    this.#syncBytesMax = options.syncBytesMax ?? 8 * MIB
    this.#view = new ClusterView(this.#own.held, rpcAddress, {
      early: { nodesMax: options.earlyNodesMax ?? 4_096, weightMax: options.earlyBytesMax ?? 16 * MIB },
      emit: (effect) => this.#effects.push(effect),
    })
  }

  // Own services. `at` is wall clock ms.

  /** Announces a service of ours. Throws INVALID_ARGUMENT (also when provided already) or TOO_LARGE, changing nothing. */
  provide(declaration: ServiceDeclaration, at: number): void {
    this.#publish(this.#own.provide(declaration, at))
  }

  /** The same status and reason again is no change. Throws INVALID_ARGUMENT for a service that is not provided. */
  setStatus(service: string, change: StatusChange): void {
    this.#publish(this.#own.setStatus(service, change))
  }

  /** Replaces the meta. Throws INVALID_ARGUMENT or TOO_LARGE, changing nothing. */
  setMeta(service: string, meta: ServiceMeta, at: number): void {
    this.#publish(this.#own.setMeta(service, meta, at))
  }

  /** Takes a service back; without effect when there is none. */
  withdraw(service: string, at: number): void {
    this.#publish(this.#own.withdraw(service, at))
  }

  /** Announces all our services under another boot id; membership must show it too. Throws INVALID_OPTION. */
  adoptBootId(bootId: string): void {
    checkBootId(bootId)
    this.#own.adoptBootId(bootId)
    this.#view.replaceOwn(this.#own.held)
    this.#hasOwnNews = this.#own.held.rev > 0
    if (this.#rivalBootId !== undefined && this.#rivalBootId <= bootId) this.#rivalBootId = undefined
  }

  /** The highest boot id above ours that someone ascribes to our name: an earlier life with a later clock, or a twin. */
  rivalBootId(): string | undefined {
    return this.#rivalBootId
  }

  // Membership.

  /** To be told of every change of a member. Of our own name only `rpcAddress` is taken. */
  handleMember(view: MemberView): void {
    this.#view.handleMember(view)
    this.#repeatIfGrown()
  }

  handleMessage(bytes: Uint8Array): Verdict {
    const message = this.#decode(bytes)
    if (message === undefined) return NOT_FRESH
    switch (message.kind) {
      case 'change':
        return this.#takeChange(message)
      case 'announce':
        return this.#takeAnnounce(message)
      case 'records':
        this.#takeSets(message.sets) // came by TCP to us alone: gossip of it is the owner's
        return NOT_FRESH
      case 'digest':
      case 'state':
        this.#drops.misplaced++
        return NOT_FRESH
      default:
        return unreachable(message)
    }
  }

  /**
   * `undefined`: the digest with which an initiator begins. Otherwise a responder's answer to it; empty or unreadable
   * bytes are answered like an empty digest, with everything.
   */
  localState(remote: Uint8Array | undefined): Uint8Array {
    const digest = this.#digest()
    if (remote === undefined) return encodeMessage({ kind: 'digest', digest })
    const message = remote.length === 0 ? undefined : this.#decode(remote)
    const known = message?.kind === 'digest' ? message.digest : []
    return encodeMessage({ kind: 'state', digest, sets: this.#lacking(known) })
  }

  /** Only a responder's answer holds records and calls for the rest; an initiator's digest is taken note of. */
  mergeState(bytes: Uint8Array): Uint8Array | undefined {
    const message = this.#decode(bytes)
    if (message === undefined) return undefined
    if (message.kind !== 'digest' && message.kind !== 'state') {
      this.#drops.misplaced++
      return undefined
    }
    for (const entry of message.digest) if (this.#isOwn(entry)) this.#meetRival(entry.bootId)
    this.#repeatIfMissed(message.digest)
    if (message.kind === 'digest') return undefined
    this.#takeSets(message.sets)
    const sets = this.#lacking(message.digest)
    return sets.length === 0 ? undefined : encodeMessage({ kind: 'records', sets })
  }

  /** The effects of the inputs since the last drain, in order; our own news first, as one message. */
  drain(): RegistryEffect[] {
    const effects = this.#effects
    if (effects.length > 0) this.#effects = []
    if (!this.#hasOwnNews) return effects
    this.#hasOwnNews = false
    this.#toldCount = this.#view.size
    const bytes = encodeMessage(this.#own.message())
    return [{ type: 'broadcast', broadcast: { key: broadcastKey(this.#own.held.node), bytes } }, ...effects]
  }

  /** Visible nodes of which we heard more than we hold: a sync with each of them is due, if none is under way. */
  behind(): string[] {
    return this.#view.behind()
  }

  // Queries.

  /** Nodes with a running instance: the local one first, the rest in another order each time, suspects last. */
  getNodes(service: string): string[] {
    return this.getInstances(service).map((instance) => instance.node)
  }

  /** The running instances, in the order of `getNodes`. */
  getInstances(service: string): Instance[] {
    return this.#select(service, {})
  }

  countInstances(service: string): number {
    return this.#view.index.of(service).size
  }

  /** What runs now, and every service ever seen. */
  getServices(): { running: Map<string, Instance[]>; seen: string[] } {
    const running = new Map<string, Instance[]>()
    for (const service of this.#view.index.services()) running.set(service, this.getInstances(service))
    return { running, seen: this.#view.index.seen() }
  }

  /** All services of a visible node, whatever their status. */
  instancesOf(node: string): Instance[] {
    return this.#view.instancesOf(node)
  }

  /**
   * Where to try a call: the running instances that pass the wish's filters, in its order. With `nodes`, exactly those in
   * the given order as far as they are visible; a filter leaves out those that do not list the service or do not pass.
   */
  candidates(service: string, wish: SelectionWish, nodes?: readonly string[]): ServiceEndpoint[] {
    const names =
      nodes === undefined ? this.#select(service, wish).map(({ node }) => node) : this.#named(service, wish, nodes)
    return names.map((node) => this.#view.endpoint(node)).filter((endpoint) => endpoint !== undefined)
  }

  inspect(): RegistryInspection {
    const { node, bootId, rev } = this.#own.held
    const services = Object.fromEntries(
      Array.from(this.#view.index.services(), (service) => [service, this.countInstances(service)]),
    )
    const { size: nodes, early } = this.#view
    const drops = { ...this.#drops, earlyEvicted: early.evictedCount }
    return { node, bootId, rev, nodes, early: early.size, behind: this.behind(), services, drops }
  }

  #select(service: string, wish: SelectionWish): Instance[] {
    const turn = (): number => this.#turns.next(service)
    const context = { ...this.#selection, suspects: this.#view.suspects, turn }
    return selectInstances(this.#view.index.of(service).values(), wish, context)
  }

  #named(service: string, wish: SelectionWish, nodes: readonly string[]): readonly string[] {
    if (wish.version === undefined && wish.where === undefined) return nodes
    const listed = this.#view.index.of(service)
    return nodes.filter((node) => {
      const instance = listed.get(node)
      return instance !== undefined && matches(instance, wish)
    })
  }

  #publish(change: Change | undefined): void {
    if (change === undefined) return
    this.#hasOwnNews = true
    const touched = [...change.records, ...change.removed].map((each) => each.service)
    this.#view.touch(this.#own.held, touched)
  }

  #decode(bytes: Uint8Array): RegistryMessage | undefined {
    const message = decodeMessage(bytes)
    if (message !== undefined) return message
    if (isShoalPayload(bytes)) this.#drops.malformed++
    else this.#drops.foreign++
    return undefined
  }

  #takeChange(change: DigestEntry & Change): Verdict {
    const records = this.#recordsFor(change)
    if (records === undefined) return NOT_FRESH
    const applied = records.applyChange(change)
    switch (applied.outcome) {
      case 'advanced':
        this.#view.touch(records, applied.touched)
        return fresh(change.node)
      case 'gap':
        this.#drops.gap++
        return this.#hear(records, change)
      case 'stale':
        this.#drops.stale++
        return NOT_FRESH
      case 'too-large':
        this.#drops.tooLarge++
        return NOT_FRESH
      default:
        return unreachable(applied)
    }
  }

  #takeAnnounce(entry: DigestEntry): Verdict {
    const records = this.#recordsFor(entry)
    return records === undefined ? NOT_FRESH : this.#hear(records, entry)
  }

  /** Passed on once though it cannot be used here: others may hold what we lack. */
  #hear(records: NodeRecords, entry: DigestEntry): Verdict {
    if (!records.hear(entry.rev)) return NOT_FRESH
    this.#view.touch(records, [])
    this.#view.askIfBehind(entry.node)
    return fresh(entry.node)
  }

  #takeSets(sets: readonly RecordSet[]): void {
    for (const set of sets) {
      const records = this.#recordsFor(set)
      const applied = records?.applySet(set)
      if (records === undefined || applied === undefined) continue
      if (applied.outcome === 'too-large') this.#drops.tooLarge++
      if (applied.outcome === 'advanced') this.#view.touch(records, applied.touched)
    }
  }

  #recordsFor(entry: DigestEntry): NodeRecords | undefined {
    if (this.#isOwn(entry)) {
      this.#meetRival(entry.bootId)
      this.#drops.own++
      return undefined
    }
    const records = this.#view.recordsFor(entry.node, entry.bootId)
    if (records === undefined) this.#drops.stale++
    return records
  }

  #isOwn(entry: DigestEntry): boolean {
    return entry.node === this.#own.held.node
  }

  #meetRival(bootId: string): void {
    if (bootId > (this.#rivalBootId ?? this.#own.held.bootId)) this.#rivalBootId = bootId
  }

  /**
   * A peer that lacks our latest shows that gossip of it did not get around: it was sent into an empty cluster before a
   * join, or into a partition. Told once more it reaches everybody at once; push/pull alone would take minutes.
   */
  #repeatIfMissed(digest: readonly DigestEntry[]): void {
    const { node, bootId, rev } = this.#own.held
    if (rev === 0) return
    const known = digest.find((entry) => entry.node === node)
    if (known === undefined || (known.bootId <= bootId && (known.bootId < bootId || known.rev < rev))) {
      this.#hasOwnNews = true
    }
  }

  /**
   * Gossip sends news as often as the members known at that time call for. A node that starts together with its seeds
   * knows few of them then, and neither do those who pass it on; so it is told again whenever they have doubled.
   */
  #repeatIfGrown(): void {
    if (this.#own.held.rev > 0 && this.#view.size >= 2 * this.#toldCount) this.#hasOwnNews = true
  }

  #digest(): DigestEntry[] {
    return [...this.#view.visibleRecords(), ...this.#view.pendingRecords()].map(digestOf)
  }

  #lacking(digest: readonly DigestEntry[]): RecordSet[] {
    return lackingSets(this.#view.visibleRecords(), digest, this.#syncBytesMax)
  }
}

/** One queued message per node: a newer one stands in for the older. */
function broadcastKey(node: string): string {
  return `registry/${node}`
}

function fresh(node: string): Verdict {
  return { fresh: true, key: broadcastKey(node) }
}

function checkBootId(bootId: string): void {
  if (!isBootId(bootId))
    throw new ShoalError('INVALID_OPTION', `a boot id is 20 hex digits, not ${bootId.slice(0, 64)}`)
}
