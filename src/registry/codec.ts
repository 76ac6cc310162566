/**
 * The registry's bytes: the payload magic, one byte of kind, one msgpack array with positional fields. Decoding is total
 * and allocates no more than the bytes justify. What the fields may hold is parse.ts's affair.
 */
import { Decoder, Encoder } from '@msgpack/msgpack'
import { ByteCache } from '../byte-cache.js'
import { concatBytes } from '../bytes.js'
import { unreachable } from '../errors.js'
import { isShoalPayload, PAYLOAD_MAGIC } from '../membership/payload.js'
import type { DigestEntry, RecordSet, RegistryMessage, Removal } from './messages.js'
import { parseMessage, parseMeta } from './parse.js'
import { isSoundMsgpack } from './prescan.js'
import {
  FETCH_COUNT_MAX,
  LARGE_META_LIMITS,
  RECORD_LIMITS,
  type RegistryRecord,
  SERVICE_STATUSES,
  type ServiceMeta,
} from './record.js'

const KINDS = {
  change: 1,
  announce: 2,
  digest: 3,
  state: 4,
  records: 5,
  recheck: 6,
  missed: 7,
  fetch: 8,
  bodies: 9,
} as const
type Kind = RegistryMessage['kind']
const KIND_OF: ReadonlyMap<number | undefined, Kind> = new Map(
  Object.entries(KINDS).map(([kind, code]) => [code, kind as Kind]),
)
const HEADER_BYTES = PAYLOAD_MAGIC.length + 1

/** Larger payloads are refused unseen; a push/pull's budget lies well below. */
export const PAYLOAD_BYTES_MAX: number = 32 * 1024 * 1024

// message, sets, set, records, record, then meta
const DEPTH_MAX = 6 + RECORD_LIMITS.metaDepthMax
const COUNT_MAX = 65_536

/** A change comes from many peers, byte for byte the same: it is decoded once. */
const gossiped = new ByteCache(4_096, decodeKnown)
/** No packet holds more. */
const GOSSIPED_BYTES_MAX = 1_500

const encoder = new Encoder({ maxDepth: DEPTH_MAX + 1 })
const decoder = new Decoder({
  maxStrLength: RECORD_LIMITS.metaBytesMax,
  maxArrayLength: RECORD_LIMITS.metaBytesMax,
  maxMapLength: COUNT_MAX,
  maxBinLength: 0,
  maxExtLength: 0,
})

export function encodeMessage(message: RegistryMessage): Uint8Array {
  const body = message.kind === 'bodies' ? joinBodies(message.bodies) : encoder.encodeSharedRef(messageFields(message))
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  bytes.set(PAYLOAD_MAGIC)
  bytes[HEADER_BYTES - 1] = KINDS[message.kind]
  bytes.set(body, HEADER_BYTES)
  return bytes
}

/** `undefined` for any bytes that are not exactly one message of ours. */
export function decodeMessage(bytes: Uint8Array): RegistryMessage | undefined {
  const kind = kindOf(bytes)
  if (kind === undefined || bytes.length > PAYLOAD_BYTES_MAX) return undefined
  if (kind === 'bodies') return splitBodies(bytes.subarray(HEADER_BYTES))
  const isGossiped = (kind === 'change' || kind === 'announce') && bytes.length <= GOSSIPED_BYTES_MAX
  return isGossiped ? gossiped.get(bytes) : decodeKnown(bytes)
}

function decodeKnown(bytes: Uint8Array): RegistryMessage | undefined {
  if (!isSoundMsgpack(bytes, HEADER_BYTES, DEPTH_MAX)) return undefined
  let body: unknown
  try {
    body = decoder.decode(bytes.subarray(HEADER_BYTES))
  } catch {
    return undefined // a limit of the decoder, or a key it refuses; the caller counts it
  }
  const kind = kindOf(bytes)
  return kind === undefined || kind === 'bodies' ? undefined : parseMessage(kind, body)
}

/** The bytes that a record, or a removal, takes up in a change. */
export function encodedEntryBytes(entry: RegistryRecord | Removal): number {
  return encoder.encodeSharedRef('meta' in entry ? recordFields(entry) : removalFields(entry)).length
}

/** Their number, then each after its length. They are decoded only when their hash shows that somebody wants them. */
function joinBodies(bodies: readonly Uint8Array[]): Uint8Array {
  const parts = bodies.flatMap((body) => {
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, body.length)
    return [length, body]
  })
  return concatBytes([Uint8Array.of(bodies.length), ...parts])
}

function splitBodies(bytes: Uint8Array): RegistryMessage | undefined {
  const [count = 0] = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const bodies: Uint8Array[] = []
  let at = 1
  while (bodies.length < Math.min(count, FETCH_COUNT_MAX) && at + 4 <= bytes.length) {
    const startsAt = at + 4
    at = startsAt + view.getUint32(at)
    bodies.push(bytes.subarray(startsAt, at))
  }
  const isWhole = bodies.length === count && at === bytes.length && bodies.every((body) => body.length > 0)
  return isWhole && count > 0 ? { kind: 'bodies', bodies } : undefined
}

/** A meta's bytes: equal for equal metas, whatever the order in which their keys were written. */
export function encodeMeta(meta: ServiceMeta): Uint8Array {
  return encoder.encode(meta)
}

/** `undefined` for any bytes that are not exactly one meta within the limits of a large one. */
export function decodeMeta(bytes: Uint8Array): { readonly meta: ServiceMeta; readonly weight: number } | undefined {
  if (bytes.length > RECORD_LIMITS.metaBytesMax || !isSoundMsgpack(bytes, 0, RECORD_LIMITS.metaDepthMax + 1))
    return undefined
  let value: unknown
  try {
    value = decoder.decode(bytes)
  } catch {
    return undefined // as above
  }
  return parseMeta(value, LARGE_META_LIMITS)
}

function kindOf(bytes: Uint8Array): Kind | undefined {
  return isShoalPayload(bytes) ? KIND_OF.get(bytes[HEADER_BYTES - 1]) : undefined
}

function messageFields(message: Exclude<RegistryMessage, { kind: 'bodies' }>): unknown[] {
  switch (message.kind) {
    case 'change': {
      const { node, bootId, base, rev, records, removed } = message
      return [node, bootId, base, rev, records.map(recordFields), removed.map(removalFields)]
    }
    case 'announce':
    case 'missed':
      return entryFields(message)
    case 'digest':
      return [message.digest.map(entryFields)]
    case 'state':
      return [message.digest.map(entryFields), message.sets.map(setFields)]
    case 'records':
      return [message.sets.map(setFields)]
    case 'recheck':
      return [message.node, message.hash.a, message.hash.b]
    case 'fetch':
      return [message.node, message.hashes]
    default:
      return unreachable(message)
  }
}

function entryFields({ node, bootId, rev }: DigestEntry): unknown[] {
  return [node, bootId, rev]
}

function setFields({ node, bootId, rev, records }: RecordSet): unknown[] {
  return [node, bootId, rev, records.map(recordFields)]
}

function removalFields({ service, rev }: Removal): unknown[] {
  return [service, rev]
}

function recordFields(record: RegistryRecord): unknown[] {
  const { service, version, status, statusAt, reason, methods, meta, rev, metaRef } = record
  const fields = [service, version, SERVICE_STATUSES.indexOf(status), statusAt, reason ?? null, methods, meta, rev]
  return metaRef === undefined ? fields : [...fields, [metaRef.hash, metaRef.bytes]]
}
