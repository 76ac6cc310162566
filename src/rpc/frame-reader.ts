/**
 * Cuts a stream of bytes into frames without ever joining chunks: a frame that lies whole in a chunk is parsed where it
 * is, one that straddles chunks is copied once into a buffer of its own. Checks nothing but the announced length, and
 * that before a single byte is kept; what is kept of a long frame is taken from a budget.
 */
import { EMPTY_BYTES } from '../bytes.js'
import type { ByteBudget } from './byte-budget.js'
import { HEAD_BYTES, LENGTH_BYTES, PREAMBLE_BYTES, readU32 } from './frame.js'

/** Takes the frames. The bytes are valid during the call only: the buffer is used again. */
export interface FrameSink {
  /** `false` stops the reader for good: what follows in the stream is ignored. */
  handleFrame(kind: number, id: number, body: Span): boolean
  /** Asked between frames: true leaves what follows in the chunk for another time. */
  givesWay?(): boolean
}

/** A part of a buffer, without the cost of a view. One object is used for all frames of a reader. */
export interface Span {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

export type FrameFault = 'frame-too-large' | 'frame-too-short' | 'too-many-bytes-held'

/**
 * A straddling frame up to this size has its buffer at once, and the buffer is kept and not counted: that of a piece. A
 * larger one, of a peer that cuts no pieces, grows as it comes.
 */
const STICKY_BYTES = 69_632

export class FrameReader {
  readonly #sink: FrameSink
  readonly #budget: ByteBudget | undefined
  readonly #span: { bytes: Uint8Array; start: number; end: number } = { bytes: EMPTY_BYTES, start: 0, end: 0 }
  #frameBytesMax: number
  #stopped = false
  /** The beginning of a frame that has not come whole yet: `#have` bytes of `#need`, which is 0 until the length is known. */
  #partial = EMPTY_BYTES
  #have = 0
  #need = 0
  /** There was no memory for more of it. */
  #isRefused = false
  /** Of the budget, for `#partial`. */
  #taken = 0
  /** How much of the last chunk was read: less than there was when the sink gave way. */
  readBytes = 0

  constructor(sink: FrameSink, frameBytesMax: number, budget?: ByteBudget) {
    this.#sink = sink
    this.#frameBytesMax = frameBytesMax
    this.#budget = budget
  }

  /** Holds from the next frame on; may be called while a frame is handled. */
  setFrameBytesMax(frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax
  }

  /** Bytes held back for a frame that has not come whole yet. */
  bufferedBytes(): number {
    return this.#have
  }

  /** Hands the frames that are whole by now to the sink, until it gives way. After a fault the stream makes no sense any more. */
  push(chunk: Uint8Array, length: number): FrameFault | undefined {
    let at = 0
    this.readBytes = length
    if (this.#have > 0 && !this.#stopped) {
      at = this.#resume(chunk, length)
      if (at < 0) return this.#fault(readU32(this.#partial, 0))
      if (this.#isRefused) return this.#refuse()
    }
    while (!this.#stopped && length - at >= LENGTH_BYTES) {
      if (at > 0 && this.#sink.givesWay?.() === true) {
        this.readBytes = at
        return undefined
      }
      const announced = readU32(chunk, at)
      if (announced < HEAD_BYTES || announced > this.#frameBytesMax) return this.#fault(announced)
      const end = at + LENGTH_BYTES + announced
      if (end > length) break
      this.#deliver(chunk, at, end)
      at = end
    }
    if (!this.#stopped && at < length) this.#hold(chunk, at, length)
    return this.#isRefused ? this.#refuse() : undefined
  }

  /** The connection is gone. */
  clear(): void {
    this.#stopped = true
    this.#have = 0
    this.#forgetPartial()
  }

  #deliver(bytes: Uint8Array, at: number, end: number): void {
    const span = this.#span
    span.bytes = bytes
    span.start = at + PREAMBLE_BYTES
    span.end = end
    const kind = bytes[at + LENGTH_BYTES] ?? 0
    if (!this.#sink.handleFrame(kind, readU32(bytes, at + LENGTH_BYTES + 1), span)) this.#stopped = true
  }

  /** Goes on with the partial frame; returns how much of the chunk it took, or -1 for an impossible length. */
  #resume(chunk: Uint8Array, length: number): number {
    let at = 0
    if (this.#need === 0) {
      at = Math.min(LENGTH_BYTES - this.#have, length)
      this.#keep(chunk, 0, at)
      if (this.#have < LENGTH_BYTES) return at
      const announced = readU32(this.#partial, 0)
      if (announced < HEAD_BYTES || announced > this.#frameBytesMax) return -1
      this.#need = LENGTH_BYTES + announced
    }
    const end = at + Math.min(this.#need - this.#have, length - at)
    this.#keep(chunk, at, end)
    if (this.#have === this.#need && !this.#isRefused) this.#completePartial()
    return end
  }

  #completePartial(): void {
    const whole = this.#partial
    const need = this.#need
    this.#have = 0
    this.#need = 0
    if (whole.length > STICKY_BYTES) this.#forgetPartial()
    this.#deliver(whole, 0, need)
  }

  #forgetPartial(): void {
    this.#partial = EMPTY_BYTES
    this.#budget?.give(this.#taken)
    this.#taken = 0
  }

  #hold(chunk: Uint8Array, at: number, length: number): void {
    this.#need = length - at < LENGTH_BYTES ? 0 : LENGTH_BYTES + readU32(chunk, at)
    this.#keep(chunk, at, length)
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const have = this.#have + end - start
    if (have > this.#partial.length || this.#partial.length < Math.min(this.#need, STICKY_BYTES)) this.#grow(have)
    if (this.#isRefused) return
    this.#partial.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#have)
    this.#have = have
  }

  #grow(have: number): void {
    const size =
      this.#need <= STICKY_BYTES
        ? Math.max(this.#need, LENGTH_BYTES)
        : Math.min(this.#need, Math.max(STICKY_BYTES, 2 * have))
    if (size > STICKY_BYTES && this.#budget !== undefined) {
      if (!this.#budget.tryTake(size - this.#taken)) {
        this.#isRefused = true
        return
      }
      this.#taken = size
    }
    const grown = new Uint8Array(size)
    grown.set(this.#partial.subarray(0, this.#have))
    this.#partial = grown
  }

  #refuse(): FrameFault {
    this.clear()
    this.#isRefused = false
    return 'too-many-bytes-held'
  }

  #fault(announced: number): FrameFault {
    this.clear()
    return announced < HEAD_BYTES ? 'frame-too-short' : 'frame-too-large'
  }
}
