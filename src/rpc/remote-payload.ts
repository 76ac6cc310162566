/**
 * What a handler threw, as the payload of an error frame. Writing never fails: data that cannot travel is left out.
 * Reading never fails: what is not a failure reads as none.
 */
import { EMPTY_BYTES } from '../bytes.js'
import type { RemoteFailure } from '../errors.js'
import type { PayloadCodec } from './payload-codec.js'

/** Bytes as the codec gives them: valid until its next use. */
export function remoteFailureToPayload(codec: PayloadCodec, failure: RemoteFailure, bytesMax: number): Uint8Array {
  const { name, message, code, data, stack } = failure
  const whole = tryEncode(codec, [name, message, code ?? null, data, stack ?? null], bytesMax)
  return whole ?? tryEncode(codec, [name, message, code ?? null, undefined, null], bytesMax) ?? EMPTY_BYTES
}

/** `undefined` for an empty or unreadable payload. */
export function remoteFailureFromPayload(codec: PayloadCodec, payload: Uint8Array): RemoteFailure | undefined {
  if (payload.length === 0) return undefined
  const parts = tryDecode(codec, payload)
  if (!Array.isArray(parts)) return undefined
  const [name, message, code, data, stack] = parts as readonly unknown[]
  if (typeof name !== 'string' || typeof message !== 'string') return undefined
  return {
    name,
    message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : undefined),
    ...(data === undefined ? undefined : { data }),
    ...(typeof stack === 'string' ? { stack } : undefined),
  }
}

function tryEncode(codec: PayloadCodec, parts: readonly unknown[], bytesMax: number): Uint8Array | undefined {
  try {
    const bytes = codec.encode(parts, 'error')
    return bytes.length <= bytesMax ? bytes : undefined
  } catch {
    return undefined // the data cannot travel: the rest of the error still does
  }
}

function tryDecode(codec: PayloadCodec, payload: Uint8Array): unknown {
  try {
    return codec.decode(payload)
  } catch {
    return undefined // the error's head was readable, and says enough
  }
}
