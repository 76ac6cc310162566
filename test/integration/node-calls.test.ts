/** Calls between nodes through the public API: local first, then remote, with one contract for both. Real sockets, one process. */
import { afterEach, describe, expect, it } from 'vitest'
import {
  createNode,
  currentCall,
  defineService,
  isRpcError,
  method,
  type RpcError,
  type ShoalNode,
} from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

interface User {
  readonly id: string
  readonly born: Date
}

const Users = defineService(
  'users',
  { version: '1.2.0' },
  {
    get: method<[id: string], User | null>({ idempotent: true, timeout: 2_000 }),
    rename: method<[user: User, name: string], { readonly by: string }>(),
  },
)

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

/** Every node given provides `who`, which answers the node's name. */
async function provideWho(...providers: readonly ShoalNode[]): Promise<void> {
  for (const node of providers) await node.provide('who', { am: () => node.name })
}

describe('choosing an instance', () => {
  it('a call goes to the local instance first, to another when the local one is not available', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await provideWho(b)
    await a.waitForServices(['who'])
    expect(await a.callCb('who', 'am', [])).toBe('b')
    const local = await a.provide('who', { am: () => 'a' })
    for (let i = 0; i < 10; i++) expect(await a.callCb('who', 'am', [])).toBe('a')
    local.pause()
    expect(await a.callCb('who', 'am', [])).toBe('b')
    local.resume()
    expect(await a.callCb('who', 'am', [])).toBe('a')
    await local.stop()
    expect(await a.callCb('who', 'am', [])).toBe('b')
  })

  it('remote calls spread over the instances', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await provideWho(b, c)
    await a.waitForServices(['who'], { min: 2 })
    const answers = new Set<unknown>()
    for (let i = 0; i < 40; i++) answers.add(await a.callCb('who', 'am', []))
    expect([...answers].sort()).toEqual(['b', 'c'])
  })

  it('named nodes are tried in their order, and a refusal leads to the next', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await provideWho(a, c)
    await a.waitForServices(['who'], { min: 2 })
    expect(await a.callCb('who', 'am', [], { nodes: ['c', 'a'] })).toBe('c')
    expect(await a.callCb('who', 'am', [], { nodes: ['b', 'c'] })).toBe('c')
    const error = (await rejection(a.callCb('who', 'am', [], { nodes: ['b'] }))) as RpcError
    expect(isRpcError(error, 'NOT_PROVIDED')).toBe(true)
    expect(error).toMatchObject({ executed: 'no', node: b.name })
    expect(c.inspect().rpc.handlers.served).toBe(2)
  })

  it('without an instance it rejects NO_INSTANCES, which was not executed', async () => {
    const [a] = await nodes.startAll('a')
    for (const call of [a.callCb('nothing', 'x', []), a.callCb('nothing', 'x', [], { timeout: 0 })]) {
      const error = await rejection(call)
      expect(isRpcError(error, 'NO_INSTANCES')).toBe(true)
      expect(error).toMatchObject({ executed: 'no', attempts: [] })
    }
    expect(await a.callCbAll('nothing', 'x', [])).toEqual([])
  })

  it('callCbAll asks all instances and settles each by itself, the local one first', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await provideWho(a, b)
    await c.provide('who', {
      am: () => {
        throw new Error('c does not say')
      },
    })
    await a.waitForServices(['who'], { min: 3 })
    const results = await a.callCbAll('who', 'am', [])
    expect(results[0]).toEqual({ node: 'a', ok: true, value: 'a' })
    const others = Object.fromEntries(results.slice(1).map((result) => [result.node, result]))
    expect(others['b']).toEqual({ node: 'b', ok: true, value: 'b' })
    expect(others['c']).toMatchObject({ node: 'c', ok: false })
    const failed = others['c']
    expect(failed?.ok === false && isRpcError(failed.error, 'REMOTE')).toBe(true)
  })
})

