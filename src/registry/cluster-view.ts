/**
 * Joins membership's word with the records: whose records count (the boot that membership shows), which are visible
 * (alive or suspect), and so which instances are listed. Everything that lists or unlists an instance passes `#relist`.
 * Knows nothing of messages.
 */
import { isBootId } from './boot-id.js'
import { contentHash } from './content-hash.js'
import { type EarlyLimits, EarlyTable } from './early.js'
import type { MemberView, RegistryEffect, ServiceEndpoint } from './effects.js'
import { type HeldRecord, NodeRecords } from './node-records.js'
import { type Instance, type MetaRef, NO_META, type RegistryRecord, type ServiceMeta } from './record.js'
import { ServiceIndex } from './service-index.js'

/** What is known of one member. */
interface Slot {
  readonly node: string
  readonly local: boolean
  state: MemberView['state']
  bootId: string | undefined
  address: string | undefined
  records: NodeRecords | undefined
}

export interface ClusterViewOptions {
  readonly early: EarlyLimits
  /** Takes the events and syncs that follow from a change. */
  readonly emit: (effect: RegistryEffect) => void
  /** Large metas that are here, and the wish for one that is not. */
  readonly largeMeta: (hash: string) => ServiceMeta | undefined
  readonly want: (ref: MetaRef) => void
}

export class ClusterView {
  readonly index: ServiceIndex = new ServiceIndex()
  readonly suspects: Set<string> = new Set()
  readonly early: EarlyTable
  readonly #slots = new Map<string, Slot>()
  /** Those that are behind, and some that were; put right when read. */
  readonly #maybeBehind = new Set<string>()
  /** Records that are shown without their large meta, by its hash, then by node and service; and some that were. */
  readonly #pending = new Map<string, Map<string, HeldRecord>>()
  readonly #own: Slot
  #livesSeen = 0
  #revision = 0
  readonly #options: ClusterViewOptions

  constructor(own: NodeRecords, rpcAddress: string, options: ClusterViewOptions) {
    const { node, bootId } = own
    this.#own = { node, local: true, state: 'alive', bootId, address: rpcAddress, records: own }
    this.#slots.set(node, this.#own)
    this.early = new EarlyTable(options.early)
    this.#options = options
  }

  /** How often membership has shown a node in a boot that was not shown before it. */
  get livesSeen(): number {
    return this.#livesSeen
  }

  /** Another one whenever what is listed, where it is, or how it is trusted may have changed. */
  get revision(): number {
    return this.#revision
  }

  handleMember(view: MemberView): void {
    this.#revision++
    if (view.name === this.#own.node) this.#moveTo(this.#own, view.rpcAddress)
    else if (view.state === 'gone') this.#forget(view.name)
    else this.#see(view)
  }

  #see(view: MemberView): void {
    const slot = this.#slots.get(view.name) ?? newSlot(view.name)
    this.#slots.set(view.name, slot)
    const wasShown = isShown(slot)
    const bootId = this.#shownBoot(slot, view)
    const isReboot = bootId !== slot.bootId
    if (isReboot) {
      this.#livesSeen++
      this.#becomeBoot(slot, bootId)
    }
    slot.state = view.state
    if (view.state === 'suspect') this.suspects.add(slot.node)
    else this.suspects.delete(slot.node)
    slot.address = view.rpcAddress ?? slot.address
    this.#relistAll(slot)
    if (isReboot || !wasShown) this.askIfBehind(slot.node)
  }

  /** Where news of a node's boot belong; `undefined` when that boot is over. */
  recordsFor(node: string, bootId: string): NodeRecords | undefined {
    const slot = this.#slots.get(node)
    if (slot === undefined || slot.bootId === undefined) return this.early.open(node, bootId)
    if (slot.bootId === bootId) {
      slot.records ??= new NodeRecords(node, bootId)
      return slot.records
    }
    return bootId > slot.bootId ? this.early.open(node, bootId) : undefined
  }

  /** To be called after records took in news of these services. */
  touch(records: NodeRecords, services: readonly string[]): void {
    const slot = this.#slots.get(records.node)
    if (slot?.records !== records) this.early.settle(records)
    else for (const service of services) this.#relist(slot, service)
  }

