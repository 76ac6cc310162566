import { describe, expect, test } from 'vitest'
import { SERVICE_STATUSES } from '../../src/registry/record.js'
import type { Registry } from '../../src/registry/registry.js'
import {
  BOOT_1,
  BOOT_2,
  member,
  methodsOf,
  newCluster,
  newRegistry,
  news,
  running,
  told,
} from '../support/registry-cluster.js'

function pair(): [Registry, Registry] {
  const [a, b] = newCluster('a', 'b') as [Registry, Registry]
  running(a, 'users')
  b.handleMessage(news(a))
  told(b)
  return [a, b]
}

describe('membership decides what is visible:', () => {
  test('a suspected node stays listed, a dead or left one does not, and comes back without a resend', () => {
    for (const state of ['dead', 'left'] as const) {
      const [, b] = pair()
      b.handleMember(member('a', { state: 'suspect' }))
      expect(told(b)).toEqual([])
      expect(b.getNodes('users')).toEqual(['a'])
      b.handleMember(member('a', { state }))
      expect(told(b)).toEqual(['down a/users'])
      expect([b.getNodes('users'), b.instancesOf('a'), b.candidates('users', {}, ['a'])]).toEqual([[], [], []])
      b.handleMember(member('a'))
      expect(told(b)).toEqual(['up a/users'])
    }
  })

  test('a change that arrives while its node is dead is shown when the node is back', () => {
    const [a, b] = pair()
    b.handleMember(member('a', { state: 'dead', bootId: undefined, rpcAddress: undefined }))
    a.setMeta('users', { zone: 'x' }, 5)
    b.handleMessage(news(a))
    b.handleMember(member('a'))
    expect(b.getInstances('users')[0]?.meta).toEqual({ zone: 'x' })
  })

  test('a reaped node is forgotten with its records, but its service names stay seen', () => {
    const [, b] = pair()
    b.handleMember(member('a', { state: 'gone' }))
    expect(told(b)).toEqual(['down a/users'])
    b.handleMember(member('a'))
    expect(told(b)).toEqual([])
    expect(b.getServices()).toEqual({ running: new Map(), seen: ['users'] })
    expect(b.inspect().nodes).toBe(2)
  })

  test('records that come before their node are passed on, and shown as soon as membership shows the boot', () => {
    const a = newRegistry('a')
    const b = newRegistry('b')
    running(a, 'users')
    expect(b.handleMessage(news(a)).fresh).toBe(true)
    expect(b.getNodes('users')).toEqual([])
    expect(b.inspect().early).toBe(1)
    b.handleMember(member('a', { bootId: undefined }))
    expect(b.getNodes('users')).toEqual([])
    b.handleMember(member('a'))
    expect(told(b)).toEqual(['up a/users'])
    expect(b.inspect().early).toBe(0)
  })

  test('an announce that came before its node asks for a sync only when the node is shown', () => {
    const a = newRegistry('a')
    const b = newRegistry('b')
    a.provide({ service: 'big', status: 'running', methods: methodsOf(5_000) }, 1)
    b.handleMessage(news(a))
    expect(told(b)).toEqual([])
    b.handleMember(member('a'))
    expect(told(b)).toEqual(['sync a'])
    b.handleMember(member('a', { state: 'suspect' }))
    expect(told(b)).toEqual([])
  })

  test('a node of which nothing was heard asks for nothing', () => {
    const b = newRegistry('b')
    b.handleMember(member('a'))
    expect(told(b)).toEqual([])
  })

  test('a node without an RPC address is not listed until it has one', () => {
    const a = newRegistry('a')
    const b = newRegistry('b')
    running(a, 'users')
    b.handleMessage(news(a))
    b.handleMember(member('a', { rpcAddress: undefined }))
    expect(b.getNodes('users')).toEqual([])
    b.handleMember(member('a', { rpcAddress: 'a:9' }))
    expect(b.getInstances('users')[0]?.address).toBe('a:9')
  })

  test('a new address of a node is an update of its instances', () => {
    const [, b] = pair()
    b.handleMember(member('a', { rpcAddress: 'a:2' }))
    expect(told(b)).toEqual(['update a/users'])
    expect(b.getInstances('users')[0]?.address).toBe('a:2')
  })

  test('the table of early records gives up the oldest, in nodes as in bytes, and counts it', () => {
    const heavy = methodsOf(1_000)
    for (const limits of [{ earlyNodesMax: 3 }, { earlyBytesMax: 3_600 }]) {
      const b = newRegistry('b', limits)
      for (let i = 0; i < 10; i++) {
        const owner = newRegistry(`n${i}`)
        owner.provide({ service: 'users', status: 'running', methods: heavy }, 1)
        b.handleMessage(news(owner))
      }
      expect(b.inspect()).toMatchObject({ early: 3, drops: { earlyEvicted: 7 } })
      for (let i = 0; i < 10; i++) b.handleMember(member(`n${i}`))
      expect(b.getNodes('users').sort()).toEqual(['n7', 'n8', 'n9'])
    }
  })

  test('of early records only the newest boot of a node is kept', () => {
    const b = newRegistry('b')
    const older = newRegistry('a', { bootId: BOOT_1 })
    const newer = newRegistry('a', { bootId: BOOT_2 })
    running(older, 'users')
    running(newer, 'users')
    b.handleMessage(news(newer))
    expect(b.handleMessage(news(older))).toEqual({ fresh: false })
    b.handleMember(member('a', { bootId: BOOT_2 }))
    expect(told(b)).toEqual(['up a/users'])
  })
})

