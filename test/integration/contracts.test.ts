/** Contracts with schemas, and middleware of a node, through the public API: the same for local and remote calls. */
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  currentCall,
  defineService,
  isRpcError,
  type Middleware,
  method,
  type NodeOptions,
  type OutgoingMiddleware,
  type RpcError,
  type ServiceImpl,
  type ShoalNode,
} from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'

const Orders = defineService(
  'orders',
  { version: '1.0.0' },
  {
    place: method({
      input: z.object({ sku: z.string().trim(), count: z.number().int().positive().default(1) }),
      output: z.object({ id: z.string() }),
    }),
    total: method({ args: z.tuple([z.number(), z.bigint()]), output: z.bigint() }),
    plain: method<[value: unknown], unknown>(),
  },
)

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

function ordersAt(node: ShoalNode, placed: unknown[]): ServiceImpl<typeof Orders> {
  return {
    place(order) {
      placed.push(order)
      return order.sku === 'broken' ? ({ id: 5, secret: 'k' } as never) : { id: `${node.name}-1` }
    },
    total: async (count, price) => BigInt(count) * price,
    plain: (value) => value,
  }
}

describe.each<[string, NodeOptions, { readonly forceRemote?: boolean }]>([
  ['local, by reference', {}, {}],
  ['local, by copies', { local: 'clone' }, {}],
  ['remote', {}, { forceRemote: true }],
])('a contract with schemas, %s', (_way, nodeOptions, callOptions) => {
  async function setup() {
    const node = await nodes.start('a', nodeOptions)
    const placed: unknown[] = []
    const faults: Error[] = []
    node.on('fault', (error) => faults.push(error))
    await node.provide(Orders, ordersAt(node, placed))
    return { node, placed, faults, orders: node.stub(Orders).$with(callOptions) }
  }

  it('gives the handler what its schema makes of the arguments, and the caller what it makes of the result', async () => {
    const { orders, placed } = await setup()
    expect(await orders.place({ sku: '  a ' })).toEqual({ id: 'a-1' })
    expect(placed).toEqual([{ sku: 'a', count: 1 }])
    expect(await orders.total(3, 2n ** 70n)).toBe(3n * 2n ** 70n)
    expect(await orders.plain({ any: 1 })).toEqual({ any: 1 })
  })

  it('refuses arguments that do not conform before the handler, with path and message only', async () => {
    const { orders, placed, faults, node } = await setup()
    const wrong = orders.place({ sku: 'a', count: 'secret' as never })
    const error = (await rejection(wrong)) as RpcError
    expect(isRpcError(error, 'INVALID_ARGUMENT')).toBe(true)
    expect(error).toMatchObject({ executed: 'no', node: 'a' })
    expect(error.message).toMatch(/arguments of orders\.place: input\.count: /)
    expect(error.message).not.toContain('secret')
    const extra = node.callCb('orders', 'place', [{ sku: 'a' }, 'extra'], callOptions)
    expect(await rejection(extra)).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect([placed, faults]).toEqual([[], []])
  })

  it('makes a result that does not conform the fault of the callee', async () => {
    const { orders, faults } = await setup()
    const error = (await rejection(orders.place({ sku: 'broken' }))) as RpcError
    expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', node: 'a', remote: { name: 'ContractError' } })
    expect(error.message).toMatch(/result of orders\.place on 'a' .* result\.id: /)
    expect(faults).toMatchObject([{ code: 'REMOTE', message: error.message }])
  })
})

