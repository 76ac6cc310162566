/**
 * Plain data as MessagePack in one pass: null, booleans, numbers, texts, bytes, dates, arrays and plain objects. Whatever
 * else a value holds, or is wrong with it, is left to the reference codec, which knows every type and names what is
 * refused by its path: `tryWrite` says only that it could not. Writes the same bytes as the reference.
 */
import { Constant, Extension } from './extension-types.js'
import { RecordCodes, type RecordTarget, type WriteRecord, writingCode } from './record-code.js'
import { DEPTH_MAX, PLAIN_TEXT_LENGTH_MAX } from './values.js'

const BYTES_MIN = 4_096
/** A buffer that grew past this is kept until something is written that does not need it. */
const BYTES_KEPT_MAX = 1_048_576
const VIEWS_MAX = 512
/** The longest head of a value: of a number, or of a container. */
const HEAD_BYTES_MAX = 9
const DATE_BYTES_MAX = 15
const UTF8_BYTES_PER_UNIT_MAX = 3
const BYTE_ORDER_MARK = 0xfeff
/** Beyond it a timestamp's seconds need 64 bits; before 1970 as well. */
const TIMESTAMP64_SECONDS = 0x4_0000_0000

export class PlainWriter implements RecordTarget {
  readonly #bytesMax: number
  readonly #codes: RecordCodes<WriteRecord>
  #bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_MIN)
  #view: DataView = new DataView(this.#bytes.buffer)
  #length = 0
  #isBusy = false
  /** Of the first bytes, by their number: to make one takes as long as to write a short message. */
  readonly #views: Uint8Array[] = []

  /** One of `learnEvery` records without code of its own is given some. */
  constructor(bytesMax: number, learnEvery?: number) {
    this.#bytesMax = bytesMax
    this.#codes = new RecordCodes(writingCode, learnEvery)
  }

