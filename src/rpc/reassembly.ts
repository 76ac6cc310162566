/**
 * Messages that come in pieces, put together again: frames of one kind and id, all but the last with the MORE flag. What
 * is kept, counted as the memory that it takes, is bounded per message, per connection and, by the budget, per node; past
 * a bound, or for pieces so small that they cost more than they hold, the connection makes no sense any more.
 */
import { EMPTY_BYTES } from '../bytes.js'
import { OPEN_MESSAGES_MAX } from './bulk-queue.js'
import type { ByteBudget } from './byte-budget.js'
import { HEAD_BYTES, MORE_FLAG } from './frame.js'
import type { Span } from './frame-reader.js'

export type PieceFault = 'piece-too-small' | 'message-too-large' | 'too-many-messages' | 'too-many-bytes-held'

export interface ReassemblyOptions {
  /** Of one message, as if it came in one frame. */
  readonly frameBytesMax: number
  readonly budget: ByteBudget
}

/** The least that a piece may hold unless it is the last: a message of crumbs costs more than it says. */
export const PIECE_BYTES_MIN = 1_024

/** Of one connection, at once; a sender keeps to a quarter. */
export const PARTIAL_MESSAGES_MAX = 16

/** A message so far: the first `length` bytes of a buffer that grows. */
interface Partial {
  readonly id: number
  buffer: Uint8Array
  length: number
}

/** A new buffer has room for so many pieces like the first: one that brings little takes little. */
const PIECES_AT_FIRST = 4
/** The buffer of the last message is used again for the next one, if it comes soon: fresh memory costs more than copying. */
const SPARE_MS = 5_000

/** Kind and id as one number. */
const ID_SPAN = 0x1_0000_0000

export class Reassembly {
  readonly #options: ReassemblyOptions
  readonly #partials = new Map<number, Partial>()
  #spare: Uint8Array | undefined
  #spareUntil: number | undefined

  constructor(options: ReassemblyOptions) {
    this.#options = options
  }

  /** Messages that have begun and not ended. */
  get size(): number {
    return this.#partials.size
  }

  /**
   * A frame as it comes: gives the body of a message that is whole by it, `undefined` while there is more to come, or for
   * a piece that nobody `wants`.
   */
  handle(
    kind: number,
    id: number,
    body: Span,
    wants: (kind: number, id: number) => boolean,
  ): Span | PieceFault | undefined {
    if (kind < MORE_FLAG) return this.#finish(kind, id, body)
    const bare = kind & ~MORE_FLAG
    return wants(bare, id) ? this.#add(bare, id, body) : undefined
  }

  #add(kind: number, id: number, body: Span): PieceFault | undefined {
    const length = body.end - body.start
    if (length < PIECE_BYTES_MIN) return 'piece-too-small'
    const key = kind * ID_SPAN + id
    let partial = this.#partials.get(key)
    if (partial === undefined) {
      if (this.#partials.size >= PARTIAL_MESSAGES_MAX) return 'too-many-messages'
      partial = { id, buffer: this.#spare ?? EMPTY_BYTES, length: 0 }
      this.#spare = undefined
      this.#partials.set(key, partial)
    }
    return this.#append(partial, body)
  }

  /** The whole message, given the frame that ends it; that frame's own body when no piece came before. Valid until the next one. */
  #finish(kind: number, id: number, body: Span): Span | PieceFault {
    const key = kind * ID_SPAN + id
    const partial = this.#partials.get(key)
    if (partial === undefined) return body
    const fault = this.#append(partial, body)
    if (fault !== undefined) return fault
    this.#forget(key, partial)
    this.#keepSpare(partial.buffer)
    return { bytes: partial.buffer, start: 0, end: partial.length }
  }

  /** Gives back the memory of the last message when no other came for a while. */
  sweep(now: number): void {
    if (this.#spare === undefined) return
    this.#spareUntil ??= now + SPARE_MS
    if (now >= this.#spareUntil) this.#dropSpare()
  }

  /** Forgets what came of this call. */
  drop(id: number): void {
    if (this.#partials.size === 0) return
    for (const [key, partial] of this.#partials) if (partial.id === id) this.#forget(key, partial)
  }

  /** The connection is gone. */
  clear(): void {
    for (const [key, partial] of this.#partials) this.#forget(key, partial)
    this.#dropSpare()
  }

  #append(partial: Partial, { bytes, start, end }: Span): PieceFault | undefined {
    const length = partial.length + end - start
    if (HEAD_BYTES + length > this.#options.frameBytesMax) return 'message-too-large'
    if (length > partial.buffer.length && !this.#grow(partial, length)) return 'too-many-bytes-held'
    partial.buffer.set(bytes.subarray(start, end), partial.length)
    partial.length = length
    return undefined
  }

  /** False when there is no memory for it. */
  #grow(partial: Partial, length: number): boolean {
    const had = partial.buffer.length
    // An honest sender has few messages under way.
    const atFirst = this.#partials.size > OPEN_MESSAGES_MAX ? length : PIECES_AT_FIRST * length
    const wanted = had === 0 ? atFirst : Math.max(length, 2 * had)
    const size = Math.min(wanted, this.#options.frameBytesMax)
    if (!this.#options.budget.tryTake(size - had)) return false
    const grown = new Uint8Array(size)
    grown.set(partial.buffer.subarray(0, partial.length))
    partial.buffer = grown
    return true
  }

  #forget(key: number, partial: Partial): void {
    this.#partials.delete(key)
    this.#options.budget.give(partial.buffer.length)
  }

  #keepSpare(buffer: Uint8Array): void {
    if (this.#spare !== undefined && this.#spare.length >= buffer.length) return
    this.#dropSpare()
    if (this.#options.budget.tryTakeSpare(buffer.length)) this.#spare = buffer
  }

  #dropSpare(): void {
    if (this.#spare !== undefined) this.#options.budget.give(this.#spare.length)
    this.#spare = undefined
    this.#spareUntil = undefined
  }
}
