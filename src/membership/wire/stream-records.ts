/** The structs that only streams carry: the heads that announce what follows, and the members of a push/pull list. */
import { EMPTY_BYTES } from '../../bytes.js'
import { unreachable } from '../../errors.js'
import type { ErrorReply, PushNodeState, WireState } from './messages.js'
import { WIRE_STATE } from './messages.js'
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

const PUSH_PULL_HEADER = structSchema('Nodes', 'UserStateLen', 'Join')
const NODE_STATE = structSchema('Name', 'Addr', 'Port', 'Meta', 'Incarnation', 'State', 'Vsn')
const USER_HEADER = structSchema('UserMsgLen')
const ERROR_REPLY = structSchema('Error')

export interface PushPullHeader {
  readonly join: boolean
  readonly nodeCount: number
  readonly userStateBytes: number
}

export function readPushPullHeader(reader: MsgpackReader): PushPullHeader {
  let join = false
  let nodeCount = 0
  let userStateBytes = 0
  reader.openStruct()
  for (let key = reader.nextField(PUSH_PULL_HEADER); key !== undefined; key = reader.nextField(PUSH_PULL_HEADER)) {
    if (key === 'Join') join = reader.readBool()
    else if (key === 'Nodes') nodeCount = reader.readUint(U32_MAX)
    else userStateBytes = reader.readUint(U32_MAX)
  }
  return { join, nodeCount, userStateBytes }
}

export function readNodeState(reader: MsgpackReader): PushNodeState {
  let name = ''
  let addr = EMPTY_BYTES
  let port = 0
  let meta = EMPTY_BYTES
  let incarnation = 0
  let state: WireState = WIRE_STATE.alive
  let vsn = EMPTY_BYTES
  reader.openStruct()
  for (let key = reader.nextField(NODE_STATE); key !== undefined; key = reader.nextField(NODE_STATE)) {
    if (key === 'Addr') addr = reader.readBytes(FIELD_BYTES_MAX)
    else if (key === 'Incarnation') incarnation = reader.readUint(U32_MAX)
    else if (key === 'Meta') meta = reader.readBytes(META_BYTES_READ_MAX)
    else if (key === 'Name') name = reader.readText(NAME_BYTES_MAX)
    else if (key === 'Port') port = reader.readUint(PORT_MAX)
    else if (key === 'State') state = reader.readUint(WIRE_STATE.left) as WireState
    else if (key === 'Vsn') vsn = reader.readBytes(FIELD_BYTES_MAX)
    else unreachable(key)
  }
  requireName(reader, name)
  requireAddress(reader, addr, port)
  requireVersions(reader, vsn)
  return { name, addr, port, meta, incarnation, state, vsn }
}

/** How many bytes of user message follow. */
export function readUserHeader(reader: MsgpackReader): number {
  let userBytes = 0
  reader.openStruct()
  while (reader.nextField(USER_HEADER) !== undefined) userBytes = reader.readUint(U32_MAX)
  return userBytes
}

export function readErrorReply(reader: MsgpackReader): ErrorReply {
  let error = ''
  reader.openStruct()
  while (reader.nextField(ERROR_REPLY) !== undefined) error = reader.readText(FIELD_BYTES_MAX)
  return { type: 'err', error }
}
