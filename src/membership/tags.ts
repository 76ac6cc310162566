/**
 * Tags in a member's meta, in Serf's encoding: `ff`, then a MessagePack map of text to text. Serf agents show them, and
 * ours show theirs. Knows nothing of what a tag means.
 */
import { ByteCache } from '../byte-cache.js'
import { tryUtf8Decode } from '../bytes.js'
import { ShoalError } from '../errors.js'
import { MsgpackReader } from './wire/msgpack-reader.js'
import { MsgpackWriter } from './wire/msgpack-writer.js'

/** What an owner may put into its meta. Peers accept more from others. */
export const META_BYTES_MAX = 512

const TAG_MAGIC = 0xff
/** On reading: more than any meta that fits a packet can hold. */
const TAGS_MAX = 65_536
const TEXT_BYTES_MAX = 65_536

const writer = new MsgpackWriter()
/** Each member's meta comes again with every push/pull. */
const known = new ByteCache<Tags>(4_096, parseTags)

export type Tags = Readonly<Record<string, string>>

/** Keys in ascending order, so that equal tags are equal bytes. Throws `TOO_LARGE` beyond 512 bytes. */
export function encodeTags(tags: Tags): Uint8Array {
  const entries = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1))
  writer.begin()
  writer.byte(TAG_MAGIC)
  writer.mapHead(entries.length)
  for (const [key, value] of entries) {
    writer.text(key)
    writer.text(value)
  }
  const meta = writer.finish()
  if (meta.length <= META_BYTES_MAX) return meta
  throw new ShoalError('TOO_LARGE', `the tags take ${meta.length} bytes; the limit is ${META_BYTES_MAX}`)
}

/**
 * The tags of any member, frozen and without a prototype: a foreign key named like a method of objects is only a key.
 * Meta that is not tags but text is an old peer's role; anything else, malformed tags included, gives none.
 */
export function decodeTags(meta: Uint8Array): Tags {
  return meta.length > META_BYTES_MAX ? parseTags(meta) : known.get(meta)
}

function parseTags(meta: Uint8Array): Tags {
  return Object.freeze(meta.length > 0 && meta[0] !== TAG_MAGIC ? roleOf(meta) : tagsOf(meta))
}

function tagsOf(meta: Uint8Array): Record<string, string> {
  if (meta.length === 0) return noTags()
  const tags = noTags()
  const reader = new MsgpackReader()
  reader.open(meta, 1)
  reader.openStruct(TAGS_MAX)
  while (reader.nextEntry()) {
    const key = reader.readText(TEXT_BYTES_MAX)
    tags[key] = reader.readText(TEXT_BYTES_MAX)
  }
  return reader.trouble() === undefined ? tags : noTags()
}

function roleOf(meta: Uint8Array): Record<string, string> {
  const role = tryUtf8Decode(meta)
  const tags = noTags()
  if (role !== undefined) tags['role'] = role
  return tags
}

function noTags(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}
