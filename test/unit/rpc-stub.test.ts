import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { RemoteOptions, StubOptions } from '../../src/rpc/call-options.js'
import { defineService, isContract } from '../../src/rpc/contract.js'
import { method } from '../../src/rpc/method.js'
import { type AnyApi, type ApiStub, type ContractStub, makeStub, type StubInvoke } from '../../src/rpc/stub.js'

const Users = defineService(
  'users',
  { version: '1.2.0' },
  {
    get: method<[id: string], { id: string } | null>({ idempotent: true, timeout: 2_000 }),
    save: method<[user: { id: string }], { id: string }>(),
  },
)

function recorder() {
  const calls: { method: string; args: readonly unknown[]; options: RemoteOptions }[] = []
  const invoke: StubInvoke = {
    async call(methodName, args, options) {
      calls.push({ method: methodName, args, options })
      return `${methodName} done`
    },
    async *stream(methodName, args, options) {
      calls.push({ method: methodName, args, options })
      yield `${methodName} item`
    },
  }
  return { calls, invoke }
}

function openStub(options: StubOptions = {}) {
  const { calls, invoke } = recorder()
  return { calls, stub: makeStub('users', options, invoke) as ApiStub<AnyApi> & Record<string | symbol, unknown> }
}

function contractStub(options: StubOptions = {}) {
  const { calls, invoke } = recorder()
  return { calls, stub: makeStub(Users, options, invoke) as ContractStub<typeof Users> & Record<string, unknown> }
}

describe('a stub by name', () => {
  it('calls any method with exactly the given arguments', async () => {
    const { calls, stub } = openStub({ timeout: 5 })
    expect(await stub['get']?.('42', undefined)).toBe('get done')
    expect(calls).toEqual([{ method: 'get', args: ['42', undefined], options: { timeout: 5 } }])
  })

  it('makes each method once', () => {
    const { stub } = openStub()
    expect(stub['get']).toBe(stub['get'])
  })

  it('is not thenable and survives await', async () => {
    const { calls, stub } = openStub()
    expect(await stub).toBe(stub)
    expect(await Promise.resolve(stub)).toBe(stub)
    expect(calls).toEqual([])
  })

  it.each([
    'then',
    'toJSON',
    'inspect',
    'asymmetricMatch',
    'constructor',
    '__proto__',
    'prototype',
    'valueOf',
    'hasOwnProperty',
    '$other',
    '$',
    '',
    'x'.repeat(256),
    Symbol.iterator,
    Symbol.toPrimitive,
    Symbol.asyncIterator,
    Symbol.toStringTag,
    Symbol('own'),
  ])('%s is no method', (key) => {
    expect(openStub().stub[key]).toBeUndefined()
  })

  it('can be shown, printed and turned to JSON without a call', () => {
    const { calls, stub } = openStub()
    expect(inspect(stub)).toBe('[stub users]')
    expect(inspect({ stub }, { showProxy: true })).toContain('users')
    expect(`${stub}`).toBe('[stub users]')
    expect(JSON.stringify({ stub })).toBe('{"stub":{}}')
    expect(Object.keys(stub)).toEqual([])
    expect('get' in stub).toBe(false)
    expect(calls).toEqual([])
  })

  it('cannot be written to', () => {
    const { stub } = openStub()
    expect(() => {
      Object.assign(stub, { get: 1 })
    }).toThrow(TypeError)
  })

  it('$with gives another with its options over the defaults', async () => {
    const { calls, stub } = openStub({ timeout: 5, idempotent: true })
    const other = stub.$with({ timeout: 9 }).$with({ nodes: ['b'] }) as Record<string, (...args: unknown[]) => unknown>
    await other['get']?.(1)
    expect(calls[0]?.options).toEqual({ timeout: 9, idempotent: true, nodes: ['b'] })
    expect(other).not.toBe(stub)
  })
})

describe('a stub by contract', () => {
  it('has the methods of the contract and no other', async () => {
    const { calls, stub } = contractStub()
    expect(await stub.get('42')).toBe('get done')
    expect(calls).toEqual([{ method: 'get', args: ['42'], options: {} }])
    expect(stub['remove']).toBeUndefined()
    expect(stub['toString']).toBeTypeOf('function')
    expect(Object.keys(stub)).toEqual(['get', 'save'])
    expect(stub.get).toBe(stub.get)
    expect(Object.isFrozen(stub)).toBe(true)
  })

  it('is not thenable, prints, and has $with', async () => {
    const { calls, stub } = contractStub()
    expect(await stub).toBe(stub)
    expect(inspect(stub)).toBe('[stub users]')
    expect(JSON.stringify(stub)).toBe('{}')
    await stub.$with({ timeout: 7 }).save({ id: '1' })
    expect(calls[0]?.options).toEqual({ timeout: 7 })
  })
})

describe('a declared stub', () => {
  it('has only the declared methods and does not retry unavailability', async () => {
    const { calls, stub } = openStub({ declare: ['create'] })
    await stub['create']?.(1)
    expect(calls[0]?.options).toEqual({ retries: { unavailable: 0 } })
    expect(stub['get']).toBeUndefined()
  })

  it('retries when told to', async () => {
    const { calls, stub } = openStub({ declare: ['create'], retries: { unavailable: 2 } })
    await stub['create']?.(1)
    expect(calls[0]?.options).toEqual({ retries: { unavailable: 2 } })
  })

  it.each(['then', '$x', '', 'constructor', 5])('cannot declare %s', (name) => {
    expect(() => openStub({ declare: [name as string] })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('takes no other options than a table, and no other declaration than a list', () => {
    const wrong = [null, 5, [], { declare: 'create' }] as never[]
    for (const options of wrong) {
      expect(() => openStub(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  it('cannot declare what its contract lacks', () => {
    expect(() => contractStub({ declare: ['remove'] })).toThrow(/does not have/)
  })
})

describe('a contract', () => {
  it('is frozen data with a name, a version and its methods', () => {
    expect({ ...Users.methods }).toEqual({
      get: { kind: 'method', idempotent: true, timeout: 2_000 },
      save: { kind: 'method', idempotent: false, timeout: undefined },
    })
    expect([Users.name, Users.version]).toEqual(['users', '1.2.0'])
    for (const part of [Users, Users.methods, Users.methods.get]) expect(Object.isFrozen(part)).toBe(true)
  })

  it('is told from what only looks like one', () => {
    expect(isContract(Users)).toBe(true)
    for (const other of [{ ...Users }, 'users', null, undefined, {}]) expect(isContract(other)).toBe(false)
  })

  it.each<[string, () => unknown, RegExp]>([
    ['an empty name', () => defineService('', { version: '1' }, {}), /must not be empty/],
    ['no version', () => defineService('x', {} as { version: string }, {}), /needs a version string/],
    ['a $ method', () => defineService('x', { version: '1' }, { $a: method() }), /must not begin with \$/],
    ['then', () => defineService('x', { version: '1' }, JSON.parse('{"then":1}')), /every object needs/],
    ['toString', () => defineService('x', { version: '1' }, { toString: method() as never }), /every object needs/],
    ['what is no method()', () => defineService('x', { version: '1' }, { a: {} as never }), /made with method\(\)/],
    ['a bad timeout', () => method({ timeout: -5 }), /timeout must be/],
    ['a bad idempotent', () => method({ idempotent: 1 as never }), /idempotent must be true or false/],
  ])('rejects %s', (_what, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(make).toThrow(message)
  })
})
