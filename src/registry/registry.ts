/**
 * The registry of one node: its own services, what it learned of the others', and the messages between them. A node is
 * the only writer of its records; everyone else takes them in by boot and rev. Pure: inputs are synchronous and total,
 * effects are pulled by `drain`. It rides on membership as a PayloadHandler and knows no other way to send.
 */
import { ShoalError, unreachable } from '../errors.js'
import type { PayloadHandler, Verdict } from '../membership/payload.js'
import { isShoalPayload } from '../membership/payload.js'
import { isBootId } from './boot-id.js'
import { ClusterView } from './cluster-view.js'
import { decodeMessage, encodeMessage } from './codec.js'
import type { ServiceDeclaration } from './declaration.js'
import { type DropCounts, newDropCounts } from './drops.js'
import type { MemberView, RegistryEffect, ServiceEndpoint } from './effects.js'
import { broadcastKey, Intake, NOT_FRESH } from './intake.js'
import type { Change, DigestEntry, RecordSet, RegistryMessage } from './messages.js'
import { MetaFetch, metaHash } from './meta-fetch.js'
import { MetaStore } from './meta-store.js'
import { OwnRecords, type StatusChange } from './own-records.js'
import { Recheck } from './recheck.js'
import { type Instance, isName, type MetaRef, type ServiceMeta } from './record.js'
import type { RegistryInspection, RegistryOptions } from './registry-options.js'
import { inOrder, matches, type SelectionContext, type SelectionWish, selectInstances } from './selection.js'
import { Shortlists } from './shortlists.js'
import { digestOf, lackingSets } from './sync.js'
import { Turns } from './turns.js'

const MIB = 1024 * 1024
const PACKET_BYTES_MIN = 512
/** Of the members. */
const NEW_SHARE = 1 / 8

export class Registry implements PayloadHandler {
  readonly #own: OwnRecords
  readonly #view: ClusterView
  readonly #turns = new Turns()
  readonly #selection: SelectionContext
  readonly #shortlists: Shortlists
  readonly #syncBytesMax: number
  readonly #drops: DropCounts = newDropCounts()
  readonly #metas: MetaStore
  readonly #metaFetch: MetaFetch
  readonly #intake: Intake
  readonly #recheck: Recheck
  #effects: RegistryEffect[] = []
  #hasOwnNews = false
  /** Lives of members seen when our news was last sent. */
  #livesTold = 0
  #lastState: { readonly bytes: Uint8Array; readonly message: RegistryMessage } | undefined

