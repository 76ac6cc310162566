/** Several messages in one packet: `07 | count | length x count | bodies`. Knows nothing of what the parts are. */
import { MESSAGE_TYPE } from './messages.js'

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
  const packet = new Uint8Array(total)
  packet[0] = MESSAGE_TYPE.compound
  packet[1] = parts.length
  for (const [i, part] of parts.entries()) {
    if (part.length > PART_BYTES_MAX) throw new RangeError(`a part of ${part.length} bytes in a compound`)
    packet[COMPOUND_HEADER_BYTES + 2 * i] = part.length >> 8
    packet[COMPOUND_HEADER_BYTES + 2 * i + 1] = part.length
    packet.set(part, at)
    at += part.length
  }
  return packet
}

export interface CompoundParts {
  /** Views of the packet. */
  readonly parts: readonly Uint8Array[]
  /** Parts that were announced but lie beyond the end. */
  readonly missing: number
}

/** The parts that arrived whole; `undefined` when not even the lengths did. `packet` begins with the type byte. */
export function decodeCompound(packet: Uint8Array): CompoundParts | undefined {
  const count = packet[1]
  if (count === undefined) return undefined
  let at = COMPOUND_HEADER_BYTES + count * COMPOUND_PART_BYTES
  if (at > packet.length) return undefined
  const parts: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const lengthAt = COMPOUND_HEADER_BYTES + i * COMPOUND_PART_BYTES
    const end = at + ((packet[lengthAt] as number) << 8) + (packet[lengthAt + 1] as number)
    if (end > packet.length) return { parts, missing: count - i }
    parts.push(packet.subarray(at, end))
    at = end
  }
  return { parts, missing: 0 }
}
