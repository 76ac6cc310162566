/**
 * Reads what `byte-writer.ts` wrote, from bytes that may be anything. Never throws: past the end, or in bad UTF-8, it
 * answers zeroes and remembers that it `failed`, which the caller asks once at the end.
 */
import { tryUtf8Decode } from '../bytes.js'
import type { Span } from './frame-reader.js'

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  /** Where the next read begins. */
  at: number
  failed = false

  constructor({ bytes, start, end }: Span) {
    this.#bytes = bytes
    this.#end = end
    this.at = start
  }

  u8(): number {
    return this.#take(1) ? (this.#bytes[this.at - 1] ?? 0) : 0
  }

  u16(): number {
    return this.#take(2) ? this.#byte(2) | (this.#byte(1) << 8) : 0
  }

  u32(): number {
    if (!this.#take(4)) return 0
    return (this.#byte(4) | (this.#byte(3) << 8) | (this.#byte(2) << 16) | (this.#byte(1) << 24)) >>> 0
  }

  /** A text of at most `bytesMax` UTF-8 bytes. */
  text(bytesMax: number): string {
    const length = this.u16()
    if (length > bytesMax) this.failed = true
    if (this.failed || !this.#take(length)) return ''
    const text = tryUtf8Decode(this.#bytes.subarray(this.at - length, this.at))
    if (text === undefined) this.failed = true
    return text ?? ''
  }

  #take(count: number): boolean {
    if (this.failed || this.#end - this.at < count) {
      this.failed = true
      return false
    }
    this.at += count
    return true
  }

  /** The byte `back` places before the read position. */
  #byte(back: number): number {
    return this.#bytes[this.at - back] ?? 0
  }
}
