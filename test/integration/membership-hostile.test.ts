import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, expect, it, vi } from 'vitest'
import { tryParseHostPort } from '../../src/address.js'
import { concatBytes, EMPTY_BYTES } from '../../src/bytes.js'
import { Envelope } from '../../src/membership/envelope.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { encodeMessage, encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { MembershipCluster, type WatchedMembership } from '../support/membership-node.js'

const LABEL = 'test'
const cluster = new MembershipCluster(LABEL)
afterEach(() => cluster.closeAll())

/** No records with addresses: a flipped bit would have the node talk to strangers. */
const PACKETS: readonly Uint8Array[] = [
  encodeMessage({ type: 'ping', seqNo: 1, node: 'a', source: undefined }),
  encodeMessage({ type: 'ack', seqNo: 2, payload: Uint8Array.of(1, 2, 3) }),
  encodeMessage({ type: 'nack', seqNo: 3 }),
  encodeMessage({ type: 'suspect', node: 'somebody', incarnation: 4, from: 'x' }),
  encodeMessage({ type: 'dead', node: 'somebody', incarnation: 5, from: 'x' }),
  encodeMessage({ type: 'user', payload: Uint8Array.of(0x53, 0x48, 0x01, 9, 9, 9) }),
]
const STREAMS: readonly Uint8Array[] = [
  encodePushPull({ type: 'pushPull', join: true, nodes: [], userState: Uint8Array.of(1, 2, 3) }),
  encodeStreamUser(new Uint8Array(40)),
  encodeMessage({ type: 'ping', seqNo: 1, node: 'a', source: undefined }),
]

type Twist = (bytes: Uint8Array, random: Random) => Uint8Array

const noise: Twist = (_bytes, random) =>
  Uint8Array.from({ length: randomInt(random, 300) }, () => randomInt(random, 256))
const truncated: Twist = (bytes, random) => bytes.subarray(0, randomInt(random, bytes.length))
const flipped: Twist = (bytes, random) => {
  const copy = Uint8Array.from(bytes)
  for (let i = randomInt(random, 3); i >= 0; i--) {
    const at = randomInt(random, copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << randomInt(random, 8))
  }
  return copy
}
const nested: Twist = (bytes, random) => {
  let packet = bytes
  for (let depth = 5 + randomInt(random, 40); depth > 0; depth--) packet = encodeCompound([packet, bytes])
  return packet
}
/** An announcement of far more than follows. */
const boastful: Twist = (bytes) => concatBytes([bytes.subarray(0, 1), Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)])

async function sendPackets(target: WatchedMembership, count: number, make: (i: number) => Uint8Array): Promise<void> {
  const { host, port } = tryParseHostPort(target.membership.address)!
  const socket = createSocket('udp4')
  try {
    const before = target.membership.stats().packetsReceived
    for (let i = 0; i < count; i++) {
      await new Promise<void>((resolve) => socket.send(make(i), port, host, () => resolve()))
      if (i % 10 === 0) await turn()
    }
    await vi.waitFor(
      () => expect(target.membership.stats().packetsReceived - before).toBeGreaterThanOrEqual(count),
      5_000,
    )
  } finally {
    socket.close()
  }
}

/** Connects, writes all of it and waits until the node closes or has had its answer. */
function sendStream(target: WatchedMembership, bytes: Uint8Array): Promise<void> {
  const { host, port } = tryParseHostPort(target.membership.address)!
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => socket.end(bytes))
    socket.on('data', () => {})
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
}

/** The node still answers, still merges and still knows its friend. */
async function expectSound(target: WatchedMembership, friend: WatchedMembership): Promise<void> {
  const newcomer = await cluster.start('newcomer', { seeds: [target.membership.address] })
  await newcomer.membership.joinSeeds() // goes on by itself when the first pass was turned away
  await Promise.all([target, friend].map((node) => node.untilState('newcomer', 'alive')))
  expect(target.view()[friend.name]).toBe('alive')
}

it('a thousand hostile datagrams are counted and leave a live node working', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const [a, b] = await cluster.form('a', 'b')
  const envelope = new Envelope(LABEL)
  const twists = [noise, truncated, flipped, nested, boastful]
  const make = (i: number): Uint8Array => {
    const bytes = twists[i % twists.length]!(PACKETS[randomInt(random, PACKETS.length)]!, random)
    return i % 7 === 0 ? bytes : envelope.sealPacket(bytes)
  }
  await sendPackets(a!, 1_000, make)
  const { drops } = a!.membership.stats()
  const counted = Object.values(drops).reduce((sum, count) => sum + count, 0)
  expect(counted, `seed ${seed}`).toBeGreaterThan(500)
  for (const reason of ['wrong-label', 'truncated', 'too-deep', 'unknown-type'] as const) {
    expect(drops[reason] ?? 0, `${reason}, seed ${seed}`).toBeGreaterThan(0)
  }
  await expectSound(a!, b!)
})

it('a hundred hostile streams are closed and leave a live node working', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const [a, b] = await cluster.form('a', 'b')
  const envelope = new Envelope(LABEL)
  const twists = [noise, truncated, flipped, boastful]
  const sent = Array.from({ length: 100 }, (_, i) => {
    const bytes = twists[i % twists.length]!(STREAMS[randomInt(random, STREAMS.length)]!, random)
    return sendStream(a!, i % 7 === 0 ? bytes : envelope.sealStream(bytes))
  })
  await Promise.all(sent)
  const counted = Object.values(a!.membership.stats().drops).reduce((sum, count) => sum + count, 0)
  expect(counted, `seed ${seed}`).toBeGreaterThan(20)
  await expectSound(a!, b!)
})

it('more streams than a node accepts at once are turned away and counted', async () => {
  const [a, b] = await cluster.form('a', 'b')
  const { host, port } = tryParseHostPort(a!.membership.address)!
  const sockets = Array.from({ length: 160 }, () => connect({ host, port }).on('error', () => {}))
  await vi.waitFor(() => expect(a!.membership.stats().streamsRefused).toBeGreaterThan(0), 5_000)
  for (const socket of sockets) socket.destroy()
  await expectSound(a!, b!)
})

it('an empty datagram is counted', async () => {
  const a = await cluster.start('a')
  await sendPackets(a, 1, () => EMPTY_BYTES)
  expect(Object.values(a.membership.stats().drops)).toEqual([1])
})
