/**
 * Messages to bytes, identical with what Go peers write: type byte, then a map with its keys in ascending order.
 * Trusts its caller: numbers are u32, names and addresses follow the rules that the decoder demands.
 */
import { unreachable } from '../../errors.js'
import type { Alive, IndirectPing, PacketMessage, Ping, PushNodeState, PushPull, Source } from './messages.js'
import { MESSAGE_TYPE } from './messages.js'
import { MsgpackWriter } from './msgpack-writer.js'

/** One for all: encoding is synchronous, so no two messages are in it at once. */
const writer = new MsgpackWriter()

/** A message for a packet, type byte included; a ping and an ack are the same bytes on a stream. */
export function encodeMessage(message: PacketMessage): Uint8Array {
  writer.begin()
  writer.byte(MESSAGE_TYPE[message.type])
  writeBody(message)
  return writer.finish()
}

export function encodePushPull({ join, nodes, userState }: PushPull): Uint8Array {
  writer.begin()
  writer.byte(MESSAGE_TYPE.pushPull)
  writer.mapHead(3)
  writer.text('Join')
  writer.bool(join)
  writeUint('Nodes', nodes.length)
  writeUint('UserStateLen', userState.length)
  for (const node of nodes) writeNodeState(node)
  writer.raw(userState)
  return writer.finish()
}

/** A user message for a stream; in a packet it has no header but its type byte. */
export function encodeStreamUser(payload: Uint8Array): Uint8Array {
  writer.begin()
  writer.byte(MESSAGE_TYPE.user)
  writer.mapHead(1)
  writeUint('UserMsgLen', payload.length)
  writer.raw(payload)
  return writer.finish()
}

/** What a responder sends instead of an answer. */
export function encodeErrorReply(error: string): Uint8Array {
  writer.begin()
  writer.byte(MESSAGE_TYPE.err)
  writer.mapHead(1)
  writeText('Error', error)
  return writer.finish()
}

function writeBody(message: PacketMessage): void {
  switch (message.type) {
    case 'ping':
      writePing(message)
      break
    case 'indirectPing':
      writeIndirectPing(message)
      break
    case 'ack':
      writer.mapHead(2)
      writeBytes('Payload', message.payload)
      writeUint('SeqNo', message.seqNo)
      break
    case 'nack':
      writer.mapHead(1)
      writeUint('SeqNo', message.seqNo)
      break
    case 'suspect':
    case 'dead':
      writer.mapHead(3)
      writeText('From', message.from)
      writeUint('Incarnation', message.incarnation)
      writeText('Node', message.node)
      break
    case 'alive':
      writeAlive(message)
      break
    case 'user':
      writer.raw(message.payload)
      break
    default:
      unreachable(message)
  }
}

function writePing({ node, seqNo, source }: Ping): void {
  writer.mapHead(2 + sourceFieldCount(source))
  writeText('Node', node)
  writeUint('SeqNo', seqNo)
  writeSource(source)
}

function writeIndirectPing({ nack, node, port, seqNo, source, target }: IndirectPing): void {
  writer.mapHead(5 + sourceFieldCount(source))
  writer.text('Nack')
  writer.bool(nack)
  writeText('Node', node)
  writeUint('Port', port)
  writeUint('SeqNo', seqNo)
  writeSource(source)
  writeBytes('Target', target)
}

function writeAlive(alive: Alive): void {
  writer.mapHead(6)
  writeBytes('Addr', alive.addr)
  writeUint('Incarnation', alive.incarnation)
  writeBytes('Meta', alive.meta)
  writeText('Node', alive.node)
  writeUint('Port', alive.port)
  writeBytes('Vsn', alive.vsn)
}

function writeNodeState(node: PushNodeState): void {
  writer.mapHead(7)
  writeBytes('Addr', node.addr)
  writeUint('Incarnation', node.incarnation)
  writeBytes('Meta', node.meta)
  writeText('Name', node.name)
  writeUint('Port', node.port)
  writeUint('State', node.state)
  writeBytes('Vsn', node.vsn)
}

/** Each source field is left out when it is empty. */
function sourceFieldCount(source: Source | undefined): number {
  if (source === undefined) return 0
  return Number(source.addr.length > 0) + Number(source.node !== '') + Number(source.port > 0)
}

function writeSource(source: Source | undefined): void {
  if (source === undefined) return
  if (source.addr.length > 0) writeBytes('SourceAddr', source.addr)
  if (source.node !== '') writeText('SourceNode', source.node)
  if (source.port > 0) writeUint('SourcePort', source.port)
}

function writeBytes(key: string, value: Uint8Array): void {
  writer.text(key)
  writer.bytes(value)
}

function writeText(key: string, value: string): void {
  writer.text(key)
  writer.text(value)
}

function writeUint(key: string, value: number): void {
  writer.text(key)
  writer.uint(value)
}
