/**
 * What a field must look like before a record may be believed or relayed, whichever message carries it.
 * A breach is flagged on the reader as `bad-record`.
 */
import type { MsgpackReader } from './msgpack-reader.js'

export const U32_MAX = 0xffff_ffff
export const PORT_MAX = 65_535
export const NAME_BYTES_MAX = 255
/** An owner may not exceed 512 bytes of meta; some peers do. The table holds one for each member. */
export const META_BYTES_READ_MAX = 4_096
/** Any other byte field of a record, far above what peers send. */
export const FIELD_BYTES_MAX = 65_536

export function requireName(reader: MsgpackReader, name: string): void {
  if (name === '') reader.flag('bad-record')
}

/** Four or sixteen bytes and a port that can be dialled. */
export function requireAddress(reader: MsgpackReader, addr: Uint8Array, port: number): void {
  if ((addr.length !== 4 && addr.length !== 16) || port === 0) reader.flag('bad-record')
}

/**
 * Six bytes with a possible range of protocol versions. Old peers crash on a shorter field, so a record with one must
 * never get as far as being relayed.
 */
export function requireVersions(reader: MsgpackReader, vsn: Uint8Array): void {
  const [min, max] = vsn
  const isUsable = vsn.length === 6 && min !== undefined && max !== undefined && min > 0 && min <= max
  if (!isUsable) reader.flag('bad-record')
}
