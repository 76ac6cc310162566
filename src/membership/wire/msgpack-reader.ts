/**
 * A total, allocation-shy reader of MessagePack as any memberlist peer may write it. It never throws and never
 * believes an announced length before the bytes are there. Two kinds of trouble are told apart:
 * - a *failure* ends the reading (cut off, not MessagePack, beyond a bound); every later read gives a zero value;
 * - a *flaw* is a field of the wrong kind or outside its rules; the reader steps over it, so what follows is still read.
 * It walks nested values with a counter instead of recursion: depth costs nothing, the number of values is bounded.
 */
import { EMPTY_BYTES, tryUtf8Decode } from '../../bytes.js'
import type { WireDrop } from './messages.js'
import { ownBytes } from './own-bytes.js'
import type { StructSchema } from './struct-schema.js'
import { asciiText } from './text-cache.js'

const NIL = 0xc0
/** Entries of one struct; the largest that is known has 8. */
const ENTRIES_MAX = 64
/** Values inside the unknown fields of one struct. */
const SKIPPED_VALUES_MAX = 1_024
/** Bytes sent as an array of integers, which no known peer does. */
const BYTE_ARRAY_MAX = 4_096

export type ReadFailure = 'truncated' | 'malformed' | 'too-large'

export class MsgpackReader {
  #bytes: Uint8Array = EMPTY_BYTES
  #at = 0
  #end = 0
  #failure: ReadFailure | undefined
  #flaw: WireDrop | undefined
  #wantedEnd = 0
  #entriesLeft = 0
  #isMap = false
  #position = 0
  #skippable = 0

  /** Reads from `start` on; all trouble is forgotten. At most `skippedMax` values are stepped over. */
  open(bytes: Uint8Array, start: number, skippedMax: number = SKIPPED_VALUES_MAX): void {
    this.openPart(bytes, start, bytes.length)
    this.#skippable = skippedMax
  }

  /** The same, as if the bytes ended at `end`. */
  openPart(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#failure = undefined
    this.#flaw = undefined
    this.#entriesLeft = 0
    this.#skippable = SKIPPED_VALUES_MAX
  }

  /** The offset after what was read; meaningless after a failure. */
  position(): number {
    return this.#at
  }

  failure(): ReadFailure | undefined {
    return this.#failure
  }

  /** Why the value cannot be used: the failure or the first flaw. */
  trouble(): WireDrop | undefined {
    return this.#failure ?? this.#flaw
  }

  /** After the failure `truncated`: the offset up to which bytes must be there before another try can get further. */
  wantedEnd(): number {
    return this.#wantedEnd
  }

  /** Notes a flaw that the caller found; the first one stays. */
  flag(flaw: WireDrop): void {
    this.#flaw ??= flaw
  }

