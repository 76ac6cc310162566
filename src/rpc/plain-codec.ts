/**
 * The codec that nodes use: the same MessagePack as the reference, with a way of our own for plain data, which is nearly
 * everything that is called with. What that way does not take goes through the reference, so that there is one
 * definition of every type, and of every refusal.
 */
import { FRAME_BYTES_MAX } from './frame.js'
import { DECODED_BYTES_MAX, MsgpackCodec, type MsgpackCodecOptions, type PayloadCodec } from './payload-codec.js'
import { PlainReader, UNREAD } from './plain-reader.js'
import { PlainWriter } from './plain-writer.js'

export class PlainCodec implements PayloadCodec {
  readonly name: string
  readonly #reference: MsgpackCodec
  readonly #writer: PlainWriter
  readonly #reader: PlainReader

  constructor(options: MsgpackCodecOptions = {}) {
    this.#reference = new MsgpackCodec(options)
    this.name = this.#reference.name
    this.#writer = new PlainWriter(options.payloadBytesMax ?? FRAME_BYTES_MAX)
    this.#reader = new PlainReader(options.decodedBytesMax ?? DECODED_BYTES_MAX)
  }

  /** Throws a ValueError. */
  encode(value: unknown, root: string): Uint8Array {
    return this.#writer.tryWrite(value) ?? this.#reference.encode(value, root)
  }

  giveAway(bytes: Uint8Array): boolean {
    return this.#writer.giveAway(bytes)
  }

  takeBack(bytes: Uint8Array): void {
    this.#writer.takeBack(bytes)
  }

  /** Throws a PayloadError. */
  decode(bytes: Uint8Array): unknown {
    return this.decodePart(bytes, 0, bytes.length)
  }

  /** Throws a PayloadError. */
  decodePart(bytes: Uint8Array, start: number, end: number): unknown {
    const value = this.#reader.tryRead(bytes, start, end)
    return value === UNREAD ? this.#reference.decode(bytes.subarray(start, end)) : value
  }
}
