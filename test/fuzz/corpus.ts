/**
 * What the mutations begin with: every vector of the wire, plain and as it was sealed and labelled, and messages of every
 * kind made by our own encoders about the members of the cluster under test.
 */
import { concatBytes, utf8Encode } from '../../src/bytes.js'
import { TAG_BOOT_ID, TAG_RPC_ADDRESS } from '../../src/membership/member.js'
import { encodeTags } from '../../src/membership/tags.js'
import { encodeErrorReply, encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import { MESSAGE_TYPE } from '../../src/membership/wire/messages.js'
import { MsgpackWriter } from '../../src/membership/wire/msgpack-writer.js'
import type { Registry } from '../../src/registry/index.js'
import { BOOT_1, BOOT_2, member, newRegistry, news, running } from '../support/registry-cluster.js'
import { compressed, hex, pushPullSample, toHex, typed, vectors } from '../support/wire.js'

/** The machine under test is `me`; these are the others it knows. */
export const PEERS: readonly string[] = Array.from({ length: 12 }, (_, index) => `p${index}`)
const SERVICES = ['orders', 'stock', 'mail']

/** The tags that make a member a shoal node, so that the registry's messages about it count. */
export function metaOf(peer: string, bootId: string = BOOT_1): Uint8Array {
  const key = `${peer} ${bootId}`
  const meta = metas.get(key) ?? encodeTags({ [TAG_BOOT_ID]: bootId, [TAG_RPC_ADDRESS]: `${peer}:1` })
  metas.set(key, meta)
  return meta
}

/** Made once: they are wanted with every other input. */
const metas = new Map<string, Uint8Array>()

const { ping, indirectPing, ack, suspect, alive, dead, nack } = MESSAGE_TYPE
const PACKET_VECTORS: readonly (readonly [name: string, type: number])[] = [
  ...(['ping1', 'ping2'] as const).map((name) => [name, ping] as const),
  ...(['ack1', 'ack2', 'ack3'] as const).map((name) => [name, ack] as const),
  ...(['alive1', 'alive2', 'alive3'] as const).map((name) => [name, alive] as const),
  ['ind1', indirectPing],
  ['nack1', nack],
  ['suspect1', suspect],
  ['suspect1', dead],
]

/** Bytes of a `compress` message around LZW data as Go wrote it. */
function goCompressed(data: Uint8Array): Uint8Array {
  const writer = new MsgpackWriter()
  writer.begin()
  writer.byte(MESSAGE_TYPE.compress)
  writer.mapHead(2)
  writer.text('Algo')
  writer.uint(0)
  writer.text('Buf')
  writer.bytes(data)
  return writer.finish()
}

/** Without label and seal. */
export const PACKETS: readonly Uint8Array[] = [
  ...PACKET_VECTORS.map(([name, type]) => typed(type, name)),
  hex(vectors.messages['comp1']!),
  ...vectors.packets.map(({ inner }) => hex(inner)),
  ...vectors.lzw.map(([, data]) => goCompressed(hex(data))),
]

/** Those in which nothing is compressed, of members that speak the versions of the cluster under test. */
export const PLAIN_PACKETS: readonly Uint8Array[] = PACKETS.filter(
  (packet) => !packet.some((byte, at) => byte === MESSAGE_TYPE.compress && packet[at + 1] === 0x82),
).map(atHome)

/** One member of other versions, as serf's are, and every push/pull would be refused: few inputs bring one. */
function atHome(bytes: Uint8Array): Uint8Array {
  return hex(toHex(bytes).replaceAll('a6010502020504', 'a6010502000000'))
}

/** As they were on the network, under keys and labels that may be ours. */
export const OUTER_PACKETS: readonly Uint8Array[] = vectors.packets.map(({ packet }) => hex(packet))
export const OUTER_STREAMS: readonly Uint8Array[] = vectors.streams.map(({ stream }) => hex(stream))

const header = hex(vectors.messages['pph1']!)
const node = hex(vectors.messages['pns1']!)

export const STREAMS: readonly Uint8Array[] = [
  ...vectors.streams.map(({ inner }) => hex(inner)),
  typed(ping, 'ping2'),
  typed(ack, 'ack2'),
  typed(MESSAGE_TYPE.err, 'err1'),
  concatBytes([Uint8Array.of(MESSAGE_TYPE.pushPull), header, node, node, node]),
  concatBytes([Uint8Array.of(MESSAGE_TYPE.user), hex(vectors.messages['umh']!), utf8Encode('body')]),
  encodePushPull(pushPullSample),
  encodeStreamUser(utf8Encode('payload')),
  encodeErrorReply('boom'),
].map(atHome)

/** Registries of the peers, of strangers and of another node with our name, with services, each knowing the peers. */
function registries(): Registry[] {
  const strangers = Array.from({ length: 40 }, (_, index) => `s${index}`)
  const all = [...PEERS, ...strangers].map((name) => newRegistry(name, { recentMs: 1 }))
  all.push(newRegistry('p0', { bootId: BOOT_2 }), newRegistry('me', { bootId: BOOT_2 }))
  for (const [index, registry] of all.entries()) {
    for (const peer of PEERS) registry.handleMember(member(peer))
    for (const service of SERVICES.slice(0, 1 + (index % SERVICES.length))) running(registry, service)
  }
  return all
}

interface Payloads {
  /** For user messages. */
  readonly messages: readonly Uint8Array[]
  /** For the user state of a push/pull. */
  readonly states: readonly Uint8Array[]
}

/** The registry's bytes of every kind: change, announce, digest, state, records. */
function payloads(): Payloads {
  const messages: Uint8Array[] = []
  const states: Uint8Array[] = []
  for (const registry of registries()) {
    const change = news(registry)
    // Long after the first change the next one stands alone: who missed the first has a gap.
    registry.setStatus(SERVICES[0]!, { status: 'running', reason: 'again', at: 100_000 })
    const later = news(registry)
    const digest = registry.localState(undefined)
    const state = registry.localState(new Uint8Array(0))
    const rest = newRegistry('me').mergeState(state)
    // A peer that knows nothing answers with its digest; the rest is what it is then sent.
    const records = registry.mergeState(newRegistry('me').localState(new Uint8Array(0)))
    messages.push(change, later, announced(later), ...[rest, records].filter((bytes) => bytes !== undefined))
    states.push(digest, state, later)
  }
  return { messages, states }
}

/** An announcement has the same head as a change, and fewer fields. */
function announced(change: Uint8Array): Uint8Array {
  const bytes = change.slice()
  bytes[3] = 2
  return bytes
}

export const PAYLOADS: Payloads = payloads()

/** Little that inflates to much: to the limit of a packet, far beyond it, and to nested bombs. */
export const BOMBS: readonly Uint8Array[] = [
  compressed(new Uint8Array(4_000)),
  compressed(new Uint8Array(60_000)),
  compressed(concatBytes([Uint8Array.of(MESSAGE_TYPE.user), new Uint8Array(65_000)])),
  compressed(new Uint8Array(300_000)),
  compressed(compressed(new Uint8Array(1 << 20))),
]

let greatBomb: Uint8Array | undefined

/** For streams, whose limit is 20 MiB: dear, so seldom. */
export function makeGreatBomb(): Uint8Array {
  greatBomb ??= compressed(new Uint8Array(21 * 1024 * 1024))
  return greatBomb
}
