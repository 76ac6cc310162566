/**
 * What one connection is about to send: frames are written straight into one slab, which leaves in one piece. Knows
 * nothing of sockets; whoever flushes says whether the slab may be used again.
 */
import { ByteWriter } from './byte-writer.js'
import { HEAD_BYTES, LENGTH_BYTES, PREAMBLE_BYTES } from './frame.js'

const SLAB_BYTES_MIN = 4_096
/** A slab that grew past this is not kept. */
const SLAB_BYTES_KEPT_MAX = 262_144

export class Outbox {
  /** Where a frame's body goes, between `openFrame` and `closeFrame`. */
  readonly writer: ByteWriter = new ByteWriter(SLAB_BYTES_MIN)
  /** Counts the slabs that left: what was written under an earlier number has gone to the socket. */
  epoch = 0

  get pendingBytes(): number {
    return this.writer.length
  }

  /** Begins a frame of about `bodyBytes` and returns its mark. */
  openFrame(kind: number, id: number, bodyBytes: number): number {
    const { writer } = this
    const mark = writer.length
    writer.reserve(PREAMBLE_BYTES + bodyBytes)
    writer.length += LENGTH_BYTES
    writer.u8(kind)
    writer.u32(id)
    return mark
  }

  closeFrame(mark: number): void {
    this.writer.setU32(mark, this.writer.length - mark - LENGTH_BYTES)
  }

  /** A frame without a body. */
  bareFrame(kind: number, id: number): void {
    this.closeFrame(this.openFrame(kind, id, 0))
  }

  /** What a frame opened at `mark` would announce if it were closed now with `more` bytes added. */
  announcedBytes(mark: number, more: number): number {
    return this.writer.length - mark - LENGTH_BYTES + more
  }

  /** Takes back a frame that was opened and is not to be sent. */
  dropFrame(mark: number): void {
    this.writer.length = mark
  }

  /**
   * Everything written so far, which is the flusher's from now on. As a copy when the socket is going to keep it for
   * long: a few bytes must not pin a whole slab.
   */
  take(copied: boolean): Uint8Array {
    const { writer } = this
    const slab = writer.bytes.subarray(0, writer.length)
    this.epoch++
    writer.length = 0
    return copied ? new Uint8Array(slab) : slab
  }

  /** After the write of what `take` gave: whether the socket is done with it, and the slab free. */
  slabReturned(free: boolean): void {
    const { writer } = this
    const size = writer.bytes.length
    if (!free || size > SLAB_BYTES_KEPT_MAX)
      writer.bytes = new Uint8Array(size > SLAB_BYTES_KEPT_MAX ? SLAB_BYTES_MIN : size)
  }
}

/** The least length that a frame with a body of this size announces. */
export function announcedLength(bodyBytes: number): number {
  return HEAD_BYTES + bodyBytes
}
