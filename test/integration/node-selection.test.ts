/** Which instance a call reaches, over real sockets: by version, filter, key, policy and health. */
import { afterEach, describe, expect, it } from 'vitest'
import { type CallOptions, defineService, isRpcError, method, type ShoalNode } from '../../src/index.js'
import { createTestNetwork } from '../../src/testing/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

/** Three nodes that each answer with their name; `a` is the caller. */
async function threeOf(version: (name: string) => string = () => '1.0.0'): Promise<readonly ShoalNode[]> {
  const all = await nodes.startAll('a', 'b', 'c')
  for (const node of all) {
    const options = { version: version(node.name), meta: { zone: node.name === 'c' ? 'far' : 'near' } }
    await node.provide('who', { am: () => node.name, ...(node.name === 'b' ? { only: () => 'b' } : {}) }, options)
  }
  for (const node of all) await node.waitForServices(['who'], { min: 3 })
  return all
}

async function answers(count: number, call: () => Promise<unknown>): Promise<string[]> {
  const seen = new Set<string>()
  for (let i = 0; i < count; i++) seen.add((await call()) as string)
  return [...seen].sort()
}

describe('a call', () => {
  it('stays in its process unless it is told not to', async () => {
    const [a] = (await threeOf()) as [ShoalNode]
    expect(await answers(20, () => a.callCb('who', 'am', []))).toEqual(['a'])
    expect(await answers(60, () => a.callCb('who', 'am', [], { localFirst: false }))).toEqual(['a', 'b', 'c'])
    const Who = defineService('who', { version: '1.0.0', localFirst: false }, { am: method<[], string>() })
    expect(await answers(60, () => a.callCb(Who, 'am', []))).toEqual(['a', 'b', 'c'])
    expect(await answers(60, () => a.stub('who', { localFirst: false })['am']?.() as Promise<string>)).toEqual([
      'a',
      'b',
      'c',
    ])
  })

  it('without preference for its process counts the calls that run there, and finds it nearest', async () => {
    const [a, b] = (await nodes.startAll('a', 'b')) as [ShoalNode, ShoalNode]
    const ran: string[] = []
    const waiting: (() => void)[] = []
    for (const node of [a, b]) {
      const hold = (): Promise<void> => {
        ran.push(node.name)
        return new Promise((resolve) => waiting.push(resolve))
      }
      await node.provide('jobs', { hold, where: () => node.name })
    }
    await a.waitForServices(['jobs'], { min: 2 })
    const idlest = { policy: 'least-pending', localFirst: false } as const
    const calls = Array.from({ length: 10 }, () => a.callCb('jobs', 'hold', [], idlest))
    await until('all run', () => ran.length === 10)
    for (const end of waiting) end()
    await Promise.all(calls)
    expect(ran.filter((name) => name === 'a')).toHaveLength(5)
    await until('the other has a round trip', () =>
      a.members().every(({ name, rtt }) => name === 'a' || rtt !== undefined),
    )
    const nearest = { policy: 'nearest', localFirst: false } as const
    expect(await answers(20, () => a.callCb('jobs', 'where', [], nearest))).toEqual(['a'])
  })

  it('with a version range reaches only instances in it, and none is NO_INSTANCES', async () => {
    const [a] = (await threeOf((name) => ({ a: '1.0.0', b: '1.4.2', c: '2.0.0' })[name] as string)) as [ShoalNode]
    expect(await answers(20, () => a.callCb('who', 'am', [], { version: '^1.1' }))).toEqual(['b'])
    expect(await answers(20, () => a.callCb('who', 'am', [], { version: '2.x' }))).toEqual(['c'])
    expect(isRpcError(await rejection(a.callCb('who', 'am', [], { version: '^3' })), 'NO_INSTANCES')).toBe(true)
    expect(isRpcError(await rejection(a.callCb('who', 'am', [], { version: 'newest' })), 'INVALID_ARGUMENT')).toBe(true)
    const all = await a.callCbAll('who', 'am', [], { version: '>=1.4' })
    expect(all.map(({ node }) => node).sort()).toEqual(['b', 'c'])
  })

  it('that nobody can take says whether nobody is there or its own wishes left nobody', async () => {
    const [a] = (await threeOf()) as [ShoalNode]
    const why = async (service: string, options: CallOptions): Promise<string> => {
      const error = await rejection(a.callCb(service, 'am', [], options))
      expect(isRpcError(error, 'NO_INSTANCES') && error.executed).toBe('no')
      return (error as Error).message
    }
    expect(await why('nobody', {})).toMatch(/no running instance of 'nobody' is known.*waitForServices/)
    expect(await why('who', { version: '^9', where: () => true })).toMatch(
      /no running instance of 'who' with a version in '\^9' and that 'where' accepts is known.*getInstances/,
    )
    expect(await why('who', { nodes: ['ghost', 'phantom'] })).toMatch(/none of the nodes 'ghost', 'phantom'.*members/)
    expect(await why('who', { nodes: ['b'], version: '^9' })).toMatch(/with a version in '\^9' is known on 'b'/)
    expect(await why('who', { nodes: [] })).toMatch(/'nodes' is empty/)
  })

  it('of a method that only some have goes to those, also past the local instance', async () => {
    const [a] = (await threeOf()) as [ShoalNode]
    expect(await answers(20, () => a.callCb('who', 'only', []))).toEqual(['b'])
    expect(isRpcError(await rejection(a.callCb('who', 'never', [])), 'NO_METHOD')).toBe(true)
  })

  it('with a filter reaches what it accepts', async () => {
    const [a] = (await threeOf()) as [ShoalNode]
    expect(await answers(20, () => a.callCb('who', 'am', [], { where: ({ meta }) => meta['zone'] === 'far' }))).toEqual(
      ['c'],
    )
  })

  it('with a key goes to the same instance from every node, and to its second when that one is gone', async () => {
    const all = await threeOf()
    const owners = new Map<string, string>()
    for (let i = 0; i < 30; i++) {
      const key = `user-${i}`
      const seen = new Set<string>()
      for (const node of all) seen.add((await node.callCb('who', 'am', [], { key })) as string)
      expect(seen.size).toBe(1)
      owners.set(key, [...seen][0] as string)
    }
    expect(new Set(owners.values()).size).toBe(3)
    const [a, b, c] = all as [ShoalNode, ShoalNode, ShoalNode]
    await c.leave()
    await until('c is delisted', () => [a, b].every((node) => node.getNodes('who').length === 2))
    for (const [key, owner] of owners) {
      const now = await a.callCb('who', 'am', [], { key })
      expect(owner === 'c' ? now !== 'c' : now === owner).toBe(true)
    }
  })

  it('forced over the network leaves the process and comes back to it', async () => {
    const a = await nodes.start('a')
    const callers: string[] = []
    await a.provide(
      'who',
      { am: (value: unknown) => value },
      {
        use: [
          (context, next) => {
            callers.push(context.caller.address)
            return next()
          },
        ],
      },
    )
    const value = { deep: [1] }
    expect(await a.callCb('who', 'am', [value])).toBe(value)
    expect(await a.callCb('who', 'am', [value], { forceRemote: true })).toEqual(value)
    expect(await a.callCb('who', 'am', [value], { forceRemote: true })).not.toBe(value)
    expect(a.inspect().rpc.peers.peers).toHaveLength(1)
    expect(callers[0]).toBe(a.rpcAddress)
    expect(new Set(callers).size).toBe(2)
  })

  it('that is hedged is answered by the second instance while the first one hangs', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    let cancelled = 0
    await b.provide(
      'slow',
      { get: () => new Promise(() => {}) },
      {
        use: [
          (context, next) => {
            context.signal.addEventListener('abort', () => cancelled++)
            return next()
          },
        ],
      },
    )
    await c.provide('slow', { get: () => 'c' })
    await a.waitForServices(['slow'], { min: 2 })
    const options = { nodes: ['b', 'c'], hedge: 20, idempotent: true }
    expect(await a.callCb('slow', 'get', [], options)).toBe('c')
    await until('the first is cancelled', () => cancelled === 1)
    const refused = await rejection(a.callCb('slow', 'get', [], { ...options, idempotent: false }))
    expect(isRpcError(refused, 'INVALID_ARGUMENT')).toBe(true)
  })
})