  /** To be called when more was heard of a node; asks for a sync with it once it is visible. */
  askIfBehind(node: string): void {
    const slot = this.#slots.get(node)
    if (slot?.records?.isBehind !== true) return
    this.#maybeBehind.add(node)
    if (isLive(slot.state)) this.#options.emit({ type: 'sync', node })
  }

  /** Visible nodes of which more was heard than is held. */
  behind(): string[] {
    const nodes: string[] = []
    for (const node of this.#maybeBehind) {
      const slot = this.#slots.get(node)
      if (slot?.records?.isBehind !== true) this.#maybeBehind.delete(node)
      else if (isLive(slot.state)) nodes.push(node)
    }
    return nodes
  }

  /** Our own records live on under another boot id. */
  replaceOwn(records: NodeRecords): void {
    this.#revision++
    this.#own.bootId = records.bootId
    this.#own.records = records
    this.#relistAll(this.#own)
  }

  /** The records that we vouch for: our own first, then those of visible nodes. */
  *visibleRecords(): Generator<NodeRecords> {
    for (const { state, records } of this.#slots.values()) {
      if (records !== undefined && records.rev > 0 && isLive(state)) yield records
    }
  }

  /** Early records of nodes for which no other boot is shown. */
  *pendingRecords(): Generator<NodeRecords> {
    for (const records of this.early.values()) {
      if (records.rev > 0 && this.#slots.get(records.node)?.bootId === undefined) yield records
    }
  }

  instancesOf(node: string): Instance[] {
    const slot = this.#slots.get(node)
    if (slot === undefined || !isShown(slot) || slot.records === undefined) return []
    return Array.from(slot.records.services(), (service) => this.#faceOf(slot, slot.records?.get(service))).filter(
      (instance) => instance !== undefined,
    )
  }

  endpoint(node: string): ServiceEndpoint | undefined {
    const slot = this.#slots.get(node)
    if (slot === undefined || !isShown(slot) || slot.bootId === undefined || slot.address === undefined)
      return undefined
    return { node, bootId: slot.bootId, address: slot.address, local: slot.local }
  }

  /** Visible nodes of shoal but for this one. */
  peers(): string[] {
    return [...this.#slots.keys()].filter((node) => this.isPeer(node))
  }

  isPeer(node: string): boolean {
    const slot = this.#slots.get(node)
    return slot !== undefined && !slot.local && isLive(slot.state) && slot.bootId !== undefined
  }

  /** True for the records that count for a visible node. */
  isShown(records: NodeRecords): boolean {
    const slot = this.#slots.get(records.node)
    return slot?.records === records && isLive(slot.state)
  }

  /** Hashes of large metas that records refer to. */
  largeMetas(): Set<string> {
    const hashes = new Set<string>()
    for (const { records } of this.#slots.values()) {
      for (const { record } of records?.all() ?? []) if (record.metaRef !== undefined) hashes.add(record.metaRef.hash)
    }
    return hashes
  }

  /** Visible nodes that announce this large meta, which is not here yet. */
  announcers(hash: string): string[] {
    const nodes = new Set<string>()
    for (const { slot } of this.#pendingOf(hash)) if (isShown(slot)) nodes.add(slot.node)
    return [...nodes]
  }

  /** Large metas that records are shown without; also of some that were, until it is found that nobody announces them. */
  get pendingMetas(): number {
    return this.#pending.size
  }

  /** To be called when nobody that is visible announces this large meta: whoever comes to, is taken note of anew. */
  forgetMeta(hash: string): void {
    this.#pending.delete(hash)
  }

  /** To be called when a large meta has come in. */
  showLargeMeta(hash: string): void {
    const pending = this.#pendingOf(hash)
    this.#pending.delete(hash)
    for (const { slot, held } of pending) {
      held.instance = undefined
      this.#relist(slot, held.record.service)
    }
  }

  /** Wishes again for every large meta that is missing. */
  wantAll(): void {
    for (const hash of this.#pending.keys()) {
      const [first] = this.#pendingOf(hash)
      if (first?.held.record.metaRef === undefined) this.#pending.delete(hash)
      else this.#options.want(first.held.record.metaRef)
    }
  }

  get size(): number {
    return this.#slots.size
  }

  /** A dead or left node's tags may be unknown: it stays what it was. */
  #shownBoot(slot: Slot, view: MemberView): string | undefined {
    if (view.bootId !== undefined && isBootId(view.bootId)) return view.bootId
    return isLive(view.state) ? undefined : slot.bootId
  }

  #becomeBoot(slot: Slot, bootId: string | undefined): void {
    const before = slot.records
    slot.state = 'dead'
    this.#relistAll(slot) // another life: what was listed goes down first
    slot.bootId = bootId
    slot.address = undefined
    slot.records = bootId === undefined ? undefined : this.early.claim(slot.node, bootId)
    // Of two nodes with one name membership may settle on the older boot; the newer one's records may be wanted again.
    if (bootId !== undefined && before !== undefined && before.bootId > bootId) this.early.keep(before)
  }

  #forget(node: string): void {
    const slot = this.#slots.get(node)
    if (slot !== undefined) this.#becomeBoot(slot, undefined)
    this.#slots.delete(node)
    this.suspects.delete(node)
    this.early.remove(node)
  }

