import { describe, expect, it } from 'vitest'
import { Caller } from '../../src/rpc/caller.js'
import { defineService } from '../../src/rpc/contract.js'
import { method } from '../../src/rpc/method.js'
import {
  candidate,
  directoryOf,
  failure,
  HandClock,
  quietParts,
  rejection,
  ScriptedAttempt,
} from '../support/rpc-fakes.js'

const [a, b, c] = [candidate('a', true), candidate('b'), candidate('c')]

function setup(script: Record<string, unknown> = {}) {
  const clock = new HandClock()
  const scripted = new ScriptedAttempt(script)
  const directory = directoryOf({ users: [a, b, c], math: [b], none: [] })
  const caller = new Caller({ directory, attempt: scripted.attempt, now: clock.now, ...quietParts(clock.now) })
  const callCb = (...[service, methodName, args, options]: unknown[]) =>
    caller.callCb({ service, method: methodName, args, options } as never)
  const callCbAll = (...[service, methodName, args, options]: unknown[]) =>
    caller.callCbAll({ service, method: methodName, args, options } as never)
  const call = (...[service, methodName, args, options]: unknown[]) =>
    caller.call({ service, method: methodName, args, options } as never)
  return { clock, scripted, callCb, callCbAll, call }
}

describe('callCb', () => {
  it('tries the instances in the order of the directory', async () => {
    const { callCb, scripted } = setup({ a: failure('DRAINING', 'no', 'a'), b: 'from b' })
    expect(await callCb('users', 'get', ['42'])).toBe('from b')
    expect(scripted.tried).toEqual(['a', 'b'])
    expect(scripted.requests[0]).toEqual({
      service: 'users',
      method: 'get',
      args: ['42'],
      deadlineAt: 30_000,
      headers: undefined,
      signal: undefined,
      cast: false,
      forceRemote: false,
    })
  })

  it('tries exactly the given nodes, in their order', async () => {
    const { callCb, scripted } = setup({ c: failure('NOT_PROVIDED', 'no', 'c'), a: 1 })
    expect(await callCb('users', 'get', [], { nodes: ['c', 'a'] })).toBe(1)
    expect(scripted.tried).toEqual(['c', 'a'])
  })

  it('rejects NO_INSTANCES for no instance, no listed node and an unknown one', async () => {
    const { callCb } = setup()
    for (const rejected of [
      callCb('none', 'get', []),
      callCb('unheard', 'get', []),
      callCb('users', 'get', [], { nodes: [] }),
      callCb('users', 'get', [], { nodes: ['x'] }),
    ])
      expect(await rejection(rejected)).toMatchObject({ code: 'NO_INSTANCES', executed: 'no' })
  })

  it('goes on after "maybe" only when told that the work is idempotent', async () => {
    const script = { a: failure('CONNECTION_LOST', 'maybe', 'a'), b: 'again' }
    expect(await setup(script).callCb('users', 'get', [], { idempotent: true })).toBe('again')
    expect(await rejection(setup(script).callCb('users', 'get', []))).toMatchObject({ executed: 'maybe' })
  })

  it('takes timeout and idempotent from the contract, and the options over it', async () => {
    const Users = defineService('users', { version: '1' }, { get: method({ idempotent: true, timeout: 2_000 }) })
    const script = { a: failure('CONNECTION_LOST', 'maybe', 'a'), b: 'again' }
    const plain = setup(script)
    expect(await plain.callCb(Users, 'get', [])).toBe('again')
    expect(plain.scripted.requests[0]?.deadlineAt).toBe(2_000)
    const over = setup(script)
    await rejection(over.callCb(Users, 'get', [], { idempotent: false, timeout: 50 }))
    expect(over.scripted.requests.map((request) => request.deadlineAt)).toEqual([50])
  })

  it('timeout 0 is a cast with the default deadline, resolved by the first instance that takes it', async () => {
    const { callCb, scripted } = setup({ a: failure('UNREACHABLE', 'no', 'a') })
    expect(await callCb('users', 'get', [], { timeout: 0 })).toBeUndefined()
    expect(scripted.tried).toEqual(['a', 'b'])
    expect(scripted.requests[0]).toMatchObject({ cast: true, deadlineAt: 30_000 })
  })

  it('a cast to nobody rejects NO_INSTANCES', async () => {
    expect(await rejection(setup().callCb('none', 'get', [], { timeout: 0 }))).toMatchObject({ code: 'NO_INSTANCES' })
  })
})