  constructor(options: RegistryOptions) {
    const { node, bootId, random, packetBytesMax = 1_200 } = options
    if (!isName(node)) throw new ShoalError('INVALID_OPTION', 'a node name must be 1 to 255 bytes of text')
    checkBootId(bootId)
    if (packetBytesMax < PACKET_BYTES_MIN) {
      throw new ShoalError(
        'INVALID_OPTION',
        `packetBytesMax must be at least ${PACKET_BYTES_MIN}, not ${packetBytesMax}`,
      )
    }
    this.#syncBytesMax = options.syncBytesMax ?? 8 * MIB
    this.#own = this.#createOwn(options, packetBytesMax)
    this.#view = this.#createView(options)
    this.#shortlists = new Shortlists(this.#view)
    const { pending = () => 0, rttMs = () => undefined } = options
    const turn = (service: string): number => this.#turns.next(service)
    const distance = (to: string): number | undefined => (to === node ? 0 : rttMs(to))
    this.#selection = { random, pending, rttMs: distance, turn, suspects: this.#view.suspects }
    this.#metas = new MetaStore({
      weightMax: options.metaBytesMax ?? 64 * MIB,
      inUse: () => this.#view.largeMetas(),
    })
    this.#metaFetch = this.#createMetaFetch(options)
    this.#recheck = new Recheck({ node, view: this.#view, random, emit: (effect) => this.#effects.push(effect) })
    this.#intake = new Intake({
      own: () => this.#own.held,
      view: this.#view,
      drops: this.#drops,
      repeat: () => {
        this.#hasOwnNews = true
      },
      tellMissed: (entry) => this.#send(entry.node, { kind: 'missed', ...entry }),
    })
  }

  // Own services. `at` is wall clock ms.

  /** Announces a service of ours. Throws INVALID_ARGUMENT (also when provided already) or TOO_LARGE, changing nothing. */
  provide(declaration: ServiceDeclaration, at: number): void {
    this.#publish(() => this.#own.provide(declaration, at))
  }

  /** The same status and reason again is no change. Throws INVALID_ARGUMENT for a service that is not provided. */
  setStatus(service: string, change: StatusChange): void {
    this.#publish(() => this.#own.setStatus(service, change))
  }

  /** Replaces the meta. Throws INVALID_ARGUMENT or TOO_LARGE, changing nothing. */
  setMeta(service: string, meta: ServiceMeta, at: number): void {
    this.#publish(() => this.#own.setMeta(service, meta, at))
  }

  /** Takes a service back; without effect when there is none. */
  withdraw(service: string, at: number): void {
    this.#publish(() => this.#own.withdraw(service, at))
  }

  /** Announces all our services under another boot id; membership must show it too. Throws INVALID_OPTION. */
  adoptBootId(bootId: string): void {
    checkBootId(bootId)
    this.#own.adoptBootId(bootId)
    this.#view.replaceOwn(this.#own.held)
    this.#hasOwnNews = this.#own.held.rev > 0
    this.#intake.handleOwnBoot(bootId)
  }

  /** The highest boot id above ours that someone ascribes to our name: an earlier life with a later clock, or a twin. */
  rivalBootId(): string | undefined {
    return this.#intake.rivalBootId
  }

  // Membership.

  /** To be told of every change of a member. Of our own name only `rpcAddress` is taken. */
  handleMember(view: MemberView): void {
    this.#view.handleMember(view)
    this.#repeatToNew()
  }

  handleMessage(bytes: Uint8Array): Verdict {
    const message = this.#decode(bytes)
    if (message === undefined) return NOT_FRESH
    switch (message.kind) {
      case 'change':
        return this.#intake.takeChange(message)
      case 'announce':
        return this.#intake.takeAnnounce(message)
      case 'records':
        this.#intake.takeSets(message.sets) // came by TCP to us alone: gossip of it is the owner's
        return NOT_FRESH
      case 'missed':
        this.#intake.takeMissed(message)
        return NOT_FRESH
      case 'recheck':
        if (!this.#recheck.handle(message)) this.#drops.unwanted++
        return NOT_FRESH
      case 'fetch':
        if (!this.#view.isPeer(message.node) || !this.#metaFetch.handleFetch(message.node, message.hashes))
          this.#drops.unwanted++
        return NOT_FRESH
      case 'bodies':
        for (const body of message.bodies) this.#takeBody(body)
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
    const message = remote.length === 0 ? undefined : this.#decodeState(remote)
    const known = message?.kind === 'digest' ? message.digest : []
    return encodeMessage({ kind: 'state', digest, sets: this.#lacking(known) })
  }

  /** Only a responder's answer holds records and calls for the rest; an initiator's digest is taken note of. */
  mergeState(bytes: Uint8Array): Uint8Array | undefined {
    const message = this.#decodeState(bytes)
    if (message === undefined) return undefined
    if (message.kind !== 'digest' && message.kind !== 'state') {
      this.#drops.misplaced++
      return undefined
    }
    this.#intake.takeDigest(message.digest)
    if (message.kind === 'digest') return undefined
    this.#intake.takeSets(message.sets)
    const sets = this.#lacking(message.digest)
    return sets.length === 0 ? undefined : encodeMessage({ kind: 'records', sets })
  }

  /** The effects of the inputs since the last drain, in order; our own news first, as one message. */
  drain(): RegistryEffect[] {
    this.#metaFetch.ask()
    const effects = this.#effects
    if (effects.length > 0) this.#effects = []
    if (!this.#hasOwnNews) return effects
    this.#hasOwnNews = false
    this.#livesTold = this.#view.livesSeen
    const bytes = encodeMessage(this.#own.message())
    return [{ type: 'broadcast', broadcast: { key: broadcastKey(this.#own.held.node), bytes } }, ...effects]
  }

  /** To be called about once a second: what others may ask of us is counted from one to the next. */
  handleTick(): void {
    this.#recheck.handleTick()
    this.#intake.handleTick()
    this.#metaFetch.handleTick()
  }

  /** Compares all that we hold with a random peer, so that nobody lacks an update for long. */
  recheck(): void {
    this.#recheck.begin()
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
  candidates(service: string, wish: SelectionWish, nodes?: readonly string[]): readonly ServiceEndpoint[] {
    if (nodes === undefined) return inOrder(this.#shortlists.get(service, wish), wish, this.#selection)
    return this.#named(service, wish, nodes)
      .map((node) => this.#view.endpoint(node))
      .filter((endpoint) => endpoint !== undefined)
  }

  inspect(): RegistryInspection {
    const { node, bootId, rev } = this.#own.held
    const services = Object.fromEntries(
      Array.from(this.#view.index.services(), (service) => [service, this.countInstances(service)]),
    )
    const { size: nodes, early } = this.#view
    const drops = { ...this.#drops, earlyEvicted: early.evictedCount }
    const metas = { held: this.#metas.size, weight: this.#metas.weight, pending: this.#view.pendingMetas }
    return {
      node,
      bootId,
      rev,
      nodes,
      early: early.size,
      behind: this.behind(),
      metas,
      rechecks: this.#recheck.counts,
      services,
      drops,
    }
  }

  #select(service: string, wish: SelectionWish): Instance[] {
    return selectInstances(this.#view.index.of(service).values(), wish, this.#selection)
  }

  #named(service: string, wish: SelectionWish, nodes: readonly string[]): readonly string[] {
    if (wish.version === undefined && wish.where === undefined) return nodes
    const listed = this.#view.index.of(service)
    return nodes.filter((node) => {
      const instance = listed.get(node)
      return instance !== undefined && matches(instance, wish)
    })
  }

  #publish(act: () => Change | undefined): void {
    let change: Change | undefined
    try {
      change = act()
    } finally {
      this.#metas.keepOwn(() => this.#own.largeMetas()) // also when it was refused after all
    }
    if (change === undefined) return
    this.#hasOwnNews = true
    const touched = [...change.records, ...change.removed].map((each) => each.service)
    this.#view.touch(this.#own.held, touched)
  }

  /** A peer's state is read twice, first to answer it and then to take it in; both are handed the same bytes. */
  #decodeState(bytes: Uint8Array): RegistryMessage | undefined {
    const last = this.#lastState
    this.#lastState = undefined
    if (last?.bytes === bytes) return last.message
    const message = this.#decode(bytes)
    if (message !== undefined) this.#lastState = { bytes, message }
    return message
  }

  #decode(bytes: Uint8Array): RegistryMessage | undefined {
    const message = decodeMessage(bytes)
    if (message !== undefined) return message
    if (isShoalPayload(bytes)) this.#drops.malformed++
    else this.#drops.foreign++
    return undefined
  }

  #takeBody(bytes: Uint8Array): void {
    const taken = this.#metaFetch.handleBody(bytes)
    if (taken === 'malformed') this.#drops.malformed++
    else if (taken === 'unwanted') this.#drops.unwanted++
    else if (taken !== 'no-room') this.#view.showLargeMeta(taken.hash)
  }

  #send(node: string, message: RegistryMessage): void {
    this.#effects.push({ type: 'send', node, bytes: encodeMessage(message) })
  }

  #createOwn({ node, bootId, recentMs = 10_000, sha256 }: RegistryOptions, packetBytesMax: number): OwnRecords {
    const keepMeta = (meta: ServiceMeta, bytes: Uint8Array): MetaRef => {
      const hash = metaHash(sha256, bytes)
      this.#metas.putOwn(hash, meta, bytes)
      return { hash, bytes: bytes.length }
    }
    return new OwnRecords(node, bootId, { packetBytesMax, recentMs, keepMeta })
  }

  #createView({ rpcAddress, earlyNodesMax = 4_096, earlyBytesMax = 16 * MIB }: RegistryOptions): ClusterView {
    return new ClusterView(this.#own.held, rpcAddress, {
      early: { nodesMax: earlyNodesMax, weightMax: earlyBytesMax },
      emit: (effect) => this.#effects.push(effect),
      largeMeta: (hash) => this.#metas.get(hash),
      want: (ref) => this.#metaFetch.want(ref),
    })
  }

  #createMetaFetch({ node, random, sha256 }: RegistryOptions): MetaFetch {
    return new MetaFetch({
      node,
      store: this.#metas,
      sha256,
      random,
      send: (to, bytes) => this.#effects.push({ type: 'send', node: to, bytes }),
      announcers: (hash) => this.#view.announcers(hash),
      forget: (hash) => this.#view.forgetMeta(hash),
      wantAll: () => this.#view.wantAll(),
    })
  }

  /**
   * Nodes that start together with their seeds are told by nobody what was said before: an eighth of the members being
   * new, or in a new life, our last word is repeated, and it reaches those too whom ours did not while few were known.
   */
  #repeatToNew(): void {
    const newLives = this.#view.livesSeen - this.#livesTold
    if (this.#own.held.rev > 0 && newLives >= Math.max(1, this.#view.size * NEW_SHARE)) this.#hasOwnNews = true
  }

  #digest(): DigestEntry[] {
    return [...this.#view.visibleRecords(), ...this.#view.pendingRecords()].map(digestOf)
  }

  #lacking(digest: readonly DigestEntry[]): RecordSet[] {
    return lackingSets(this.#view.visibleRecords(), digest, this.#syncBytesMax)
  }
}

function checkBootId(bootId: string): void {
  if (!isBootId(bootId))
    throw new ShoalError('INVALID_OPTION', `a boot id is 20 hex digits, not ${bootId.slice(0, 64)}`)
}
