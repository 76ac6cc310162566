/**
 * What one connection is about to send: frames are written straight into one slab, which leaves in one piece. Long ones,
 * once the peer is known to read pieces, wait in a queue of their own and are laid into the slab as it leaves. Knows
 * nothing of sockets; whoever flushes says whether the slab may be used again.
 */
import { type BulkMessage, BulkQueue } from './bulk-queue.js'
import { ByteWriter } from './byte-writer.js'
import { HEAD_BYTES, LENGTH_BYTES, MORE_FLAG, PIECE_BYTES, PREAMBLE_BYTES, readU32 } from './frame.js'

const SLAB_BYTES_MIN = 4_096
/** A slab that grew past this is not kept. */
const SLAB_BYTES_KEPT_MAX = 262_144

/** With its pieces the slab is kept. */
const BULK_BYTES_PER_SLAB = 2 * PIECE_BYTES
/** Above it no further item of a stream is asked for, whatever its credit. */
const ITEM_BYTES_WAITING_MAX = 262_144

export class Outbox {
  readonly #slab = new ByteWriter(SLAB_BYTES_MIN)
  readonly #bulk = new BulkQueue()
  #waiting: (() => void)[] = []
  /** Where a frame's body goes, between `openFrame` and `closeFrame`. */
  writer: ByteWriter = this.#slab
  /** Counts the slabs that left: what was written under an earlier number has gone to the socket. */
  epoch = 0
  /** Whether long frames leave in pieces; not before the peer said that it can read them. */
  cutsPieces = false
  /** Set while the socket takes nothing: items of streams then wait behind everything else. */
  holdsItems = false

  get pendingBytes(): number {
    return this.#slab.length
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
    // A frame of its own buffer: what is long is copied once only.
    if (bodyBytes > PIECE_BYTES && this.cutsPieces) this.writer = new ByteWriter(PREAMBLE_BYTES + bodyBytes)
    const { writer } = this
    const mark = writer.length
    writer.reserve(PREAMBLE_BYTES + bodyBytes)
    writer.length += LENGTH_BYTES
    writer.u8(kind)
    writer.u32(id)
    return mark
  }

  /** Ends the frame. Returns the message that waits when it leaves in pieces. */
  closeFrame(mark: number): BulkMessage | undefined {
    const { writer } = this
    if (writer === this.#slab) {
      writer.setU32(mark, writer.length - mark - LENGTH_BYTES)
      return undefined
    }
    this.writer = this.#slab
    const kind = writer.bytes[LENGTH_BYTES] ?? 0
    return this.#bulk.push(kind, readU32(writer.bytes, LENGTH_BYTES + 1), writer.bytes.subarray(PREAMBLE_BYTES, writer.length))
  }

  /** Whether the frame that is open will wait for its turn. */
  isLongFrame(): boolean {
    return this.writer !== this.#slab
  }

  /** A frame of a stream, in order with the others of its call and behind what does not belong to streams. */
  streamFrame(kind: number, id: number, body: Uint8Array): void {
    if (this.holdsItems || (body.length > PIECE_BYTES && this.cutsPieces) || this.#bulk.has(id)) {
      this.#bulk.push(kind, id, new Uint8Array(body))
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
    const writer = this.#slab
    const slab = writer.bytes.subarray(0, writer.length)
    this.epoch++
    writer.length = 0
    return copied ? new Uint8Array(slab) : slab
  }

  /** After the write of what `take` gave: whether the socket is done with it, and the slab free. */
  slabReturned(free: boolean): void {
    const writer = this.#slab
    const size = writer.bytes.length
    if (!free || size > SLAB_BYTES_KEPT_MAX)
      writer.bytes = new Uint8Array(size > SLAB_BYTES_KEPT_MAX ? SLAB_BYTES_MIN : size)
  }

  readonly #hasRoom = (): boolean => this.#slab.length < BULK_BYTES_PER_SLAB

  readonly #writePiece = ({ kind, id, body, isSent }: BulkMessage, start: number, end: number): void => {
    const slab = this.#slab
    slab.reserve(PREAMBLE_BYTES + end - start)
    slab.u32(HEAD_BYTES + end - start)
    slab.u8(isSent ? kind : kind | MORE_FLAG)
    slab.u32(id)
    slab.raw(body.subarray(start, end))
  }
}

/** The least length that a frame with a body of this size announces. */
export function announcedLength(bodyBytes: number): number {
  return HEAD_BYTES + bodyBytes
}
