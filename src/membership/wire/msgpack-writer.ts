/**
 * MessagePack as old Go peers write it: text and bytes both in the "raw" family that predates str8 and bin, an empty
 * byte field as nil, every integer in its shortest unsigned form. Knows no message, only values.
 * Messages are written one behind the other into a slab and handed out as views of it: an allocation for each would
 * cost more than the encoding. One that is too long for it is written into memory that is used again, and copied.
 */
import { EMPTY_BYTES, utf8Encode } from '../../bytes.js'

const NIL = 0xc0
/** A message that is kept keeps its slab alive, so slabs are small. */
const SLAB_BYTES = 8_192
/** A message begins in a new slab when less than this is left. */
const ROOM_BYTES_MIN = 512
/** Memory for long messages is kept up to here: the list of ten thousand members. */
const LONG_BYTES_KEPT = 1_048_576

export class MsgpackWriter {
  #slab = new Uint8Array(SLAB_BYTES)
  #slabUsed = 0
  #long: Uint8Array = EMPTY_BYTES
  /** Where the message is written: the slab, or the memory for long ones. */
  #bytes: Uint8Array = this.#slab
  #start = 0
  #length = 0

  /** Begins a message; what was written and not finished is lost. */
  begin(): void {
    if (this.#slabUsed > SLAB_BYTES - ROOM_BYTES_MIN) {
      this.#slab = new Uint8Array(SLAB_BYTES)
      this.#slabUsed = 0
    }
    this.#bytes = this.#slab
    this.#start = this.#slabUsed
    this.#length = this.#start
  }

  /** The message; its bytes are never written again. */
  finish(): Uint8Array {
    if (this.#bytes === this.#slab) {
      this.#slabUsed = this.#length
      return this.#bytes.subarray(this.#start, this.#length)
    }
    const message = this.#bytes.slice(this.#start, this.#length)
    this.#long = this.#bytes.length <= LONG_BYTES_KEPT ? this.#bytes : EMPTY_BYTES
    return message
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  /** Bytes as they are, without a header. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    // Addresses and versions are too short to be worth a call of `set`.
    if (bytes.length > 32) this.#bytes.set(bytes, this.#length)
    else for (let i = 0; i < bytes.length; i++) this.#bytes[this.#length + i] = bytes[i] as number
    this.#length += bytes.length
  }

  /** The head of a map; its entries follow, keys in ascending order. */
  mapHead(entryCount: number): void {
    if (entryCount < 16) this.byte(0x80 | entryCount)
    else if (entryCount < 0x1_0000) this.#sized(0xde, 2, entryCount)
    else this.#sized(0xdf, 4, entryCount)
  }

  bool(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2)
  }

  /** An integer of 0 to 2^53 - 1. */
  uint(value: number): void {
    if (value < 0x80) this.byte(value)
    else if (value < 0x100) this.#sized(0xcc, 1, value)
    else if (value < 0x1_0000) this.#sized(0xcd, 2, value)
    else if (value <= 0xffff_ffff) this.#sized(0xce, 4, value)
    else this.#uint64(value)
  }

  /** Bytes, or nil for none. */
  bytes(value: Uint8Array): void {
    if (value.length === 0) this.byte(NIL)
    else this.#rawBytes(value)
  }

  text(value: string): void {
    const before = this.#length - this.#start // relative: the message may move to a larger slab
    this.#rawHead(value.length)
    this.#reserve(value.length)
    const target = this.#bytes
    let at = this.#length
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code >= 0x80) {
        // Not ASCII after all: its length in bytes is another, so it is written again from its head.
        this.#length = this.#start + before
        this.#rawBytes(utf8Encode(value))
        return
      }
      target[at++] = code
    }
    this.#length = at
  }

  #rawBytes(value: Uint8Array): void {
    this.#rawHead(value.length)
    this.raw(value)
  }

  #rawHead(length: number): void {
    if (length < 32) this.byte(0xa0 | length)
    else if (length < 0x1_0000) this.#sized(0xda, 2, length)
    else this.#sized(0xdb, 4, length)
  }

  #uint64(value: number): void {
    this.#sized(0xcf, 4, Math.floor(value / 2 ** 32))
    for (let shift = 24; shift >= 0; shift -= 8) this.byte((value >>> shift) & 255)
  }

  #sized(tag: number, size: 1 | 2 | 4, value: number): void {
    this.#reserve(5)
    this.#bytes[this.#length++] = tag
    for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) this.#bytes[this.#length++] = (value >>> shift) & 255
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const written = this.#bytes.subarray(this.#start, this.#length)
    const wanted = written.length + count
    const isRoomy = this.#bytes === this.#slab && wanted <= this.#long.length
    const grown = isRoomy ? this.#long : new Uint8Array(Math.max(SLAB_BYTES, wanted * 2))
    grown.set(written)
    this.#bytes = grown
    this.#start = 0
    this.#length = written.length
  }
}
