/**
 * Well over a thousand hostile inputs against the three ports of a live node, in a process of its own, while another
 * node calls it without pause: no call fails, the process stays up and small, and `inspect` counts what it dropped.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type HostPort, tryParseHostPort } from '../../src/address.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { Peers } from '../../src/rpc/peers.js'
import { HostileInputs, type RpcSamples } from '../support/hostile-inputs.js'
import { type NodeProcess, NodeProcesses } from '../support/node-process.js'
import { until } from '../support/until.js'

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const MIB = 1024 * 1024
/** What the node may grow by: its own limits, and what the collector leaves lying. Without bounds it would be gigabytes. */
const GROWTH_MAX = 160 * MIB
const COUNTS = { packets: 600, gossipStreams: 350, rpcStreams: 480 } as const
const LOOP = { service: 'jobs', lanes: 4, workMs: 1, timeoutMs: 10_000 } as const

let processes: NodeProcesses
let target: NodeProcess
let caller: NodeProcess
let gossip: HostPort
let rpc: HostPort
const held: Socket[] = []

beforeAll(async () => {
  processes = await NodeProcesses.prepare()
  const started = await processes.start('target', { profile: 'local' })
  target = started.process
  gossip = tryParseHostPort(started.address)!
  rpc = tryParseHostPort(started.rpcAddress)!
  ;({ process: caller } = await processes.start('caller', { profile: 'local', seeds: [started.address] }))
  await target.order('provide', LOOP.service)
  await processes.untilAll('the service is known', [caller], ({ services }) => services[LOOP.service] !== undefined)
  await caller.order('startLoop', LOOP)
  await answers(500)
})

afterAll(async () => {
  for (const socket of held) socket.destroy()
  await processes?.stop()
})

it(`goes on answering while its ports are attacked (SEED=${SEED})`, async () => {
  const before = await target.order('memory')
  const random = seededRandom(SEED)
  const samples = await recordRpc()
  const inputs = new HostileInputs({ cluster: processes.cluster, service: LOOP.service, random })
  // All are made before any is sent, so that the seed alone decides what they are.
  const packets = inputs.packets(COUNTS.packets)
  const gossipPours = inputs.gossipStreams(COUNTS.gossipStreams).map((bytes) => pouring(bytes, random))
  const rpcPours = inputs.rpcStreams(COUNTS.rpcStreams, samples).map((bytes) => pouring(bytes, random))
  await Promise.all([attackUdp(packets), attackStreams(gossip, gossipPours), attackStreams(rpc, rpcPours)])
  await answers(200)
  await holdConnections(inputs, samples)
  await answers(200)
  const grownBy = (await target.order('memory')) - before
  for (const socket of held.splice(0)) socket.destroy()

  const { membership, rpc: calls } = await target.order('inspect')
  const say = `SEED=${SEED}: ${JSON.stringify({ membership: membership.drops, server: calls.server.drops })}`
  process.stdout.write(`hostile: grew by ${Math.round(grownBy / MIB)} MiB; ${say}\n`)
  expect(grownBy, say).toBeLessThan(GROWTH_MAX)
  for (const reason of ['unknown-type', 'malformed', 'truncated', 'too-deep', 'too-large', 'wrong-label'] as const) {
    expect(membership.drops[reason], `${reason} of ${say}`).toBeGreaterThan(0)
  }
  const reasons = ['no-hello', 'bad-hello', 'wrong-cluster', 'hello-timeout', 'bad-method-id', 'frame-too-large']
  for (const reason of [...reasons, 'refused-invalid-argument']) {
    expect(calls.server.drops[reason], `${reason} of ${say}`).toBeGreaterThan(0)
  }
})

it('is left with the connections of its peer alone, and every call was answered', async () => {
  await until('hostile connections are gone', async () => {
    const { rpc: calls } = await target.order('inspect')
    return calls.server.connections.every(({ caller: by }) => by.node === 'caller')
  })
  const { failures, answered } = await caller.order('stopLoop')
  expect(failures, `SEED=${SEED}`).toEqual([])
  expect(answered['target']).toBeGreaterThan(1_000)
  await processes.untilAll('both see each other alive', [target, caller], ({ members }) => {
    return members['target'] === 'alive' && members['caller'] === 'alive'
  })
  expect(await caller.order('call', LOOP.service, 'who', [])).toEqual({ node: 'target', pid: target.pid })
  expect([target.stderr, caller.stderr]).toEqual(['', ''])
})

