/** Seeds of real memberships: names looked up by a resolver of the test's own, and by a name server on loopback. */
import { getServers, setServers } from 'node:dns/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createNode } from '../../src/index.js'
import type { MembershipOptions } from '../../src/membership/index.js'
import { MembershipCluster, type WatchedMembership } from '../support/membership-node.js'
import { NameServer } from '../support/name-server.js'
import { TestResolver } from '../support/test-resolver.js'
import { until } from '../support/until.js'

const clusters: MembershipCluster[] = []
function newCluster(): MembershipCluster {
  const cluster = new MembershipCluster()
  clusters.push(cluster)
  return cluster
}

afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.closeAll()))
})

function portOf({ membership }: WatchedMembership): number {
  return Number(membership.address.split(':').at(-1))
}

/** A node with this seed has found `a`. */
async function joins(form: (port: number) => Partial<MembershipOptions>): Promise<void> {
  const cluster = newCluster()
  const a = await cluster.start('a')
  const b = await cluster.start('b', form(portOf(a)))
  const results = await b.membership.joinSeeds()
  expect(results.map(({ error }) => error)).toContain(undefined)
  await b.untilState('a', 'alive')
}

describe('a node joins by', () => {
  const local = (): TestResolver => new TestResolver().host('pods', '127.0.0.1')

  it('dns://name:port', () => joins((port) => ({ resolver: local(), seeds: [`dns://pods:${port}`] })))

  it('srv://name', () =>
    joins((port) => ({
      resolver: local().srv('_gossip._udp.shop', ['pods', port]),
      seeds: ['srv://_gossip._udp.shop'],
    })))

  it('a function alone', () => joins((port) => ({ seeds: () => [`127.0.0.1:${port}`] })))

  it('a function in the list that takes its time', () =>
    joins((port) => ({
      seeds: ['127.0.0.1:1', () => new Promise((resolve) => setImmediate(() => resolve([`127.0.0.1:${port}`])))],
    })))

  it('a v4-mapped address', () => joins((port) => ({ seeds: [`[::ffff:127.0.0.1]:${port}`] })))
})

it('a name that moves to another address is followed', async () => {
  const cluster = newCluster()
  const [a, gone] = [await cluster.start('a'), await cluster.start('gone')]
  const resolver = new TestResolver().srv('shop', ['here', portOf(gone)]).host('here', '127.0.0.1')
  await gone.membership.close()
  const b = await cluster.start('b', { resolver, seeds: ['srv://shop'] })
  const [failed] = await b.membership.joinSeeds()
  expect(failed?.error).toContain('ECONNREFUSED')
  resolver.srv('shop', ['here', portOf(a)])
  await b.untilState('a', 'alive')
})

