/**
 * The counterpart of `plain-writer.ts`: MessagePack from the network as plain data, checked and built in one pass. Nothing
 * is allocated for more than the bytes at hand can hold, and the estimate of memory is the scan's. What is malformed,
 * too much, or of a rarer type is left to the reference codec, which refuses it or knows it. Keeps no view of the input.
 */
import { ByteCache } from '../byte-cache.js'
import { Extension } from './extension-types.js'
import { EXTENSION_BYTES, OBJECT_BYTES, SLOT_BYTES } from './payload-scan.js'
import { isAscii, textOf, utf8Text } from './plain-text.js'
import { type KnownRecord, type ReadRecord, RecordCodes, type RecordSource, readingCode } from './record-code.js'
import { DEPTH_MAX } from './values.js'

/** What `tryRead` gives when the payload is not for this reader. */
export const UNREAD: unique symbol = Symbol('unread')

/**
 * Longer texts come well-formed from our writers, so that the system's decoder may have them. At least three times the
 * length up to which writers leave lone surrogates in, and the reference's own limit, so that both read garbage alike.
 */
const OWN_TEXT_BYTES_MAX = 200
/** Keys of objects recur, and making a text of them each time is dear; of those that MessagePack calls short. */
const CACHED_KEY_BYTES_MAX = 31
const KEY_SLOTS = 1_024
const UNFILLED_BYTES = 1_024
/** Arrays up to this length hold anything from the start: one that is taken for numbers first is dear to make general. */
const GENERAL_ITEMS_MAX = 16

/** Read once: the global is a getter. */
const NodeBuffer = Buffer

export class PlainReader implements RecordSource {
  readonly #decodedBytesMax: number
  readonly #keys = new ByteCache<string>(KEY_SLOTS, (bytes) => asBuffer(bytes).toString('latin1'))
  readonly #codes: RecordCodes<ReadRecord>
  #bytes: Buffer = Buffer.alloc(0)
  #viewed: Buffer = this.#bytes
  #view: DataView = new DataView(this.#bytes.buffer)
  #end = 0
  #at = 0
  #decodedBytes = 0
  #isUnread = false

  /**
   * `decodedBytesMax` bounds the memory that the decoded objects may take, by the estimate of `PayloadScan`. One of
   * `learnEvery` records without code of its own is given some.
   */
  constructor(decodedBytesMax: number, learnEvery?: number) {
    this.#decodedBytesMax = decodedBytesMax
    this.#codes = new RecordCodes(readingCode, learnEvery)
  }

  /** The value that the bytes from `start` up to `end` are, or `UNREAD`. Never throws. */
  tryRead(bytes: Uint8Array, start = 0, end: number = bytes.length): unknown {
    this.#bytes = asBuffer(bytes)
    this.#end = end
    this.#at = start
    this.#decodedBytes = 0
    this.#isUnread = false
    const value = this.#value(0)
    return this.#at === this.#end && !this.#isUnread ? value : UNREAD
  }

  /** Nothing more is read then. */
  #fail(): undefined {
    this.#isUnread = true
    this.#at = this.#end
    return undefined
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  tryPlace(count: number): number {
    return count <= this.#end - this.#at ? this.#at : -1
  }

  goTo(at: number): void {
    this.#at = at
  }

  value(depth: number): unknown {
    return this.#value(depth)
  }

  otherRecord(known: KnownRecord<ReadRecord>, values: readonly unknown[], depth: number): unknown {
    known.takeHitBack()
    const record: Record<string, unknown> = {}
    for (let i = 0; i < values.length; i++) record[known.keys[i] as string] = values[i]
    return this.#stranger(record, known.keys.length - values.length, depth)
  }

  #value(depth: number): unknown {
    const at = this.#at
    if (at >= this.#end) return this.#fail()
    const type = this.#bytes[at] as number
    this.#at = at + 1
    if (type < 0x80) return type
    if (type >= 0xe0) return type - 0x100
    if (type < 0x90) return this.#record(type - 0x80, depth)
    if (type < 0xa0) return this.#array(type - 0x90, depth)
    if (type < 0xc0) return this.#text(type - 0xa0)
    return this.#longForm(type, depth)
  }

