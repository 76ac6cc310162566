import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { RpcError } from '../../src/errors.js'
import type { IncomingCall, Outcome } from '../../src/rpc/call.js'
import { contractSchemas, defineService } from '../../src/rpc/contract.js'
import { currentCall, runInCall } from '../../src/rpc/current-call.js'
import { Handlers } from '../../src/rpc/handlers.js'
import type { HandlersOptions, Provided } from '../../src/rpc/handlers-options.js'
import { type Method, method } from '../../src/rpc/method.js'
import type { SchemaIssue, SchemaResult, StandardSchemaV1 } from '../../src/rpc/standard-schema.js'
import { HandClock, incomingCall } from '../support/rpc-fakes.js'

/** A schema of no library. */
function schema<In, Out = In>(
  validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>,
): StandardSchemaV1<In, Out> {
  return { '~standard': { version: 1, vendor: 'hand', validate } }
}
const issues = (...list: readonly SchemaIssue[]) => schema<unknown>(() => ({ issues: list }))
const numeral = schema<string, number>((value) =>
  typeof value === 'string' && value !== '' ? { value: Number(value) } : { issues: [{ message: 'not a numeral' }] },
)

function setup(get: Method, impl: (...args: never[]) => unknown, options: Partial<HandlersOptions & Provided> = {}) {
  const clock = new HandClock()
  const faults: RpcError[] = []
  const note = (error: RpcError): void => void faults.push(error)
  const contract = defineService('users', { version: '1' }, { get })
  const handlers = new Handlers({ node: 'n1', now: clock.now, runInCall, onCastFailed: note, onResultRefused: note })
  handlers.provide('users', {
    methods: { get: impl },
    admission: () => 'running',
    schemas: contractSchemas(contract),
    ...options,
  })
  let cancel: ReturnType<Handlers['dispatch']>
  const call = (args: readonly unknown[], changes: Partial<IncomingCall> = {}): Promise<Outcome> =>
    new Promise((resolve) => {
      cancel = handlers.dispatch(incomingCall({ args, ...changes }), resolve)
    })
  return { call, faults, clock, handlers, cancel: () => cancel?.('cancelled') }
}

function errorOf(outcome: Outcome): RpcError {
  if (outcome.ok) throw new Error(`expected a failure, got ${String(outcome.value)}`)
  return outcome.error
}

