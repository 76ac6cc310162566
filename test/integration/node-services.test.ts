/** Services as others see them: provided, found, waited for, watched, paused, drained, stopped. Real sockets, one process. */
import { afterEach, describe, expect, it } from 'vitest'
import {
  isRpcError,
  isShoalError,
  type RegistryEvent,
  type ServiceWatch,
  type ShoalNode,
  type WaitTimeoutError,
} from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

describe('discovery', () => {
  it('an instance is frozen and has exactly the documented fields, local or not', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const before = Date.now()
    await b.provide('users', { save: () => 1, get: () => 2 }, { version: '1.2.0', meta: { zone: 'x', load: [1, 2] } })
    await a.waitForServices(['users'])
    for (const [node, local] of [[a, false] as const, [b, true] as const]) {
      const [instance] = node.getInstances('users')
      expect(instance).toEqual({
        node: 'b',
        service: 'users',
        version: '1.2.0',
        status: 'running',
        statusAt: expect.any(Number),
        reason: undefined,
        methods: ['get', 'save'],
        meta: { zone: 'x', load: [1, 2] },
        metaPending: false,
        hash: expect.stringMatching(/^[0-9a-f]{14}$/),
        address: b.rpcAddress,
        local,
      })
      expect(Object.isFrozen(instance)).toBe(true)
      expect(instance?.statusAt).toBeGreaterThanOrEqual(before)
    }
  })

  it('lists the local node first, the rest in changing order, and nothing for an unknown service', async () => {
    const all = await nodes.startAll('a', 'b', 'c', 'd')
    for (const node of all) await node.provide('users', { get: () => node.name })
    for (const node of all) await node.waitForServices(['users'], { min: 4 })
    const seconds = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const listed = all[1].getNodes('users')
      expect([...listed].sort()).toEqual(['a', 'b', 'c', 'd'])
      expect(listed[0]).toBe('b')
      seconds.add(listed[1] as string)
    }
    expect([...seconds].sort()).toEqual(['a', 'c', 'd'])
    expect(all[0].getNodes('nothing')).toEqual([])
    expect(all[0].getInstances('nothing')).toEqual([])
  })

  it('getServices tells what runs now and what was ever seen', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const users = await b.provide('users', { get: () => 1 })
    await b.provide('orders', { list: () => 1 })
    await a.waitForServices(['users', 'orders'])
    await users.stop()
    await until('users is gone', () => a.getNodes('users').length === 0)
    const { running, seen } = a.getServices()
    expect([...running.keys()]).toEqual(['orders'])
    expect(running.get('orders')?.map(({ node }) => node)).toEqual(['b'])
    expect([...seen].sort()).toEqual(['orders', 'users'])
  })

  it('a service is provided once per node, with a usable implementation; what is refused changes nothing', async () => {
    const [a] = await nodes.startAll('a')
    await a.provide('users', { get: () => 1 })
    const refused = [
      () => a.provide('users', { get: () => 2 }),
      () => a.provide('', { get: () => 1 }),
      () => a.provide('other', 'no object' as never),
      () => a.provide('other', { get: () => 1 }, { meta: { at: new Date() } as never }),
      () => a.provide('other', { get: () => 1 }, { helthCheck: () => true } as never),
      () => a.provide('other', { get: () => 1 }, { paused: 'yes' } as never),
      () => a.provide('other', { get: () => 1 }, null as never),
    ]
    for (const attempt of refused) {
      expect(isShoalError(await rejection(attempt()), 'INVALID_ARGUMENT')).toBe(true)
    }
    expect(await a.callCb('users', 'get', [])).toBe(1)
    expect([...a.getServices().running.keys()]).toEqual(['users'])
    await a.provide('other', { get: () => 3 })
    expect(await a.callCb('other', 'get', [])).toBe(3)
  })
})

describe('waitForServices', () => {
  it('resolves when the last one comes up, for names and counts', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    let waited = false
    const waiting = a.waitForServices(['users', 'orders'], { min: 2 }).then(() => {
      waited = true
    })
    await b.provide('users', { get: () => 1 })
    await c.provide('users', { get: () => 1 })
    await b.provide('orders', { list: () => 1 })
    await until('all but one are known', () => a.getNodes('users').length === 2 && a.getNodes('orders').length === 1)
    expect(waited).toBe(false)
    await c.provide('orders', { list: () => 1 })
    await waiting
    expect(a.getNodes('orders')).toHaveLength(2)
  })

  it('rejects WAIT_TIMEOUT with what is missing, CANCELLED by the signal, CLOSED with the node', async () => {
    const [a] = await nodes.startAll('a')
    await a.provide('here', { ping: () => 1 })
    const late = await rejection(a.waitForServices(['here', 'there', 'nowhere'], { timeout: 30 }))
    expect(isShoalError(late, 'WAIT_TIMEOUT')).toBe(true)
    expect((late as WaitTimeoutError).missing).toEqual(['there', 'nowhere'])
    const controller = new AbortController()
    const cancelled = rejection(a.waitForServices(['there'], { signal: controller.signal }))
    const closed = rejection(a.waitForServices(['there'], { retries: 5 }))
    controller.abort(new Error('enough'))
    expect(isShoalError(await cancelled, 'CANCELLED')).toBe(true)
    await a.close()
    expect(isShoalError(await closed, 'CLOSED')).toBe(true)
  })
})