describe('stubs', () => {
  it('a typed stub calls local and remote instances alike, with values that JSON does not have', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const born = new Date(1_000)
    const service = (node: ShoalNode) => ({
      get: (id: string) => (id === '42' ? { id, born } : null),
      rename: async (user: User, name: string) => ({ by: `${node.name} ${user.born.getTime()} ${name}` }),
    })
    await b.provide(Users, service(b))
    await a.waitForServices([Users])
    const users = a.stub(Users)
    expect(await users.get('42')).toEqual({ id: '42', born })
    expect(await users.get('43')).toBeNull()
    expect(await users.rename({ id: '1', born }, 'ann')).toEqual({ by: 'b 1000 ann' })
    expect(a.getInstances(Users)[0]).toMatchObject({ version: '1.2.0', methods: ['get', 'rename'] })
    await a.provide(Users, service(a))
    expect(await users.rename({ id: '1', born }, 'ann')).toEqual({ by: 'a 1000 ann' })
    expect(await users.$with({ nodes: ['b'] }).rename({ id: '1', born }, 'bea')).toEqual({ by: 'b 1000 bea' })
    expect(a.stub(Users)).toBe(users)
    const awaited = await users
    expect(awaited).toBe(users)
  })

  it('an untyped stub takes any method, and says NO_METHOD for those that there are not', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await b.provide('math', { add: (x: number, y: number) => x + y })
    await a.waitForServices(['math'])
    const math = a.stub('math')
    expect(await math['add']?.(1, 2)).toBe(3)
    const error = await rejection(math['subtract']?.(1, 2) as Promise<unknown>)
    expect(isRpcError(error, 'NO_METHOD')).toBe(true)
    expect(error).toMatchObject({ executed: 'no' })
  })

  it('remote, and a stub made before, wait for a service that appears later', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const users = a.stub(Users, { retryDelay: 20 })
    const pending = [users.get('1'), a.remote('users', 'get', ['2'], { retryDelay: 20, retries: { unavailable: 200 } })]
    await until('both have begun to wait', () => a.inspect().rpc.retryPauses === 2)
    await b.provide(Users, {
      get: (id) => ({ id, born: new Date(0) }),
      rename: () => ({ by: 'b' }),
    })
    expect(await Promise.all(pending)).toMatchObject([{ id: '1' }, { id: '2' }])
    const error = await rejection(a.remote('never', 'x', [], { retries: { unavailable: 2 }, retryDelay: 1 }))
    expect(isRpcError(error, 'NO_INSTANCES')).toBe(true)
  })
})

describe('exposed modules', () => {
  it('are called on named nodes, on the nodes of a service, and near the current call; never announced', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const math = (node: ShoalNode) => ({ add: (x: number, y: number) => `${x + y} by ${node.name}` })
    for (const node of [a, b]) node.expose('math', math(node))
    await b.provide('users', { sum: (x: number) => b.call('math', 'add', [x, x]) })
    await a.waitForServices(['users'])
    expect(await a.call('math', 'add', [1, 2], { nodes: ['b'] })).toBe('3 by b')
    expect(await a.call('math', 'add', [1, 2], { nodes: ['a'] })).toBe('3 by a')
    expect(await a.call('math', 'add', [1, 2], { service: 'users' })).toBe('3 by b')
    expect(await a.callCb('users', 'sum', [4])).toBe('8 by b')
    expect(isRpcError(await rejection(a.call('math', 'add', [1, 2])), 'SERVICE_ID_MISSING')).toBe(true)
    expect(a.getNodes('math')).toEqual([])
    expect(a.getServices().seen).toEqual(['users'])
  })
})