describe('arguments with a schema', () => {
  it('that conform reach the handler as the schema gives them', async () => {
    const { call } = setup(method({ input: numeral }) as Method, (value: number) => value + 1)
    expect(await call(['41'])).toEqual({ ok: true, value: 42 })
  })

  it('of a synchronous schema and handler are answered at once', () => {
    const { handlers } = setup(method({ input: numeral, output: schema((value) => ({ value })) }) as Method, () => 1)
    const outcomes: Outcome[] = []
    expect(handlers.dispatch(incomingCall({ args: ['1'] }), (outcome) => outcomes.push(outcome))).toBeUndefined()
    expect(outcomes).toEqual([{ ok: true, value: 1 }])
  })

  it('that do not are refused before the handler, not executed, with path and message and without the value', async () => {
    let ran = 0
    const input = z.object({ card: z.object({ number: z.string().regex(/^\d+$/) }), tags: z.array(z.string()) })
    const { call, faults } = setup(method({ input }) as Method, () => ++ran)
    const error = errorOf(await call([{ card: { number: 'secret 4111' }, tags: ['a', 5] }]))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no', node: 'n1', remote: undefined })
    expect(error.message).toMatch(/users\.get: input\.card\.number: .+; input\.tags\[1\]: /)
    expect(JSON.stringify([error.message, error.cause, { ...error }])).not.toContain('4111')
    expect([ran, faults]).toEqual([0, []])
  })

  it('are refused when there are more than the one that input describes, which may be left out if its schema says so', async () => {
    const { call } = setup(method({ input: z.string().optional() }) as Method, (...args: unknown[]) => args)
    expect(errorOf(await call(['a', 'b']))).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect(await call(['a'])).toEqual({ ok: true, value: ['a'] })
    expect(await call([])).toEqual({ ok: true, value: [undefined] })
  })

  it('as a list are checked and transformed together', async () => {
    const get = method({ args: z.tuple([z.string(), z.coerce.number<string>()]) })
    const { call } = setup(get as Method, (...args: unknown[]) => args)
    expect(await call(['a', '2'])).toEqual({ ok: true, value: ['a', 2] })
    expect(errorOf(await call(['a', 'x'])).message).toMatch(/args\[1\]: /)
    for (const args of [[], ['a'], ['a', '2', 3]]) {
      expect(errorOf(await call(args))).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    }
  })

  it('may be checked asynchronously', async () => {
    const later = schema<string>(async (value) =>
      value === 'ok' ? { value: 'checked' } : { issues: [{ message: 'no' }] },
    )
    const { call, handlers } = setup(method({ input: later }) as Method, (value: string) => value)
    expect(await call(['ok'])).toEqual({ ok: true, value: 'checked' })
    expect(errorOf(await call(['x']))).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect(handlers.stats().inFlight).toBe(0)
  })

  it('whose caller went away while they were checked do not reach the handler', async () => {
    let ran = 0
    let release = (_result: SchemaResult<unknown>): void => {}
    const slow = schema(() => new Promise<SchemaResult<unknown>>((resolve) => (release = resolve)))
    const { call, cancel } = setup(method({ input: slow }) as Method, () => ++ran)
    const outcome = call(['x'])
    cancel()
    release({ value: 'x' })
    expect(errorOf(await outcome)).toMatchObject({ code: 'REMOTE' })
    expect(ran).toBe(0)
  })

  it('show a bounded text whatever the schema says of them', async () => {
    const many = Array.from({ length: 50 }, () => ({
      message: 'm'.repeat(10_000),
      path: Array(100).fill('k'.repeat(999)),
    }))
    const error = errorOf(await setup(method({ input: issues(...many) }) as Method, () => 1).call([1]))
    expect(error.message.length).toBeLessThan(6_000)
    expect(error.message).toContain('and 45 more')
  })

  it('are told by every form of path', async () => {
    const odd = issues({ message: 'bad', path: [{ key: 'a' }, 0, Symbol('s'), 'b c'] }, { message: 'whole' })
    const error = errorOf(await setup(method({ input: odd }) as Method, () => 1).call([1]))
    expect(error.message).toContain('input.a[0]["Symbol(s)"]["b c"]: bad; input: whole')
  })

  it('whose schema throws are a failure of the callee, like a handler that does', async () => {
    const broken = schema(() => {
      throw new RangeError('bug')
    })
    const { call } = setup(method({ input: broken }) as Method, () => 1)
    expect(errorOf(await call([1]))).toMatchObject({ code: 'REMOTE', executed: 'yes', remote: { name: 'RangeError' } })
    const noList = schema<unknown[], unknown[]>(() => ({ value: 'x' as never }))
    const listless = setup(method({ args: noList }) as Method, () => 1)
    expect(errorOf(await listless.call([1]))).toMatchObject({ code: 'REMOTE', remote: { name: 'TypeError' } })
  })
})

