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

/** The values own their bytes: the packet's buffer may be reused. */
export function decodePacket(bytes: Uint8Array): DecodedPacket {
  const decoder = new PacketDecoder()
  if (bytes[0] !== MESSAGE_TYPE.crc) decoder.part(bytes, 0)
  else if (bytes.length < CRC_HEADER_BYTES) decoder.drops.push('truncated')
  else if (!isCrcRight(bytes)) decoder.drops.push('bad-crc')
  else decoder.part(bytes.subarray(CRC_HEADER_BYTES), 0)
  return { messages: decoder.messages, drops: decoder.drops }
}

class PacketDecoder {
  readonly messages: PacketMessage[] = []
  readonly drops: WireDrop[] = []
  readonly #reader = new MsgpackReader()
  #inflatableBytes = INFLATED_BYTES_MAX
  #inflationsLeft = INFLATIONS_MAX
  #partsLeft = PARTS_MAX

  /** One message with its type byte, inside `depth` wrappers. */
  part(bytes: Uint8Array, depth: number): void {
    const type = bytes[0]
    if (type === undefined) this.drops.push('empty')
    else if (type === MESSAGE_TYPE.compound) this.#compound(bytes, depth)
    else if (type === MESSAGE_TYPE.compress) this.#compressed(bytes, depth)
    else if (type === MESSAGE_TYPE.user) this.messages.push({ type: 'user', payload: ownBytes(bytes, 1, bytes.length) })
    else this.#record(bytes, type)
  }

  #compound(bytes: Uint8Array, depth: number): void {
    const compound = depth < NESTING_MAX ? decodeCompound(bytes) : 'too-deep'
    if (compound === undefined || compound === 'too-deep') {
      this.drops.push(compound ?? 'truncated')
      return
    }
    for (const part of compound.parts) {
      if (--this.#partsLeft < 0) {
        if (this.#partsLeft === -1) this.drops.push('too-large') // once for all that are left out
        return
      }
      this.part(part, depth + 1)
    }
    for (let i = 0; i < compound.missing; i++) this.drops.push('truncated')
  }

  #compressed(bytes: Uint8Array, depth: number): void {
    const inflated = depth < NESTING_MAX ? this.#inflate(bytes) : 'too-deep'
    if (typeof inflated === 'string') {
      this.drops.push(inflated)
      return
    }
    this.#inflatableBytes -= inflated.length
    this.part(inflated, depth + 1)
  }

  #inflate(bytes: Uint8Array): Uint8Array | WireDrop {
    this.#reader.open(bytes, 1)
    const compressed = readCompressed(this.#reader)
    const trouble = this.#reader.trouble()
    if (trouble !== undefined) return trouble
    return --this.#inflationsLeft < 0 ? 'too-large' : inflate(compressed, this.#inflatableBytes)
  }

  #record(bytes: Uint8Array, type: number): void {
    this.#reader.open(bytes, 1)
    const message = readRecord(this.#reader, type)
    const trouble = message === undefined ? 'unknown-type' : this.#reader.trouble()
    if (trouble !== undefined) this.drops.push(trouble)
    else if (message !== undefined) this.messages.push(message)
  }
}

function readRecord(reader: MsgpackReader, type: number): PacketMessage | undefined {
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
