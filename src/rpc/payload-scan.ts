/**
 * Walks MessagePack that came from the network before any library sees it: well-formed to the last byte, not nested
 * too deep, and not of a kind that a few bytes blow up into gigabytes of objects. Builds nothing.
 */
import { holdsValues, isKnownExtension } from './extension-types.js'
import { DEPTH_MAX } from './values.js'

export type ScanFault = 'malformed' | 'too-deep' | 'too-many-values'

export interface ScanResult {
  readonly fault: ScanFault | undefined
  /** There are binary values, which the library gives as views of the input. */
  readonly hasBinary: boolean
}

// What decoding costs in memory at worst, roughly: a slot of an array or entry of a map, an object of any kind.
export const SLOT_BYTES = 12
export const OBJECT_BYTES = 64
export const EXTENSION_BYTES = 192
const STOP = -1

/** Scans one payload at a time; the result is valid until the next one. */
export class PayloadScan {
  readonly #decodedBytesMax: number
  readonly #result: { fault: ScanFault | undefined; hasBinary: boolean } = { fault: undefined, hasBinary: false }
  #bytes: Uint8Array = new Uint8Array(0)
  #end = 0
  #decodedBytes = 0

  /** `decodedBytesMax` bounds the memory that the decoded objects may take, by estimate. */
  constructor(decodedBytesMax: number) {
    this.#decodedBytesMax = decodedBytesMax
  }

  scan(payload: Uint8Array): ScanResult {
    this.#bytes = payload
    this.#end = payload.length
    this.#decodedBytes = 0
    this.#result.fault = undefined
    this.#result.hasBinary = false
    const at = this.#value(0, 0)
    if (at !== this.#end) this.#result.fault ??= 'malformed'
    return this.#result
  }

  /** Returns where the value ends, or STOP. */
  #value(at: number, depth: number): number {
    if (at >= this.#end) return this.#stop('malformed')
    const type = this.#bytes[at] ?? 0
    if (type < 0x80 || type >= 0xe0) return at + 1
    if (type >= 0xc0) return this.#longForm(type, at + 1, depth)
    if (type >= 0xa0) return this.#skip(at + 1, type - 0xa0)
    return type < 0x90 ? this.#items(at + 1, 2 * (type - 0x80), depth) : this.#items(at + 1, type - 0x90, depth)
  }

  #longForm(type: number, at: number, depth: number): number {
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return at
      case 0xcc: // u8
      case 0xd0: // i8
        return this.#skip(at, 1)
      case 0xcd: // u16
      case 0xd1: // i16
        return this.#skip(at, 2)
      case 0xca: // f32
      case 0xce: // u32
      case 0xd2: // i32
        return this.#skip(at, 4)
      case 0xcb: // f64
      case 0xcf: // u64
      case 0xd3: // i64
        return this.#skip(at, 8)
      default:
        return this.#sized(type, at, depth)
    }
  }

  /** Types with a length field of 1, 2 or 4 bytes, and extensions. */
  #sized(type: number, at: number, depth: number): number {
    if (type === 0xc1) return this.#stop('malformed')
    if (type >= 0xd4 && type <= 0xd8) return this.#extension(at, 1 << (type - 0xd4), depth)
    const width = sizeWidth(type)
    if (this.#end - at < width) return this.#stop('malformed')
    const size = this.#size(at, width)
    const bodyAt = at + width
    if (type <= 0xc6) {
      this.#result.hasBinary = true
      return this.#weigh(OBJECT_BYTES) ? this.#skip(bodyAt, size) : STOP
    }
    if (type <= 0xc9) return this.#extension(bodyAt, size, depth)
    if (type <= 0xdb) return this.#skip(bodyAt, size)
    return this.#items(bodyAt, type <= 0xdd ? size : 2 * size, depth)
  }

  #items(at: number, count: number, depth: number): number {
    if (depth >= DEPTH_MAX) return this.#stop('too-deep')
    if (count > this.#end - at) return this.#stop('malformed')
    if (!this.#weigh(OBJECT_BYTES + count * SLOT_BYTES)) return STOP
    let next = at
    for (let i = 0; i < count; i++) {
      next = this.#value(next, depth + 1)
      if (next < 0) return STOP
    }
    return next
  }

  #extension(at: number, size: number, depth: number): number {
    const end = this.#skip(at, 1 + size)
    if (end < 0) return STOP
    const type = ((this.#bytes[at] ?? 0) << 24) >> 24
    if (!isKnownExtension(type)) return this.#stop('malformed')
    if (!this.#weigh(EXTENSION_BYTES)) return STOP
    if (!holdsValues(type)) return end
    const outerEnd = this.#end
    this.#end = end
    const reached = this.#value(at + 1, depth)
    this.#end = outerEnd
    if (reached < 0) return STOP
    return reached === end ? end : this.#stop('malformed')
  }

  #skip(at: number, count: number): number {
    return count > this.#end - at ? this.#stop('malformed') : at + count
  }

  #size(at: number, width: number): number {
    let size = 0
    for (let i = 0; i < width; i++) size = size * 256 + (this.#bytes[at + i] ?? 0)
    return size
  }

  #weigh(bytes: number): boolean {
    this.#decodedBytes += bytes
    if (this.#decodedBytes <= this.#decodedBytesMax) return true
    this.#stop('too-many-values')
    return false
  }

  #stop(fault: ScanFault): number {
    this.#result.fault ??= fault
    return STOP
  }
}

/** c4-c6 bin, c7-c9 ext, d9-db str of 1, 2, 4 bytes of length; dc-dd array, de-df map of 2, 4. */
function sizeWidth(type: number): number {
  if (type <= 0xc6) return 1 << (type - 0xc4)
  if (type <= 0xc9) return 1 << (type - 0xc7)
  if (type <= 0xdb) return 1 << (type - 0xd9)
  return type % 2 === 0 ? 2 : 4
}