  #longForm(type: number, depth: number): unknown {
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xd6:
      case 0xd7:
        return this.#timestamp(type === 0xd6 ? 4 : 8)
      case 0xd4:
        return this.#undefined()
      default:
        return type >= 0xca && type <= 0xd3 ? this.#number(type) : this.#sized(type, depth)
    }
  }

  #sized(type: number, depth: number): unknown {
    switch (type) {
      case 0xc4:
        return this.#binary(this.#size(1))
      case 0xc5:
        return this.#binary(this.#size(2))
      case 0xc6:
        return this.#binary(this.#size(4))
      case 0xd9:
        return this.#text(this.#size(1))
      case 0xda:
        return this.#text(this.#size(2))
      case 0xdb:
        return this.#text(this.#size(4))
      case 0xdc:
        return this.#array(this.#size(2), depth)
      case 0xdd:
        return this.#array(this.#size(4), depth)
      case 0xde:
        return this.#record(this.#size(2), depth)
      case 0xdf:
        return this.#record(this.#size(4), depth)
      default:
        return this.#fail()
    }
  }

  #array(count: number, depth: number): unknown {
    if (!this.#mayHold(count, depth)) return this.#fail()
    const items = count > 0 && count <= GENERAL_ITEMS_MAX ? generalArray(count) : new Array<unknown>(count)
    for (let i = 0; i < count; i++) {
      const item = this.#value(depth + 1)
      if (this.#isUnread) return undefined
      items[i] = item
    }
    return items
  }

  #record(count: number, depth: number): unknown {
    if (!this.#mayHold(2 * count, depth)) return this.#fail()
    if (count === 0) return {}
    const key = this.#bytes[this.#at] as number
    const known = this.#codes.find(count, key - 0xa0, this.#bytes[this.#at + 1] as number)
    if (known === undefined) return this.#stranger({}, count, depth + 1)
    known.noteHit()
    return known.code(this, depth + 1)
  }

  /** A record without code of its own, of which `count` entries are to be read. */
  #stranger(record: Record<string, unknown>, count: number, depth: number): unknown {
    for (let i = 0; i < count; i++) {
      const key = this.#key()
      if (key === undefined || key === '__proto__') return this.#fail()
      const item = this.#value(depth)
      if (this.#isUnread) return undefined
      record[key] = item
    }
    this.#codes.noteStranger(record)
    return record
  }

  /** Each of `values` takes a byte of input at least; that bounds what is allocated for a count. */
  #mayHold(values: number, depth: number): boolean {
    if (depth >= DEPTH_MAX || !(values <= this.#end - this.#at)) return false
    return this.#weigh(OBJECT_BYTES + values * SLOT_BYTES)
  }

  #key(): string | undefined {
    const at = this.#at
    if (at >= this.#end) return undefined
    const type = this.#bytes[at] as number
    const size = type - 0xa0
    if (size < 0 || size > CACHED_KEY_BYTES_MAX) return this.#longKey(type)
    const end = at + 1 + size
    if (end > this.#end) return undefined
    this.#at = end
    // A code point that is cut off takes its rest from what follows, here as in the reference: not a thing to remember.
    if (!isAscii(this.#bytes, at + 1, end)) return utf8Text(this.#bytes, at + 1, end, this.#end)
    return this.#keys.get(this.#bytes, at + 1, end)
  }

  #longKey(type: number): string | undefined {
    if (type !== 0xd9 && type !== 0xda && type !== 0xdb) return undefined
    const key = this.#value(0)
    return typeof key === 'string' ? key : undefined
  }

  #text(size: number): unknown {
    const at = this.#take(size)
    if (at < 0) return this.#fail()
    if (size <= OWN_TEXT_BYTES_MAX) return textOf(this.#bytes, at, at + size, this.#end)
    // The reference drops a byte order mark; no writer of ours sends one.
    return this.#bytes[at] === 0xef ? this.#markedText(at, size) : this.#bytes.toString('utf8', at, at + size)
  }

  #markedText(at: number, size: number): unknown {
    const isMarked = this.#bytes[at + 1] === 0xbb && this.#bytes[at + 2] === 0xbf
    return isMarked ? this.#fail() : this.#bytes.toString('utf8', at, at + size)
  }

  #binary(size: number): unknown {
    const at = this.#take(size)
    if (at < 0 || !this.#weigh(OBJECT_BYTES)) return this.#fail()
    if (size >= UNFILLED_BYTES) return this.#longBinary(at, size)
    const copy = new Uint8Array(size)
    for (let i = 0; i < size; i++) copy[i] = this.#bytes[at + i] as number
    return copy
  }

  /** Memory that nobody fills with zeroes first. */
  #longBinary(at: number, size: number): Uint8Array {
    const copy = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(copy, 0, at, at + size)
    return new Uint8Array(copy.buffer)
  }

  #number(type: number): unknown {
    const at = this.#take(numberSize(type))
    if (at < 0) return this.#fail()
    const view = this.#viewOfBytes()
    switch (type) {
      case 0xca:
        return view.getFloat32(at)
      case 0xcb:
        return view.getFloat64(at)
      case 0xcc:
        return view.getUint8(at)
      case 0xcd:
        return view.getUint16(at)
      case 0xce:
        return view.getUint32(at)
      case 0xcf:
        return view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
      case 0xd0:
        return view.getInt8(at)
      case 0xd1:
        return view.getInt16(at)
      case 0xd2:
        return view.getInt32(at)
      default:
        return view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
    }
  }

  /** MessagePack's timestamp in 4 or 8 bytes. */
  #timestamp(size: 4 | 8): unknown {
    const at = this.#take(1 + size)
    if (at < 0 || this.#bytes[at] !== 0x100 + Extension.timestamp || !this.#weigh(EXTENSION_BYTES)) return this.#fail()
    const view = this.#viewOfBytes()
    const first = view.getUint32(at + 1)
    if (size === 4) return new Date(first * 1_000)
    const seconds = (first & 3) * 0x1_0000_0000 + view.getUint32(at + 5)
    return new Date(seconds * 1_000 + (first >>> 2) / 1_000_000)
  }

  /** Made seldom: most payloads lie in the memory that all sockets read into. */
  #viewOfBytes(): DataView {
    const bytes = this.#bytes
    if (this.#viewed !== bytes) {
      this.#viewed = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    return this.#view
  }

  /** The only constant that is common; the others are the reference's. */
  #undefined(): unknown {
    const at = this.#take(2)
    if (at < 0 || this.#bytes[at] !== Extension.constant || this.#bytes[at + 1] !== 0) return this.#fail()
    return this.#weigh(EXTENSION_BYTES) ? undefined : this.#fail()
  }

  /** A length field; NaN, which fits nowhere, when it is cut off. */
  #size(width: number): number {
    const at = this.#take(width)
    if (at < 0) return Number.NaN
    let size = 0
    for (let i = 0; i < width; i++) size = size * 256 + (this.#bytes[at + i] as number)
    return size
  }

  /** Goes past `count` bytes and returns where they begin, or -1 when there are not so many. */
  #take(count: number): number {
    const at = this.#at
    if (!(count <= this.#end - at)) return -1
    this.#at = at + count
    return at
  }

  #weigh(bytes: number): boolean {
    this.#decodedBytes += bytes
    return this.#decodedBytes <= this.#decodedBytesMax
  }
}

/** An engine that has seen a fraction here makes arrays of fractions, and a new array of each that gets something else. */
function generalArray(count: number): unknown[] {
  const items = new Array<unknown>(count)
  items[0] = null
  return items
}

/** What sockets give is one already. */
function asBuffer(bytes: Uint8Array): Buffer {
  return NodeBuffer.isBuffer(bytes) ? bytes : NodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function numberSize(type: number): number {
  if (type === 0xca) return 4
  if (type === 0xcb) return 8
  return 1 << (type >= 0xd0 ? type - 0xd0 : type - 0xcc)
}
