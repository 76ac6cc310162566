/**
 * The structs of single messages, read field by field. A field outside its rules is flagged on the reader: a record
 * with a name, address, port or version that breaks them would do harm at any peer it is relayed to.
 * The order of keys in a schema is that of the peers' declaration, which their positional form counts by.
 */
import { EMPTY_BYTES } from '../../bytes.js'
import { unreachable } from '../../errors.js'
import type { Ack, Alive, IndirectPing, Nack, Ping, Source } from './messages.js'
import type { MsgpackReader } from './msgpack-reader.js'
import {
  FIELD_BYTES_MAX,
  META_BYTES_READ_MAX,
  NAME_BYTES_MAX,
  PORT_MAX,
  requireAddress,
  requireName,
  requireVersions,
  U32_MAX,
} from './record-rules.js'
import { structSchema } from './struct-schema.js'

const PING = structSchema('SeqNo', 'Node', 'SourceAddr', 'SourcePort', 'SourceNode')
const INDIRECT_PING = structSchema('SeqNo', 'Target', 'Port', 'Node', 'Nack', 'SourceAddr', 'SourcePort', 'SourceNode')
const ACK = structSchema('SeqNo', 'Payload')
const NACK = structSchema('SeqNo')
const ACCUSATION = structSchema('Incarnation', 'Node', 'From')
const ALIVE = structSchema('Incarnation', 'Node', 'Addr', 'Port', 'Meta', 'Vsn')

export function readPing(reader: MsgpackReader): Ping {
  let seqNo = 0
  let node = ''
  const source: SourceFields = { addr: EMPTY_BYTES, port: 0, node: '' }
  reader.openStruct()
  for (let key = reader.nextField(PING); key !== undefined; key = reader.nextField(PING)) {
    if (key === 'SeqNo') seqNo = reader.readUint(U32_MAX)
    else if (key === 'Node') node = reader.readText(NAME_BYTES_MAX)
    else readSourceField(reader, key, source)
  }
  return { type: 'ping', seqNo, node, source: completeSource(reader, source) }
}

export function readIndirectPing(reader: MsgpackReader): IndirectPing {
  let seqNo = 0
  let target = EMPTY_BYTES
  let port = 0
  let node = ''
  let nack = false
  const source: SourceFields = { addr: EMPTY_BYTES, port: 0, node: '' }
  reader.openStruct()
  for (let key = reader.nextField(INDIRECT_PING); key !== undefined; key = reader.nextField(INDIRECT_PING)) {
    if (key === 'SeqNo') seqNo = reader.readUint(U32_MAX)
    else if (key === 'Target') target = reader.readBytes(FIELD_BYTES_MAX)
    else if (key === 'Port') port = reader.readUint(PORT_MAX)
    else if (key === 'Node') node = reader.readText(NAME_BYTES_MAX)
    else if (key === 'Nack') nack = reader.readBool()
    else readSourceField(reader, key, source)
  }
  requireName(reader, node)
  requireAddress(reader, target, port)
  return { type: 'indirectPing', seqNo, target, port, node, nack, source: completeSource(reader, source) }
}

export function readAck(reader: MsgpackReader): Ack {
  let seqNo = 0
  let payload = EMPTY_BYTES
  reader.openStruct()
  for (let key = reader.nextField(ACK); key !== undefined; key = reader.nextField(ACK)) {
    if (key === 'SeqNo') seqNo = reader.readUint(U32_MAX)
    else payload = reader.readBytes(FIELD_BYTES_MAX)
  }
  return { type: 'ack', seqNo, payload }
}

export function readNack(reader: MsgpackReader): Nack {
  let seqNo = 0
  reader.openStruct()
  while (reader.nextField(NACK) !== undefined) seqNo = reader.readUint(U32_MAX)
  return { type: 'nack', seqNo }
}

/** Suspect and dead differ in nothing but their type. */
export function readAccusation<T extends 'suspect' | 'dead'>(
  reader: MsgpackReader,
  type: T,
): { type: T; incarnation: number; node: string; from: string } {
  let incarnation = 0
  let node = ''
  let from = ''
  reader.openStruct()
  for (let key = reader.nextField(ACCUSATION); key !== undefined; key = reader.nextField(ACCUSATION)) {
    if (key === 'Incarnation') incarnation = reader.readUint(U32_MAX)
    else if (key === 'Node') node = reader.readText(NAME_BYTES_MAX)
    else from = reader.readText(NAME_BYTES_MAX)
  }
  requireName(reader, node)
  requireName(reader, from)
  return { type, incarnation, node, from }
}

export function readAlive(reader: MsgpackReader): Alive {
  let incarnation = 0
  let node = ''
  let addr = EMPTY_BYTES
  let port = 0
  let meta = EMPTY_BYTES
  let vsn = EMPTY_BYTES
  reader.openStruct()
  for (let key = reader.nextField(ALIVE); key !== undefined; key = reader.nextField(ALIVE)) {
    if (key === 'Addr') addr = reader.readBytes(FIELD_BYTES_MAX)
    else if (key === 'Incarnation') incarnation = reader.readUint(U32_MAX)
    else if (key === 'Meta') meta = reader.readBytes(META_BYTES_READ_MAX)
    else if (key === 'Node') node = reader.readText(NAME_BYTES_MAX)
    else if (key === 'Port') port = reader.readUint(PORT_MAX)
    else if (key === 'Vsn') vsn = reader.readBytes(FIELD_BYTES_MAX)
    else unreachable(key)
  }
  requireName(reader, node)
  requireAddress(reader, addr, port)
  requireVersions(reader, vsn)
  return { type: 'alive', incarnation, node, addr, port, meta, vsn }
}

interface SourceFields {
  addr: Uint8Array
  port: number
  node: string
}

function readSourceField(
  reader: MsgpackReader,
  key: 'SourceAddr' | 'SourcePort' | 'SourceNode',
  source: SourceFields,
): void {
  if (key === 'SourceAddr') source.addr = reader.readBytes(FIELD_BYTES_MAX)
  else if (key === 'SourcePort') source.port = reader.readUint(PORT_MAX)
  else source.node = reader.readText(NAME_BYTES_MAX)
}

/** A sender that does not name both its address and its port is answered at the address the packet came from. */
function completeSource(reader: MsgpackReader, source: SourceFields): Source | undefined {
  if (source.addr.length === 0 || source.port === 0) return undefined
  requireAddress(reader, source.addr, source.port)
  return source
}
