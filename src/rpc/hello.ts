/**
 * The first frame each way: who calls, whom it expects to reach, and what both can do; then the rules by which a callee
 * takes or refuses it. A reused address is refused here rather than answered by the wrong node.
 */
import { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { Refusal } from './caller-identity.js'
import type { Span } from './frame-reader.js'

/** `SHRP`, read as a little-endian u32. */
const MAGIC = 0x50524853
export const PROTOCOL_MIN = 1
export const PROTOCOL_MAX = 1
/** Longest name of a cluster, node, codec or boot id on this wire, in UTF-8 bytes. */
export const IDENTITY_BYTES_MAX = 512

export interface RpcIdentity {
  readonly cluster: string
  readonly node: string
  readonly bootId: string
}

export interface Hello extends RpcIdentity {
  readonly protocolMin: number
  readonly protocolMax: number
  /** Bits of optional abilities (`features.ts`); unknown ones are ignored. */
  readonly features: number
  /** The longest frame that the caller reads. */
  readonly frameBytesMax: number
  readonly codec: string
  readonly expectedNode: string
  /** `''` when any boot of the node will do. */
  readonly expectedBootId: string
}

export interface Welcome {
  readonly protocol: number
  readonly features: number
  readonly frameBytesMax: number
  readonly node: string
  readonly bootId: string
}

export function encodeHello(writer: ByteWriter, hello: Hello): void {
  writer.u32(MAGIC)
  writer.u8(hello.protocolMin)
  writer.u8(hello.protocolMax)
  writer.u32(hello.features)
  writer.u32(hello.frameBytesMax)
  writer.text(hello.codec)
  writer.text(hello.cluster)
  writer.text(hello.node)
  writer.text(hello.bootId)
  writer.text(hello.expectedNode)
  writer.text(hello.expectedBootId)
}

/** `undefined` unless it is a hello of ours. Bytes after the known fields belong to later versions and are ignored. */
export function decodeHello(body: Span): Hello | undefined {
  const reader = new ByteReader(body)
  if (reader.u32() !== MAGIC) return undefined
  const hello: Hello = {
    protocolMin: reader.u8(),
    protocolMax: reader.u8(),
    features: reader.u32(),
    frameBytesMax: reader.u32(),
    codec: reader.text(IDENTITY_BYTES_MAX),
    cluster: reader.text(IDENTITY_BYTES_MAX),
    node: reader.text(IDENTITY_BYTES_MAX),
    bootId: reader.text(IDENTITY_BYTES_MAX),
    expectedNode: reader.text(IDENTITY_BYTES_MAX),
    expectedBootId: reader.text(IDENTITY_BYTES_MAX),
  }
  return reader.failed ? undefined : hello
}

export function encodeWelcome(writer: ByteWriter, welcome: Welcome): void {
  writer.u8(welcome.protocol)
  writer.u32(welcome.features)
  writer.u32(welcome.frameBytesMax)
  writer.text(welcome.node)
  writer.text(welcome.bootId)
}

/** Ignores what later versions may add at the end. */
export function decodeWelcome(body: Span): Welcome | undefined {
  const reader = new ByteReader(body)
  const welcome: Welcome = {
    protocol: reader.u8(),
    features: reader.u32(),
    frameBytesMax: reader.u32(),
    node: reader.text(IDENTITY_BYTES_MAX),
    bootId: reader.text(IDENTITY_BYTES_MAX),
  }
  return reader.failed ? undefined : welcome
}

/** Why this node does not serve that caller: a counter's name, and words for the caller; `undefined` when it does. */
export function helloMismatch(hello: Hello, self: RpcIdentity, codec: string): Refusal | undefined {
  if (hello.cluster !== self.cluster)
    return refusal(
      'wrong-cluster',
      `cluster: node ${self.node} is in '${self.cluster}', the caller is in '${hello.cluster}'`,
    )
  if (hello.protocolMin > PROTOCOL_MAX || hello.protocolMax < PROTOCOL_MIN)
    return refusal(
      'wrong-version',
      `protocol version: node ${self.node} speaks ${PROTOCOL_MIN} to ${PROTOCOL_MAX}, the caller ${hello.protocolMin} to ${hello.protocolMax}`,
    )
  if (hello.expectedNode !== self.node)
    return refusal('wrong-node', `node name: this is '${self.node}', the caller expects '${hello.expectedNode}'`)
  if (hello.expectedBootId !== '' && hello.expectedBootId !== self.bootId)
    return refusal(
      'wrong-boot',
      `boot id: node ${self.node} runs as ${self.bootId}, the caller expects ${hello.expectedBootId}`,
    )
  if (hello.node === self.node && hello.bootId !== self.bootId)
    return refusal('wrong-node', `node name: node ${self.node} was called by another process that has its name`)
  if (hello.codec !== codec)
    return refusal('wrong-codec', `codec: node ${self.node} uses '${codec}', the caller '${hello.codec}'`)
  return undefined
}

function refusal(reason: string, message: string): Refusal {
  return { reason, message }
}

/** Whether TLS is spoken here: the record of a ClientHello. As the length of a frame it would be above what a hello may have. */
export function beginsTls(chunk: Uint8Array, length: number): boolean {
  return length >= 3 && chunk[0] === 0x16 && chunk[1] === 0x03 && (chunk[2] ?? 0) >= 1
}