  /** The bytes, valid until the next call, or `undefined` when this value is not for this writer. Never throws. */
  tryWrite(value: unknown): Uint8Array | undefined {
    // A getter of the value may make a call of its own.
    if (this.#isBusy) return undefined
    this.#isBusy = true
    this.#length = 0
    try {
      if (!this.#value(value, 0) || this.#length > this.#bytesMax) return undefined
      const written = this.#written()
      if (this.#bytes.length > BYTES_KEPT_MAX && this.#length <= BYTES_KEPT_MAX) this.#renew()
      return written
    } catch {
      return undefined // a getter threw, or the memory is full: the reference says what is wrong
    } finally {
      this.#isBusy = false
    }
  }

  /** Whether what was written last is a part of them; it is the caller's then. */
  giveAway(bytes: Uint8Array): boolean {
    if (bytes.buffer !== this.#bytes.buffer) return false
    this.#renew()
    return true
  }

  /** What was given away is used again: a whole of megabytes is dear to make. */
  takeBack(bytes: Uint8Array): void {
    const { buffer } = bytes
    if (!this.#isBusy && buffer.byteLength > this.#bytes.length) this.#replace(Buffer.from(buffer))
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  place(count: number): number {
    this.#reserve(count)
    const at = this.#length
    this.#length = at + count
    return at
  }

  value(value: unknown, depth: number): boolean {
    return this.#value(value, depth)
  }

  #renew(): void {
    this.#replace(Buffer.allocUnsafeSlow(BYTES_MIN))
  }

  #replace(bytes: Buffer): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
    this.#views.length = 0
  }

  #written(): Uint8Array {
    const length = this.#length
    if (length >= VIEWS_MAX) return new Uint8Array(this.#bytes.buffer, 0, length)
    const view = this.#views[length] ?? new Uint8Array(this.#bytes.buffer, 0, length)
    this.#views[length] = view
    return view
  }

  #value(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case 'string':
        return this.#text(value)
      case 'number':
        this.#number(value)
        return true
      case 'boolean':
        this.#byte(value ? 0xc3 : 0xc2)
        return true
      case 'undefined':
        this.#constant(Constant.undefined)
        return true
      case 'object':
        if (value !== null) return depth < DEPTH_MAX && this.#object(value, depth)
        this.#byte(0xc0)
        return true
      default:
        return false
    }
  }

  #object(value: object, depth: number): boolean {
    if (Array.isArray(value)) return this.#array(value, depth)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) return this.#record(value, depth)
    if (value instanceof Uint8Array) return this.#binary(value)
    return value instanceof Date && this.#date(value.getTime())
  }

  #array(items: readonly unknown[], depth: number): boolean {
    const { length } = items
    if (!this.#head(length, 0x90, 0xdc)) return false
    for (let i = 0; i < length; i++) if (!this.#value(items[i], depth + 1)) return false
    return true
  }

  #record(record: object, depth: number): boolean {
    const keys = Object.keys(record)
    if (!this.#head(keys.length, 0x80, 0xde)) return false
    const write = this.#codeFor(keys)
    if (write !== undefined) return write(this, record, depth + 1)
    this.#codes.noteStranger(record)
    for (const key of keys) {
      if (key === '__proto__' || !this.#text(key)) return false
      if (!this.#value((record as Record<string, unknown>)[key], depth + 1)) return false
    }
    return true
  }

  #codeFor(keys: readonly string[]): WriteRecord | undefined {
    const { length } = keys
    const first = keys[0]
    if (first === undefined || first === '') return undefined
    const known = this.#codes.find(length, first.length, first.charCodeAt(0))
    if (known === undefined) return undefined
    for (let i = 0; i < length; i++) if (known.keys[i] !== keys[i]) return undefined
    known.noteHit()
    return known.code
  }

  /** Of a container; false when so many values cannot fit. */
  #head(count: number, short: number, long: number): boolean {
    if (count > this.#bytesMax - this.#length) return false
    this.#reserve(HEAD_BYTES_MAX)
    if (count < 16) this.#put(short | count)
    else if (count < 0x1_0000) this.#put16(long, count)
    else this.#put32(long + 1, count)
    return true
  }

  #text(text: string): boolean {
    if (text.length > PLAIN_TEXT_LENGTH_MAX) return this.#longText(text)
    const start = this.#length
    this.#reserve(2 + UTF8_BYTES_PER_UNIT_MAX * text.length)
    // One byte of head is right for nearly all short texts; the others are moved by one.
    const end = this.#utf8(text, start + 1)
    const size = end - start - 1
    if (size < 32) this.#bytes[start] = 0xa0 | size
    else {
      this.#bytes.copyWithin(start + 2, start + 1, end)
      this.#bytes[start] = 0xd9
      this.#bytes[start + 1] = size
    }
    this.#length = size < 32 ? end : end + 1
    return true
  }

  /** Lone surrogates are written as they are, like the reference does; the reader gives them back. */
  #utf8(text: string, start: number): number {
    const bytes = this.#bytes
    let at = start
    for (let i = 0; i < text.length; i++) {
      let point = text.charCodeAt(i)
      if (point < 0x80) {
        bytes[at++] = point
        continue
      }
      if (point >= 0xd800 && point < 0xdc00) {
        const low = text.charCodeAt(i + 1)
        if ((low & 0xfc00) === 0xdc00) {
          point = 0x1_0000 + ((point & 0x3ff) << 10) + (low & 0x3ff)
          i++
        }
      }
      at = putPoint(bytes, at, point)
    }
    return at
  }

  #longText(text: string): boolean {
    if (text.charCodeAt(0) === BYTE_ORDER_MARK || !text.isWellFormed()) return false
    const size = Buffer.byteLength(text)
    if (size > this.#bytesMax - this.#length) return false
    this.#reserve(5 + size)
    if (size < 0x100) this.#put8(0xd9, size)
    else if (size < 0x1_0000) this.#put16(0xda, size)
    else this.#put32(0xdb, size)
    this.#length += this.#bytes.write(text, this.#length, size, 'utf8')
    return true
  }

  #binary(value: Uint8Array): boolean {
    const { length } = value
    if (length > this.#bytesMax - this.#length) return false
    this.#reserve(5 + length)
    if (length < 0x100) this.#put8(0xc4, length)
    else if (length < 0x1_0000) this.#put16(0xc5, length)
    else this.#put32(0xc6, length)
    this.#bytes.set(value, this.#length)
    this.#length += length
    return true
  }

  #number(value: number): void {
    this.#reserve(HEAD_BYTES_MAX)
    if (!Number.isSafeInteger(value)) this.#double(value)
    else if (value > 0) this.#natural(value)
    else if (value < 0) this.#negative(value)
    else if (Object.is(value, -0)) this.#constant(Constant.negativeZero)
    else this.#put(0)
  }

