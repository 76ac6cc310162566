/** IPv6 on loopback, alone and with IPv4 on one socket; skipped loudly where the machine has none. */
import { afterEach, describe, expect, it } from 'vitest'
import { createNode, type ShoalNode } from '../../src/index.js'
import { MembershipCluster, type WatchedMembership } from '../support/membership-node.js'
import { memberOf, rejection, stateOf, TestNodes } from '../support/test-nodes.js'
import { ownV6Address, TestResolver, v6Missing } from '../support/test-resolver.js'
import { until } from '../support/until.js'

const missing = v6Missing()
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((clean) => clean()))
})

function newNodes(): TestNodes {
  const nodes = new TestNodes()
  cleanups.push(() => nodes.close())
  return nodes
}

function newCluster(): MembershipCluster {
  const cluster = new MembershipCluster()
  cleanups.push(() => cluster.closeAll())
  return cluster
}

async function untilSeen(what: string, holds: () => boolean): Promise<void> {
  await until(what, holds)
}

describe.skipIf(missing !== undefined)('over IPv6', () => {
  it('three nodes see each other and each calls each, by addresses in brackets', async () => {
    const nodes = newNodes()
    const all: ShoalNode[] = []
    for (const name of ['a', 'b', 'c']) all.push(await nodes.start(name, { bind: '[::1]:0' }))
    await untilSeen('each sees each', () =>
      all.every((node) => all.every(({ name }) => stateOf(node, name) === 'alive')),
    )
    for (const node of all) {
      expect(node.address).toMatch(/^\[::1\]:\d+$/)
      expect(node.rpcAddress).toMatch(/^\[::1\]:\d+$/)
      await node.provide(`at-${node.name}`, { who: () => node.name })
    }
    for (const node of all) {
      expect(
        node
          .members()
          .map(({ address }) => address)
          .sort(),
      ).toEqual(all.map(({ address }) => address).sort())
      for (const { name, rpcAddress } of all) {
        await node.waitForServices([`at-${name}`])
        expect(memberOf(node, name)?.rpcAddress).toBe(rpcAddress)
        expect(await node.callCb(`at-${name}`, 'who', [])).toBe(name)
      }
    }
  })

  it('datagrams arrive: a crash is found, which TCP alone would never show, and no UDP is lost to a wrong family', async () => {
    const cluster = newCluster()
    const a = await cluster.start('a', { bind: '[::1]:0' })
    const join = async (name: string): Promise<WatchedMembership> => {
      const node = await cluster.start(name, { bind: '[::1]:0', seeds: [a.membership.address] })
      await node.membership.joinSeeds()
      return node
    }
    const [b, c] = [await join('b'), await join('c')]
    await Promise.all([a, b].map((node) => node.untilState('c', 'alive')))
    await c.membership.close()
    await Promise.all([a, b].map((node) => node.untilState('c', 'dead', 15_000)))
    for (const node of [a, b]) {
      expect(node.membership.stats().packetsReceived).toBeGreaterThan(0)
      expect(node.notices.filter(({ kind }) => kind === 'udp-blocked')).toEqual([])
    }
  })

  it('any spelling of an address is the same node: its own seed, and the seed in view', async () => {
    const cluster = newCluster()
    const a = await cluster.start('a', { bind: '[0:0:0:0:0:0:0:1]:0' })
    expect(a.membership.address).toMatch(/^\[::1\]:\d+$/)
    const seed = a.membership.address.replace('[::1]', '[0::0001]')
    expect(await a.membership.join([seed])).toEqual([])
    const b = await cluster.start('b', { bind: '[::1]:0', seeds: [seed] })
    expect(await b.membership.joinSeeds()).toEqual([{ seed, address: a.membership.address, error: undefined }])
  })

  it('names are looked up for AAAA records, and the family that cannot be reached is left out', async () => {
    const cluster = newCluster()
    const a = await cluster.start('a', { bind: '[::1]:0' })
    const port = a.membership.address.split(':').at(-1)
    const resolver = new TestResolver().host('both', '127.0.0.1', '::1').host('old', '127.0.0.1')
    const seeds = [`dns://both:${port}`, `dns://old:${port}`]
    const b = await cluster.start('b', { bind: '[::1]:0', resolver, seeds })
    const results = await b.membership.joinSeeds()
    expect(results.find(({ seed }) => seed.includes('both'))).toMatchObject({
      address: `[::1]:${port}`,
      error: undefined,
    })
    expect(results.find(({ seed }) => seed.includes('old'))?.error).toContain('bind to [::]:port')
    const c = await cluster.start('c', { bind: '127.0.0.1:0', seeds: [`[::1]:${port}`] })
    expect(await c.membership.joinSeeds()).toMatchObject([{ error: expect.stringContaining('bind to [::]:port') }])
  })

  it('a node bound to [::] talks to peers of IPv4 and is found by calls and gossip of both families', async () => {
    const nodes = newNodes()
    const four = await nodes.start('four', { bind: '127.0.0.1:0' })
    const both = await nodes.start('both', { bind: '[::]:0', advertise: '127.0.0.1', seeds: [four.address] })
    await untilSeen('they see each other', () => stateOf(four, 'both') === 'alive' && stateOf(both, 'four') === 'alive')
    await both.provide('six', { who: () => 'both' })
    await four.provide('old', { who: () => 'four' })
    await Promise.all([four.waitForServices(['six']), both.waitForServices(['old'])])
    expect(await four.callCb('six', 'who', [])).toBe('both')
    expect(await both.callCb('old', 'who', [])).toBe('four')
    await untilSeen('probes of both were answered over UDP', () => {
      return memberOf(four, 'both')?.rtt !== undefined && memberOf(both, 'four')?.rtt !== undefined
    })
    expect(both.inspect().membership.sendErrors).toBe(0)
    // The same socket takes IPv6.
    const port = both.address.split(':').at(-1)
    const six = await nodes.start('six', { bind: '[::]:0', seeds: [`[::1]:${port}`] })
    await untilSeen('by IPv6 too', () => stateOf(six, 'both') === 'alive' && stateOf(both, 'six') === 'alive')
  })

  it('a node bound to [::] advertises its own IPv6 address', async ({ skip }) => {
    const own = ownV6Address()
    if (own === undefined) return skip('no interface has an IPv6 address')
    const node = await newCluster().start('a', { bind: '[::]:0' })
    expect(node.membership.address).toMatch(/^\[(?!::1\])[0-9a-f:]+\]:\d+$/)
    const port = node.membership.address.split(':').at(-1)
    expect(await node.membership.join([`[::1]:${port}`, `127.0.0.1:${port}`, `[${own}]:${port}`])).toEqual([])
  })

  it('a host name that is bound to means one family for gossip and for calls', async () => {
    const node = await newNodes().start('a', { bind: 'localhost:0' })
    const host = (address: string): string => address.slice(0, address.lastIndexOf(':'))
    expect(host(node.rpcAddress)).toBe(host(node.address))
    const peer = await createNode({
      cluster: node.cluster,
      bind: 'localhost:0',
      seeds: [node.address],
      requireSeed: true,
    })
    cleanups.push(() => peer.close())
    await node.provide('s', { who: () => 'a' })
    await peer.waitForServices(['s'])
    expect(await peer.callCb('s', 'who', [])).toBe('a')
  })
})

it.each([
  [{ bind: '[fe80::1%eth0]:7946' }, "bind '[fe80::1%eth0]:7946' has a zone id"],
  [{ bind: '127.0.0.1:0', rpc: { bind: '[fe80::1%eth0]:0' } }, "rpc.bind '[fe80::1%eth0]:0' has a zone id"],
  [{ bind: '127.0.0.1:0', advertise: 'fe80::1%eth0' }, "advertise 'fe80::1%eth0' has a zone id"],
  [{ bind: '127.0.0.1:0', seeds: ['[fe80::1%eth0]:7946'] }, "seed '[fe80::1%eth0]:7946' has a zone id"],
  [{ bind: '127.0.0.1:0', advertise: '[fd00::9]' }, "advertise '[fd00::9]' is IPv6, but 127.0.0.1 is bound"],
  [{ bind: '127.0.0.1:0', advertise: '[::]:80' }, "advertise '[::]:80' is no address"],
  [{ bind: '::1:x' }, "bind '::1:x' is neither"],
])('the options %j are refused with what to do', async (options, words) => {
  expect(await rejection(createNode({ cluster: 'v6', ...options }))).toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringContaining(words),
  })
})
