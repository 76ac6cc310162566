/**
 * The outermost layer of the rpc wire: `length u32 | kind u8 | call id u32 | body`, little-endian, where the length
 * counts everything after itself. Says which kinds exist and how big a frame may be; what a body holds is said by
 * `hello.ts` and `envelope.ts`.
 */

/** Numbers are fixed for ever. Call id 0 speaks of the connection. A frame of a kind that is none of these is skipped. */
export const FrameKind = {
  hello: 1,
  welcome: 2,
  request: 3,
  reply: 4,
  error: 5,
  cancel: 6,
  streamItem: 7,
  streamEnd: 8,
  streamCredit: 9,
  ping: 10,
  pong: 11,
  goingAway: 12,
} as const

export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

/** Set on the kind of a frame that is a piece of a message: its body goes on in the next frame of this kind and id. */
export const MORE_FLAG = 0x80

/** The length field itself. */
export const LENGTH_BYTES = 4
/** Kind and call id: the least that a length can announce. */
export const HEAD_BYTES = 5
export const PREAMBLE_BYTES: number = LENGTH_BYTES + HEAD_BYTES

/** Default cap on the announced length of any frame, and of a message in pieces: a value of 16 MiB and its envelope. */
export const FRAME_BYTES_MAX = 16_842_752
/** Cap on the first frame of a connection, when nothing is known of the peer. */
export const HELLO_BYTES_MAX = 4_096

const KINDS: ReadonlySet<number> = new Set(Object.values(FrameKind))

/** False for what a later version may have, with or without the flag. */
export function isKnownKind(kind: number): boolean {
  return KINDS.has(kind & ~MORE_FLAG)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  )
}