/** Until the loop got so many more answers: the node serves while all this goes on. */
async function answers(count: number): Promise<void> {
  const answered = async (): Promise<number> => (await caller.order('tally')).answered['target'] ?? 0
  const before = await answered()
  await until(`${count} more answers`, async () => (await answered()) - before >= count)
}

async function attackUdp(packets: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket('udp4')
  const received = async (): Promise<number> => (await target.order('inspect')).membership.packetsReceived
  const before = await received()
  for (const [index, bytes] of packets.entries()) {
    await new Promise<void>((resolve) => socket.send(bytes, gossip.port, gossip.host, () => resolve()))
    if (index % 25 === 0) await target.order('view') // lets it read: what the kernel drops tests nothing
  }
  socket.close()
  expect((await received()) - before).toBeGreaterThan(packets.length / 2)
}

/** What a real caller writes: its hello, then requests. */
async function recordRpc(): Promise<RpcSamples> {
  const written: Buffer[] = []
  const proxy = createServer((inner) => {
    const outer = connect(rpc)
    inner.on('data', (chunk) => written.push(chunk))
    inner.pipe(outer).pipe(inner)
    for (const socket of [inner, outer]) socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as { port: number }
  const { bootId } = await target.order('inspect')
  const identity = { cluster: processes.cluster, node: 'ghost', bootId: '' }
  const peers = new Peers({ identity, random: Math.random })
  const candidate = { node: 'target', bootId, address: `127.0.0.1:${port}`, local: false }
  const base = { service: LOOP.service, method: 'who', headers: { a: 'b' }, signal: undefined, cast: false }
  for (const args of [[1], [{ text: 'x'.repeat(300), list: [1, { deep: [new Date(), 12n ** 30n] }] }]]) {
    await peers.attempt(candidate, { ...base, args, deadlineAt: performance.now() + 5_000 })
  }
  await peers.close()
  proxy.close()
  const [hello, ...requests] = splitFrames(Buffer.concat(written))
  expect(requests.length).toBeGreaterThanOrEqual(2)
  return [hello!, ...requests]
}

function splitFrames(bytes: Buffer): Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    frames.push(Uint8Array.from(bytes.subarray(at, end)))
    at = end
  }
  return frames
}

interface Pouring {
  readonly bytes: Uint8Array
  /** They are written in two pieces. */
  readonly cutAt: number
  /** Leaves without a word. */
  readonly abrupt: boolean
}

function pouring(bytes: Uint8Array, random: Random): Pouring {
  return { bytes, cutAt: randomInt(random, bytes.length + 1), abrupt: random() < 0.5 }
}

/** Each on a connection of its own, a few at a time. */
async function attackStreams(to: HostPort, pourings: readonly Pouring[]): Promise<void> {
  const left = pourings.values()
  const lane = async (): Promise<void> => {
    for (const next of left) await pour(to, next)
  }
  await Promise.all(Array.from({ length: 8 }, lane))
}

/** Resolves when the other side closed, or soon after all was written: then we go. */
async function pour(to: HostPort, { bytes, cutAt, abrupt }: Pouring): Promise<void> {
  const socket = connect(to)
  socket.on('error', () => {}) // it resets us: as it should
  socket.resume()
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write(bytes.subarray(0, cutAt))
  setImmediate(() => socket.write(bytes.subarray(cutAt)))
  const leave = setTimeout(() => (abrupt ? socket.destroy() : socket.end()), 30)
  const giveUp = setTimeout(() => socket.destroy(), 500)
  await closed
  clearTimeout(leave)
  clearTimeout(giveUp)
}

/** Connections that never finish what they began: hundreds of silent ones, and many that announce the largest there is. */
async function holdConnections(inputs: HostileInputs, samples: RpcSamples): Promise<void> {
  const request = inputs.promisedRequest(samples)
  const state = inputs.promisedState({ nodes: 0, userStateBytes: 19 * MIB })
  for (let i = 0; i < 150; i++) {
    hold(rpc, request)
    hold(rpc, samples[0].subarray(0, i % 9))
    hold(gossip, i % 2 === 0 ? state : inputs.labelled(Uint8Array.of(6)))
  }
  await until('silent connections are cut off, and too many are turned away', async () => {
    const { rpc: calls, membership } = await target.order('inspect')
    return (calls.server.drops['hello-timeout'] ?? 0) >= 100 && membership.streamsRefused > 0
  })
}

function hold(to: HostPort, bytes: Uint8Array): void {
  const socket = connect(to)
  socket.on('error', () => {})
  socket.write(bytes)
  held.push(socket)
}