  #double(value: number): void {
    this.#put(0xcb)
    this.#view.setFloat64(this.#length, value)
    this.#length += 8
  }

  #natural(value: number): void {
    if (value < 0x80) this.#put(value)
    else if (value < 0x100) this.#put8(0xcc, value)
    else if (value < 0x1_0000) this.#put16(0xcd, value)
    else if (value < 0x1_0000_0000) this.#put32(0xce, value)
    else this.#put64(0xcf, value)
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#put(value & 0xff)
    else if (value >= -0x80) this.#put8(0xd0, value)
    else if (value >= -0x8000) this.#put16(0xd1, value)
    else if (value >= -0x8000_0000) this.#put32(0xd2, value)
    else this.#put64(0xd3, value)
  }

  /** MessagePack's timestamp, in the shortest of its three forms; false for an invalid date. */
  #date(ms: number): boolean {
    const seconds = Math.floor(ms / 1_000)
    if (Number.isNaN(ms) || seconds < 0 || seconds >= TIMESTAMP64_SECONDS) return false
    const nanoseconds = (ms - seconds * 1_000) * 1_000_000
    this.#reserve(DATE_BYTES_MAX)
    const isShort = nanoseconds === 0 && seconds < 0x1_0000_0000
    this.#put8(isShort ? 0xd6 : 0xd7, Extension.timestamp)
    if (!isShort) this.#put4(nanoseconds * 4 + Math.floor(seconds / 0x1_0000_0000))
    this.#put4(seconds)
    return true
  }

  #constant(which: number): void {
    this.#reserve(3)
    this.#put8(0xd4, Extension.constant)
    this.#put(which)
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#put(value)
  }

  #put(value: number): void {
    this.#bytes[this.#length++] = value
  }

  #put8(type: number, value: number): void {
    this.#bytes[this.#length++] = type
    this.#bytes[this.#length++] = value
  }

  #put16(type: number, value: number): void {
    this.#bytes[this.#length++] = type
    this.#bytes[this.#length++] = value >> 8
    this.#bytes[this.#length++] = value
  }

  #put32(type: number, value: number): void {
    this.#bytes[this.#length++] = type
    this.#put4(value)
  }

  #put64(type: number, value: number): void {
    const high = Math.floor(value / 0x1_0000_0000)
    this.#put32(type, high)
    this.#put4(value - high * 0x1_0000_0000)
  }

  #put4(value: number): void {
    this.#view.setUint32(this.#length, value)
    this.#length += 4
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#replace(grown)
  }
}

/** A code point that takes more than one byte; returns where it ends. */
function putPoint(bytes: Uint8Array, at: number, point: number): number {
  let next = at
  if (point < 0x800) bytes[next++] = 0xc0 | (point >> 6)
  else {
    if (point < 0x1_0000) bytes[next++] = 0xe0 | (point >> 12)
    else {
      bytes[next++] = 0xf0 | (point >> 18)
      bytes[next++] = 0x80 | ((point >> 12) & 0x3f)
    }
    bytes[next++] = 0x80 | ((point >> 6) & 0x3f)
  }
  bytes[next++] = 0x80 | (point & 0x3f)
  return next
}