describe('middleware of a node', () => {
  it('for incoming calls is outside that of the service, for local and remote calls and exposed modules', async () => {
    const seen: string[] = []
    const layer =
      (name: string): Middleware =>
      (call, next) => {
        seen.push(`${name} ${call.caller.node} ${call.service}.${call.method}`)
        return next()
      }
    const a = await nodes.start('a', { use: [layer('outer'), layer('inner')] })
    const b = await nodes.start('b')
    await a.provide('who', { am: () => currentCall()?.caller.node }, { use: [layer('service')] })
    a.expose('math', { one: () => 1 })
    await b.waitForServices(['who'])
    expect(await a.callCb('who', 'am', [])).toBe('a')
    expect(await b.callCb('who', 'am', [])).toBe('b')
    expect(await b.call('math', 'one', [], { nodes: ['a'] })).toBe(1)
    const around = (caller: string) => ['outer', 'inner', 'service'].map((name) => `${name} ${caller} who.am`)
    expect(seen).toEqual([...around('a'), ...around('b'), 'outer b math.one', 'inner b math.one'])
  })

  it('for outgoing calls adds headers, once per call of a stub, by name, of all and of a module', async () => {
    const seen: string[] = []
    const token: OutgoingMiddleware = async (call, next) => {
      seen.push(`${call.service}.${call.method}`)
      call.setHeader('token', `t${seen.length}`)
      return next()
    }
    const [a, b] = [await nodes.start('a', { useOutgoing: [token] }), await nodes.start('b')]
    const read = { read: () => ({ ...currentCall()?.headers }) }
    await b.provide('who', read)
    await a.waitForServices(['who'])
    const own = { headers: { own: 'x' } }
    expect(await a.callCb('who', 'read', [], own)).toEqual({ own: 'x', token: 't1' })
    expect(await a.callCb('who', 'read', [], { forceRemote: true, retry: true })).toEqual({ token: 't2' })
    expect(await a.stub('who', own)['read']?.()).toEqual({ own: 'x', token: 't3' })
    expect(await a.callCbAll('who', 'read', [])).toEqual([{ node: 'b', ok: true, value: { token: 't4' } }])
    expect(await a.call('who', 'read', [], { nodes: ['b'] })).toEqual({ token: 't5' })
    expect(await b.callCb('who', 'read', [])).toEqual({})
    expect(seen.length).toBe(5)
  })

  it('runs once for a call that takes several passes', async () => {
    let ran = 0
    const count: OutgoingMiddleware = (_call, next) => {
      ran++
      return next()
    }
    const a = await nodes.start('a', { useOutgoing: [count] })
    const registration = await a.provide('who', { am: () => 'a' })
    await registration.pause()
    const named = { nodes: ['a'], retries: { unavailable: 3 }, retryDelay: 1 }
    const error = (await rejection(a.remote('who', 'am', [], named))) as RpcError
    expect(error).toMatchObject({ code: 'UNAVAILABLE', executed: 'no' })
    expect([error.attempts.length, ran]).toEqual([4, 1])
  })

  it.each([
    ['use', 5, /use must be an array of functions/],
    ['useOutgoing', ['x'], /useOutgoing must be an array of functions .* other values in it/],
  ])('%s is checked at the start', async (option, value, message) => {
    const started = nodes.start('a', { [option]: value } as NodeOptions)
    const error = await rejection(started)
    expect(error).toMatchObject({ code: 'INVALID_OPTION' })
    expect((error as Error).message).toMatch(message)
  })
})

it('nested calls carry deadline, trace context and headers through nodes, whatever each adds', async () => {
  const [a, b, c] = await nodes.startAll('a', 'b', 'c')
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await c.provide('last', {
    see: () => {
      const call = currentCall()
      return { ...call?.headers, trace: call?.traceparent, caller: call?.caller.node, left: call?.remaining() }
    },
  })
  await b.provide('first', { go: () => b.callCb('last', 'see', [], { headers: { hop: 'b' }, timeout: 25_000 }) })
  await Promise.all([b.waitForServices(['last']), a.waitForServices(['first'])])
  const seen = await a.callCb<Record<string, unknown>>('first', 'go', [], {
    timeout: 20_000,
    headers: { traceparent, tenant: 't1', hop: 'a' },
  })
  expect(seen).toMatchObject({ tenant: 't1', hop: 'b', trace: traceparent, caller: 'b' })
  expect(seen['left']).toBeGreaterThan(10_000)
  expect(seen['left']).toBeLessThanOrEqual(20_000)
})

it('headers over the limit are refused alike, local or remote', async () => {
  const a = await nodes.start('a')
  await a.provide('who', { am: () => 'a' })
  const headers = { big: 'x'.repeat(17_000) }
  for (const forceRemote of [false, true]) {
    const error = await rejection(a.callCb('who', 'am', [], { headers, forceRemote }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
  }
})