describe('the call as the handler sees it', () => {
  it('names the caller, its headers and the time left; nested calls inherit both', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    const inner = () => {
      const call = currentCall()
      return { caller: call?.caller.node, left: call?.remaining(), headers: { ...call?.headers } }
    }
    await c.provide('inner', { look: inner })
    await b.provide('outer', {
      async look(...args: unknown[]) {
        const call = currentCall()
        const nested = await b.callCb('inner', 'look', [], { timeout: 60_000, headers: { step: 'two' } })
        const own = { service: call?.service, method: call?.method, traceparent: call?.traceparent }
        return { args, own, caller: call?.caller, left: call?.remaining(), nested }
      },
    })
    await Promise.all([a.waitForServices(['outer']), b.waitForServices(['inner'])])
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const seen = await a.callCb<Record<string, unknown>>('outer', 'look', ['x'], {
      timeout: 5_000,
      headers: { step: 'one', user: 'ann', traceparent },
    })
    expect(seen).toMatchObject({
      args: ['x'],
      own: { service: 'outer', method: 'look', traceparent },
      caller: { node: 'a', address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
      nested: { caller: 'b', headers: { step: 'two', user: 'ann', traceparent } },
    })
    const { left } = seen['nested'] as { left: number }
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(5_000)
    expect(currentCall()).toBeUndefined()
  })

  it('is aborted at the deadline, and the nested call with it; the caller learns DEADLINE_EXCEEDED', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    const aborted: string[] = []
    const untilAborted = (name: string) =>
      new Promise<void>((resolve) => {
        currentCall()?.signal.addEventListener('abort', () => resolve(void aborted.push(name)))
      })
    await c.provide('inner', { wait: () => untilAborted('inner') })
    await b.provide('outer', {
      wait: () => Promise.allSettled([b.callCb('inner', 'wait', []), untilAborted('outer')]),
    })
    await Promise.all([a.waitForServices(['outer']), b.waitForServices(['inner'])])
    const error = await rejection(a.callCb('outer', 'wait', [], { timeout: 150 }))
    expect(isRpcError(error, 'DEADLINE_EXCEEDED')).toBe(true)
    expect(error).toMatchObject({ executed: 'maybe', node: 'b' })
    await until('both were aborted', () => aborted.length === 2)
    expect(aborted.sort()).toEqual(['inner', 'outer'])
  })

  it('is aborted when the caller cancels', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    let aborted = false
    await b.provide('jobs', {
      wait: () =>
        new Promise<void>((resolve) => {
          currentCall()?.signal.addEventListener('abort', () => {
            aborted = true
            resolve()
          })
        }),
    })
    await a.waitForServices(['jobs'])
    const controller = new AbortController()
    const call = rejection(a.callCb('jobs', 'wait', [], { signal: controller.signal }))
    await until('it runs', () => b.inspect().rpc.handlers.inFlight === 1)
    controller.abort(new Error('no longer wanted'))
    const error = await call
    expect(isRpcError(error, 'CANCELLED')).toBe(true)
    expect(error).toMatchObject({ executed: 'maybe' })
    await until('the handler was told', () => aborted)
  })

  it('passes through the middleware of its service, the first one outermost, local or remote', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await b.provide(
      'greeter',
      { greet: (name: string) => `hello ${name}` },
      {
        use: [
          async (context, next) => `${context.caller.node}:${context.method}(${await next()})`,
          async ({ args }, next) => {
            if (args[0] === 'nobody') throw new Error('refused by the middleware')
            return `[${await next()}]`
          },
        ],
      },
    )
    await a.waitForServices(['greeter'])
    expect(await a.callCb('greeter', 'greet', ['ann'])).toBe('a:greet([hello ann])')
    expect(await b.callCb('greeter', 'greet', ['ann'])).toBe('b:greet([hello ann])')
    const error = await rejection(a.callCb('greeter', 'greet', ['nobody']))
    expect(isRpcError(error, 'REMOTE')).toBe(true)
  })
})