it('a seed that hangs, one that throws and thousands of addresses where nobody is do not keep a node from its seed', async () => {
  const cluster = newCluster()
  const a = await cluster.start('a')
  const startedAt = performance.now()
  const seeds = [
    () => new Promise<string[]>(() => {}),
    () => {
      throw new Error('no token')
    },
    () => Array.from({ length: 4_000 }, (_, i) => `127.9.${i >> 8}.${i & 255}:9`),
    'dns://hanging:1',
    a.membership.address,
  ]
  const b = await cluster.start('b', { seeds, resolver: new TestResolver().hang('hanging') })
  const results = await b.membership.joinSeeds('first')
  expect(results.some(({ error }) => error === undefined)).toBe(true)
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

it('a node alone with itself as seed, in whatever form, starts at once and dials nobody', async () => {
  const cluster = newCluster()
  const probe = await cluster.start('probe')
  const port = portOf(probe)
  await probe.membership.close()
  const resolver = new TestResolver().host('me', '127.0.0.1').srv('shop', ['me', port])
  const seeds = [
    `127.0.0.1:${port}`,
    `0.0.0.0:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `me:${port}`,
    `dns://me:${port}`,
    'srv://shop',
    () => [`127.0.0.1:${port}`],
  ]
  const startedAt = performance.now()
  const alone = await cluster.start('alone', { bind: `127.0.0.1:${port}`, seeds, resolver })
  expect(await alone.membership.joinSeeds()).toEqual([])
  expect(performance.now() - startedAt).toBeLessThan(1_500)
})

it('createNode with itself as its only seed does not wait, bound to a wildcard and named by host name too', async () => {
  const first = await createNode({ cluster: 'alone', bind: '0.0.0.0:0', advertise: '127.0.0.1' })
  const port = first.address.split(':')[1]
  await first.close()
  const startedAt = performance.now()
  const options = { cluster: 'alone', bind: `0.0.0.0:${port}`, advertise: '127.0.0.1' }
  const node = await createNode({
    ...options,
    seeds: [`127.0.0.1:${port}`, `127.0.0.7:${port}`, `dns://localhost:${port}`],
  })
  expect(performance.now() - startedAt).toBeLessThan(1_500)
  expect(node.members().map(({ name }) => name)).toEqual([node.name])
  await node.close()
})

it('with requireSeed, a node that only knows itself is refused with that reason', async () => {
  const seeds = ['127.0.0.1:7999']
  const options = { cluster: 'alone', bind: '127.0.0.1:0', advertise: '127.0.0.1:7999', seeds, requireSeed: true }
  await expect(createNode(options)).rejects.toMatchObject({
    code: 'JOIN_FAILED',
    message: expect.stringContaining('there is none other than this node'),
  })
})

it('with requireSeed, one seed that answers is enough, though another never does', async () => {
  const a = await createNode({ cluster: 'silent', bind: '127.0.0.1:0' })
  const hanging = (): Promise<string[]> => new Promise(() => {})
  const b = await createNode({ cluster: 'silent', bind: '127.0.0.1:0', seeds: [hanging, a.address], requireSeed: true })
  expect(b.members().map(({ name }) => name)).toContain(a.name)
  await Promise.all([a.close(), b.close()])
})

it('SHOAL_SEEDS takes all forms of text, by commas', async () => {
  const a = await createNode({ cluster: 'env', bind: '127.0.0.1:0' })
  process.env['SHOAL_SEEDS'] = ` 127.0.0.1:1, dns://${a.address} `
  try {
    const b = await createNode({ cluster: 'env', bind: '127.0.0.1:0', requireSeed: true })
    expect(b.members()).toHaveLength(2)
    await b.close()
  } finally {
    delete process.env['SHOAL_SEEDS']
    await a.close()
  }
})

it('a balancer that leads back to the node itself is reported as no cluster', async () => {
  const a = await newCluster().start('a')
  const balancer = createServer((socket) => {
    const through = connect(portOf(a), '127.0.0.1')
    socket.pipe(through).pipe(socket)
    for (const each of [socket, through]) each.on('error', () => each.destroy())
  })
  await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', () => resolve()))
  const { port } = balancer.address() as AddressInfo
  expect(await a.membership.join([`127.0.0.1:${port}`])).toMatchObject([
    { error: 'answered, but nobody else is alive there' },
  ])
  await new Promise((resolve) => balancer.close(resolve))
})

it('the system looks SRV records up at its name servers, and hosts as it always does', async () => {
  const cluster = newCluster()
  const a = await cluster.start('a')
  const server = await NameServer.start({ '_gossip._udp.shop.test': { port: portOf(a), target: 'localhost' } })
  const before = getServers()
  setServers([server.address])
  try {
    const b = await cluster.start('b', { seeds: ['srv://_gossip._udp.shop.test', 'srv://_none.shop.test'] })
    const results = await b.membership.joinSeeds()
    expect(results.find(({ seed }) => seed === 'srv://_none.shop.test')?.error).toContain('ENOTFOUND')
    await b.untilState('a', 'alive')
  } finally {
    setServers(before)
    await server.close()
  }
})

it('seeds are contacted again when none of them is in view any more', async () => {
  const cluster = newCluster()
  const a = await cluster.start('a')
  const { address } = a.membership
  const b = await cluster.start('b', { seeds: [address] })
  await b.membership.joinSeeds()
  await b.untilState('a', 'alive')
  await a.membership.leave(1_000)
  await a.membership.close()
  await b.untilState('a', 'left')
  const again = await cluster.start('again', { bind: address })
  await until('the seed of another name is found', () => again.view()['b'] === 'alive', { within: 20_000 })
})
