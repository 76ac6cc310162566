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
  readonly meta: ServiceMeta
  /** The owner's count of changes when it made this one. */
  readonly rev: number
  /** About its size in bytes; never on the wire, equal on both sides. */
  readonly weight: number
}

/** One running place of a service, as users see it; frozen. */
export interface Instance {
  readonly node: string
  readonly service: string
  readonly version: string
  readonly status: ServiceStatus
  /** Wall clock ms of the owner. */
  readonly statusAt: number
  readonly reason: string | undefined
  readonly methods: readonly string[]
  readonly meta: ServiceMeta
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
} as const

/** True for text that can name a node, a service or a method. */
export function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > RECORD_LIMITS.nameBytesMax) return false
  if (value.length * 3 > RECORD_LIMITS.nameBytesMax && utf8Encode(value).length > RECORD_LIMITS.nameBytesMax)
    return false
  return isWellFormed(value)
}

export function recordWeight(
  record: Pick<RegistryRecord, 'service' | 'version' | 'reason' | 'methods'>,
  metaWeight: number,
): number {
  let weight = 32 + record.service.length + record.version.length + (record.reason?.length ?? 0) + metaWeight
  for (const name of record.methods) weight += name.length + 2
  return weight
}

export const META_LIMITS: PlainLimits = {
  depthMax: RECORD_LIMITS.metaDepthMax,
  weightMax: RECORD_LIMITS.recordWeightMax,
}
