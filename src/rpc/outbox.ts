/**
 * What one connection is about to send: frames are written straight into one slab, which leaves in one piece. Long ones,
 * once the peer is known to read pieces, wait in a queue of their own and are laid into the slab as it leaves. Has a slab
 * only while something is written or on its way. Knows nothing of sockets; whoever flushes says whether the slab may be
 * used again.
 */
import { EMPTY_BYTES } from '../bytes.js'
import { type BulkMessage, BulkQueue, PIECE_BYTES, WHOLE_BYTES_MAX } from './bulk-queue.js'
import { ByteWriter, newBytes } from './byte-writer.js'
import { HEAD_BYTES, LENGTH_BYTES, MORE_FLAG, PREAMBLE_BYTES, readU32 } from './frame.js'
import type { PayloadCodec } from './payload-codec.js'
import { Slabs } from './slabs.js'

/** A slab that holds so much takes no further piece: what is written next waits for one of them at most. */
const BULK_BYTES_PER_SLAB = PIECE_BYTES
/** Above it no further item of a stream is asked for, whatever its credit. */
const ITEM_BYTES_WAITING_MAX = 262_144
const SPARES_MAX = ITEM_BYTES_WAITING_MAX / PIECE_BYTES

/** Whose payloads are sent. */
type PayloadMemory = Pick<PayloadCodec, 'giveAway' | 'takeBack'>

export class Outbox {
  readonly #bulk = new BulkQueue()
  /** Pieces that have left, to be used again: a stream needs no new memory for each item. */
  readonly #spares: Uint8Array[] = []
  #waiting: (() => void)[] = []
  readonly #slabs: Slabs
  /** The last slab that the socket kept. */
  #lent: Uint8Array | undefined
  /** Where a frame's body goes, between `openFrame` and `closeFrame`. */
  readonly writer: ByteWriter = new ByteWriter(0)
  /** Counts the slabs that left: what was written under an earlier number has gone to the socket. */
  epoch = 0
  /** Whether long frames leave in pieces; not before the peer said that it can read them. */
  cutsPieces = false
  readonly #codec: PayloadMemory
  /** Set while the socket takes nothing: items of streams then wait behind everything else. */
  holdsItems = false

  /** The codec is that of the payloads, which are copied unless it gives them away. */
  constructor(codec: PayloadMemory = {}, slabs: Slabs = new Slabs()) {
    this.#codec = codec
    this.#slabs = slabs
  }

  get pendingBytes(): number {
    return this.writer.length
  }

  /** Of long frames and items that wait for their turn. */
  get bulkBytes(): number {
    return this.#bulk.bytes
  }

  get hasBulk(): boolean {
    return !this.#bulk.isEmpty
  }

  /** Begins a frame of about `bodyBytes` and returns its mark. */
  openFrame(kind: number, id: number, bodyBytes: number): number {
    const writer = this.#openWriter()
    const mark = writer.length
    writer.reserve(PREAMBLE_BYTES + Math.min(bodyBytes, WHOLE_BYTES_MAX))
    writer.length += LENGTH_BYTES
    writer.u8(kind)
    writer.u32(id)
    return mark
  }

  closeFrame(mark: number): void {
    this.writer.setU32(mark, this.writer.length - mark - LENGTH_BYTES)
  }

  /** Whether a body of this length leaves in pieces, and later than what is written after it. */
  isLong(bodyBytes: number): boolean {
    return bodyBytes > WHOLE_BYTES_MAX && this.cutsPieces
  }

