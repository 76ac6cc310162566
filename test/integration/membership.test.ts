import { createServer, type Socket } from 'node:net'
import { afterEach, expect, it, vi } from 'vitest'
import { isShoalError } from '../../src/errors.js'
import { Membership } from '../../src/membership/membership.js'
import { FAST, MembershipCluster, type WatchedMembership } from '../support/membership-node.js'

const clusters: MembershipCluster[] = []
function newCluster(label?: string): MembershipCluster {
  const cluster = new MembershipCluster(label)
  clusters.push(cluster)
  return cluster
}

afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.closeAll()))
})

/** A loopback address that was free a moment ago. */
async function freeAddress(): Promise<string> {
  const probe = await Membership.start({ cluster: '', name: 'probe', bind: '127.0.0.1:0' })
  await probe.close()
  return probe.address
}

it('five nodes with one seed see each other', async () => {
  const nodes = await newCluster().form('a', 'b', 'c', 'd', 'e')
  for (const node of nodes) {
    expect(node.view()).toEqual({ a: 'alive', b: 'alive', c: 'alive', d: 'alive', e: 'alive' })
    for (const member of node.membership.members()) {
      const owner = nodes.find(({ name }) => name === member.name)
      expect(member.address).toBe(owner?.membership.address)
    }
  }
})

it('a node that starts before its seed joins once the seed is there', async () => {
  const cluster = newCluster()
  const address = await freeAddress()
  const early = await cluster.start('early', { seeds: [address] })
  const [failed] = await early.membership.joinSeeds()
  expect(failed).toMatchObject({ seed: address, error: expect.stringContaining('ECONNREFUSED') })
  const seed = await cluster.start('seed', { bind: address })
  await Promise.all([early.untilState('seed', 'alive'), seed.untilState('early', 'alive')])
})

it('a node that is its own seed starts alone', async () => {
  const address = await freeAddress()
  const node = await newCluster().start('a', { bind: address, seeds: [address] })
  expect(await node.membership.joinSeeds()).toEqual([])
  expect(node.view()).toEqual({ a: 'alive' })
})

it('a seed whose name does not resolve is reported and rejects nothing', async () => {
  const cluster = newCluster()
  const a = await cluster.start('a')
  const b = await cluster.start('b', { seeds: ['dns://no-such-host.invalid:7946', a.membership.address] })
  const results = await b.membership.joinSeeds()
  expect(results.find(({ seed }) => seed.startsWith('dns'))?.error).toContain('does not resolve')
  expect(results.find(({ seed }) => seed === a.membership.address)?.error).toBeUndefined()
  await b.untilState('a', 'alive')
})

it('a node that closes without leaving is found dead everywhere, and not before it was suspected', async () => {
  const [a, b, c, d] = await newCluster().form('a', 'b', 'c', 'd')
  await d!.membership.close()
  await Promise.all([a!, b!, c!].map((node) => node.untilState('d', 'dead', 15_000)))
  const first = [a!, b!, c!].map((node) =>
    node.events.find(({ type, member }) => member.name === 'd' && type !== 'join'),
  )
  expect(first.map((event) => event?.type)).toContain('suspect')
})

it('a node that leaves is seen as left everywhere, and never as dead', async () => {
  const [a, b, c, d] = await newCluster().form('a', 'b', 'c', 'd')
  expect(await d!.membership.leave(5_000)).toEqual({ told: true })
  await Promise.all([a!, b!, c!].map((node) => node.untilState('d', 'left')))
  await d!.membership.close()
  expect(a!.events.filter(({ member }) => member.name === 'd').map(({ type }) => type)).not.toContain('dead')
})

it('two nodes that leave at the same time need not wait for each other', async () => {
  const [a, b] = await newCluster().form('a', 'b')
  const results = await Promise.all([a!.membership.leave(8_000), b!.membership.leave(8_000)])
  expect(results).toEqual([{ told: true }, { told: true }])
})

it('a lone node leaves at once', async () => {
  const a = await newCluster().start('a')
  expect(await a.membership.leave(10_000)).toEqual({ told: true })
})

it('changed tags are seen by all', async () => {
  const nodes = await newCluster().form('a', 'b', 'c')
  nodes[1]!.membership.setTags({ role: 'db', zone: 'eu-1' })
  const isSeen = (): ((node: { membership: Membership }) => boolean) => (node) =>
    node.membership.member('b')?.tags['zone'] === 'eu-1'
  await Promise.all(nodes.map((node) => node.until(isSeen())))
  expect(nodes[0]!.membership.member('b')?.tags).toEqual({ role: 'db', zone: 'eu-1' })
})

it('tags that are too large are refused and the old ones stay', async () => {
  const a = await newCluster().start('a', { tags: { role: 'web' } })
  let failure: unknown
  try {
    a.membership.setTags({ role: 'x'.repeat(600) })
  } catch (error) {
    failure = error
  }
  expect(isShoalError(failure, 'TOO_LARGE')).toBe(true)
  expect(a.membership.member('a')?.tags).toEqual({ role: 'web' })
})

