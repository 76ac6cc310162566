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

/** Why no bytes came out: not LZW data, or more than was allowed. */
export type LzwFailure = 'bad-lzw' | 'too-large'

/**
 * What each code stands for, as a place in the output: a code's string is that of the code before it plus one byte,
 * and exactly that stands in the output already. Reused between calls: entries beyond the current table are never read.
 */
const placeOf = new Uint32Array(TABLE_SIZE)
const lengthOf = new Uint16Array(TABLE_SIZE)

/** At most `bytesMax` bytes of output; data that has no end code is refused, data after it is ignored. */
export function lzwDecode(bytes: Uint8Array, bytesMax: number): Uint8Array | LzwFailure {
  const codes = new CodeReader(bytes)
  let output = new Uint8Array(Math.min(bytesMax, 256 + bytes.length * 4))
  let length = 0
  let width = WIDTH_MIN
  let highest = END
  let lastPlace = NONE
  let lastLength = 0
  for (;;) {
    const code = codes.take(width)
    if (code === END) return output.slice(0, length)
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
    if (length + lastLength > output.length) output = enlarged(output, length + lastLength, bytesMax)
    if (code < CLEAR) output[length] = code
    else repeat(output, placeOf[code] as number, length, lastLength)
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

/** The data as Go's encoder writes it, bit for bit. */
export function lzwEncode(bytes: Uint8Array): Uint8Array {
  const codes = new CodeWriter(bytes.length)
  const table = new Map<number, number>()
  let width = WIDTH_MIN
  let highest = END
  let code = NONE
  codes.put(CLEAR, width)
  for (const byte of bytes) {
    const longer = code === NONE ? byte : table.get((code << 8) | byte)
    if (longer !== undefined) {
      code = longer
      continue
    }
    codes.put(code, width)
    if (++highest === 1 << width) width++
    if (highest === TABLE_SIZE - 1) {
      codes.put(CLEAR, WIDTH_MAX)
      table.clear()
      width = WIDTH_MIN
      highest = END
    } else table.set((code << 8) | byte, highest)
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

function enlarged(output: Uint8Array, wanted: number, bytesMax: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(bytesMax, Math.max(wanted, output.length * 2)))
  larger.set(output)
  return larger
}

/** Byte by byte and forwards: the source may run into the target, which then repeats what it has just written. */
function repeat(output: Uint8Array, from: number, to: number, count: number): void {
  for (let i = 0; i < count; i++) output[to + i] = output[from + i] as number
}