  /** Enters a map, an array or nil (a struct of zero values). Its fields come by `nextField` or `nextEntry`. */
  openStruct(entriesMax: number = ENTRIES_MAX): void {
    this.#position = 0
    const tag = this.#tag()
    this.#isMap = tag >> 4 === 0x8 || tag === 0xde || tag === 0xdf
    if (tag >> 4 === 0x8 || tag >> 4 === 0x9) this.#entriesLeft = tag & 15
    else if (tag === 0xde || tag === 0xdc) this.#entriesLeft = this.#number(2)
    else if (tag === 0xdf || tag === 0xdd) this.#entriesLeft = this.#number(4)
    else if (tag === NIL) this.#entriesLeft = 0
    else this.#fail('malformed')
    if (this.#entriesLeft > entriesMax) this.#fail('too-large')
  }

  /** The next field that the schema knows; its value must be read next. `undefined` at the end. */
  nextField<K extends string>(schema: StructSchema<K>): K | undefined {
    while (this.#entriesLeft > 0) {
      this.#entriesLeft--
      const field = this.#isMap ? this.#key(schema) : schema.declared[this.#position++]
      if (field !== undefined) return field
      this.skip()
    }
    return undefined
  }

  /** True when the open map has a further entry; its key and value must be read next. */
  nextEntry(): boolean {
    if (!this.#isMap || this.#entriesLeft === 0) return false
    this.#entriesLeft--
    return true
  }

  /** True when the open array has a further item, which must be read next. */
  nextItem(): boolean {
    if (this.#isMap || this.#entriesLeft === 0) return false
    this.#entriesLeft--
    return true
  }

  /** An integer of 0 to `max`, from any integer family; nil is 0. */
  readUint(max: number): number {
    const start = this.#at
    const value = this.#integer()
    if (value >= 0 && value <= max) return value
    if (Number.isNaN(value)) this.#stepOver(start)
    else this.flag('bad-record')
    return 0
  }

  readBool(): boolean {
    const start = this.#at
    const tag = this.#tag()
    if (tag === 0xc3) return true
    if (tag !== 0xc2 && tag !== NIL) this.#stepOver(start)
    return false
  }

  /** Text of at most `bytesMax` bytes of valid UTF-8, from raw, str or bin; nil is empty. */
  readText(bytesMax: number): string {
    const start = this.#at
    const length = this.#rawLength(this.#tag())
    if (length < 0) {
      this.#stepOver(start)
      return ''
    }
    if (!this.#advance(length)) return ''
    if (length <= bytesMax) return this.#textBefore(length)
    this.flag('bad-record')
    return ''
  }

  /** A copy of at most `bytesMax` bytes, from raw, str, bin or an array of integers; nil is empty. */
  readBytes(bytesMax: number): Uint8Array {
    const length = this.#bytesField(bytesMax)
    return length < 0 ? this.#byteArray(-1 - length, bytesMax) : ownBytes(this.#bytes, this.#at - length, this.#at)
  }

  /** As `readBytes`, but the result may share memory with the input. */
  readView(bytesMax: number): Uint8Array {
    const length = this.#bytesField(bytesMax)
    return length < 0 ? this.#byteArray(-1 - length, bytesMax) : this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Passes a byte field: how many bytes were passed, 0 for a flaw; or -1 minus the count of an array that is next. */
  #bytesField(bytesMax: number): number {
    const start = this.#at
    const tag = this.#tag()
    if (tag >> 4 === 0x9) return -1 - (tag & 15)
    if (tag === 0xdc) return -1 - this.#number(2)
    if (tag === 0xdd) return -1 - this.#number(4)
    const length = this.#rawLength(tag)
    if (length < 0) this.#stepOver(start)
    else if (this.#advance(length) && length <= bytesMax) return length
    else this.flag('bad-record')
    return 0
  }

  /** Steps over one value of any kind. */
  skip(): void {
    for (let pending = 1; pending > 0; pending--) {
      pending += this.#skipHead()
      if (--this.#skippable >= 0 && pending <= this.#skippable + 1) continue
      this.#fail('too-large')
      return
    }
  }

  /** Steps over one head and its own bytes; how many values are inside it. */
  #skipHead(): number {
    const tag = this.#tag()
    if (tag < 0x80 || tag >= 0xe0 || tag === 0xc2 || tag === 0xc3) return 0
    if (tag <= 0x8f) return (tag & 15) * 2
    if (tag <= 0x9f) return tag & 15
    const rawLength = this.#rawLength(tag)
    if (rawLength >= 0) this.#advance(rawLength)
    else if (tag >= 0xdc) return this.#number((tag & 1) === 0 ? 2 : 4) * (tag >= 0xde ? 2 : 1)
    else if (tag >= 0xca && tag <= 0xd3) this.#advance(SCALAR_BYTES[tag - 0xca] as number)
    else if (tag >= 0xd4) this.#advance(1 + 2 ** (tag - 0xd4))
    else if (tag >= 0xc7) this.#advance(1 + this.#number((1 << (tag - 0xc7)) as 1 | 2 | 4))
    else this.#fail('malformed')
    return 0
  }

  /** Not a number when the next value is no integer. */
  #integer(): number {
    const tag = this.#tag()
    if (tag < 0x80) return tag
    if (tag >= 0xe0) return tag - 0x100
    switch (tag) {
      case NIL:
        return 0
      case 0xcc:
        return this.#number(1)
      case 0xcd:
        return this.#number(2)
      case 0xce:
        return this.#number(4)
      case 0xcf:
        return this.#number(4) * 2 ** 32 + this.#number(4)
      case 0xd0:
        return (this.#number(1) << 24) >> 24
      case 0xd1:
        return (this.#number(2) << 16) >> 16
      case 0xd2:
        return this.#number(4) | 0
      case 0xd3:
        return (this.#number(4) | 0) * 2 ** 32 + this.#number(4)
      default:
        return Number.NaN
    }
  }

  #byteArray(count: number, bytesMax: number): Uint8Array {
    if (count > BYTE_ARRAY_MAX) this.#fail('too-large')
    if (!this.#has(count)) return EMPTY_BYTES // each takes at least a byte
    const values = new Uint8Array(count)
    for (let i = 0; i < count; i++) values[i] = this.readUint(255)
    if (count <= bytesMax) return values
    this.flag('bad-record')
    return EMPTY_BYTES
  }

  #key<K extends string>(schema: StructSchema<K>): K | undefined {
    const start = this.#at
    const length = this.#rawLength(this.#tag())
    if (length < 0) {
      this.#at = start
      this.skip()
      return undefined
    }
    if (!this.#advance(length)) return undefined
    // Peers send keys in ascending order: the search goes on after the last match and is then over at the first try.
    const { keyBytes, ascending } = schema
    for (let tried = 0; tried < keyBytes.length; tried++) {
      const i = (this.#position + tried) % keyBytes.length
      if (!this.#isBefore(keyBytes[i] as Uint8Array, length)) continue
      this.#position = i + 1
      return ascending[i]
    }
    return undefined
  }

  /** Whether the `length` bytes just passed are these. */
  #isBefore(expected: Uint8Array, length: number): boolean {
    if (expected.length !== length) return false
    const start = this.#at - length
    for (let i = 0; i < length; i++) if (this.#bytes[start + i] !== expected[i]) return false
    return true
  }

  #textBefore(length: number): string {
    const start = this.#at - length
    const text = asciiText(this.#bytes, start, this.#at) ?? tryUtf8Decode(this.#bytes.subarray(start, this.#at))
    if (text === undefined) this.flag('bad-record')
    return text ?? ''
  }

  /** The length of a raw, str or bin value, 0 for nil, -1 when it is none of these. */
  #rawLength(tag: number): number {
    if (tag >= 0xa0 && tag <= 0xbf) return tag & 31
    switch (tag) {
      case NIL:
        return 0
      case 0xc4:
      case 0xd9:
        return this.#number(1)
      case 0xc5:
      case 0xda:
        return this.#number(2)
      case 0xc6:
      case 0xdb:
        return this.#number(4)
      default:
        return -1
    }
  }

  /** A field of another kind than its own is a flaw; the value that begins at `start` is skipped whole. */
  #stepOver(start: number): void {
    this.flag('malformed')
    this.#at = start
    this.skip()
  }

  #tag(): number {
    return this.#has(1) ? (this.#bytes[this.#at++] as number) : NIL
  }

  #number(size: 1 | 2 | 4): number {
    if (!this.#has(size)) return 0
    let value = 0
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[this.#at++] as number)
    return value
  }

  #advance(count: number): boolean {
    if (!this.#has(count)) return false
    this.#at += count
    return true
  }

  #has(count: number): boolean {
    if (this.#at + count <= this.#end) return true
    if (this.#failure === undefined) this.#wantedEnd = this.#at + count
    this.#fail('truncated')
    return false
  }

  /** With nothing left to read and no entries to come, every loop over this reader ends. */
  #fail(failure: ReadFailure): void {
    this.#failure ??= failure
    this.#at = 0
    this.#end = 0
    this.#entriesLeft = 0
  }
}

/** Bytes after the tags ca to d3: floats, unsigned and signed integers. */
const SCALAR_BYTES: readonly number[] = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8]
