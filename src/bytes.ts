/** Byte helpers shared by the wire formats. */

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)

const encoder = new TextEncoder()
const lossyDecoder = new TextDecoder('utf-8')
// A leading byte order mark is part of an identifier: dropped, it would make two names one.
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8Encode(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Invalid sequences become U+FFFD. For text that is only shown. */
export function utf8Decode(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes)
}

/** `undefined` when the bytes are not valid UTF-8. For identifiers. */
export function tryUtf8Decode(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return undefined // the caller counts it as malformed
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

export function hexEncode(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