const bad: readonly [string, unknown[], RegExp][] = [
  ['no service', [undefined, 'get', []], /name of the service must be a string, got undefined/],
  ['an empty service', ['', 'get', []], /name of the service must not be empty/],
  ['a long service', ['x'.repeat(256), 'get', []], /at most 255 bytes of UTF-8, got 256/],
  ['an object that is no contract', [{ name: 'users' }, 'get', []], /name of the service must be a string/],
  ['no method', ['users', undefined, []], /method of 'users' must be a string/],
  ['a symbol as method', ['users', Symbol('m'), []], /got Symbol\(m\)/],
  ['no args', ['users', 'get'], /args must be an array, got undefined; pass \[\]/],
  ['args that are no array', ['users', 'get', 'x'], /args must be an array, got 'x'/],
  ['options that are no object', ['users', 'get', [], 500], /options of a call must be an object/],
  ['null as options', ['users', 'get', [], null], /options of a call must be an object/],
  ['a negative timeout', ['users', 'get', [], { timeout: -1 }], /timeout must be .* from 0 to 2147483647, got -1/],
  ['a timeout of NaN', ['users', 'get', [], { timeout: Number.NaN }], /got NaN/],
  ['an infinite timeout', ['users', 'get', [], { timeout: Number.POSITIVE_INFINITY }], /got Infinity; leave it out/],
  ['a timeout as text', ['users', 'get', [], { timeout: '5s' }], /got '5s'/],
  ['a timeout over a timer', ['users', 'get', [], { timeout: 2 ** 31 }], /got 2147483648/],
  ['nodes as text', ['users', 'get', [], { nodes: 'a' }], /nodes must be an array of node names, got 'a'; wrap/],
  ['a node that is no name', ['users', 'get', [], { nodes: ['a', 5] }], /must be a string, got 5/],
  ['a signal that is none', ['users', 'get', [], { signal: {} }], /must be an AbortSignal, got an object/],
  ['null as signal', ['users', 'get', [], { signal: null }], /must be an AbortSignal, got null/],
  ['headers that are no object', ['users', 'get', [], { headers: 'x' }], /headers must be an object of strings/],
  ['a header that is no string', ['users', 'get', [], { headers: { n: 1 } }], /header 'n' must be a string, got 1/],
]

describe('a bad argument', () => {
  it.each(bad)('%s rejects INVALID_ARGUMENT, not executed, and throws nothing', async (_what, args, message) => {
    const { callCb, callCbAll, call, scripted } = setup()
    for (const calling of [callCb, callCbAll, call]) {
      const error = await rejection(calling(...args))
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
      expect(error.message).toMatch(message)
    }
    expect(scripted.tried).toEqual([])
  })

  it('a method outside the contract says which there are', async () => {
    const Users = defineService('users', { version: '1' }, { get: method(), save: method() })
    const error = await rejection(setup().callCb(Users, 'nope', []))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect(error.message).toContain('get, save')
  })
})

describe('callCbAll', () => {
  it('settles all instances in node order with the same deadline', async () => {
    const slow = new Promise((resolve) => setImmediate(() => resolve('slow')))
    const error = failure('REMOTE', 'yes', 'b')
    const { callCbAll, scripted } = setup({ a: slow, b: error, c: 'fast' })
    expect(await callCbAll('users', 'stats', [], { timeout: 70 })).toEqual([
      { node: 'a', ok: true, value: 'slow' },
      { node: 'b', ok: false, error },
      { node: 'c', ok: true, value: 'fast' },
    ])
    expect(scripted.requests.map((request) => request.deadlineAt)).toEqual([70, 70, 70])
  })

  it('calls them in parallel', async () => {
    let running = 0
    let most = 0
    const work = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      running--
    }
    await setup({ a: work, b: work, c: work }).callCbAll('users', 'stats', [])
    expect(most).toBe(3)
  })

  it('calls each named node once, however often it was named', async () => {
    const { callCbAll, scripted } = setup()
    await callCbAll('users', 'stats', [], { nodes: ['b', 'a', 'b'] })
    expect(scripted.tried).toEqual(['b', 'a'])
  })

  it('is empty when there is none', async () => {
    expect(await setup().callCbAll('none', 'stats', [])).toEqual([])
  })

  it('casts to all with timeout 0', async () => {
    const { callCbAll, scripted } = setup()
    const results = await callCbAll('users', 'stats', [], { timeout: 0 })
    expect(results.map((result) => result.ok)).toEqual([true, true, true])
    expect(scripted.requests.every((request) => request.cast)).toBe(true)
  })
})

describe('call', () => {
  it('goes to the named nodes', async () => {
    const { call, scripted } = setup({ c: 3 })
    expect(await call('math', 'add', [1, 2], { nodes: ['c'], service: 'users' })).toBe(3)
    expect(scripted.tried).toEqual(['c'])
    expect(scripted.requests[0]).toMatchObject({ service: 'math', method: 'add', args: [1, 2] })
  })

  it('else to where the named service runs', async () => {
    const { call, scripted } = setup({ a: failure('NOT_PROVIDED', 'no', 'a'), b: 3 })
    expect(await call('geometry', 'area', [], { service: 'users' })).toBe(3)
    expect(scripted.tried).toEqual(['a', 'b'])
  })

  it('else rejects SERVICE_ID_MISSING with the way out', async () => {
    const error = await rejection(setup().call('math', 'add', []))
    expect(error).toMatchObject({ code: 'SERVICE_ID_MISSING', executed: 'no' })
    expect(error.message).toContain('pass nodes, or service')
  })
})
