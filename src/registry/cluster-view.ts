/**
 * Joins membership's word with the records: whose records count (the boot that membership shows), which are visible
 * (alive or suspect), and so which instances are listed. Everything that lists or unlists an instance passes `#relist`.
 * Knows nothing of messages.
 */
import { isBootId } from './boot-id.js'
import { type EarlyLimits, EarlyTable } from './early.js'
import type { MemberView, RegistryEffect, ServiceEndpoint } from './effects.js'
import { type HeldRecord, NodeRecords } from './node-records.js'
import type { Instance } from './record.js'
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
}

export class ClusterView {
  readonly index: ServiceIndex = new ServiceIndex()
  readonly suspects: Set<string> = new Set()
  readonly early: EarlyTable
  readonly #slots = new Map<string, Slot>()
  /** Those that are behind, and some that were; put right when read. */
  readonly #maybeBehind = new Set<string>()
  readonly #own: Slot
  readonly #emit: (effect: RegistryEffect) => void

  constructor(own: NodeRecords, rpcAddress: string, options: ClusterViewOptions) {
    const { node, bootId } = own
    this.#own = { node, local: true, state: 'alive', bootId, address: rpcAddress, records: own }
    this.#slots.set(node, this.#own)
    this.early = new EarlyTable(options.early)
    this.#emit = options.emit
  }

  handleMember(view: MemberView): void {
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
    if (isReboot) this.#becomeBoot(slot, bootId)
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
    if (isLive(slot.state)) this.#emit({ type: 'sync', node })
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
    return Array.from(slot.records.services(), (service) => faceOf(slot, slot.records?.get(service))).filter(
      (instance) => instance !== undefined,
    )
  }

  endpoint(node: string): ServiceEndpoint | undefined {
    const slot = this.#slots.get(node)
    if (slot === undefined || !isShown(slot) || slot.bootId === undefined || slot.address === undefined)
      return undefined
    return { node, bootId: slot.bootId, address: slot.address, local: slot.local }
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

  #relistAll(slot: Slot): void {
    if (slot.records === undefined) return
    for (const service of slot.records.services()) this.#relist(slot, service)
  }

  #relist(slot: Slot, service: string): void {
    const before = this.index.of(service).get(slot.node)
    const face = isShown(slot) ? faceOf(slot, slot.records?.get(service)) : undefined
    const after = face?.status === 'running' ? face : undefined
    if (face !== undefined) this.index.see(service)
    if (before === after) return
    if (after !== undefined) {
      this.index.put(after)
      this.#emit({ type: 'event', event: { type: before === undefined ? 'up' : 'update', instance: after } })
    } else if (before !== undefined) {
      this.index.remove(before)
      this.#emit({ type: 'event', event: { type: 'down', instance: face ?? before } })
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

/** The public shape of a record, made once and again only when the record or the node's address is another. */
function faceOf(slot: Slot, held: HeldRecord | undefined): Instance | undefined {
  if (held === undefined || slot.address === undefined) return undefined
  if (held.instance?.address === slot.address) return held.instance
  const { node, service, version, status, statusAt, reason, methods, meta } = held.record
  const { address, local } = slot
  const face: Instance = { node, service, version, status, statusAt, reason, methods, meta, address, local }
  held.instance = Object.freeze(face)
  return held.instance
}
