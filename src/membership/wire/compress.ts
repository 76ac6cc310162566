/** The wrapper of a compressed message. Knows its only algorithm, LZW, and nothing of what is inside. */
import { EMPTY_BYTES } from '../../bytes.js'
import { lzwDecode, lzwEncode } from './lzw.js'
import { MESSAGE_TYPE, type WireDrop } from './messages.js'
import type { MsgpackReader } from './msgpack-reader.js'
import { MsgpackWriter } from './msgpack-writer.js'
import { U32_MAX } from './record-rules.js'
import { structSchema } from './struct-schema.js'

const COMPRESS = structSchema('Algo', 'Buf')
const LZW = 0

export interface Compressed {
  readonly algorithm: number
  /** Shares memory with what was read: to be inflated before that changes. */
  readonly bytes: Uint8Array
}

export function readCompressed(reader: MsgpackReader): Compressed {
  let algorithm = LZW
  let bytes = EMPTY_BYTES
  reader.openStruct()
  for (let key = reader.nextField(COMPRESS); key !== undefined; key = reader.nextField(COMPRESS)) {
    if (key === 'Algo') algorithm = reader.readUint(255)
    else bytes = reader.readView(U32_MAX)
  }
  return { algorithm, bytes }
}

const writer = new MsgpackWriter()

/** A whole message as peers write it that compress; it may come out larger. */
export function encodeCompressed(message: Uint8Array): Uint8Array {
  writer.begin()
  writer.byte(MESSAGE_TYPE.compress)
  writer.mapHead(2)
  writer.text('Algo')
  writer.uint(LZW)
  writer.text('Buf')
  writer.bytes(lzwEncode(message))
  return writer.finish()
}

/** The message inside, of at most `bytesMax` bytes, or why there is none. */
export function inflate({ algorithm, bytes }: Compressed, bytesMax: number): Uint8Array | WireDrop {
  if (algorithm !== LZW) return 'malformed'
  return lzwDecode(bytes, bytesMax)
}
