/**
 * The registry's bytes: the payload magic, one byte of kind, one msgpack array with positional fields. Decoding is total
 * and allocates no more than the bytes justify. What the fields may hold is parse.ts's affair.
 */
import { Decoder, Encoder } from '@msgpack/msgpack'
import { ByteCache } from '../byte-cache.js'
import { unreachable } from '../errors.js'
import { isShoalPayload, PAYLOAD_MAGIC } from '../membership/payload.js'
import type { DigestEntry, RecordSet, RegistryMessage, Removal } from './messages.js'
import { parseMessage } from './parse.js'
import { isSoundMsgpack } from './prescan.js'
import { RECORD_LIMITS, type RegistryRecord, SERVICE_STATUSES } from './record.js'

const KINDS = { change: 1, announce: 2, digest: 3, state: 4, records: 5 } as const
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
  maxStrLength: 3 * RECORD_LIMITS.recordWeightMax,
  maxArrayLength: COUNT_MAX,
  maxMapLength: COUNT_MAX,
  maxBinLength: 0,
  maxExtLength: 0,
})

export function encodeMessage(message: RegistryMessage): Uint8Array {
  const body = encoder.encodeSharedRef(messageFields(message))
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
  return kind === undefined ? undefined : parseMessage(kind, body)
}

/** The bytes that a record, or a removal, takes up in a change. */
export function encodedEntryBytes(entry: RegistryRecord | Removal): number {
  return encoder.encodeSharedRef('meta' in entry ? recordFields(entry) : removalFields(entry)).length
}

function kindOf(bytes: Uint8Array): RegistryMessage['kind'] | undefined {
  if (!isShoalPayload(bytes)) return undefined
  switch (bytes[HEADER_BYTES - 1]) {
    case KINDS.change:
      return 'change'
    case KINDS.announce:
      return 'announce'
    case KINDS.digest:
      return 'digest'
    case KINDS.state:
      return 'state'
    case KINDS.records:
      return 'records'
    default:
      return undefined
  }
}

function messageFields(message: RegistryMessage): unknown[] {
  switch (message.kind) {
    case 'change': {
      const { node, bootId, base, rev, records, removed } = message
      return [node, bootId, base, rev, records.map(recordFields), removed.map(removalFields)]
    }
    case 'announce':
      return entryFields(message)
    case 'digest':
      return [message.digest.map(entryFields)]
    case 'state':
      return [message.digest.map(entryFields), message.sets.map(setFields)]
    case 'records':
      return [message.sets.map(setFields)]
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
  const { service, version, status, statusAt, reason, methods, meta, rev } = record
  return [service, version, SERVICE_STATUSES.indexOf(status), statusAt, reason ?? null, methods, meta, rev]
}