describe('watch', () => {
  it('gives the present instances as up, then each change, and ends with its signal', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await a.provide('users', { get: () => 1 })
    const controller = new AbortController()
    const watch = a.watch('users', { signal: controller.signal })
    expect(await nextOf(watch)).toEqual(['up', 'a'])
    const registration = await b.provide('users', { get: () => 1 })
    await b.provide('orders', { list: () => 1 })
    expect(await nextOf(watch)).toEqual(['up', 'b'])
    registration.setMeta({ load: 1 })
    expect(await nextOf(watch)).toEqual(['update', 'b'])
    registration.pause()
    expect(await nextOf(watch)).toEqual(['down', 'b'])
    controller.abort()
    expect(await watch.next()).toEqual({ done: true, value: undefined })
  })

  it('ends with its node', async () => {
    const [a] = await nodes.startAll('a')
    const seen: RegistryEvent[] = []
    const watching = (async () => {
      for await (const event of a.watch('users')) seen.push(event)
    })()
    await a.provide('users', { get: () => 1 })
    await until('the event came', () => seen.length === 1)
    await a.close()
    await watching
    expect(seen.map(({ type }) => type)).toEqual(['up'])
  })
})

describe('a registration', () => {
  it('that is paused is delisted and refuses calls with its reason; resumed it serves again', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const registration = await b.provide('users', { get: () => 1 })
    await a.waitForServices(['users'])
    registration.pause('maintenance')
    expect(registration.status).toBe('paused')
    expect(b.getNodes('users')).toEqual([])
    for (const node of [a, b]) {
      const error = await rejection(node.callCb('users', 'get', [], { nodes: ['b'] }))
      expect(isRpcError(error, 'UNAVAILABLE')).toBe(true)
      expect(error).toMatchObject({ executed: 'no', node: 'b' })
      expect((error as Error).message).toContain('maintenance')
    }
    await until('it is delisted', () => a.getNodes('users').length === 0)
    expect(isRpcError(await rejection(a.callCb('users', 'get', [])), 'NO_INSTANCES')).toBe(true)
    registration.resume()
    await a.waitForServices(['users'])
    expect(await a.callCb('users', 'get', [])).toBe(1)
  })

  it('can start paused', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const registration = await b.provide('users', { get: () => 1 }, { paused: true })
    expect(registration.status).toBe('paused')
    await b.provide('after', { get: () => 1 })
    await a.waitForServices(['after'])
    expect(a.getNodes('users')).toEqual([])
    registration.resume()
    await a.waitForServices(['users'])
  })

  it('that drains is delisted, refuses new calls and waits for the running one', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const held = gate()
    const registration = await b.provide('users', { slow: () => held.opened })
    await a.waitForServices(['users'])
    const calls = [a.callCb('users', 'slow', []), b.callCb('users', 'slow', [])]
    await running(b, 2)
    const drained = registration.drain({ timeout: 10_000 })
    expect(registration.status).toBe('draining')
    await until('it is delisted', () => a.getNodes('users').length === 0)
    const error = await rejection(a.callCb('users', 'slow', [], { nodes: ['b'] }))
    expect(isRpcError(error, 'DRAINING')).toBe(true)
    expect(error).toMatchObject({ executed: 'no' })
    held.open('done')
    expect(await drained).toBe(true)
    expect(await Promise.all(calls)).toEqual(['done', 'done'])
    expect(registration.status).toBe('draining')
    registration.resume()
    await a.waitForServices(['users'])
  })

  it('that could not drain in time says so', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const held = gate()
    const registration = await b.provide('users', { slow: () => held.opened })
    await a.waitForServices(['users'])
    const call = a.callCb('users', 'slow', [])
    await running(b, 1)
    expect(await registration.drain({ timeout: 20 })).toBe(false)
    held.open('late')
    expect(await call).toBe('late')
    expect(await registration.drain()).toBe(true)
  })

  it('that was stopped is gone everywhere, lets its running call finish, and its name can be provided again', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const held = gate()
    const registration = await b.provide('users', { slow: () => held.opened })
    await a.waitForServices(['users'])
    const call = a.callCb('users', 'slow', [])
    await running(b, 1)
    await registration.stop()
    await registration.stop()
    expect(registration.status).toBe('stopped')
    const error = await rejection(a.callCb('users', 'slow', [], { nodes: ['b'] }))
    expect(isRpcError(error, 'NOT_PROVIDED')).toBe(true)
    await until('it is gone', () => a.getNodes('users').length === 0)
    await expect(registration.resume()).rejects.toThrow(/was stopped; provide it again/)
    held.open('finished')
    expect(await call).toBe('finished')
    await b.provide('users', { slow: () => 'again' })
    await a.waitForServices(['users'])
    expect(await a.callCb('users', 'slow', [])).toBe('again')
  })
})

async function nextOf(watch: ServiceWatch): Promise<readonly [type: string, node: string]> {
  const { value } = await watch.next()
  if (value === undefined) throw new Error('the watch ended')
  return [value.type, value.instance.node]
}

/** Until so many calls run on the node. */
function running(node: ShoalNode, count: number): Promise<unknown> {
  return until(`${count} calls run`, () => node.inspect().rpc.handlers.inFlight === count)
}

function gate(): { readonly opened: Promise<string>; readonly open: (value: string) => void } {
  let open = (_value: string): void => {}
  const opened = new Promise<string>((resolve) => {
    open = resolve
  })
  return { opened, open: (value) => open(value) }
}
