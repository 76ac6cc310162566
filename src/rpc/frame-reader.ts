/**
 * Cuts a stream of bytes into frames without ever joining chunks: a frame that lies whole in a chunk is parsed where it
 * is, one that straddles chunks is copied once into a buffer of its own. Checks nothing but the announced length, and
 * that before a single byte is kept.
 */
import { EMPTY_BYTES } from '../bytes.js'
import { HEAD_BYTES, LENGTH_BYTES, PREAMBLE_BYTES, readU32 } from './frame.js'

/** Takes the frames. The bytes are valid during the call only: the buffer is used again. */
export interface FrameSink {
  /** `false` stops the reader for good: what follows in the stream is ignored. */
  handleFrame(kind: number, id: number, body: Span): boolean
}

/** A part of a buffer, without the cost of a view. One object is used for all frames of a reader. */
export interface Span {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

export type FrameFault = 'frame-too-large' | 'frame-too-short'

/** A straddling frame up to this size has its buffer at once, and the buffer is kept; a larger one grows as it comes. */
const STICKY_BYTES = 262_144

export class FrameReader {
  readonly #sink: FrameSink
  readonly #span: { bytes: Uint8Array; start: number; end: number } = { bytes: EMPTY_BYTES, start: 0, end: 0 }
  #frameBytesMax: number
  #stopped = false
  /** The beginning of a frame that has not come whole yet: `#have` bytes of `#need`, which is 0 until the length is known. */
  #partial = EMPTY_BYTES
  #have = 0
  #need = 0

  constructor(sink: FrameSink, frameBytesMax: number) {
    this.#sink = sink
    this.#frameBytesMax = frameBytesMax
  }

  /** Holds from the next frame on; may be called while a frame is handled. */
  setFrameBytesMax(frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax
  }

  /** Bytes held back for a frame that has not come whole yet. */
  bufferedBytes(): number {
    return this.#have
  }

  /** Hands every frame that is whole by now to the sink. After a fault the stream makes no sense any more. */
  push(chunk: Uint8Array, length: number): FrameFault | undefined {
    let at = 0
    if (this.#have > 0 && !this.#stopped) {
      at = this.#resume(chunk, length)
      if (at < 0) return this.#fault(readU32(this.#partial, 0))
    }
    while (!this.#stopped && length - at >= LENGTH_BYTES) {
      const announced = readU32(chunk, at)
      if (announced < HEAD_BYTES || announced > this.#frameBytesMax) return this.#fault(announced)
      const end = at + LENGTH_BYTES + announced
      if (end > length) break
      this.#deliver(chunk, at, end)
      at = end
    }
    if (!this.#stopped && at < length) this.#hold(chunk, at, length)
    return undefined
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
    if (this.#have === this.#need) this.#completePartial()
    return end
  }

  #completePartial(): void {
    const whole = this.#partial
    const need = this.#need
    this.#have = 0
    this.#need = 0
    if (whole.length > STICKY_BYTES) this.#partial = EMPTY_BYTES
    this.#deliver(whole, 0, need)
  }

  #hold(chunk: Uint8Array, at: number, length: number): void {
    this.#need = length - at < LENGTH_BYTES ? 0 : LENGTH_BYTES + readU32(chunk, at)
    this.#keep(chunk, at, length)
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const have = this.#have + end - start
    if (have > this.#partial.length || this.#partial.length < Math.min(this.#need, STICKY_BYTES)) this.#grow(have)
    this.#partial.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.#have)
    this.#have = have
  }

  #grow(have: number): void {
    const size =
      this.#need <= STICKY_BYTES
        ? Math.max(this.#need, LENGTH_BYTES)
        : Math.min(this.#need, Math.max(STICKY_BYTES, 2 * have))
    const grown = new Uint8Array(size)
    grown.set(this.#partial.subarray(0, this.#have))
    this.#partial = grown
  }

  #fault(announced: number): FrameFault {
    this.#stopped = true
    this.#have = 0
    this.#partial = EMPTY_BYTES
    return announced < HEAD_BYTES ? 'frame-too-short' : 'frame-too-large'
  }
}
