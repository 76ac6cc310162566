/** Vectors of the wire, and what several of its tests share. */
import { readFileSync } from 'node:fs'
import { hexEncode } from '../../src/bytes.js'
import { encodeCompressed } from '../../src/membership/wire/compress.js'
import type {
  Alive,
  DecodedPacket,
  PacketMessage,
  PushNodeState,
  PushPull,
} from '../../src/membership/wire/messages.js'

interface WireVectors {
  /** Struct bodies as Go writes them, without the type byte. */
  readonly messages: Readonly<Record<string, string>>
  /** Pairs of plain and compressed bytes. */
  readonly lzw: readonly (readonly [string, string])[]
  readonly packets: readonly PacketVector[]
  readonly streams: readonly StreamVector[]
}

interface PacketVector {
  readonly name: string
  readonly key: string | null
  readonly label: string
  readonly inner: string
  readonly packet: string
}

interface StreamVector {
  readonly name: string
  readonly key: string | null
  readonly label: string
  readonly inner: string
  readonly stream: string
}

export const vectors: WireVectors = JSON.parse(
  readFileSync(new URL('../vectors/memberlist.json', import.meta.url), 'utf8'),
) as WireVectors

/** Bytes of hex text; spaces are for the reader. */
export function hex(...parts: readonly string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(parts.join('').replaceAll(' ', ''), 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return hexEncode(bytes)
}

/** Wrapped as a peer does that compresses. */
export const compressed: (message: Uint8Array) => Uint8Array = encodeCompressed

/** The body of a vector with the type byte that it lacks. */
export function typed(type: number, vector: string): Uint8Array {
  const body = vectors.messages[vector]
  if (body === undefined) throw new Error(`no vector ${vector}`)
  return hex(type.toString(16).padStart(2, '0'), body)
}

/** The one message of a packet that must hold nothing else. */
export function onlyMessage({ messages, drops }: DecodedPacket): PacketMessage {
  const message = messages[0]
  if (message === undefined || messages.length !== 1 || drops.length !== 0)
    throw new Error(`expected one message, got ${JSON.stringify({ messages, drops })}`)
  return message
}

export const aliveSample: Alive = {
  type: 'alive',
  incarnation: 70_000,
  node: 'node-1',
  addr: Uint8Array.of(10, 0, 0, 1),
  port: 7946,
  meta: Uint8Array.of(0xff, 0x80),
  vsn: Uint8Array.of(1, 5, 2, 2, 5, 4),
}

export const nodeSample: PushNodeState = {
  name: 'node-1',
  addr: Uint8Array.of(10, 0, 0, 1),
  port: 7946,
  meta: Uint8Array.of(0xff, 0x80),
  incarnation: 70_000,
  state: 1,
  vsn: Uint8Array.of(1, 5, 2, 2, 5, 4),
}

export const pushPullSample: PushPull = {
  type: 'pushPull',
  join: true,
  nodes: [nodeSample, { ...nodeSample, name: 'é', state: 3, meta: new Uint8Array(300).fill(7) }],
  userState: Uint8Array.of(0x53, 0x48, 1, 9, 9),
}
