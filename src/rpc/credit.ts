/** How much the other side of a stream may send, on top of what it may already. The body of a frame, and a part of a request. */
import { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { Span } from './frame-reader.js'

export interface Credit {
  readonly items: number
  /** The last item may go past it. */
  readonly bytes: number
}

export function encodeCredit(writer: ByteWriter, { items, bytes }: Credit): void {
  writer.u32(items)
  writer.u32(bytes)
}

/** Reads it where it stands; the reader knows whether it was there. */
export function readCredit(reader: ByteReader): Credit {
  return { items: reader.u32(), bytes: reader.u32() }
}

/** `undefined` for a body that is none. */
export function decodeCredit(body: Span): Credit | undefined {
  const reader = new ByteReader(body)
  const credit = readCredit(reader)
  return reader.failed ? undefined : credit
}
