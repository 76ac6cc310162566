/** What users' code and the order of calls can do to a node: odd throws, rejected listeners, use after leave and close. */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import {
  closeOnSignal,
  defineService,
  isRpcError,
  isShoalError,
  method,
  type Registration,
  type ShoalNode,
  stream,
} from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const WORKER = fileURLToPath(new URL('../support/cluster-worker.ts', import.meta.url))
let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

const endless = (): Promise<never> => new Promise(() => {})

describe('a listener', () => {
  it('that throws what has no text, or whose promise rejects, becomes a fault and stops nothing', async () => {
    const a = await nodes.start('a')
    const faults: string[] = []
    a.on('fault', ({ message }) => faults.push(message))
    a.on('fault', () => Promise.reject(new Error('of the fault listener itself')) as never)
    a.on('service', () => {
      throw Object.create(null)
    })
    a.on('service', async () => {
      throw new Error('rejected by a listener')
    })
    const registration = await a.provide('users', { get: () => 1 })
    expect(registration.status).toBe('running')
    await until('both are faults', () => faults.length === 2)
    expect(faults).toEqual(['something was thrown that has no text', 'rejected by a listener'])
  })
})

it('a caller that was refused before createNode resolved is a fault all the same', async () => {
  const a = await nodes.start('a')
  const refused = new Promise<void>((resolve) => {
    a.on('member', ({ type, member }) => {
      if (type !== 'join' || member.name !== 'b') return
      const port = Number(member.rpcAddress?.split(':')[1])
      const socket = connect(port, '127.0.0.1', () => socket.write(new Uint8Array([0x16, 3, 1, 0, 5])))
      socket.on('close', () => resolve()).resume()
    })
  })
  const b = await nodes.start('b', { admitMember: () => refused.then(() => true) })
  const faults: Error[] = []
  b.on('fault', (fault) => faults.push(fault))
  await until('it is told', () => faults.length > 0)
  expect(faults).toMatchObject([{ code: 'CALLER_REFUSED' }])
})

describe('close', () => {
  it('ends a leave and a drain that still wait for a running call', async () => {
    const a = await nodes.start('a')
    const registration = await a.provide('jobs', { endless })
    const lost = rejection(a.callCb('jobs', 'endless', []))
    const drained = registration.drain({ timeout: 60_000 })
    const left = a.leave({ drain: 60_000 })
    await a.close()
    await left
    expect(await drained).toBe(false)
    expect(isRpcError(await lost, 'CLOSED')).toBe(true)
    expect(await registration.drain({ timeout: 60_000 })).toBe(false)
  })

  it('may come before the node is disposed of', async () => {
    const a = await nodes.start('a')
    await a.close()
    await a[Symbol.asyncDispose]()
  })

  it('makes every later call CLOSED and not executed, though no instance is known', async () => {
    const a = await nodes.start('a')
    const stub = a.stub('nobody')
    await a.close()
    const calls = [
      a.callCb('nobody', 'x', []),
      a.callCb('nobody', 'x', [], { timeout: 0 }),
      a.callCb('nobody', 'x', [], { retry: true }),
      a.callCbAll('nobody', 'x', []),
      a.call('nobody', 'x', [], { nodes: ['b'] }),
      a.remote('nobody', 'x', []),
      stub['x']?.() as Promise<unknown>,
    ]
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toMatchObject({ code: 'CLOSED', executed: 'no' })
    }
  })
})

describe('a provided service', () => {
  it('is refused as CLOSED by a node that leaves: nobody would ever see it', async () => {
    const a = await nodes.start('a')
    const leaving = a.leave()
    expect(isShoalError(await rejection(a.provide('late', { get: () => 1 })), 'CLOSED')).toBe(true)
    await leaving
    expect(a.getNodes('late')).toEqual([])
  })

  it('goes on when its pause is refused', async () => {
    const a = await nodes.start('a')
    const registration = await a.provide('users', { get: () => 1 })
    await expect(registration.pause({} as string)).rejects.toThrow()
    expect([registration.status, a.getNodes('users'), await a.callCb('users', 'get', [])]).toEqual([
      'running',
      ['a'],
      1,
    ])
  })

  it('drains without a limit until its last call ended', async () => {
    const a = await nodes.start('a')
    let finish = (): void => {}
    const registration = await a.provide('jobs', { run: () => new Promise<void>((resolve) => (finish = resolve)) })
    const running = a.callCb('jobs', 'run', [])
    let drained: boolean | undefined
    const draining = registration.drain({ timeout: Number.POSITIVE_INFINITY }).then((emptied) => (drained = emptied))
    const limited = registration.drain({ timeout: 20 })
    expect(await limited).toBe(false)
    expect(drained).toBeUndefined()
    finish()
    await running
    expect(await draining).toBe(true)
  })
})

