/** Nodes as members: start, views, events, leave, close, inspection. Real sockets, one process. */
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createNode, isShoalError, type Member, type MemberEvent, type RegistryEvent } from '../../src/index.js'
import { memberOf, rejection, stateOf, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

describe('options', () => {
  const base = { cluster: 'options', bind: '127.0.0.1:0' }
  const refused: readonly [what: string, options: object, named: string, wayOut: RegExp][] = [
    ['no cluster', { bind: base.bind }, 'cluster', /Set it, or SHOAL_CLUSTER/],
    ['an option that there is not', { ...base, seed: ['a:1'] }, "'seed'", /there are cluster, name, bind/],
    [
      'an rpc option that there is not',
      { ...base, rpc: { port: 1 } },
      "'port'",
      /there are bind, tls, codec, exposeStacks/,
    ],
    ['a bind that is no address', { ...base, bind: 'no:such:bind' }, "'no:such:bind'", /host:port/],
    ['an rpc bind that is no address', { ...base, rpc: { bind: 'x:y' } }, "'x:y'", /host:port/],
    ['seeds that are no array', { ...base, seeds: '10.0.0.5:7946' }, "'10.0.0.5:7946'", /array of strings such as/],
    ['a seed that is no address', { ...base, seeds: ['ftp://a:1'] }, "'ftp://a:1'", /host:port.*dns:\/\//],
    ['a seed without a usable port', { ...base, seeds: ['10.0.0.5:0'] }, "'10.0.0.5:0'", /port of 1 to 65535/],
    ['a profile that there is not', { ...base, profile: 'home' }, "'home'", /lan, wan, local/],
    ['a delegate protocol that there is not', { ...base, delegateProtocol: 'consul' }, 'consul', /'plain', 'serf'/],
    ['a reserved tag', { ...base, tags: { _x: '1' } }, "'_x'", /shoal's own/],
    ['a tag that is no string', { ...base, tags: { zone: 1 } }, "'zone'", /must be a string, got number/],
    ['a local mode that there is not', { ...base, local: 'copy' }, "'copy'", /'reference' or 'clone'/],
    ['a name that is no text', { ...base, name: 42 }, 'got number', /leave it out/],
    ['a name without a byte', { ...base, name: '' }, "''", /1 to 255/],
    ['a name that is too long', { ...base, name: 'é'.repeat(128) }, '256 bytes', /1 to 255/],
    ['a tuning beyond its rule', { ...base, tuning: { gossipNodes: 0 } }, 'gossipNodes is 0', /at least 1/],
    ['a tuning that there is not', { ...base, tuning: { speed: 9 } }, "'speed'", /no membership setting/],
    ['a bind that is no text', { cluster: 'x', bind: 7946 }, 'bind', /must be a string, got number/],
    ['a requireSeed that is no flag', { ...base, requireSeed: 'false' }, 'requireSeed', /true or false, got string/],
    ['tags that are nothing', { ...base, tags: null }, 'tags', /object of strings, got null/],
    ['options that are none', 'lan' as never, 'got string', /there are cluster, name, bind/],
    ['options that are nothing', null as never, 'got null', /there are cluster, name, bind/],
    ['rpc options that are none', { ...base, rpc: null }, 'got null', /there are bind, tls, codec, exposeStacks/],
    ['a health endpoint that is only wished for', { ...base, health: true }, 'got boolean', /there are bind/],
    ['a cluster that is too long', { ...base, cluster: 'é'.repeat(128) }, '256 bytes', /at most 255.*shorter/],
    ['a name with half a character', { ...base, name: 'a\ud800' }, '"a\\ud800"', /UTF-8 cannot carry/],
    ['an advertised wildcard', { ...base, advertise: '0.0.0.0' }, "'0.0.0.0'", /no address others can reach/],
  ]

  it.each(refused)(
    '%s is an INVALID_OPTION that names the value and the way out',
    async (_what, options, named, wayOut) => {
      const error = await rejection(createNode(options as never))
      expect(isShoalError(error, 'INVALID_OPTION'), String(error)).toBe(true)
      expect((error as Error).message).toContain(named)
      expect((error as Error).message).toMatch(wayOut)
    },
  )

  it('without seeds a node is a cluster of one, with addresses as host:port', async () => {
    const node = await nodes.start('one')
    expect(node.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    expect(node.rpcAddress).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    expect(node.name).toBe('one')
    expect(node.cluster).toBe(nodes.cluster)
    expect(node.members().map(({ name, state }) => [name, state])).toEqual([['one', 'alive']])
  })

  it('a name that is not given is made, another one each time', async () => {
    const a = await createNode({ cluster: nodes.cluster, bind: '127.0.0.1:0' })
    const b = await createNode({ cluster: nodes.cluster, bind: '127.0.0.1:0' })
    expect(a.name).not.toBe(b.name)
    await Promise.all([a.close(), b.close()])
  })

  it('nodes of different clusters do not join, though they know each other', async () => {
    const here = await nodes.start('here')
    const there = await nodes.start('there', { cluster: `${nodes.cluster}-other` })
    const [result] = await there.join([here.address])
    expect(result?.error).toBeTypeOf('string')
    expect(here.members()).toHaveLength(1)
    expect(there.members()).toHaveLength(1)
  })
})

describe('joining', () => {
  it('createNode resolves though no seed answers, and joins when one comes up', async () => {
    const first = await nodes.start('first')
    const { address } = first
    await first.close()
    const startedAt = performance.now()
    const waiting = await nodes.start('waiting', { seeds: [address] })
    expect(performance.now() - startedAt).toBeLessThan(3_500)
    await nodes.start('seed', { seeds: [], bind: address })
    await until('the seed is joined', () => stateOf(waiting, 'seed') === 'alive')
  })

  it('with requireSeed it rejects JOIN_FAILED and names each seed with the reason', async () => {
    const seeds = [await closedPort(), await closedPort()]
    const error = await rejection(nodes.start('alone', { seeds, requireSeed: true }))
    expect(isShoalError(error, 'JOIN_FAILED')).toBe(true)
    for (const seed of seeds) expect((error as Error).message).toContain(seed)
    expect((error as Error).message).toMatch(/ECONNREFUSED/)
  })

  it('a late joiner sees all members and services as soon as createNode resolved', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await a.provide('users', { get: () => 1 }, { meta: { zone: 'x' } })
    await b.provide('users', { get: () => 2 })
    await b.provide('orders', { list: () => [] })
    await a.waitForServices(['orders', 'users'], { min: 1 })
    await until('the seed knows all', () => a.getNodes('users').length === 2)
    const late = await nodes.start('late')
    expect(
      late
        .members()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['a', 'b', 'late'])
    expect(late.getNodes('users').sort()).toEqual(['a', 'b'])
    expect(late.getNodes('orders')).toEqual(['b'])
    expect(await late.callCb('orders', 'list', [])).toEqual([])
  })

  it('join reports on each address and keeps none of them', async () => {
    const [a] = await nodes.startAll('a')
    const b = await nodes.start('b', { seeds: [] })
    const dead = await closedPort()
    const results = await b.join([a.address, dead])
    expect(results.find(({ seed }) => seed === a.address)?.error).toBeUndefined()
    expect(results.find(({ seed }) => seed === dead)?.error).toMatch(/ECONNREFUSED/)
    await until('a sees b', () => stateOf(a, 'b') === 'alive')
    expect(isShoalError(await rejection(b.join(['no address'])), 'INVALID_OPTION')).toBe(true)
  })

  it('a name used again after its node was closed is the new node, with the services of that one only', async () => {
    const [a, first] = await nodes.startAll('a', 'b')
    await first.provide('old', { ping: () => 'old' })
    await a.waitForServices(['old'])
    const { address } = first
    await first.close()
    const second = await nodes.start('b', { bind: address })
    await second.provide('new', { ping: () => 'new' })
    await a.waitForServices(['new'])
    expect(await a.callCb('new', 'ping', [])).toBe('new')
    await until('the old service is gone', () => a.getNodes('old').length === 0)
    expect(stateOf(a, 'b')).toBe('alive')
  })
})

describe('members', () => {
  it('are frozen snapshots with exactly the documented fields', async () => {
    const a = await nodes.start('a', { tags: { zone: 'x' } })
    const b = await nodes.start('b', { tags: { zone: 'y' } })
    await until('a has measured b', () => memberOf(a, 'b')?.rtt !== undefined)
    for (const member of a.members()) {
      expect(Object.keys(member).sort()).toEqual(
        [
          'address',
          'incarnation',
          'meta',
          'name',
          'rpcAddress',
          'rtt',
          'since',
          'state',
          'tags',
          'udpReachable',
        ].sort(),
      )
      expect(Object.isFrozen(member)).toBe(true)
      expect(Object.isFrozen(member.tags)).toBe(true)
      expect(member.meta).toBeInstanceOf(Uint8Array)
    }
    const shown = memberOf(a, 'b') as Member
    expect(shown).toMatchObject({ address: b.address, rpcAddress: b.rpcAddress, state: 'alive', name: 'b' })
    expect(shown.tags).toMatchObject({ zone: 'y', _rpc: b.rpcAddress })
    expect(shown.tags['_b']).toBe(b.inspect().bootId)
    expect(shown.incarnation).toBeGreaterThan(1_600_000_000)
    expect(Math.abs(Date.now() - shown.since)).toBeLessThan(60_000)
    expect(shown.rtt).toBeLessThan(1_000)
    expect(memberOf(a, 'a')?.rpcAddress).toBe(a.rpcAddress)
  })

  it('a node that leaves is left to the others, and its services go', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await c.provide('users', { get: () => 1 })
    await Promise.all([a, b].map((node) => node.waitForServices(['users'])))
    const events: string[] = []
    a.on('member', ({ type, member }) => events.push(`${type} ${member.name}`))
    a.on('service', ({ type, instance }) => events.push(`${type} ${instance.service}`))
    await c.leave()
    for (const node of [a, b]) {
      await until('c has left', () => stateOf(node, 'c') === 'left')
      expect(node.getNodes('users')).toEqual([])
    }
    expect(events).toEqual(['down users', 'leave c'])
    expect(await c.callCb('users', 'get', [], { nodes: ['c'] }).catch((error) => error.code)).toBe('DRAINING')
    await c.close()
    expect(stateOf(a, 'c')).toBe('left')
  })

  it('leave lets running calls finish, within its limit', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    let release = (_value: string): void => {}
    const held = new Promise<string>((resolve) => {
      release = resolve
    })
    await b.provide('slow', { wait: () => held, never: () => new Promise(() => {}) })
    await a.waitForServices(['slow'])
    const call = a.callCb('slow', 'wait', [])
    await until('the call runs', () => b.inspect().rpc.handlers.inFlight === 1)
    const leaving = b.leave()
    await until('the service is delisted', () => a.getNodes('slow').length === 0)
    expect(stateOf(a, 'b')).toBe('alive')
    release('finished')
    expect(await call).toBe('finished')
    await leaving
    await until('b has left', () => stateOf(a, 'b') === 'left')

    await a.provide('slow', { never: () => new Promise(() => {}) })
    const lost = a.callCb('slow', 'never', []).catch(({ code, executed }) => [code, executed])
    const startedAt = performance.now()
    await a.leave({ drain: 50 })
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    await a.close()
    expect(await lost).toEqual(['CLOSED', 'maybe'])
  })

  it('leave and close can be repeated; what comes after close is refused as CLOSED', async () => {
    const [a] = await nodes.startAll('a')
    expect(a.leave()).toBe(a.leave())
    await a.leave()
    expect(a.close()).toBe(a.close())
    await a.close()
    const late = [() => a.provide('x', { y: () => 1 }), () => a.join(['127.0.0.1:1']), () => a.waitForServices(['x'])]
    for (const use of late) expect(isShoalError(await rejection(use()), 'CLOSED')).toBe(true)
    expect(() => a.expose('x', { y: () => 1 })).toThrow(/closed/)
    expect(isShoalError(await rejection(a.callCb('x', 'y', [])))).toBe(true)
    expect(a.members().map(({ name }) => name)).toEqual(['a'])
  })
})

describe('events', () => {
  it('tell of members and services, and stop after off', async () => {
    const a = await nodes.start('a')
    const members: MemberEvent[] = []
    const services: RegistryEvent[] = []
    const onMember = (event: MemberEvent) => members.push(event)
    a.on('member', onMember).on('service', (event) => services.push(event))
    const b = await nodes.start('b')
    await until('b joined', () => members.some(({ type, member }) => type === 'join' && member.name === 'b'))
    const registration = await b.provide('users', { get: () => 1 })
    await until('users up', () => services.length === 1)
    registration.setMeta({ load: 3 })
    await until('users updated', () => services.length === 2)
    await registration.stop()
    await until('users down', () => services.length === 3)
    expect(services.map(({ type, instance }) => [type, instance.node])).toEqual([
      ['up', 'b'],
      ['update', 'b'],
      ['down', 'b'],
    ])
    expect(services[1]?.instance.meta).toEqual({ load: 3 })
    a.off('member', onMember)
    const before = members.length
    await b.leave()
    await until('b left', () => stateOf(a, 'b') === 'left')
    expect(members).toHaveLength(before)
  })

  it('a listener that throws harms nobody: it becomes a fault', async () => {
    const a = await nodes.start('a')
    const faults: Error[] = []
    const seen: string[] = []
    a.on('fault', () => {
      throw new Error('a fault listener that throws')
    })
    a.on('fault', (error) => faults.push(error))
    a.on('member', () => {
      throw new Error('thrown by a listener')
    })
    a.on('member', ({ member }) => seen.push(member.name))
    a.on('service', () => {
      throw new Error('thrown by another')
    })
    const b = await nodes.start('b')
    await b.provide('users', { get: () => 1 })
    await a.waitForServices(['users'])
    expect(await a.callCb('users', 'get', [])).toBe(1)
    expect(seen).toContain('b')
    expect(faults.map(({ message }) => message)).toContain('thrown by a listener')
    expect(faults.map(({ message }) => message)).toContain('thrown by another')
  })
})

it('inspect gives one JSON snapshot of members, services, queues and drops', async () => {
  const [a, b] = await nodes.startAll('a', 'b')
  await b.provide('users', { get: () => 1 }, { meta: { zone: 'x' } })
  await a.waitForServices(['users'])
  await a.callCb('users', 'get', [])
  const inspection = a.inspect()
  const copy = JSON.parse(JSON.stringify(inspection))
  expect(copy).toMatchObject({ name: 'a', cluster: nodes.cluster, address: a.address, rpcAddress: a.rpcAddress })
  expect(copy.members.map(({ name }: Member) => name).sort()).toEqual(['a', 'b'])
  expect(copy.services.users[0]).toMatchObject({ node: 'b', status: 'running', meta: { zone: 'x' } })
  expect(copy.membership).toMatchObject({
    healthScore: expect.any(Number),
    live: 2,
    drops: {},
    lagMs: expect.any(Number),
  })
  expect(copy.registry).toMatchObject({ node: 'a', services: { users: 1 }, nodes: 2 })
  expect(copy.rpc.peers).toMatchObject({ connections: 1, inFlight: 0 })
  expect(b.inspect().rpc.handlers.served).toBe(1)
})

/** An address of this machine at which nobody listens just now. */
function closedPort(): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(`127.0.0.1:${port}`))
    })
  })
}
