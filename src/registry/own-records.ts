/**
 * The owner's side: counts its changes without gaps and says what to gossip of them. A gossiped change carries the last
 * word on every service that changed lately, as far as a packet holds, so that it stands in for earlier ones that were
 * lost or replaced in a queue. What does not fit is only announced; receivers fetch it.
 */
import { ShoalError } from '../errors.js'
import { encodedEntryBytes, encodeMessage, encodeMeta } from './codec.js'
import {
  checkDeclaration,
  checkMeta,
  checkReason,
  checkStatus,
  type ServiceDeclaration,
  weighRecord,
} from './declaration.js'
import type { Change, RegistryMessage, Removal } from './messages.js'
import { NodeRecords } from './node-records.js'
import {
  type MetaRef,
  NO_META,
  RECORD_LIMITS,
  type RegistryRecord,
  type ServiceMeta,
  type ServiceStatus,
} from './record.js'

/** A change of a service's status; `at` is wall clock ms. */
export interface StatusChange {
  readonly status: ServiceStatus
  readonly reason?: string | undefined
  readonly at: number
}

export interface OwnRecordsOptions {
  /** The most bytes that one gossiped message may have. */
  readonly packetBytesMax: number
  /** How long a change is repeated along with later ones; as long as gossip of it may be under way. */
  readonly recentMs: number
  /** Keeps a meta that is too large for a packet, and names it. */
  readonly keepMeta: (meta: ServiceMeta, bytes: Uint8Array) => MetaRef
}

/** Removals remembered for repetition; the oldest go first, and whoever has not heard of those fetches the full set. */
const REMOVED_MAX = 256
// Two empty lists grow to array32 heads.
const LIST_HEADS_BYTES = 8

/** The last word on a service. Kept in the order of `rev`. */
interface Entry {
  readonly what: RegistryRecord | Removal
  readonly at: number
}

export class OwnRecords {
  readonly #options: OwnRecordsOptions
  #held: NodeRecords
  readonly #entries = new Map<string, Entry>()
  #removedCount = 0
  /** Removals up to this rev are forgotten: no change may begin below it. */
  #forgottenRev = 0

  constructor(node: string, bootId: string, options: OwnRecordsOptions) {
    this.#options = options
    this.#held = new NodeRecords(node, bootId)
  }

  get held(): NodeRecords {
    return this.#held
  }

  /** Throws INVALID_ARGUMENT when it is provided already, or for a bad declaration; TOO_LARGE. Nothing is changed then. */
  provide(declaration: ServiceDeclaration, at: number): Change {
    const body = checkDeclaration(declaration)
    if (this.#held.get(body.service) !== undefined) {
      throw new ShoalError('INVALID_ARGUMENT', `${body.service} is already provided by ${this.#held.node}`)
    }
    const meta = this.#place(body.service, body.meta)
    return this.#write(weighRecord({ ...this.#stamp(), ...body, ...meta, statusAt: at }), at)
  }

  /** `undefined` when nothing changes. Throws INVALID_ARGUMENT for a service that is not provided. */
  setStatus(service: string, change: StatusChange): Change | undefined {
    const record = this.#existing(service)
    const status = checkStatus(change.status)
    const reason = checkReason(change.reason)
    if (record.status === status && record.reason === reason) return undefined
    return this.#write(weighRecord({ ...record, ...this.#stamp(), status, reason, statusAt: change.at }), change.at)
  }

  /** Replaces the meta. Throws INVALID_ARGUMENT or TOO_LARGE, and nothing is changed then. */
  setMeta(service: string, meta: ServiceMeta, at: number): Change {
    const record = this.#existing(service)
    const placed = this.#place(service, checkMeta(service, meta))
    return this.#write(weighRecord({ ...record, ...this.#stamp(), ...placed }), at)
  }

