/**
 * The few of Serf's own messages that a guest among its agents needs: the intents that tell a leave from a failure, and
 * of an agent's push/pull state its Lamport time and what it says of one name. Bytes only; what follows from them is
 * decided in `serf-guest.ts`.
 */

import type { WireDrop } from './wire/messages.js'
import { MsgpackReader } from './wire/msgpack-reader.js'
import { MsgpackWriter } from './wire/msgpack-writer.js'
import { NAME_BYTES_MAX } from './wire/record-rules.js'
import { structSchema } from './wire/struct-schema.js'

/** First byte of a user message, and of the user state. */
const SERF_TYPE = { leave: 0, join: 1, pushPull: 2 } as const
/** Serf counts in 64 bits; what exceeds this is no time that a cluster reaches, and a number would lose its last digits. */
export const LAMPORT_TIME_MAX: number = 2 ** 53 - 2
/** Names in one agent's state; beyond it the state is not read. */
const STATE_NAMES_MAX = 65_536
/** Values inside the recent user events, which are stepped over: 512 slots of several events each. */
const STATE_SKIPPED_MAX = 65_536

const INTENT = structSchema('LTime', 'Node', 'Prune')
const STATE = structSchema('LTime', 'StatusLTimes', 'LeftMembers', 'EventLTime', 'Events', 'QueryLTime')

/** Somebody says that `node` joined or is about to leave, as of a Lamport time. */
export interface SerfIntent {
  readonly kind: 'join' | 'leave'
  readonly time: number
  readonly node: string
}

export interface SerfState {
  /** The agent's clock: no message with this time has been sent yet. */
  readonly time: number
  /** The time that the agent has noted for the name that was asked about; 0 for none. */
  readonly statusTime: number
  /** Whether it lists that name among those that left. */
  readonly hasLeft: boolean
}

const writer = new MsgpackWriter()
const reader = new MsgpackReader()

/** The payload of a user message, without membership's own type byte. */
export function encodeSerfIntent({ kind, time, node }: SerfIntent): Uint8Array {
  writer.begin()
  writer.byte(SERF_TYPE[kind])
  writer.mapHead(kind === 'leave' ? 3 : 2)
  writer.text('LTime')
  writer.uint(time)
  writer.text('Node')
  writer.text(node)
  if (kind === 'leave') {
    writer.text('Prune')
    writer.bool(false)
  }
  return writer.finish()
}

/** The intent in a user message, why it is none that can be used, or `undefined` for anything else. */
export function tryDecodeSerfIntent(bytes: Uint8Array): SerfIntent | { readonly drop: WireDrop } | undefined {
  const kind = bytes[0] === SERF_TYPE.leave ? 'leave' : bytes[0] === SERF_TYPE.join ? 'join' : undefined
  if (kind === undefined) return undefined
  let time = 0
  let node = ''
  reader.open(bytes, 1)
  reader.openStruct()
  for (let key = reader.nextField(INTENT); key !== undefined; key = reader.nextField(INTENT)) {
    if (key === 'LTime') time = reader.readUint(LAMPORT_TIME_MAX)
    else if (key === 'Node') node = reader.readText(NAME_BYTES_MAX)
    else reader.readBool()
  }
  const drop = reader.trouble()
  return drop === undefined ? { kind, time, node } : { drop }
}

/** What an agent's user state says of `name`; the reason if it cannot be read, `undefined` if it is no agent's. */
export function tryDecodeSerfState(
  bytes: Uint8Array,
  name: string,
): SerfState | { readonly drop: WireDrop } | undefined {
  if (bytes[0] !== SERF_TYPE.pushPull) return undefined
  let time = 0
  let statusTimesAt: number | undefined
  let leftAt: number | undefined
  reader.open(bytes, 1, STATE_SKIPPED_MAX)
  reader.openStruct()
  for (let key = reader.nextField(STATE); key !== undefined; key = reader.nextField(STATE)) {
    if (key === 'StatusLTimes') statusTimesAt = reader.position()
    else if (key === 'LeftMembers') leftAt = reader.position()
    if (key === 'LTime') time = reader.readUint(LAMPORT_TIME_MAX)
    else reader.skip()
  }
  const drop = reader.trouble()
  if (drop !== undefined) return { drop }
  const statusTime = statusTimesAt === undefined ? 0 : readTimeOf(name, bytes, statusTimesAt)
  const hasLeft = leftAt !== undefined && isListed(name, bytes, leftAt)
  const flaw = reader.trouble()
  return flaw === undefined ? { time, statusTime, hasLeft } : { drop: flaw }
}

function readTimeOf(name: string, bytes: Uint8Array, start: number): number {
  let found = 0
  reader.open(bytes, start)
  reader.openStruct(STATE_NAMES_MAX)
  while (reader.nextEntry()) {
    const key = reader.readText(NAME_BYTES_MAX)
    const time = reader.readUint(LAMPORT_TIME_MAX)
    if (key === name) found = time
  }
  return reader.trouble() === undefined ? found : 0
}

function isListed(name: string, bytes: Uint8Array, start: number): boolean {
  let found = false
  reader.open(bytes, start)
  reader.openStruct(STATE_NAMES_MAX)
  while (reader.nextItem()) if (reader.readText(NAME_BYTES_MAX) === name) found = true
  return found && reader.trouble() === undefined
}
