/**
 * Puts a request into the outbox, and says beforehand what makes it impossible. The size is known before anything is
 * written, because a frame that names its method must not be taken back.
 */
import type { CallErrorCode } from '../errors.js'
import type { CallRequest } from './call.js'
import type { Credit } from './credit.js'
import { encodeRequestHead, NO_HEADERS } from './envelope.js'
import { FrameKind } from './frame.js'
import { HEADERS_LIMIT, tryHeadersBytes, utf8Length } from './headers.js'
import { INLINE_METHOD, NAME_BYTES_MAX, type OutgoingMethods } from './method-table.js'
import type { Outbox } from './outbox.js'
import { announcedLength } from './outbox.js'
import type { OutgoingCall } from './outgoing-call.js'

const TTL_MS_MAX = 0xffff_ffff
/** Flags, ttl and method number, both names, the first credit and the place of a stream: an upper bound. */
const HEAD_BYTES_MAX = 7 + 2 * (2 + NAME_BYTES_MAX) + 8 + 1

export interface RequestRefusal {
  readonly code: CallErrorCode
  readonly message: string
}

/** Why this request cannot be sent to a peer that reads frames of at most `frameBytesMax`; nothing was sent then. */
export function requestRefusal(
  request: CallRequest,
  payloadBytes: number,
  frameBytesMax: number,
): RequestRefusal | undefined {
  const { service, method, headers } = request
  if (isTooLong(service) || isTooLong(method))
    return { code: 'INVALID_ARGUMENT', message: `a service or method name is longer than ${NAME_BYTES_MAX} bytes` }
  const headersBytes = headers === undefined ? 0 : tryHeadersBytes(headers)
  if (headersBytes === undefined) return { code: 'INVALID_ARGUMENT', message: HEADERS_LIMIT }
  const length = announcedLength(HEAD_BYTES_MAX + headersBytes + payloadBytes)
  if (length <= frameBytesMax) return undefined
  return {
    code: 'TOO_LARGE',
    message: `the arguments of ${service}.${method} take ${payloadBytes} bytes, the limit is ${frameBytesMax} with the envelope`,
  }
}

/** Writes the request of a call that has its id. */
export function writeRequest({
  outbox,
  methods,
  call,
  payload,
  now,
  stream,
}: {
  readonly outbox: Outbox
  readonly methods: OutgoingMethods
  readonly call: OutgoingCall
  readonly payload: Uint8Array
  readonly now: number
  /** What the callee of a stream may send at first. */
  readonly stream: Credit | undefined
}): void {
  const { request } = call
  const known = methods.tryGet(request)
  const mark = outbox.openFrame(FrameKind.request, call.id, HEAD_BYTES_MAX + payload.length)
  // A long request is overtaken by others, which could not use a number that it brings.
  const methodId = known ?? (outbox.isLong(payload.length) ? INLINE_METHOD : methods.define(request))
  call.epoch = outbox.epoch
  call.bodyAt = outbox.writer.length
  encodeRequestHead(outbox.writer, {
    cast: request.cast,
    // Rounded up: the callee must not give up before the caller does.
    ttlMs: Math.min(TTL_MS_MAX, Math.max(1, Math.ceil(request.deadlineAt - now))),
    methodId,
    names: known === undefined ? request : undefined,
    headers: request.headers ?? NO_HEADERS,
    stream,
    inputAt: request.input?.at,
  })
  call.message = outbox.closeWith(mark, payload)
}

function isTooLong(name: string): boolean {
  return name.length > NAME_BYTES_MAX || (name.length * 3 > NAME_BYTES_MAX && utf8Length(name) > NAME_BYTES_MAX)
}
