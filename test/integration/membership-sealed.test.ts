import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { type HostPort, tryParseHostPort } from '../../src/address.js'
import { isShoalError } from '../../src/errors.js'
import { Envelope } from '../../src/membership/envelope.js'
import type { MembershipOptions } from '../../src/membership/membership-options.js'
import { encodeMessage, encodePushPull } from '../../src/membership/wire/encode.js'
import { StreamDecoder } from '../../src/membership/wire/stream.js'
import { MembershipCluster, type WatchedMembership } from '../support/membership-node.js'
import { base64, feedStream, KEY_A, KEY_B, KEY_C, sealed } from '../support/sealing.js'
import { until } from '../support/until.js'
import { aliveSample, pushPullSample } from '../support/wire.js'

const LABEL = 'sealed'
/** Pings and acks of several probe intervals. */
const PACKETS_OF_SOME_PROBES = 10
const clusters: MembershipCluster[] = []

afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.closeAll()))
})

function newCluster(label = LABEL): MembershipCluster {
  const cluster = new MembershipCluster(label)
  clusters.push(cluster)
  return cluster
}

type Options = Partial<MembershipOptions>

/** Starts these nodes one after the other, each with the first as its seed, and waits until each sees all alive. */
async function form(cluster: MembershipCluster, ...each: readonly Options[]): Promise<WatchedMembership[]> {
  const nodes: WatchedMembership[] = []
  for (const [index, options] of each.entries()) {
    const seeds = nodes.slice(0, 1).map(({ membership }) => membership.address)
    const node = await cluster.start(`n${index + 1}`, { seeds, ...options })
    await node.membership.joinSeeds()
    nodes.push(node)
  }
  await Promise.all(nodes.map((node) => node.until(isWhole(nodes.length))))
  return nodes
}

function isWhole(count: number): (node: WatchedMembership) => boolean {
  return (node) => Object.values(node.view()).filter((state) => state === 'alive').length === count
}

function endpointOf({ membership }: WatchedMembership): HostPort {
  const endpoint = tryParseHostPort(membership.address)
  if (endpoint === undefined) throw new Error(membership.address)
  return endpoint
}

