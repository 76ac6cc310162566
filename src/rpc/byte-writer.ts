/**
 * A growing buffer with the few primitives that the envelope is made of, all little-endian. Decides nothing about what
 * is written; the counterpart is `byte-reader.ts`.
 */

import { EMPTY_BYTES } from '../bytes.js'

const encoder = new TextEncoder()

/** The longest text, in UTF-8 bytes, that `text` can write. */
export const TEXT_BYTES_MAX = 65_535

/** Memory of its own that holds anything: to be read where it was written alone. What sockets take need not be wrapped then. */
export function newBytes(count: number): Uint8Array {
  return Buffer.allocUnsafeSlow(count)
}

export class ByteWriter {
  bytes: Uint8Array
  length = 0

  constructor(capacity: number) {
    this.bytes = capacity === 0 ? EMPTY_BYTES : newBytes(capacity)
  }

  /** Makes room for `count` more bytes; each write below does so itself. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const grown = newBytes(Math.max(needed, 2 * this.bytes.length))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  u16(value: number): void {
    this.reserve(2)
    this.bytes[this.length++] = value
    this.bytes[this.length++] = value >>> 8
  }

  u32(value: number): void {
    this.reserve(4)
    this.setU32(this.length, value)
    this.length += 4
  }

  setU32(at: number, value: number): void {
    const { bytes } = this
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
  }

  /** A u16 length, then UTF-8. The caller has seen to `TEXT_BYTES_MAX`; a longer text is cut. */
  text(text: string): void {
    this.reserve(2 + 3 * text.length)
    const room = this.bytes.subarray(this.length + 2, this.length + 2 + TEXT_BYTES_MAX)
    const { written } = encoder.encodeInto(text, room)
    this.u16(written)
    this.length += written
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }
}
