/**
 * LZW as Go's compress/lzw writes it, least significant bit first and 8 bit literals (the variant of GIF): codes grow
 * from 9 to 12 bits, 256 clears the table, 257 ends the data. A peer may send it on any stream, so it must be read;
 * writing it is optional.
 */

const CLEAR = 256
const END = 257
const WIDTH_MIN = 9
const WIDTH_MAX = 12
const TABLE_SIZE = 4_096
const NONE = -1
/** Below it a loop copies faster than a call. */
const COPY_BYTES_MIN = 24

/** Why no bytes came out: not LZW data, or more than was allowed. */
export type LzwFailure = 'bad-lzw' | 'too-large'

/**
 * What each code stands for, as a place in the output: a code's string is that of the code before it plus one byte,
 * and exactly that stands in the output already. Reused between calls: entries beyond the current table are never read.
 */
const placeOf = new Uint32Array(TABLE_SIZE)
const lengthOf = new Uint16Array(TABLE_SIZE)

/**
 * At most `bytesMax` bytes of output; data that has no end code is refused, data after it is ignored. The codes are
 * gone through twice: what is refused has then cost its input only, and never its output.
 */
export function lzwDecode(bytes: Uint8Array, bytesMax: number): Uint8Array | LzwFailure {
  const length = walk(bytes, bytesMax, undefined)
  if (typeof length !== 'number') return length
  const output = new Uint8Array(length)
  walk(bytes, bytesMax, output)
  return output
}

/** The length of the output, which is written where one is given. */
function walk(bytes: Uint8Array, bytesMax: number, output: Uint8Array | undefined): number | LzwFailure {
  const codes = new CodeReader(bytes)
  let length = 0
  let width = WIDTH_MIN
  let highest = END
  let lastPlace = NONE
  let lastLength = 0
  for (;;) {
    const code = codes.take(width)
    if (code === END) return length
    if (code === CLEAR) {
      width = WIDTH_MIN
      highest = END
      lastPlace = NONE
      continue
    }
    if (code === NONE || code > highest) return 'bad-lzw'
    if (lastPlace !== NONE) {
      placeOf[highest] = lastPlace
      lengthOf[highest] = lastLength + 1
    }
    lastLength = code < CLEAR ? 1 : (lengthOf[code] as number)
    if (length + lastLength > bytesMax) return 'too-large'
    if (output !== undefined) {
      if (code < CLEAR) output[length] = code
      else repeat(output, placeOf[code] as number, length, lastLength)
    }
    lastPlace = length
    length += lastLength
    if (++highest < 1 << width) continue
    if (width < WIDTH_MAX) width++
    else {
      lastPlace = NONE // the table is full: no code is added until the encoder clears it
      highest--
    }
  }
}

const SLOT_BITS = 14

/** Which code stands for a string and one byte more. Open addressing: a `Map` made encoding four times as slow. */
class StringTable {
  /** Key plus one; 0 is free. A quarter full at most. */
  readonly #keys = new Int32Array(1 << SLOT_BITS)
  readonly #codes = new Uint16Array(1 << SLOT_BITS)

  clear(): void {
    this.#keys.fill(0)
  }

  get(key: number): number {
    const slot = this.#slotOf(key)
    return this.#keys[slot] === 0 ? NONE : (this.#codes[slot] as number)
  }

  set(key: number, code: number): void {
    const slot = this.#slotOf(key)
    this.#keys[slot] = key + 1
    this.#codes[slot] = code
  }

  /** Where the key is, or would be. */
  #slotOf(key: number): number {
    let slot = Math.imul(key, 0x9e3779b1) >>> (32 - SLOT_BITS)
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== key + 1) slot = (slot + 1) & ((1 << SLOT_BITS) - 1)
    return slot
  }
}

/** One for all: encoding is synchronous. */
const stringTable = new StringTable()

/** The data as Go's encoder writes it, bit for bit. */
export function lzwEncode(bytes: Uint8Array): Uint8Array {
  const codes = new CodeWriter(bytes.length)
  stringTable.clear()
  let width = WIDTH_MIN
  let highest = END
  let code = NONE
  codes.put(CLEAR, width)
  for (const byte of bytes) {
    const longer = code === NONE ? byte : stringTable.get((code << 8) | byte)
    if (longer !== NONE) {
      code = longer
      continue
    }
    codes.put(code, width)
    if (++highest === 1 << width) width++
    if (highest === TABLE_SIZE - 1) {
      codes.put(CLEAR, WIDTH_MAX)
      stringTable.clear()
      width = WIDTH_MIN
      highest = END
    } else stringTable.set((code << 8) | byte, highest)
    code = byte
  }
  if (code !== NONE) {
    codes.put(code, width)
    if (++highest === 1 << width) width++
    if (highest === TABLE_SIZE - 1) {
      codes.put(CLEAR, WIDTH_MAX)
      width = WIDTH_MIN
    }
  }
  codes.put(END, width)
  return codes.finish()
}

class CodeReader {
  readonly #bytes: Uint8Array
  #at = 0
  #bits = 0
  #bitCount = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The next code, or `NONE` when the data is cut off. */
  take(width: number): number {
    while (this.#bitCount < width) {
      if (this.#at === this.#bytes.length) return NONE
      this.#bits |= (this.#bytes[this.#at++] as number) << this.#bitCount
      this.#bitCount += 8
    }
    const code = this.#bits & ((1 << width) - 1)
    this.#bits >>>= width
    this.#bitCount -= width
    return code
  }
}

class CodeWriter {
  readonly #bytes: Uint8Array
  #length = 0
  #bits = 0
  #bitCount = 0

  /** No input byte costs more than one code, and a clear and an end come on top. */
  constructor(inputBytes: number) {
    this.#bytes = new Uint8Array(Math.ceil(inputBytes * 1.5) + Math.ceil(inputBytes / 1_024) + 16)
  }

  put(code: number, width: number): void {
    this.#bits |= code << this.#bitCount
    for (this.#bitCount += width; this.#bitCount >= 8; this.#bitCount -= 8) {
      this.#bytes[this.#length++] = this.#bits & 255
      this.#bits >>>= 8
    }
  }

  finish(): Uint8Array {
    if (this.#bitCount > 0) this.#bytes[this.#length++] = this.#bits
    return this.#bytes.slice(0, this.#length)
  }
}

/** A string may reach one byte into its own copy, its last one: that is its first again. */
function repeat(output: Uint8Array, from: number, to: number, count: number): void {
  if (count < COPY_BYTES_MIN) for (let i = 0; i < count; i++) output[to + i] = output[from + i] as number
  else {
    output.copyWithin(to, from, from + count - 1)
    output[to + count - 1] = output[from + count - 1] as number
  }
}