it.each([
  ['shop', 'office'],
  ['shop', ''],
  ['', 'office'],
])("clusters '%s' and '%s' never merge, whoever asks, and say that they dropped something", async (one, other) => {
  const a = await newCluster(one).start('a')
  const b = await newCluster(other).start('b')
  const [fromA] = await a.membership.join([b.membership.address])
  const [fromB] = await b.membership.join([a.membership.address])
  expect(fromA?.error).toBeDefined()
  expect(fromB?.error).toBeDefined()
  expect([a.view(), b.view()]).toEqual([{ a: 'alive' }, { b: 'alive' }])
  for (const node of [a, b]) {
    const { drops } = node.membership.stats()
    expect((drops['wrong-label'] ?? 0) + (drops['bad-label'] ?? 0)).toBeGreaterThan(0)
  }
})

it('a port in use rejects with its code and leaves nothing open', async () => {
  const cluster = newCluster()
  const a = await cluster.start('a')
  await expect(cluster.start('b', { bind: a.membership.address })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  await a.membership.close()
  const b = await cluster.start('b', { bind: a.membership.address })
  expect(b.membership.address).toBe(a.membership.address)
})

it.each([
  [{ name: '' }, '1 to 255'],
  [{ name: 'x'.repeat(256) }, '256 bytes'],
  [{ bind: 'nonsense:port' }, "bind 'nonsense:port'"],
  [{ cluster: 'x'.repeat(256) }, '256'],
  [{ seeds: ['http://a'] }, "seed 'http://a'"],
  [{ seeds: ['a:0'] }, "seed 'a:0'"],
  [{ advertise: '0.0.0.0' }, "advertise '0.0.0.0'"],
  [{ tuning: { gossipNodes: 0 } }, 'gossipNodes is 0'],
])('the options %j are refused with what is wrong', async (options, words) => {
  const failure: unknown = await newCluster()
    .start('a', options)
    .catch((error: unknown) => error)
  expect(isShoalError(failure, 'INVALID_OPTION')).toBe(true)
  expect((failure as Error).message).toContain(words)
})

it('close may be called again, and everything after it is harmless', async () => {
  const [a, b] = await newCluster().form('a', 'b')
  await Promise.all([a!.membership.close(), a!.membership.close()])
  await a!.membership.close()
  a!.membership.setTags({ role: 'late' })
  a!.membership.syncWith('b')
  expect(await a!.membership.leave(1_000)).toEqual({ told: false })
  expect(await a!.membership.join([b!.membership.address])).toMatchObject([{ error: 'closed' }])
})

/** A port that accepts and never says a word. */
async function silentPeer(): Promise<{ address: string; accepted: Promise<void>; close: () => Promise<void> }> {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket))
  const address = await new Promise<string>((resolve) => {
    silent.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(silent.address() as { port: number }).port}`))
  })
  const accepted = new Promise<void>((resolve) => silent.once('connection', () => resolve()))
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => silent.close(() => resolve()))
  }
  return { address, accepted, close }
}

it('close during a join ends the join', async () => {
  const { address, accepted, close } = await silentPeer()
  const a = await newCluster().start('a')
  const join = a.membership.join([address])
  await accepted
  await a.membership.close()
  expect(await join).toMatchObject([{ address, error: 'closed' }])
  await close()
})

it('a join to a port that accepts and says nothing ends by the stream timeout and says so', async () => {
  const { address, close } = await silentPeer()
  const a = await newCluster().start('a', { tuning: { ...FAST, streamTimeoutMs: 300 } })
  expect(await a.membership.join([address])).toMatchObject([{ address, error: 'no reply within 300 ms' }])
  expect(a.view()).toEqual({ a: 'alive' })
  await close()
})

it('a node that is killed and returns at its address without seeds is found again by who buried it', async () => {
  const cluster = newCluster()
  const [a, b] = await cluster.form('a', 'b')
  await b!.membership.close()
  await a!.untilState('b', 'dead', 15_000)
  const again = await cluster.start('b', { bind: b!.membership.address })
  await Promise.all([a!.untilState('b', 'alive', 25_000), again.untilState('a', 'alive', 25_000)])
  const told = a!.events.filter(({ member, type }) => member.name === 'b' && ['join', 'dead'].includes(type))
  expect(told.map(({ type }) => type)).toEqual(['join', 'dead', 'join'])
}, 60_000)

it('close during a leave ends the leave', async () => {
  const [a] = await newCluster().form('a', 'b', 'c')
  const leave = a!.membership.leave(20_000)
  const start = performance.now()
  await a!.membership.close()
  await leave
  expect(performance.now() - start).toBeLessThan(5_000)
})

it('counts packets and their bytes both ways: what one of two sent is what the other received', async () => {
  const [a, b] = (await newCluster().form('a', 'b')) as [WatchedMembership, WatchedMembership]
  const { packetsSent, packetBytesSent } = a.membership.stats()
  expect(packetBytesSent).toBeGreaterThan(packetsSent)
  await vi.waitFor(() => {
    const { packetsReceived, packetBytesReceived } = b.membership.stats()
    expect(packetsReceived).toBeGreaterThanOrEqual(packetsSent)
    expect(packetBytesReceived).toBeGreaterThanOrEqual(packetBytesSent)
  })
})