describe('an instance that does not answer', () => {
  it('is tried last after five timeouts, and again when its time is over', async () => {
    const net = createTestNetwork()
    const [a, b, c] = [await net.node({ name: 'a' }), await net.node({ name: 'b' }), await net.node({ name: 'c' })]
    let hangs = true
    let calls = 0
    const get = (): unknown => {
      calls++
      return hangs ? new Promise(() => {}) : 'b'
    }
    await b.provide('work', { get })
    await c.provide('work', { get: () => 'c' })
    await net.settled()
    for (let i = 0; i < 5; i++) await rejection(net.run(a.callCb('work', 'get', [], { nodes: ['b'], timeout: 50 })))
    expect([calls, a.inspect().rpc.circuits.ejections]).toEqual([5, 1])
    calls = 0
    // By chance b would be first every other time; now it is at most the one call that looks whether it works again.
    const call = (): Promise<unknown> =>
      net.run(a.callCb('work', 'get', [], { idempotent: true, hedge: 100, timeout: 5_000 }))
    for (let i = 0; i < 12; i++) expect(await call()).toBe('c')
    expect(calls).toBeLessThanOrEqual(1)
    hangs = false
    await net.advance(60_000)
    const seen = new Set<unknown>()
    for (let i = 0; i < 40; i++) seen.add(await call())
    expect([...seen].sort()).toEqual(['b', 'c'])
    expect(a.inspect().rpc.circuits.ejected).toBe(0)
    await net.close()
  })
})
