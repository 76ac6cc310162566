/** The checksum that a packet may carry in front of everything else: CRC-32 (IEEE) of all that follows it. */
import { MESSAGE_TYPE } from './messages.js'

/** Type byte and checksum. */
export const CRC_HEADER_BYTES = 5

const POLYNOMIAL = 0xedb88320
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
  return crc
})

export function withCrc(bytes: Uint8Array): Uint8Array {
  const packet = new Uint8Array(CRC_HEADER_BYTES + bytes.length)
  const crc = crc32(bytes, 0)
  packet[0] = MESSAGE_TYPE.crc
  packet[1] = crc >>> 24
  packet[2] = crc >>> 16
  packet[3] = crc >>> 8
  packet[4] = crc
  packet.set(bytes, CRC_HEADER_BYTES)
  return packet
}

/** Whether a packet that begins with a CRC header of full length is as it was sent. */
export function isCrcRight(packet: Uint8Array): boolean {
  const crc = crc32(packet, CRC_HEADER_BYTES)
  return (
    packet[1] === crc >>> 24 &&
    packet[2] === ((crc >>> 16) & 255) &&
    packet[3] === ((crc >>> 8) & 255) &&
    packet[4] === (crc & 255)
  )
}

/** Of the bytes from `start` on. */
export function crc32(bytes: Uint8Array, start: number): number {
  let crc = -1
  for (let i = start; i < bytes.length; i++) crc = (TABLE[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}