it('a limit on time that is none is refused, and nothing is drained, stopped or left', async () => {
  const a = await nodes.start('a')
  const registration = await a.provide('users', { get: () => 1 })
  for (const wrong of [Number.NaN, -1, '5s' as never]) {
    const orders = [
      registration.drain({ timeout: wrong }),
      registration.deactivate({ timeout: wrong }),
      registration.stop({ timeout: wrong }),
      a.leave({ drain: wrong }),
    ]
    for (const error of await Promise.all(orders.map(rejection))) {
      expect(isShoalError(error, 'INVALID_ARGUMENT') && error.message).toContain(`got '${wrong}'`)
    }
    expect(() => closeOnSignal(a, ['SIGUSR2'], { drain: wrong })).toThrow(/drain must be milliseconds/)
  }
  expect([registration.status, a.health().ready, process.listenerCount('SIGUSR2')]).toEqual(['running', true, 0])
})

it.each([[[]], ['SIGTERM'], [['SIGTERM', 'sigint']], [['SIGKILL']], [[15]]])(
  'closeOnSignal refuses %j, of which no signal would ever come',
  async (signals) => {
    const a = await nodes.start('a')
    const before = process.listenerCount('SIGTERM')
    expect(() => closeOnSignal(a, signals as NodeJS.Signals[])).toThrow(/needs signals such as/)
    expect(process.listenerCount('SIGTERM')).toBe(before)
  },
)

describe('a misspelt option is refused by its name', () => {
  const users = (node: ShoalNode): Registration => registrations.get(node) as Registration
  const registrations = new WeakMap<ShoalNode, Registration>()
  const cases: Readonly<Record<string, (node: ShoalNode, options: never) => unknown>> = {
    callCb: (node, options) => node.callCb('users', 'get', [], options),
    callCbAll: (node, options) => node.callCbAll('users', 'get', [], options),
    call: (node, options) => node.call('users', 'get', [], options),
    remote: (node, options) => node.remote('users', 'get', [], options),
    streamCb: (node, options) => node.streamCb('users', 'items', [], options).next(),
    stub: (node, options) => node.stub('users', options),
    $with: (node, options) => node.stub('users').$with(options),
    waitForServices: (node, options) => node.waitForServices(['users'], options),
    watch: (node, options) => node.watch('users', options),
    ping: (node, options) => node.ping('a', options),
    leave: (node, options) => node.leave(options),
    closeOnSignal: (node, options) => closeOnSignal(node, ['SIGUSR2'], options),
    drain: (node, options) => users(node).drain(options),
    deactivate: (node, options) => users(node).deactivate(options),
    stop: (node, options) => users(node).stop(options),
    'provide, healthCheck': (node, options) =>
      node.provide('checked', {}, { healthCheck: { check: () => true, ...(options as object) } }),
    'method()': (_node, options) => method(options),
    'stream()': (_node, options) => stream(options),
    'defineService, info': (_node, options) => defineService('users', { version: '', ...(options as object) }, {}),
  }

  it.each(Object.entries(cases))('of %s', async (_name, use) => {
    const a = await nodes.start('a')
    registrations.set(a, await a.provide('users', { get: () => 1, items: async function* () {} }))
    const error = await rejection((async () => use(a, { timout: 5 } as never))())
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(`'timout'`) })
    expect(process.listenerCount('SIGUSR2')).toBe(0)
    expect(users(a).status).toBe('running')
  })

  it.each([
    ['callCb', { retries: { unavailable: 1 } }, `'retries' is no option of callCb`],
    ['callCb', { retry: { retires: {} } }, `'retires' is no option of retry; there are retries, retryDelay`],
    ['remote', { retries: { unavailible: 1 } }, `'unavailible' is not in 'retries'; there are unavailable, error`],
    ['callCbAll', { hedge: 5, retry: true }, `'retry' is no option of callCbAll`],
    ['call', { sevice: 'users' }, `'sevice' is no option of call; `],
  ])('also one of another function, and deeper: %s %j', async (name, options, message) => {
    const a = await nodes.start('a')
    const error = await rejection(Promise.resolve(cases[name]?.(a, options as never)))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no', message: expect.stringContaining(message) })
  })
})

