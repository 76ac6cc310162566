/**
 * What is known of one service on one node: the record, its limits, and the frozen shape that users see. Knows nothing of
 * revs' order, of the wire, or of who is alive.
 */
import { utf8Encode } from '../bytes.js'
import { isWellFormed, type PlainData, type PlainLimits } from './plain-data.js'

/** A service's status. The order is part of the wire format: append only. */
export const SERVICE_STATUSES = [
  'starting',
  'running',
  'pausing',
  'paused',
  'stopping',
  'stopped',
  'failed',
  'draining',
] as const
export type ServiceStatus = (typeof SERVICE_STATUSES)[number]

/** What a user attaches to a service; travels with its record. */
export type ServiceMeta = Readonly<Record<string, PlainData | undefined>>

/** Names the bytes of a large meta; whoever has bytes of this name has this very meta. */
export interface MetaRef {
  /** In hex; see `metaHash`. */
  readonly hash: string
  /** Its length in msgpack. */
  readonly bytes: number
}

/** One service on one node, as its owner last said. Immutable: a change makes another record. */
export interface RegistryRecord {
  readonly node: string
  readonly bootId: string
  readonly service: string
  readonly version: string
  readonly status: ServiceStatus
  /** Wall clock ms of the owner. */
  readonly statusAt: number
  readonly reason: string | undefined
  readonly methods: readonly string[]
  /** Empty when `metaRef` says where it is. */
  readonly meta: ServiceMeta
  /** Set when the meta is too large to travel with the record. */
  readonly metaRef?: MetaRef | undefined
  /** The owner's count of changes when it made this one. */
  readonly rev: number
  /** About its size in bytes; never on the wire, equal on both sides. */
  readonly weight: number
}

/**
 * One running place of a service, as users see it; frozen. It is replaced by another object at each change, and is the
 * same object until then.
 */
export interface Instance {
  readonly node: string
  readonly service: string
  readonly version: string
  readonly status: ServiceStatus
  /** Wall clock ms of the owner. */
  readonly statusAt: number
  readonly reason: string | undefined
  readonly methods: readonly string[]
  /** Never that of another version: `{}` while a large one is under way, which `metaPending` tells. */
  readonly meta: ServiceMeta
  readonly metaPending: boolean
  /**
   * Of service, version, status, reason, methods and meta: equal as long as none of them changes, and equal on all nodes
   * that offer the same. Not of node, address and `statusAt`. Tells change, proves nothing.
   */
  readonly hash: string
  /** `host:port` of the node's RPC listener. */
  readonly address: string
  /** This very process. */
  readonly local: boolean
}

/** Limits that owners keep and receivers enforce. Weights are about bytes. */
export const RECORD_LIMITS = {
  /** UTF-8 bytes of a node, service, method or version name. */
  nameBytesMax: 255,
  methodCountMax: 1_024,
  reasonLengthMax: 1_024,
  metaDepthMax: 8,
  recordWeightMax: 65_536,
  servicesPerNodeMax: 1_024,
  nodeWeightMax: 1_048_576,
  /** Of one service's meta in msgpack. */
  metaBytesMax: 1_048_576,
  /** Of all metas of a node that do not travel with their records. */
  nodeMetaBytesMax: 16_777_216,
} as const

/** Large metas asked for in one message. */
export const FETCH_COUNT_MAX: number = 64
/** Half of SHA-256, in hex. */
export const META_HASH_DIGITS: number = 32
const META_REF_WEIGHT = 64

export const NO_META: ServiceMeta = Object.freeze({})

/** True for text that can name a node, a service or a method. */
export function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > RECORD_LIMITS.nameBytesMax) return false
  if (value.length * 3 > RECORD_LIMITS.nameBytesMax && utf8Encode(value).length > RECORD_LIMITS.nameBytesMax)
    return false
  return isWellFormed(value)
}

export function recordWeight(
  record: Pick<RegistryRecord, 'service' | 'version' | 'reason' | 'methods' | 'metaRef'>,
  metaWeight: number,
): number {
  let weight = 32 + record.service.length + record.version.length + (record.reason?.length ?? 0) + metaWeight
  if (record.metaRef !== undefined) weight += META_REF_WEIGHT
  for (const name of record.methods) weight += name.length + 2
  return weight
}

/** Of a meta within its record. */
export const META_LIMITS: PlainLimits = {
  depthMax: RECORD_LIMITS.metaDepthMax,
  weightMax: RECORD_LIMITS.recordWeightMax,
}

/** Of a large one: a megabyte of empty lists would take many in memory. */
export const LARGE_META_LIMITS: PlainLimits = {
  depthMax: RECORD_LIMITS.metaDepthMax,
  weightMax: 4 * RECORD_LIMITS.metaBytesMax,
  containerWeight: 16,
}
