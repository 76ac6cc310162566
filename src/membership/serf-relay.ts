/**
 * What agents tell each other reaches guests as often as agents: a guest that kept it to itself would be a dead end, and
 * among many guests an agent's leave, event or query would not get around (a leave is then taken for a failure). So each
 * whole message of these kinds is passed on once, as it came. Knows its form, not what it means.
 */
import { crc32 } from './wire/crc.js'
import { MsgpackReader } from './wire/msgpack-reader.js'
import { U32_MAX } from './wire/record-rules.js'
import { structSchema } from './wire/struct-schema.js'

/** Leave, join, user event, query: what Serf broadcasts. Answers go from node to node. */
const BROADCAST_TYPES: ReadonlySet<number> = new Set([0, 1, 3, 4])
const QUERY_TYPE = 4
/** A query with this flag is meant for its receiver alone. */
const FLAG_NO_BROADCAST = 2
/** Messages that are recognised as seen. Agents stop telling one within seconds; the oldest gives way. */
const SEEN_MAX = 4_096

const FLAGS = structSchema('Flags')
const reader = new MsgpackReader()

export class SerfRelay {
  readonly #seen = new Set<string>()

  /** The name under which this message is to be passed on; or why it is not. */
  judge(bytes: Uint8Array): { readonly key: string } | 'seen' | 'foreign' {
    if (!isBroadcast(bytes)) return 'foreign'
    const key = `${crc32(bytes, 0)} ${bytes.length}`
    if (this.#seen.has(key)) return 'seen'
    this.#seen.add(key)
    const [oldest] = this.#seen
    if (this.#seen.size > SEEN_MAX && oldest !== undefined) this.#seen.delete(oldest)
    return { key }
  }
}

/** Whether agents would pass it on: of a known kind, whole, nothing behind it, and not for its receiver alone. */
function isBroadcast(bytes: Uint8Array): boolean {
  const [type] = bytes
  if (type === undefined || !BROADCAST_TYPES.has(type)) return false
  let flags = 0
  reader.open(bytes, 1)
  reader.openStruct()
  while (reader.nextField(FLAGS) !== undefined) flags = reader.readUint(U32_MAX)
  if (reader.trouble() !== undefined || reader.position() !== bytes.length) return false
  return type !== QUERY_TYPE || (flags & FLAG_NO_BROADCAST) === 0
}