describe('an address that cannot be bound is refused with its option and the way out', () => {
  const NOWHERE = 'no-such-host.invalid'

  it.each([
    ['bind', 'EADDRINUSE', (taken: string) => ({ bind: taken })],
    ['rpc.bind', 'EADDRINUSE', (taken: string) => ({ rpc: { bind: taken } })],
    ['health.bind', 'EADDRINUSE', (taken: string) => ({ health: { bind: taken } })],
    ['bind', 'EADDRNOTAVAIL', () => ({ bind: '192.0.2.1:0', advertise: '127.0.0.1' })],
    ['health.bind', 'ENOTFOUND|EAI_AGAIN', () => ({ health: { bind: `${NOWHERE}:80` } })],
  ])('%s: %s', async (option, code, given) => {
    const taken = await nodes.start('taken')
    const error = await rejection(nodes.start('b', given(taken.address)))
    expect((error as NodeJS.ErrnoException).code).toMatch(new RegExp(code))
    expect((error as Error).message).toMatch(
      new RegExp(`^${option} '.+' cannot be used \\((${code})\\): .+(another port|set )`),
    )
    expect((error as Error).cause).toMatchObject({ syscall: expect.any(String) })
  })

  it.each([
    ['bind', { bind: `${NOWHERE}:0` }],
    ['rpc.bind', { rpc: { bind: `${NOWHERE}:0` } }],
    ['advertise', { advertise: NOWHERE }],
  ])('%s, a name that does not resolve', async (option, given) => {
    const error = await rejection(nodes.start('b', given))
    const message = new RegExp(
      `^${option}: the name '${NOWHERE}' does not resolve \\(\\w+\\): check it .+ or set an IP address$`,
    )
    expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringMatching(message) })
  })
})

it('what a library has put into all objects is no option of ours', async () => {
  const a = await nodes.start('a')
  await a.provide('users', { get: () => 1 })
  const property = { value: 1, enumerable: true, configurable: true, writable: true }
  Object.defineProperty(Object.prototype, 'polyfilled', property)
  let called: Promise<unknown>
  try {
    called = a.callCb('users', 'get', [], { timeout: 1_000 })
  } finally {
    Reflect.deleteProperty(Object.prototype, 'polyfilled')
  }
  expect(await called).toBe(1)
})

it('on refuses an event that would never come, and a listener that is none', async () => {
  const a = await nodes.start('a')
  expect(() => a.on('error' as never, () => {})).toThrow(/no event 'error'; there are member, service, fault/)
  expect(() => a.on('fault', undefined as never)).toThrow(/must be a function, got undefined/)
  a.off('error' as never, () => {})
})

it('waitForServices refuses what is no list of services', async () => {
  const a = await nodes.start('a')
  const wrong = [undefined, 'users', [null], [''], ['users', undefined]] as never[]
  for (const services of wrong) {
    const error = await rejection(a.waitForServices(services, { timeout: 0 }))
    expect(isShoalError(error, 'INVALID_ARGUMENT') && error.message).toContain("such as ['users']")
  }
})

it('join refuses what is no list of seeds as INVALID_OPTION', async () => {
  const a = await nodes.start('a')
  for (const seeds of ['localhost', undefined, [42]]) {
    expect(isShoalError(await rejection(a.join(seeds as never)), 'INVALID_OPTION')).toBe(true)
  }
})

it('workers of node:cluster listen for calls on ports of their own', async () => {
  cluster.setupPrimary({ exec: WORKER, execArgv: ['--import', 'tsx'], silent: true })
  const workers = [cluster.fork(), cluster.fork()]
  try {
    const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]))
    expect(new Set(ports).size).toBe(workers.length)
  } finally {
    const exits = workers.map((worker) => once(worker, 'exit'))
    for (const worker of workers) worker.kill()
    await Promise.all(exits)
  }
})
