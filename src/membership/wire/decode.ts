/**
 * A packet's bytes to messages, after label and decryption. Total: whatever the bytes, it returns what could be read
 * and one reason for each part that could not. Work is bounded by the size of the packet and of what it inflates to.
 * It does not judge whether a message is to be believed.
 */
import { decodeCompound } from './compound.js'
import { inflate, readCompressed } from './compress.js'
import { CRC_HEADER_BYTES, isCrcRight } from './crc.js'
import { type DecodedPacket, MESSAGE_TYPE, type PacketMessage, type WireDrop } from './messages.js'
import { MsgpackReader } from './msgpack-reader.js'
import { ownBytes } from './own-bytes.js'
import { readAccusation, readAck, readAlive, readIndirectPing, readNack, readPing } from './packet-records.js'

/** Compounds and compressed messages inside each other. Peers send one of each. */
export const NESTING_MAX = 4
/** What all compressed parts of one packet may inflate to together; no peer compresses more than a packet. */
export const INFLATED_BYTES_MAX = 65_536
/** Parts of one packet that are inflated at all. */
const INFLATIONS_MAX = 8
/**
 * Messages and compounds in one packet. No peer puts more than 255 messages into one; a compressed one could hold
 * sixteen thousand.
 */
export const PARTS_MAX = 1_024

/** One for all: decoding is synchronous, so no two records are in it at once. */
const reader = new MsgpackReader()

/** The values own their bytes: the packet's buffer may be reused. */
export function decodePacket(bytes: Uint8Array): DecodedPacket {
  const decoder = new PacketDecoder()
  if (bytes[0] !== MESSAGE_TYPE.crc) decoder.part({ bytes, start: 0, end: bytes.length }, 0)
  else if (bytes.length < CRC_HEADER_BYTES) decoder.drops.push('truncated')
  else if (!isCrcRight(bytes)) decoder.drops.push('bad-crc')
  else decoder.part({ bytes, start: CRC_HEADER_BYTES, end: bytes.length }, 0)
  return { messages: decoder.messages, drops: decoder.drops }
}

/** A part of the packet, or of what one of its parts inflated to. */
interface Part {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

class PacketDecoder {
  readonly messages: PacketMessage[] = []
  readonly drops: WireDrop[] = []
  #inflatableBytes = INFLATED_BYTES_MAX
  #inflationsLeft = INFLATIONS_MAX
  #partsLeft = PARTS_MAX

  /** One message with its type byte, inside `depth` wrappers. */
  part(part: Part, depth: number): void {
    const { bytes, start, end } = part
    const type = start < end ? bytes[start] : undefined
    if (type === undefined) this.drops.push('empty')
    else if (type === MESSAGE_TYPE.compound) this.#compound(part, depth)
    else if (type === MESSAGE_TYPE.compress) this.#compressed(part, depth)
    else if (type === MESSAGE_TYPE.user) this.messages.push({ type: 'user', payload: ownBytes(bytes, start + 1, end) })
    else this.#record(part, type)
  }

  #compound({ bytes, start, end }: Part, depth: number): void {
    const compound = depth < NESTING_MAX ? decodeCompound(bytes, start, end) : 'too-deep'
    if (compound === undefined || compound === 'too-deep') {
      this.drops.push(compound ?? 'truncated')
      return
    }
    let at = compound.start
    for (const partEnd of compound.ends) {
      if (--this.#partsLeft < 0) {
        if (this.#partsLeft === -1) this.drops.push('too-large') // once for all that are left out
        return
      }
      this.part({ bytes, start: at, end: partEnd }, depth + 1)
      at = partEnd
    }
    for (let i = 0; i < compound.missing; i++) this.drops.push('truncated')
  }

  #compressed(part: Part, depth: number): void {
    const inflated = depth < NESTING_MAX ? this.#inflate(part) : 'too-deep'
    if (typeof inflated === 'string') {
      this.drops.push(inflated)
      return
    }
    this.#inflatableBytes -= inflated.length
    this.part({ bytes: inflated, start: 0, end: inflated.length }, depth + 1)
  }

  #inflate({ bytes, start, end }: Part): Uint8Array | WireDrop {
    reader.openPart(bytes, start + 1, end)
    const compressed = readCompressed(reader)
    const trouble = reader.trouble()
    if (trouble !== undefined) return trouble
    return --this.#inflationsLeft < 0 ? 'too-large' : inflate(compressed, this.#inflatableBytes)
  }

  #record({ bytes, start, end }: Part, type: number): void {
    reader.openPart(bytes, start + 1, end)
    const message = readRecord(type)
    const trouble = message === undefined ? 'unknown-type' : reader.trouble()
    if (trouble !== undefined) this.drops.push(trouble)
    else if (message !== undefined) this.messages.push(message)
  }
}

function readRecord(type: number): PacketMessage | undefined {
  switch (type) {
    case MESSAGE_TYPE.ping:
      return readPing(reader)
    case MESSAGE_TYPE.indirectPing:
      return readIndirectPing(reader)
    case MESSAGE_TYPE.ack:
      return readAck(reader)
    case MESSAGE_TYPE.suspect:
      return readAccusation(reader, 'suspect')
    case MESSAGE_TYPE.alive:
      return readAlive(reader)
    case MESSAGE_TYPE.dead:
      return readAccusation(reader, 'dead')
    case MESSAGE_TYPE.nack:
      return readNack(reader)
    default:
      return undefined
  }
}
