/** Several messages in one packet: `07 | count | length x count | bodies`. Knows nothing of what the parts are. */
import { MESSAGE_TYPE } from './messages.js'
import { newBytes } from './own-bytes.js'

/** Type byte and count. */
export const COMPOUND_HEADER_BYTES = 2
/** What each part costs besides its own bytes. */
export const COMPOUND_PART_BYTES = 2
/** The caller spreads more parts over several compounds. */
export const COMPOUND_PARTS_MAX = 255

const PART_BYTES_MAX = 65_535

/** Throws on more than 255 parts or a part that no packet could hold: a bug of the caller. */
export function encodeCompound(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length > COMPOUND_PARTS_MAX) throw new RangeError(`${parts.length} parts in a compound of at most 255`)
  let at = COMPOUND_HEADER_BYTES + parts.length * COMPOUND_PART_BYTES
  let total = at
  for (const part of parts) total += part.length
  const packet = newBytes(total)
  packet[0] = MESSAGE_TYPE.compound
  packet[1] = parts.length
  let lengthAt = COMPOUND_HEADER_BYTES
  for (const part of parts) {
    if (part.length > PART_BYTES_MAX) throw new RangeError(`a part of ${part.length} bytes in a compound`)
    packet[lengthAt++] = part.length >> 8
    packet[lengthAt++] = part.length
    packet.set(part, at)
    at += part.length
  }
  return packet
}

export interface CompoundParts {
  /** Where the first part begins. */
  readonly start: number
  /** Where each part that arrived whole ends and the next one begins. */
  readonly ends: readonly number[]
  /** Parts that were announced but lie beyond the end. */
  readonly missing: number
}

/** The compound that lies between `from`, where its type byte is, and `to`; `undefined` when not even the lengths arrived. */
export function decodeCompound(packet: Uint8Array, from: number, to: number): CompoundParts | undefined {
  if (to - from < COMPOUND_HEADER_BYTES) return undefined
  const count = packet[from + 1] as number
  const start = from + COMPOUND_HEADER_BYTES + count * COMPOUND_PART_BYTES
  if (start > to) return undefined
  const ends: number[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const lengthAt = from + COMPOUND_HEADER_BYTES + i * COMPOUND_PART_BYTES
    at += ((packet[lengthAt] as number) << 8) + (packet[lengthAt + 1] as number)
    if (at > to) return { start, ends, missing: count - i }
    ends.push(at)
  }
  return { start, ends, missing: 0 }
}