  /**
   * Ends the frame at `mark` with a payload after what was written of it. A long one waits for its turn, and one that ends
   * a call of which items wait, behind them: it is returned. The payload is the codec's last one, or anything that is used
   * again.
   */
  closeWith(mark: number, payload: Uint8Array): BulkMessage | undefined {
    const { writer } = this
    const id = readU32(writer.bytes, mark + LENGTH_BYTES + 1)
    if (!this.isLong(payload.length) && (this.#bulk.isEmpty || !this.#bulk.has(id))) {
      writer.raw(payload)
      this.closeFrame(mark)
      return undefined
    }
    const head = writer.bytes.subarray(mark + PREAMBLE_BYTES, writer.length)
    const length = head.length + payload.length
    const first = this.#newPiece(this.cutsPieces ? Math.min(PIECE_BYTES, length) : length)
    first.set(head)
    first.set(payload.subarray(0, first.length - head.length), head.length)
    writer.length = mark
    const rest = payload.subarray(first.length - head.length)
    const pieces = rest.length === 0 ? [first] : [first, ...this.#cut(rest)]
    return this.#bulk.push(writer.bytes[mark + LENGTH_BYTES] ?? 0, id, pieces)
  }

  /** A frame of a stream, in order with the others of its call and behind what does not belong to streams. */
  streamFrame(kind: number, id: number, body: Uint8Array): void {
    if (this.holdsItems || this.isLong(body.length) || this.#bulk.has(id)) {
      this.#bulk.push(kind, id, this.cutsPieces ? this.#cut(body) : [new Uint8Array(body)])
      return
    }
    const mark = this.openFrame(kind, id, body.length)
    this.writer.raw(body)
    this.closeFrame(mark)
  }

  /** Whether another item of a stream may be written. */
  hasItemRoom(): boolean {
    return this.#bulk.bytes < ITEM_BYTES_WAITING_MAX
  }

  /** Calls back once when there is room for items. */
  whenItemRoom(callback: () => void): void {
    this.#waiting.push(callback)
  }

  /** Tells those who wait for room, if there is. */
  tellItemRoom(): void {
    if (this.#waiting.length === 0 || !this.hasItemRoom()) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const callback of waiting) callback()
  }

  /** Takes back the long frames and items of a call. True when the peer has a part of one and must be told. */
  dropBulk(id: number): boolean {
    return this.#bulk.drop(id)
  }

  /** Lays pieces and items into the slab, each call in turn, as much as should leave at once. */
  fillSlab(): void {
    if (this.#bulk.isEmpty) return
    this.#bulk.take(this.#hasRoom, this.#writePiece)
  }

  /** A frame without a body. */
  bareFrame(kind: number, id: number): void {
    this.closeFrame(this.openFrame(kind, id, 0))
  }

  /**
   * Everything written so far, which is the flusher's from now on. As a copy when the socket is going to keep it for
   * long: a few bytes must not pin a whole slab.
   */
  take(copied: boolean): Uint8Array {
    const writer = this.writer
    const slab = writer.bytes.subarray(0, writer.length)
    this.epoch++
    writer.length = 0
    return copied ? new Uint8Array(slab) : slab
  }

  /** After the write of what `take` gave: whether the socket is done with it, and the slab free. */
  slabReturned(free: boolean): void {
    const { writer } = this
    if (free) this.#slabs.give(writer.bytes)
    else this.#lent = writer.bytes
    writer.bytes = EMPTY_BYTES
  }

  /** The socket is done with everything: a slab that it held is free again. */
  drained(): void {
    if (this.#lent !== undefined) this.#slabs.give(this.#lent)
    this.#lent = undefined
  }

  /** The socket is gone, and nothing more is sent. */
  close(): void {
    this.drained()
    this.writer.length = 0
    this.slabReturned(true)
  }

  #openWriter(): ByteWriter {
    const { writer } = this
    if (writer.bytes.length === 0) writer.bytes = this.#slabs.take()
    return writer
  }

  readonly #hasRoom = (): boolean => this.writer.length < BULK_BYTES_PER_SLAB

  readonly #writePiece = ({ kind, id, isSent }: BulkMessage, piece: Uint8Array): void => {
    const writer = this.#openWriter()
    writer.reserve(PREAMBLE_BYTES + piece.length)
    writer.u32(HEAD_BYTES + piece.length)
    writer.u8(isSent ? kind : kind | MORE_FLAG)
    writer.u32(id)
    writer.raw(piece)
    if (piece.buffer.byteLength > PIECE_BYTES) {
      if (isSent) this.#codec.takeBack?.(piece)
    } else if (piece.length === PIECE_BYTES && this.#spares.length < SPARES_MAX) this.#spares.push(piece)
  }

  /** The parts in which a body travels; one for an empty body. Copies, unless the body is ours. */
  #cut(body: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    const isOurs = body.length > PIECE_BYTES && this.#codec.giveAway?.(body) === true
    let at = 0
    do {
      const part = body.subarray(at, at + PIECE_BYTES)
      pieces.push(isOurs ? part : this.#copyOf(part))
      at += PIECE_BYTES
    } while (at < body.length)
    return pieces
  }

  #copyOf(part: Uint8Array): Uint8Array {
    const copy = this.#newPiece(part.length)
    copy.set(part)
    return copy
  }

  /** Its bytes may be any. */
  #newPiece(length: number): Uint8Array {
    const spare = length === PIECE_BYTES ? this.#spares.pop() : undefined
    return spare ?? newBytes(length)
  }
}

/** The least length that a frame with a body of this size announces. */
export function announcedLength(bodyBytes: number): number {
  return HEAD_BYTES + bodyBytes
}
