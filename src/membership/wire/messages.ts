/**
 * The messages of memberlist's wire protocol as values. Names and numbers follow memberlist; text fields are strings,
 * everything else stays raw bytes (a foreign address must be gossiped on with the identical bytes).
 */

/** First byte of every message. */
export const MESSAGE_TYPE = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  crc: 12,
  err: 13,
  label: 244,
} as const

/** State of a member in a push/pull list. */
export const WIRE_STATE = { alive: 0, suspect: 1, dead: 2, left: 3 } as const
export type WireState = (typeof WIRE_STATE)[keyof typeof WIRE_STATE]

/** Who sent a ping or an indirect ping, as it names itself; old peers leave it out. */
export interface Source {
  readonly addr: Uint8Array
  readonly port: number
  readonly node: string
}

export interface Ping {
  readonly type: 'ping'
  readonly seqNo: number
  /** The name the sender expects; empty means any. */
  readonly node: string
  readonly source: Source | undefined
}

export interface IndirectPing {
  readonly type: 'indirectPing'
  readonly seqNo: number
  readonly target: Uint8Array
  readonly port: number
  readonly node: string
  readonly nack: boolean
  readonly source: Source | undefined
}

export interface Ack {
  readonly type: 'ack'
  readonly seqNo: number
  /** Empty for none. */
  readonly payload: Uint8Array
}

export interface Nack {
  readonly type: 'nack'
  readonly seqNo: number
}

export interface Suspect {
  readonly type: 'suspect'
  readonly incarnation: number
  readonly node: string
  readonly from: string
}

export interface Alive {
  readonly type: 'alive'
  readonly incarnation: number
  readonly node: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array
  /** Six bytes: protocol min, max, current; delegate min, max, current. */
  readonly vsn: Uint8Array
}

export interface Dead {
  readonly type: 'dead'
  readonly incarnation: number
  readonly node: string
  readonly from: string
}

export interface User {
  readonly type: 'user'
  readonly payload: Uint8Array
}

export interface ErrorReply {
  readonly type: 'err'
  readonly error: string
}

/** One member in a push/pull list. */
export interface PushNodeState {
  readonly name: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array
  readonly incarnation: number
  readonly state: WireState
  readonly vsn: Uint8Array
}

export interface PushPull {
  readonly type: 'pushPull'
  readonly join: boolean
  readonly nodes: readonly PushNodeState[]
  /** Empty for none. */
  readonly userState: Uint8Array
}

export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User
export type StreamMessage = PushPull | Ping | Ack | User | ErrorReply

/** Why bytes from the network were dropped; each is a counter. */
export type WireDrop =
  | 'empty'
  | 'unknown-type'
  | 'truncated'
  | 'malformed'
  | 'bad-record' // a field outside its rules: name, address length, port, version length
  | 'bad-crc'
  | 'too-deep'
  | 'too-large'
  | 'bad-lzw'
  | 'bad-label'
  | 'wrong-label'
  | 'encrypted' // an encrypted stream at a node without keys
  | 'bad-seal' // opened by none of our keys: another key, another label, or changed on the way
  | 'plaintext' // a plain stream at a node that requires encryption

export interface DecodedPacket {
  readonly messages: readonly PacketMessage[]
  /** One entry per part that was dropped; the other parts of a compound are still delivered. */
  readonly drops: readonly WireDrop[]
}