describe('a result with a schema', () => {
  const output = z.object({ id: z.string(), at: z.number().default(7) })

  it('that conforms arrives as the schema gives it, also when it is a promise', async () => {
    const given = { id: 'a', secret: 1 }
    for (const impl of [() => given, async () => given]) {
      expect(await setup(method({ output }) as Method, impl).call([])).toEqual({ ok: true, value: { id: 'a', at: 7 } })
    }
  })

  it('that does not is the callee’s fault: executed, told here as a fault, without the value', async () => {
    const { call, faults } = setup(method({ output }) as Method, () => ({ id: 4111 }))
    const error = errorOf(await call([]))
    expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', node: 'n1', remote: { name: 'ContractError' } })
    expect(error.message).toMatch(/result of users\.get .* result\.id: /)
    expect(JSON.stringify([error.message, error.remote])).not.toContain('4111')
    expect(faults).toEqual([error])
  })

  it('of a cast is told as one fault', async () => {
    const { call, faults } = setup(method({ output }) as Method, () => 5)
    await call([], { cast: true })
    expect(faults.length).toBe(1)
  })

  it('is not looked at when the handler throws', async () => {
    const { call, faults } = setup(method({ output }) as Method, () => Promise.reject(new Error('own')))
    expect(errorOf(await call([]))).toMatchObject({ code: 'REMOTE', remote: { message: 'own' } })
    expect(faults).toEqual([])
  })
})

describe('schemas and middleware', () => {
  it('layers run outside the checks: those of the node, of the service, then the schema', async () => {
    const seen: string[] = []
    const layer = (name: string) => async (context: { args: readonly unknown[] }, next: () => Promise<unknown>) => {
      seen.push(`${name} ${JSON.stringify(context.args)}`)
      const value = await next()
      seen.push(`${name} got ${value}`)
      return value
    }
    const clock = new HandClock()
    const handlers = new Handlers({ node: 'n1', now: clock.now, runInCall, use: [layer('node')] })
    const contract = defineService('users', { version: '1' }, { get: method({ input: numeral, output: z.number() }) })
    handlers.provide('users', {
      methods: { get: (value: number) => value * 2 },
      admission: () => 'running',
      use: [layer('service')],
      schemas: contractSchemas(contract),
    })
    handlers.expose('math', { one: () => 1 })
    const call = (changes: Partial<IncomingCall>): Promise<Outcome> =>
      new Promise((resolve) => void handlers.dispatch(incomingCall(changes), resolve))
    expect(await call({ args: ['21'] })).toEqual({ ok: true, value: 42 })
    expect(seen).toEqual(['node ["21"]', 'service ["21"]', 'service got 42', 'node got 42'])
    expect(errorOf(await call({ args: [5] }))).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    seen.length = 0
    expect(await call({ service: 'math', method: 'one', args: [] })).toEqual({ ok: true, value: 1 })
    expect(seen).toEqual(['node []', 'node got 1'])
  })

  it('a handler cannot pass the refusal of another call for its own', async () => {
    const inner = setup(method({ input: numeral }) as Method, () => 1)
    const outer = setup(method({ output: z.number() }) as Method, async () => {
      throw errorOf(await inner.call([5]))
    })
    expect(errorOf(await outer.call([]))).toMatchObject({ code: 'REMOTE', executed: 'yes' })
  })

  it('what is no list of functions cannot be used', () => {
    for (const use of [5, [5], [undefined], () => 1]) {
      expect(() => setup(method() as Method, () => 1, { use: use as never })).toThrow(
        /use of 'users' must (be an array|hold functions alone)/,
      )
    }
  })
})

describe('a method', () => {
  it('carries no schemas unless it has any', () => {
    expect('schemas' in method({ timeout: 5 })).toBe(false)
    expect(contractSchemas(defineService('x', { version: '1' }, { a: method() }))).toBeUndefined()
    expect(currentCall()).toBeUndefined()
  })

  it.each([
    ['a value that is no schema', { input: {} }, /input of a method must be a schema .* got an object/],
    ['another version of the specification', { output: { '~standard': { version: 2, validate() {} } } }, /output of/],
    ['input and args', { input: numeral, args: z.tuple([]) }, /not both/],
  ])('cannot be made with %s', (_what, options, message) => {
    const make = (): unknown => method(options as never)
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(make).toThrow(message)
  })

  it('takes schemas that are functions', () => {
    expect(method({ input: Object.assign(() => 1, numeral) }).schemas?.input).toBeTypeOf('function')
  })
})