  /** `undefined` when there is no such service. */
  withdraw(service: string, at: number): Change | undefined {
    if (this.#held.get(service) === undefined) return undefined
    const removal: Removal = { service, rev: this.#held.rev + 1 }
    const change: Change = { base: removal.rev - 1, rev: removal.rev, records: [], removed: [removal] }
    this.#held.applyChange(change)
    this.#remember({ what: removal, at })
    return change
  }

  /** The same services under another boot id: to everyone else a new life, in which nothing was ever removed. */
  adoptBootId(bootId: string): void {
    const { node, rev } = this.#held
    const reborn = (record: RegistryRecord): RegistryRecord => ({ ...record, bootId })
    const records = this.#held.toSet().records.map(reborn)
    this.#held = new NodeRecords(node, bootId)
    this.#held.applySet({ rev, records })
    this.#forgottenRev = 0
    this.#removedCount = 0
    for (const [service, { what, at }] of this.#entries) {
      if (isRecord(what)) this.#entries.set(service, { what: reborn(what), at })
      else this.#entries.delete(service)
    }
  }

  /** Hashes of the large metas that we announce. */
  largeMetas(): Set<string> {
    const refs = Array.from(this.#held.all(), ({ record }) => record.metaRef)
    return new Set(refs.filter((ref) => ref !== undefined).map(({ hash }) => hash))
  }

  /** What to gossip now, given all changes so far. */
  message(): RegistryMessage {
    const { node, bootId, rev } = this.#held
    const change = this.#recentChange()
    const empty = change.records.length === 0 && change.removed.length === 0
    return empty ? { kind: 'announce', node, bootId, rev } : { kind: 'change', node, bootId, ...change }
  }

  #recentChange(): Change {
    const { node, bootId, rev } = this.#held
    const head = encodeMessage({ kind: 'change', node, bootId, base: rev, rev, records: [], removed: [] })
    let room = this.#options.packetBytesMax - head.length - LIST_HEADS_BYTES
    const newestFirst = [...this.#entries.values()].reverse()
    const oldestAt = (newestFirst[0]?.at ?? 0) - this.#options.recentMs
    const records: RegistryRecord[] = []
    const removed: Removal[] = []
    let base = this.#forgottenRev
    for (const { what, at } of newestFirst) {
      if (what.rev <= base) break
      room -= at < oldestAt ? Number.POSITIVE_INFINITY : encodedEntryBytes(what)
      if (room < 0) {
        base = what.rev
        break
      }
      if (isRecord(what)) records.push(what)
      else removed.push(what)
    }
    return { base, rev, records, removed }
  }

  /** A meta that would take more than half a packet does not travel with its record, whatever else that holds. */
  #place(service: string, meta: ServiceMeta): Pick<RegistryRecord, 'meta' | 'metaRef'> {
    const { packetBytesMax, keepMeta } = this.#options
    const { metaBytesMax, nodeMetaBytesMax } = RECORD_LIMITS
    const bytes = encodeMeta(meta)
    if (bytes.length <= packetBytesMax / 2) return { meta, metaRef: undefined }
    if (bytes.length > metaBytesMax) {
      const size = `meta of ${service} takes ${bytes.length} bytes`
      throw new ShoalError('TOO_LARGE', `${size}, more than ${metaBytesMax}; offer it by a method instead`)
    }
    let others = 0
    for (const { record } of this.#held.all()) if (record.service !== service) others += record.metaRef?.bytes ?? 0
    if (others + bytes.length > nodeMetaBytesMax) {
      throw new ShoalError(
        'TOO_LARGE',
        `with that of ${service} this node's metas take more than ${nodeMetaBytesMax} bytes`,
      )
    }
    return { meta: NO_META, metaRef: keepMeta(meta, bytes) }
  }

  #existing(service: string): RegistryRecord {
    const held = this.#held.get(service)
    if (held !== undefined) return held.record
    throw new ShoalError('INVALID_ARGUMENT', `${service} is not provided by ${this.#held.node}`)
  }

  #stamp(): Pick<RegistryRecord, 'node' | 'bootId' | 'rev'> {
    return { node: this.#held.node, bootId: this.#held.bootId, rev: this.#held.rev + 1 }
  }

  #write(record: RegistryRecord, at: number): Change {
    const change: Change = { base: record.rev - 1, rev: record.rev, records: [record], removed: [] }
    if (this.#held.applyChange(change).outcome === 'too-large') {
      const { servicesPerNodeMax, nodeWeightMax } = RECORD_LIMITS
      const limit = `${servicesPerNodeMax} services or ${nodeWeightMax} bytes`
      throw new ShoalError('TOO_LARGE', `with ${record.service} this node would announce more than ${limit}`)
    }
    this.#remember({ what: record, at })
    return change
  }

  #remember(entry: Entry): void {
    const { service } = entry.what
    const before = this.#entries.get(service)
    if (before !== undefined && !isRecord(before.what)) this.#removedCount--
    this.#entries.delete(service) // to move it to the end
    this.#entries.set(service, entry)
    if (isRecord(entry.what)) return
    this.#removedCount++
    if (this.#removedCount > REMOVED_MAX) this.#forgetOldestRemoval()
  }

  #forgetOldestRemoval(): void {
    for (const [service, { what }] of this.#entries) {
      if (isRecord(what)) continue
      this.#entries.delete(service)
      this.#removedCount--
      this.#forgottenRev = what.rev
      return
    }
  }
}

function isRecord(what: RegistryRecord | Removal): what is RegistryRecord {
  return 'bootId' in what
}
