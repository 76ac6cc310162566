/**
 * From decoded but untrusted values to messages: every shape, name, number and limit is checked here, once. Arrays may be
 * longer than we know, so that a later version can append fields. `undefined` means not a message of ours.
 */
import { isBootId } from './boot-id.js'
import type { DigestEntry, RecordSet, RegistryMessage, Removal } from './messages.js'
import { copyPlainData, type PlainLimits } from './plain-data.js'
import {
  FETCH_COUNT_MAX,
  isName,
  META_HASH_DIGITS,
  META_LIMITS,
  type MetaRef,
  NO_META,
  RECORD_LIMITS,
  type RegistryRecord,
  recordWeight,
  SERVICE_STATUSES,
  type ServiceMeta,
} from './record.js'

const NO_METHODS: readonly string[] = Object.freeze([])
const META_HASH = new RegExp(`^[0-9a-f]{${META_HASH_DIGITS}}$`)

/** All kinds but `bodies`, whose bytes are no list of fields. */
export function parseMessage(
  kind: Exclude<RegistryMessage['kind'], 'bodies'>,
  body: unknown,
): RegistryMessage | undefined {
  if (!Array.isArray(body)) return undefined
  if (kind === 'change') return parseChange(body)
  if (kind === 'announce' || kind === 'missed') return asMessage(kind, parseEntry(body))
  if (kind === 'recheck') return parseRecheck(body)
  if (kind === 'fetch') return parseFetch(body)
  const digest = kind === 'records' ? [] : parseList(body[0], parseEntry)
  const sets = kind === 'digest' ? [] : parseList(body[kind === 'records' ? 0 : 1], parseSet)
  if (digest === undefined || sets === undefined) return undefined
  if (kind === 'digest') return { kind, digest }
  return kind === 'records' ? { kind, sets } : { kind, digest, sets }
}

function asMessage(kind: 'announce' | 'missed', entry: DigestEntry | undefined): RegistryMessage | undefined {
  return entry === undefined ? undefined : { kind, ...entry }
}

function parseRecheck([node, a, b]: readonly unknown[]): RegistryMessage | undefined {
  return isName(node) && isCount(a) && isCount(b) ? { kind: 'recheck', node, hash: { a, b } } : undefined
}

function parseFetch([node, list]: readonly unknown[]): RegistryMessage | undefined {
  const hashes = parseList(list, (item) => (isMetaHash(item) ? item : undefined))
  if (!isName(node) || hashes === undefined || hashes.length > FETCH_COUNT_MAX) return undefined
  return { kind: 'fetch', node, hashes }
}

function parseChange(body: readonly unknown[]): RegistryMessage | undefined {
  const [node, bootId, base, rev, recordList, removedList] = body
  if (!isOwner(node, bootId) || !isCount(base) || !isCount(rev) || base >= rev) return undefined
  const owner: Owner = { node, bootId: bootId as string, base, rev }
  const records = parseList(recordList, (item) => parseRecord(item, owner))
  const removed = parseList(removedList, (item) => parseRemoval(item, owner))
  if (records === undefined || removed === undefined || !areDistinct([...records, ...removed])) return undefined
  return { kind: 'change', ...owner, records, removed }
}

function parseSet(value: unknown): RecordSet | undefined {
  const entry = parseEntry(value)
  if (entry === undefined || !Array.isArray(value)) return undefined
  const owner: Owner = { ...entry, base: 0 }
  const records = parseList(value[3], (item) => parseRecord(item, owner))
  return records === undefined || !areDistinct(records) ? undefined : { ...entry, records }
}

function parseEntry(value: unknown): DigestEntry | undefined {
  if (!Array.isArray(value)) return undefined
  const [node, bootId, rev]: unknown[] = value
  return isOwner(node, bootId) && isCount(rev) ? { node, bootId: bootId as string, rev } : undefined
}

function parseRemoval(value: unknown, owner: Owner): Removal | undefined {
  if (!Array.isArray(value)) return undefined
  const [service, rev]: unknown[] = value
  return isName(service) && isRevOf(owner, rev) ? { service, rev } : undefined
}

function parseRecord(value: unknown, owner: Owner): RegistryRecord | undefined {
  if (!Array.isArray(value)) return undefined
  const [service, version, statusCode, statusAt, reasonText, methodList, metaMap, rev, refFields]: unknown[] = value
  const status = typeof statusCode === 'number' ? SERVICE_STATUSES[statusCode] : undefined
  const reason = reasonText ?? undefined
  if (!isName(service) || !(version === '' || isName(version)) || status === undefined) return undefined
  if (typeof statusAt !== 'number' || !Number.isFinite(statusAt) || !isReason(reason)) return undefined
  if (!isRevOf(owner, rev)) return undefined
  const methods = parseMethods(methodList)
  const parsed = parseMeta(metaMap, META_LIMITS)
  const metaRef = refFields === undefined ? undefined : parseMetaRef(refFields)
  if (methods === undefined || parsed === undefined || (refFields !== undefined && metaRef === undefined))
    return undefined
  const weight = recordWeight({ service, version, reason, methods, metaRef }, parsed.weight)
  if (weight > RECORD_LIMITS.recordWeightMax) return undefined
  const { node, bootId } = owner
  const { meta } = parsed
  return { node, bootId, service, version, status, statusAt, reason, methods, meta, metaRef, rev, weight }
}

function parseMethods(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > RECORD_LIMITS.methodCountMax || !value.every(isName)) return undefined
  return value.length === 0 ? NO_METHODS : Object.freeze(value)
}

/** A meta as a user may have written it, frozen. */
export function parseMeta(
  value: unknown,
  limits: PlainLimits,
): { readonly meta: ServiceMeta; readonly weight: number } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const copy = copyPlainData(value, limits)
  if (!copy.ok) return undefined
  const meta = copy.value as ServiceMeta
  return { meta: Object.keys(meta).length === 0 ? NO_META : meta, weight: copy.weight }
}

function parseMetaRef(value: unknown): MetaRef | undefined {
  if (!Array.isArray(value)) return undefined
  const [hash, bytes]: unknown[] = value
  if (!isMetaHash(hash) || !isCount(bytes) || bytes === 0 || bytes > RECORD_LIMITS.metaBytesMax) return undefined
  return { hash, bytes }
}

function isMetaHash(value: unknown): value is string {
  return typeof value === 'string' && META_HASH.test(value)
}

/** Whose records are parsed, and within which revs they must lie. */
interface Owner extends DigestEntry {
  readonly base: number
}

function isOwner(node: unknown, bootId: unknown): node is string {
  return isName(node) && typeof bootId === 'string' && isBootId(bootId)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRevOf(owner: Owner, rev: unknown): rev is number {
  return isCount(rev) && rev > owner.base && rev <= owner.rev
}

function isReason(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === 'string' && value.length <= RECORD_LIMITS.reasonLengthMax)
}

function areDistinct(items: readonly { readonly service: string }[]): boolean {
  return items.length < 2 || new Set(items.map((item) => item.service)).size === items.length
}

function parseList<T>(value: unknown, parse: (item: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value)) return undefined
  const items: T[] = []
  for (const each of value) {
    const item = parse(each)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items
}