describe('failures', () => {
  it('what a handler throws arrives as REMOTE with name, message, code and data, local or remote', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    class PaymentError extends Error {
      override readonly name = 'PaymentError'
      readonly code = 'E_FUNDS'
      readonly data = { missing: 12n }
    }
    await b.provide('billing', {
      charge: () => {
        throw new PaymentError('not enough')
      },
      async later() {
        throw 'a text'
      },
    })
    await a.waitForServices(['billing'])
    for (const node of [a, b]) {
      const error = (await rejection(node.callCb('billing', 'charge', []))) as RpcError
      expect(isRpcError(error, 'REMOTE')).toBe(true)
      expect(error).toMatchObject({ executed: 'yes', node: 'b' })
      expect(error.remote).toMatchObject({
        name: 'PaymentError',
        message: 'not enough',
        code: 'E_FUNDS',
        data: { missing: 12n },
      })
      expect(error.remote?.stack).toBeUndefined()
      const text = (await rejection(node.callCb('billing', 'later', []))) as RpcError
      expect(text.remote?.message).toBe('a text')
    }
  })

  it('an error that a handler returns is a value, and nothing is called again', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    let calls = 0
    const look = {
      look: () => {
        calls++
        return Object.assign(new Error('elsewhere'), { code: 'NO_INSTANCES', executed: 'no' })
      },
    }
    await b.provide('shop', look)
    await c.provide('shop', look)
    await a.waitForServices(['shop'], { min: 2 })
    expect(await a.callCb('shop', 'look', [])).toBeInstanceOf(Error)
    expect(calls).toBe(1)
  })

  it('the stack of a remote error comes along only where its node allows it', async () => {
    const [a] = await nodes.startAll('a')
    const open = await nodes.start('open', { rpc: { exposeStacks: true } })
    const fail = () => {
      throw new Error('with a stack')
    }
    await open.provide('failing', { fail })
    await a.waitForServices(['failing'])
    const error = (await rejection(a.callCb('failing', 'fail', []))) as RpcError
    expect(error.remote?.stack).toContain('node-calls.test')
  })

  it('wrong arguments reject with INVALID_ARGUMENT and are not executed; nothing is thrown', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await provideWho(b)
    await a.waitForServices(['who'])
    const throws = (): never => {
      throw new Error('of the filter')
    }
    const wrong = [
      () => a.callCb('who', 'am', 'no array' as never),
      () => a.callCb('who', '', []),
      () => a.callCb('who', 'am', [], { timeout: -1 }),
      () => a.callCb('who', 'am', [], { nodes: 'b' as never }),
      () => a.callCb('who', 'am', [() => 1]),
      () => a.remote('who', 'am', [], { retries: { unavailable: -1 } }),
      () => a.callCbAll('', 'am', []),
      () => a.call('who', 'am', [], { nodes: [''] }),
      () => a.callCb('who', 'am', [], { idempotent: 'false' as never }),
      () => a.callCb('who', 'am', [], { where: throws }),
      () => a.callCbAll('who', 'am', [], { where: throws }),
      () => a.remote('who', 'am', [], { where: throws }),
      () => a.stub<{ am(): string }>('who', { where: throws }).am(),
    ]
    for (const [index, attempt] of wrong.entries()) {
      const error = await rejection(attempt())
      expect(isRpcError(error, 'INVALID_ARGUMENT'), `${index}: ${String(error)}`).toBe(true)
      expect(error).toMatchObject({ executed: 'no' })
    }
    expect(b.inspect().rpc.handlers.served).toBe(0)
  })

  it('a cast resolves once it is written, whatever the handler does', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const seen: unknown[] = []
    await b.provide('log', {
      add: (line: string) => {
        seen.push(line)
        throw new Error('nobody hears this')
      },
    })
    await a.waitForServices(['log'])
    expect(await a.callCb('log', 'add', ['one'], { timeout: 0 })).toBeUndefined()
    await until('it came', () => seen.length === 1)
    await b.callCb('log', 'add', ['two'], { timeout: 0 })
    await until('the local one came too', () => seen.length === 2)
    expect(seen).toEqual(['one', 'two'])
  })

  it('calls under way when the callee closes say what is known of them, and the next ones go elsewhere', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await b.provide('jobs', { run: () => new Promise(() => {}) })
    await a.waitForServices(['jobs'])
    const lost = rejection(a.callCb('jobs', 'run', []))
    await until('it runs', () => b.inspect().rpc.handlers.inFlight === 1)
    await c.provide('jobs', { run: () => 'by c' })
    await a.waitForServices(['jobs'], { min: 2 })
    await b.close()
    const error = await lost
    expect(isRpcError(error, 'CONNECTION_LOST')).toBe(true)
    expect(error).toMatchObject({ executed: 'maybe', node: 'b' })
    for (let i = 0; i < 20; i++) expect(await a.callCb('jobs', 'run', [], { timeout: 2_000 })).toBe('by c')
  })
})

it('local calls pass values by reference, or as copies with local: clone', async () => {
  const [shared] = await nodes.startAll('shared')
  const cloning = await createNode({ cluster: `${nodes.cluster}-clone`, bind: '127.0.0.1:0', local: 'clone' })
  try {
    const given = { list: [1, 2, 3] }
    for (const node of [shared, cloning]) await node.provide('echo', { same: (value: unknown) => value })
    expect(await shared.callCb('echo', 'same', [given])).toBe(given)
    const copy = await cloning.callCb('echo', 'same', [given])
    expect(copy).toEqual(given)
    expect(copy).not.toBe(given)
  } finally {
    await cloning.close()
  }
})