  #moveTo(slot: Slot, address: string | undefined): void {
    if (address === undefined || address === slot.address) return
    slot.address = address
    this.#relistAll(slot)
  }

  /** Of the records that were shown without this meta, those that still are some node's word. */
  #pendingOf(hash: string): { readonly slot: Slot; readonly held: HeldRecord }[] {
    const found: { slot: Slot; held: HeldRecord }[] = []
    for (const held of this.#pending.get(hash)?.values() ?? []) {
      const { node, service } = held.record
      const slot = this.#slots.get(node)
      if (slot?.records?.get(service) === held) found.push({ slot, held })
    }
    return found
  }

  /** The public shape of a record, made once and again only when the record, its meta or the node's address is another. */
  #faceOf(slot: Slot, held: HeldRecord | undefined): Instance | undefined {
    if (held === undefined || slot.address === undefined) return undefined
    const { largeMeta, want } = this.#options
    const { metaRef } = held.record
    if (held.instance?.address !== slot.address) {
      const meta = metaRef === undefined ? held.record.meta : largeMeta(metaRef.hash)
      held.instance = makeFace(slot.address, slot.local, { ...held.record, meta })
    }
    if (metaRef !== undefined && held.instance.metaPending) {
      const pending = this.#pending.get(metaRef.hash) ?? new Map<string, HeldRecord>()
      this.#pending.set(metaRef.hash, pending.set(`${held.record.service}\0${slot.node}`, held))
      want(metaRef)
    }
    return held.instance
  }

  #relistAll(slot: Slot): void {
    if (slot.records === undefined) return
    for (const service of slot.records.services()) this.#relist(slot, service)
  }

  #relist(slot: Slot, service: string): void {
    const before = this.index.of(service).get(slot.node)
    const face = isShown(slot) ? this.#faceOf(slot, slot.records?.get(service)) : undefined
    const after = face?.status === 'running' ? face : undefined
    if (face !== undefined) this.index.see(service)
    if (before === after) return
    this.#revision++
    if (after !== undefined) {
      this.index.put(after)
      this.#options.emit({ type: 'event', event: { type: before === undefined ? 'up' : 'update', instance: after } })
    } else if (before !== undefined) {
      this.index.remove(before)
      this.#options.emit({ type: 'event', event: { type: 'down', instance: face ?? before } })
    }
  }
}

function newSlot(node: string): Slot {
  return { node, local: false, state: 'dead', bootId: undefined, address: undefined, records: undefined }
}

function isLive(state: MemberView['state']): boolean {
  return state === 'alive' || state === 'suspect'
}

function isShown(slot: Slot): boolean {
  return isLive(slot.state) && slot.bootId !== undefined && slot.address !== undefined
}

function makeFace(
  address: string,
  local: boolean,
  record: Omit<RegistryRecord, 'meta'> & { readonly meta: ServiceMeta | undefined },
): Instance {
  const { node, service, version, status, statusAt, reason, methods } = record
  const meta = record.meta ?? NO_META
  const metaPending = record.meta === undefined
  const hash = contentHash({ ...record, meta })
  const face = { node, service, version, status, statusAt, reason, methods, meta, metaPending, hash, address, local }
  return Object.freeze(face)
}