describe('a service', () => {
  test('is listed in no status but running', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    a.provide({ service: 'users' }, 1)
    for (const status of SERVICE_STATUSES) {
      a.setStatus('users', { status, reason: 'test', at: 2 })
      b.handleMessage(news(a))
      for (const each of [a, b]) expect(each.getNodes('users')).toEqual(status === 'running' ? ['a'] : [])
      expect(b.instancesOf('a')[0]).toMatchObject({ status, reason: 'test', statusAt: 2 })
    }
  })

  test('goes up, is updated and goes down, with the status that unlisted it', () => {
    const [a, b] = pair()
    a.setMeta('users', { zone: 'x' }, 5)
    b.handleMessage(news(a))
    a.setStatus('users', { status: 'draining', reason: 'deploy', at: 6 })
    b.handleMessage(news(a))
    const events = b.drain().map((effect) => (effect.type === 'event' ? effect.event : undefined))
    expect(events.map((event) => event?.type)).toEqual(['update', 'down'])
    expect(events[1]?.instance).toMatchObject({ status: 'draining', reason: 'deploy', statusAt: 6 })
  })

  test('of our own shows up here too, as local and first', () => {
    const [a, b] = pair()
    told(a)
    running(b, 'users')
    expect(told(b)).toEqual(['up b/users'])
    for (let i = 0; i < 20; i++) expect(b.getNodes('users')).toEqual(['b', 'a'])
    expect(b.getInstances('users').map((each) => each.local)).toEqual([true, false])
    b.withdraw('users', 5)
    expect(told(b)).toEqual(['down b/users'])
  })

  test('has frozen instances, the same object until something changes', () => {
    const [a, b] = pair()
    const before = b.getInstances('users')[0]!
    expect(Object.isFrozen(before)).toBe(true)
    expect(before).toEqual({
      ...{ node: 'a', service: 'users', version: '1.0.0', status: 'running', statusAt: 1_000, reason: undefined },
      ...{
        methods: ['get', 'put'],
        meta: {},
        metaPending: false,
        hash: expect.stringMatching(/^[0-9a-f]{14}$/),
        address: 'a:1',
        local: false,
      },
    })
    running(a, 'billing')
    b.handleMessage(news(a))
    b.handleMember(member('a', { state: 'suspect' }))
    b.handleMember(member('a', { state: 'dead' }))
    b.handleMember(member('a'))
    expect(b.getInstances('users')[0]).toBe(before)
    expect(b.instancesOf('a')).toContain(before)
  })

  test('unknown has no nodes', () => {
    const a = newRegistry('a')
    expect([a.getNodes('x'), a.getInstances('x'), a.countInstances('x'), a.candidates('x', {})]).toEqual([
      [],
      [],
      0,
      [],
    ])
  })
})

describe('selection', () => {
  test('of named nodes keeps the given order, listed or not, and leaves out those not in view', () => {
    const [, b] = pair()
    expect(b.candidates('other', {}, ['b', 'nobody', 'a'])).toEqual([
      { node: 'b', bootId: BOOT_1, address: 'b:1', local: true },
      { node: 'a', bootId: BOOT_1, address: 'a:1', local: false },
    ])
    expect(b.candidates('users', {}).map((each) => each.node)).toEqual(['a'])
  })
})

describe('the candidates of a service, asked for before and after', () => {
  const nodes = (registry: Registry, wish = {}): string[] => registry.candidates('users', wish).map(({ node }) => node)

  test('are the same objects as long as nothing changes', () => {
    const [, b] = pair()
    const [before] = b.candidates('users', { method: 'get' })
    expect(b.candidates('users', { method: 'get' })[0]).toBe(before)
  })

  test('follow membership: suspicion, death, return, another address, another boot', () => {
    const [a, b] = pair()
    running(b, 'users')
    const localLast = { localFirst: false }
    b.handleMember(member('a', { state: 'suspect' }))
    expect([nodes(b), nodes(b, localLast)]).toEqual([
      ['b', 'a'],
      ['b', 'a'],
    ])
    b.handleMember(member('a', { state: 'dead' }))
    expect([nodes(b), nodes(b, localLast)]).toEqual([['b'], ['b']])
    b.handleMember(member('a', { rpcAddress: 'a:2' }))
    expect(b.candidates('users', {})[1]?.address).toBe('a:2')
    b.handleMember(member('a', { bootId: BOOT_2, rpcAddress: 'a:3' }))
    expect(nodes(b)).toEqual(['b'])
    a.adoptBootId(BOOT_2)
    b.handleMessage(news(a))
    expect(b.candidates('users', {})[1]).toMatchObject({ bootId: BOOT_2, address: 'a:3' })
  })

  test('follow the service: its status here, another service of the same node, its end', () => {
    const [a, b] = pair()
    running(b, 'users')
    expect(nodes(b)).toEqual(['b', 'a'])
    b.setStatus('users', { status: 'paused', at: 5, reason: '' })
    expect(nodes(b)).toEqual(['a'])
    running(a, 'other')
    b.handleMessage(news(a))
    expect(b.candidates('other', {}).map(({ node }) => node)).toEqual(['a'])
    a.withdraw('users', 6)
    b.handleMessage(news(a))
    expect(nodes(b)).toEqual([])
  })

  test('of more methods than are remembered are right all the same', () => {
    const [, b] = pair()
    for (let i = 0; i < 10_000; i++) expect(nodes(b, { method: `m${i}` })).toEqual(['a'])
  })
})

test('an inspection is plain JSON', () => {
  const [, b] = pair()
  running(b, 'billing')
  const seen = b.inspect()
  expect(JSON.parse(JSON.stringify(seen))).toEqual(seen)
  expect(seen).toMatchObject({
    node: 'b',
    bootId: BOOT_1,
    rev: 1,
    nodes: 2,
    early: 0,
    services: { users: 1, billing: 1 },
  })
})