/** Sends these bytes to the node's stream port and gives everything it answers until it ends. */
async function answerTo(node: WatchedMembership, bytes: Uint8Array): Promise<Uint8Array> {
  const { host, port } = endpointOf(node)
  const socket = connect({ host, port })
  const chunks: Uint8Array[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.write(bytes)
  await once(socket, 'end')
  return Uint8Array.from(Buffer.concat(chunks))
}

it('two nodes with one key, one of them with a further one, see each other and drop nothing', async () => {
  const [a, b] = await form(newCluster(), { keys: [base64(KEY_C)] }, { keys: [KEY_C, KEY_A] })
  a!.membership.setTags({ role: 'db' })
  await b!.until((node) => node.membership.member('n1')?.tags['role'] === 'db')
  for (const { membership } of [a!, b!]) expect(membership.stats().drops).toEqual({})
})

it('three nodes without a label agree on a crash', async () => {
  const nodes = await form(newCluster(''), { keys: [KEY_A] }, { keys: [KEY_A] }, { keys: [KEY_A] })
  await nodes[2]!.membership.close()
  await Promise.all(nodes.slice(0, 2).map((node) => node.untilState('n3', 'dead', 15_000)))
})

it('what nodes with keys write is neither readable nor believed in plaintext', async () => {
  const [a] = await form(newCluster(), { keys: [KEY_A] })
  const { host, port } = endpointOf(a!)
  const plain = new Envelope(LABEL)
  const socket = createSocket('udp4')
  const forged = [plain, sealed(LABEL, KEY_B), sealed('another', KEY_A)]
  for (const envelope of forged) socket.send(envelope.sealPacket(encodeMessage(aliveSample)), port, host)
  await until('all three were dropped', () => {
    const { drops } = a!.membership.stats()
    return drops['bad-seal'] === 2 && drops['wrong-label'] === 1
  })
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  expect(a!.view()).toEqual({ n1: 'alive' })
})

const strangers: readonly [string, Options, Options, string][] = [
  ['another key', { keys: [KEY_A] }, { keys: [KEY_B] }, 'none of the keys'],
  ['no key', { keys: [KEY_A] }, {}, 'this node has no keys'],
  ['a key where none is', {}, { keys: [KEY_A] }, 'does not encrypt'],
]
it.each(strangers)('a node with %s never joins and is told why, whoever asks', async (_, one, other, words) => {
  const cluster = newCluster()
  const a = await cluster.start('a', one)
  const b = await cluster.start('b', other)
  const [fromB] = await b.membership.join([a.membership.address])
  const [fromA] = await a.membership.join([b.membership.address])
  expect(fromB?.error).toContain(words)
  expect(fromA?.error).toMatch(/keys|encrypt/)
  expect([a.view(), b.view()]).toEqual([{ a: 'alive' }, { b: 'alive' }])
  for (const { membership } of [a, b]) {
    const { drops } = membership.stats()
    expect((drops['bad-seal'] ?? 0) + (drops.encrypted ?? 0) + (drops.plaintext ?? 0)).toBeGreaterThan(0)
  }
})

it.each(['another', ''])("a node with the right key and the label '%s' never joins, whoever asks", async (label) => {
  const a = await newCluster().start('a', { keys: [KEY_A] })
  const b = await newCluster(label).start('b', { keys: [KEY_A] })
  const [fromB] = await b.membership.join([a.membership.address])
  const [fromA] = await a.membership.join([b.membership.address])
  expect(fromB?.error).toBeDefined()
  expect(fromA?.error).toBeDefined()
  expect([a.view(), b.view()]).toEqual([{ a: 'alive' }, { b: 'alive' }])
})

it('a stream that breaks the rule of keys is answered with an error, sealed by those who have keys', async () => {
  const [keyed] = await form(newCluster(), { keys: [KEY_A] })
  const [keyless] = await form(newCluster(), {})
  const request = encodePushPull(pushPullSample)
  const [plain, right, wrong] = [new Envelope(LABEL), sealed(LABEL, KEY_A), sealed(LABEL, KEY_B)]
  for (const stranger of [plain, wrong]) {
    const answer = await answerTo(keyed!, stranger.sealStream(request))
    expect(answer[0]).toBe(10)
    expect(feedStream(right, answer, { side: 'dialled' })).toMatchObject({ message: { type: 'err' } })
  }
  const answer = await answerTo(keyless!, right.sealStream(request))
  expect(new StreamDecoder({ maxBytes: 1_000, maxNodes: 0 }).push(answer)).toMatchObject({ message: { type: 'err' } })
})

it('a plaintext cluster is encrypted in three stages, complete after every restart', async () => {
  const cluster = newCluster()
  const nodes = await form(cluster, {}, {}, {})
  const stages: readonly Options[] = [
    { keys: [KEY_C], verifyIncoming: false, verifyOutgoing: false },
    { keys: [KEY_C], verifyIncoming: false, verifyOutgoing: true },
    { keys: [KEY_C] },
  ]
  for (const [stage, options] of stages.entries()) {
    for (const [index, old] of nodes.entries()) {
      const { name, address } = old.membership
      const others = nodes.filter((node) => node !== old)
      const seeds = others.map(({ membership }) => membership.address)
      await old.membership.leave(5_000)
      await old.membership.close()
      const restarted = await cluster.start(name, { bind: address, seeds, ...options })
      nodes[index] = restarted
      const results = await restarted.membership.joinSeeds()
      expect(
        results.map(({ error }) => error),
        `${name} in stage ${stage + 1}`,
      ).toEqual([undefined, undefined])
      await Promise.all(nodes.map((node) => node.until(isWhole(3))))
    }
  }
  const bystander = await cluster.start('bystander')
  const [refused] = await bystander.membership.join([nodes[0]!.membership.address])
  expect(refused?.error).toContain('no keys')
  for (const node of nodes) expect(node.events.filter(({ type }) => type === 'dead')).toEqual([])
})

it('keys are replaced while the cluster runs: nobody is suspected', async () => {
  const keys = [KEY_A]
  const nodes = await form(newCluster(), { keys }, { keys }, { keys })
  const before = nodes.map(({ events }) => events.length)
  let version = 0
  // What one node tells reaches all of them, by packets sealed as they are at this step.
  const isHeard = async (): Promise<void> => {
    const tag = String(++version)
    for (const { membership } of nodes) membership.setTags({ version: tag })
    const hasAll = (node: WatchedMembership): boolean =>
      node.membership.members().every(({ tags }) => tags['version'] === tag)
    await Promise.all(nodes.map((node) => node.until(hasAll)))
  }
  const isProbed = async (): Promise<void> => {
    const wanted = nodes.map(({ membership }) => membership.stats().packetsReceived + PACKETS_OF_SOME_PROBES)
    await until('some probes went by', () =>
      nodes.every(({ membership }, index) => membership.stats().packetsReceived >= (wanted[index] ?? 0)),
    )
  }
  const rings = nodes.map(({ membership }) => membership.keyring)
  for (const [oldKey, newKey] of [
    [KEY_A, base64(KEY_C)],
    [KEY_C, KEY_B],
  ] as const) {
    for (const step of [
      (ring: (typeof rings)[number]) => ring.add(newKey),
      (ring: (typeof rings)[number]) => ring.use(newKey),
    ]) {
      for (const ring of rings) {
        step(ring)
        await isHeard()
      }
      await isProbed()
    }
    for (const ring of rings) ring.remove(oldKey)
    await isHeard()
    await isProbed()
  }
  for (const ring of rings) expect(ring.list()).toEqual([base64(KEY_B)])
  for (const [index, node] of nodes.entries()) {
    const types = new Set(node.events.slice(before[index]).map(({ type }) => type))
    expect([...types]).toEqual(['update'])
    // A packet may have been on its way when the key it was sealed with was removed.
    expect(node.membership.stats().drops['bad-seal'] ?? 0).toBeLessThan(5)
  }
})

it.each([
  [{ keys: ['too-short'] }, 'keys[0]'],
  [{ keys: [] }, 'keys is empty'],
  [{ verifyIncoming: true }, 'need the option keys'],
  [{ verifyOutgoing: true }, 'need the option keys'],
])('the options %j are refused with what is wrong', async (options, words) => {
  const failure: unknown = await newCluster()
    .start('a', options)
    .catch((error: unknown) => error)
  expect(isShoalError(failure, 'INVALID_OPTION')).toBe(true)
  expect((failure as Error).message).toContain(words)
})

it('a node without keys has an empty keyring that takes none', async () => {
  const a = await newCluster().start('a')
  expect(a.membership.keyring.list()).toEqual([])
  expect(() => a.membership.keyring.add(KEY_A)).toThrow('option keys')
})
