/**
 * What MessagePack has no type for, as extension types: their numbers, and the bytes of those that hold no other
 * values. Valid dates use MessagePack's own timestamp. Numbers and layouts are fixed for ever.
 */

export const Extension = {
  /** MessagePack's own. */
  timestamp: -1,
  /** One byte: see `Constant`. */
  constant: 1,
  /** A sign byte (1 = negative), then the magnitude, big-endian. */
  bigint: 2,
  /** One MessagePack array: key, value, key, value... */
  map: 3,
  /** One MessagePack array of the members. */
  set: 4,
  /** One MessagePack array: name, message, code, data, cause. */
  error: 5,
  /** A kind byte, then the elements, little-endian. */
  typedArray: 6,
  /** UTF-16 code units, little-endian: for texts that UTF-8 cannot carry unchanged. */
  text16: 7,
} as const

export const Constant = { undefined: 0, negativeZero: 1, invalidDate: 2 } as const

/** Extensions whose body is MessagePack again. */
export function holdsValues(type: number): boolean {
  return type === Extension.map || type === Extension.set || type === Extension.error
}

export function isKnownExtension(type: number): boolean {
  return type === Extension.timestamp || (type >= Extension.constant && type <= Extension.text16)
}

export function encodeBigInt(value: bigint): Uint8Array {
  const negative = value < 0n
  const hex = (negative ? -value : value).toString(16)
  // Buffer: hex in JavaScript takes seconds for a megabyte.
  const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  const bytes = new Uint8Array(1 + magnitude.length)
  bytes[0] = negative ? 1 : 0
  bytes.set(magnitude, 1)
  return bytes
}

/** Throws a plain Error when the bytes are none. */
export function decodeBigInt(bytes: Uint8Array): bigint {
  if (bytes.length < 2 || (bytes[0] ?? 0) > 1) throw new Error('malformed bigint')
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + 1, bytes.length - 1).toString('hex')
  const magnitude = BigInt(`0x${hex}`)
  return bytes[0] === 1 ? -magnitude : magnitude
}

export function decodeConstant(bytes: Uint8Array): unknown {
  const which = bytes.length === 1 ? bytes[0] : undefined
  if (which === Constant.undefined) return undefined
  if (which === Constant.negativeZero) return -0
  if (which === Constant.invalidDate) return new Date(Number.NaN)
  throw new Error('malformed constant')
}

/** Always a copy: the view in which the bytes came is used again. */
export function encodeText16(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf16le'))
}

export function decodeText16(bytes: Uint8Array): string {
  if (bytes.length % 2 !== 0) throw new Error('malformed text')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf16le')
}
