/**
 * The bodies of request, error and going-away frames: fixed binary, so that a call costs no second codec pass. Payloads
 * are opaque here. The body of a reply or of a stream's item is its payload alone; cancel, the end of a stream, ping and
 * pong have none. Decoding is total.
 */
import type { CallErrorCode, Executed } from '../errors.js'
import { ByteReader } from './byte-reader.js'
import { type ByteWriter, TEXT_BYTES_MAX } from './byte-writer.js'
import { type Credit, encodeCredit, readCredit } from './credit.js'
import { errorCodeFromWire, errorCodeToWire, executedFromWire, executedToWire } from './error-codes.js'
import type { Span } from './frame-reader.js'
import { type MethodName, NAME_BYTES_MAX } from './method-table.js'

const FLAG_NO_REPLY = 1
const FLAG_HEADERS = 2
const FLAG_NAMES = 4
const FLAG_STREAM = 8
const FLAG_INPUT = 16
const KNOWN_FLAGS = 31

export const HEADER_COUNT_MAX = 64
/** Keys and values together, in UTF-8 bytes, with two more for each of them. */
export const HEADERS_BYTES_MAX = 16_384
const MESSAGE_LENGTH_MAX = 8_192

/** What the receiver of a request without headers is given: one object for all. */
export const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as object) as Readonly<
  Record<string, string>
>

export interface RequestHead {
  readonly cast: boolean
  /** What is left of the deadline; 0 is a request that must not run. */
  readonly ttlMs: number
  readonly methodId: number
  /** Present on the first request of a method, and on each one that has no number. */
  readonly names: MethodName | undefined
  readonly headers: Readonly<Record<string, string>>
  /** Of a call whose result is a stream: what its callee may send at first. */
  readonly stream?: Credit | undefined
  /** Which argument is a stream that the caller sends. */
  readonly inputAt?: number | undefined
}

/** Writes everything of a request up to its payload. */
export function encodeRequestHead(writer: ByteWriter, head: RequestHead): void {
  const hasHeaders = head.headers !== NO_HEADERS
  const flags = (head.cast ? FLAG_NO_REPLY : 0) | (hasHeaders ? FLAG_HEADERS : 0) | (head.names ? FLAG_NAMES : 0)
  const { stream, inputAt } = head
  writer.u8(flags | (stream === undefined ? 0 : FLAG_STREAM) | (inputAt === undefined ? 0 : FLAG_INPUT))
  writer.u32(head.ttlMs)
  writer.u16(head.methodId)
  if (head.names !== undefined) {
    writer.text(head.names.service)
    writer.text(head.names.method)
  }
  if (hasHeaders) encodeHeaders(writer, head.headers)
  if (stream !== undefined) encodeCredit(writer, stream)
  if (inputAt !== undefined) writer.u8(inputAt)
}

/** The head and where the payload begins. */
export function decodeRequestHead(body: Span): { readonly head: RequestHead; readonly payloadAt: number } | undefined {
  const reader = new ByteReader(body)
  const flags = reader.u8()
  if ((flags & ~KNOWN_FLAGS) !== 0) return undefined
  const head: RequestHead = {
    cast: (flags & FLAG_NO_REPLY) !== 0,
    ttlMs: reader.u32(),
    methodId: reader.u16(),
    names:
      (flags & FLAG_NAMES) === 0
        ? undefined
        : { service: reader.text(NAME_BYTES_MAX), method: reader.text(NAME_BYTES_MAX) },
    headers: (flags & FLAG_HEADERS) === 0 ? NO_HEADERS : decodeHeaders(reader),
    stream: (flags & FLAG_STREAM) === 0 ? undefined : readCredit(reader),
    inputAt: (flags & FLAG_INPUT) === 0 ? undefined : reader.u8(),
  }
  return reader.failed ? undefined : { head, payloadAt: reader.at }
}

/**
 * Makes an encoded request that has not left yet one that the callee never runs and never answers. The frame stays, for
 * it may be the one that names its method.
 */
export function voidRequest(writer: ByteWriter, bodyAt: number): void {
  writer.bytes[bodyAt] = (writer.bytes[bodyAt] ?? 0) | FLAG_NO_REPLY
  writer.setU32(bodyAt + 1, 0)
}

export interface ErrorHead {
  readonly code: CallErrorCode
  readonly executed: Executed
  readonly message: string
}

/** Writes everything of an error up to the remote failure, which follows as payload when there is one. */
export function encodeErrorHead(writer: ByteWriter, { code, executed, message }: ErrorHead): void {
  writer.u8(errorCodeToWire(code))
  writer.u8(executedToWire(executed))
  writer.text(message.length > MESSAGE_LENGTH_MAX ? `${message.slice(0, MESSAGE_LENGTH_MAX)}…` : message)
}

/** The head and where the payload begins; there is none when that is the end of the body. */
export function decodeErrorHead(body: Span): { readonly head: ErrorHead; readonly payloadAt: number } | undefined {
  const reader = new ByteReader(body)
  const code = reader.u8()
  const executed = executedFromWire(reader.u8())
  const message = reader.text(TEXT_BYTES_MAX)
  if (reader.failed || executed === undefined) return undefined
  return { head: { code: errorCodeFromWire(code, executed), executed, message }, payloadAt: reader.at }
}

/** The id of the last request that was taken, 0 for none: later ones were never run. */
export function encodeGoingAway(writer: ByteWriter, lastAcceptedId: number): void {
  writer.u32(lastAcceptedId)
}

export function decodeGoingAway(body: Span): number | undefined {
  const reader = new ByteReader(body)
  const lastAcceptedId = reader.u32()
  return reader.failed ? undefined : lastAcceptedId
}

function encodeHeaders(writer: ByteWriter, headers: Readonly<Record<string, string>>): void {
  const entries = Object.entries(headers)
  writer.u8(entries.length)
  for (const [key, value] of entries) {
    writer.text(key)
    writer.text(value)
  }
}

function decodeHeaders(reader: ByteReader): Readonly<Record<string, string>> {
  // Without a prototype `__proto__` is a key like any other.
  const headers = Object.create(null) as Record<string, string>
  const count = reader.u8()
  const startAt = reader.at
  if (count > HEADER_COUNT_MAX) reader.failed = true
  for (let i = 0; i < count && !reader.failed; i++) {
    const key = reader.text(HEADERS_BYTES_MAX)
    headers[key] = reader.text(HEADERS_BYTES_MAX)
    if (reader.at - startAt > HEADERS_BYTES_MAX) reader.failed = true
  }
  return Object.freeze(headers)
}
