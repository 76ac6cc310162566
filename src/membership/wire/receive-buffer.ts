/** The bytes of a stream that have come in and are not used up. Grows with what arrives, never with what is announced. */
import { EMPTY_BYTES } from '../../bytes.js'

export class ReceiveBuffer {
  #bytes: Uint8Array = EMPTY_BYTES
  #start = 0
  #end = 0

  size(): number {
    return this.#end - this.#start
  }

  /** A view that is valid until the next `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  append(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length)
    this.#bytes.set(chunk, this.#end)
    this.#end += chunk.length
  }

  consume(count: number): void {
    this.#start += count
    if (this.#start < this.#end) return
    this.#start = 0
    this.#end = 0
  }

  /** Takes these bytes, as they are, instead of all others. */
  replace(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#start = 0
    this.#end = bytes.length
  }

  /** Moves to the front, or to a buffer of twice the size when less than half of this one has been used up. */
  #makeRoom(count: number): void {
    const kept = this.view()
    const needed = kept.length + count
    const isMoved = needed <= this.#bytes.length && kept.length <= this.#bytes.length / 2
    const target = isMoved ? this.#bytes : new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    target.set(kept)
    this.#bytes = target
    this.#start = 0
    this.#end = kept.length
  }
}
