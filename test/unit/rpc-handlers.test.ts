import { describe, expect, it } from 'vitest'
import { RpcError } from '../../src/errors.js'
import type { IncomingCall, Outcome } from '../../src/rpc/call.js'
import { CallerPlaces } from '../../src/rpc/caller-places.js'
import { currentCall, runInCall } from '../../src/rpc/current-call.js'
import { Handlers } from '../../src/rpc/handlers.js'
import type { Admission, Provided } from '../../src/rpc/handlers-options.js'
import { methodNames } from '../../src/rpc/method-lookup.js'
import { HandClock, incomingCall } from '../support/rpc-fakes.js'

class UsersBase {
  inherited(): string {
    return 'from the base class'
  }
}
class UsersClass extends UsersBase {
  readonly #secret = 'kept'
  readonly field = 'not a function'
  own = (): string => 'arrow'
  get accessor(): () => string {
    throw new Error('an accessor must not run')
  }
  get(id: string): string {
    return `${id} ${this.#secret}`
  }
}

function setup(methods: object, changes: Partial<Provided> = {}) {
  const clock = new HandClock()
  const handlers = new Handlers({ node: 'n1', now: clock.now, runInCall })
  handlers.provide('users', { methods, admission: () => 'running', ...changes })
  const call = (incoming: Partial<IncomingCall> = {}): Promise<Outcome> =>
    new Promise((resolve) => handlers.dispatch(incomingCall(incoming), resolve))
  return { clock, handlers, call }
}

async function errorOf(outcome: Promise<Outcome>): Promise<RpcError> {
  const settled = await outcome
  if (settled.ok) throw new Error(`expected a failure, got ${String(settled.value)}`)
  return settled.error
}

describe('an implementation that changes while it is provided', () => {
  it('is called with the function that it has at the time', async () => {
    const methods: Record<string, unknown> = { get: () => 'old' }
    const { call } = setup(methods)
    expect(await call()).toEqual({ ok: true, value: 'old' })
    methods['get'] = () => 'new'
    expect(await call()).toEqual({ ok: true, value: 'new' })
    delete methods['get']
    expect((await errorOf(call())).code).toBe('NO_METHOD')
    methods['get'] = () => 'back'
    expect(await call()).toEqual({ ok: true, value: 'back' })
    methods['get'] = 'no function'
    expect((await errorOf(call())).code).toBe('NO_METHOD')
  })
})

describe('admission', () => {
  const ran: string[] = []
  const methods = { get: () => ran.push('get') }

  it.each<{ why: string; incoming: Partial<IncomingCall>; provided?: Partial<Provided>; code: string; text: string }>([
    { why: 'an unknown service', incoming: { service: 'other' }, code: 'NOT_PROVIDED', text: "'other'" },
    {
      why: 'a paused service',
      incoming: {},
      provided: { admission: () => 'unavailable', reason: () => 'paused: maintenance' },
      code: 'UNAVAILABLE',
      text: 'paused: maintenance',
    },
    {
      why: 'a draining service',
      incoming: {},
      provided: { admission: () => 'draining' },
      code: 'DRAINING',
      text: 'users',
    },
    { why: 'an unknown method', incoming: { method: 'nope' }, code: 'NO_METHOD', text: "'nope'" },
    {
      why: 'a method outside the contract',
      incoming: { method: 'get' },
      provided: { only: [] },
      code: 'NO_METHOD',
      text: 'get',
    },
    { why: 'an expired call', incoming: { deadlineAt: 0 }, code: 'DEADLINE_EXCEEDED', text: 'users.get' },
    {
      why: 'a call that was expired when somebody last looked',
      incoming: { deadlineAt: 2_000, lookedAt: 2_000 },
      code: 'DEADLINE_EXCEEDED',
      text: 'users.get',
    },
  ])('refuses $why as $code without running anything', async ({ incoming, provided, code, text }) => {
    const { call, handlers } = setup(methods, provided)
    const error = await errorOf(call(incoming))
    expect(error).toMatchObject({ code, executed: 'no', node: 'n1' })
    expect(error.message).toContain(text)
    expect(ran).toEqual([])
    expect(handlers.stats()).toMatchObject({ inFlight: 0, refused: 1, served: 0 })
  })

  it.each([
    'toString',
    'hasOwnProperty',
    'constructor',
    '__proto__',
    'valueOf',
    '__defineGetter__',
    'field',
    'accessor',
    '',
  ])('a caller cannot reach %j of a class instance', async (method) => {
    expect(await errorOf(setup(new UsersClass()).call({ method }))).toMatchObject({ code: 'NO_METHOD', executed: 'no' })
  })

  it.each([
    ['get', '42 kept'],
    ['inherited', 'from the base class'],
    ['own', 'arrow'],
  ])('a class instance answers %s with itself as this', async (method, value) => {
    expect(await setup(new UsersClass()).call({ method })).toEqual({ ok: true, value })
  })

  it('an accessor that takes the place of a method is no method, and is not run call by call', async () => {
    let runs = 0
    const users: { get: () => unknown } = { get: () => 1 }
    const { call } = setup(users)
    expect(await call()).toEqual({ ok: true, value: 1 })
    Object.defineProperty(users, 'get', { get: () => runs++ })
    for (let i = 0; i < 3; i++) expect(await errorOf(call())).toMatchObject({ code: 'NO_METHOD', executed: 'no' })
    expect(runs).toBe(1)
  })

  it('announces exactly what can be called', () => {
    expect(methodNames(new UsersClass())).toEqual(['get', 'inherited', 'own'])
    expect(methodNames(Object.create(null, { a: { value: () => 1 }, b: { value: 2 } }))).toEqual(['a'])
  })

  it('asks in order: service, status, method, deadline, room', async () => {
    let status: Admission = 'draining'
    const { call } = setup({ get: () => new Promise(() => {}) }, { admission: () => status, maxInFlight: 1 })
    const worst = { method: 'nope', deadlineAt: 0 }
    expect((await errorOf(call({ ...worst, service: 'x' }))).code).toBe('NOT_PROVIDED')
    expect((await errorOf(call(worst))).code).toBe('DRAINING')
    status = 'running'
    void call()
    expect((await errorOf(call(worst))).code).toBe('NO_METHOD')
    expect((await errorOf(call({ deadlineAt: 0 }))).code).toBe('DEADLINE_EXCEEDED')
    expect((await errorOf(call())).code).toBe('OVERLOADED')
  })

  it('keeps the last places for callers that have less than their part, and gives one that is alone all', async () => {
    const ends: (() => void)[] = []
    const { call } = setup({ get: () => new Promise<void>((resolve) => ends.push(resolve)) }, { maxInFlight: 16 })
    const [greedy, other] = [new CallerPlaces(), new CallerPlaces()]
    const refused = async (places: CallerPlaces): Promise<string> => {
      const { code, message } = await errorOf(call({ places }))
      return `${code}: ${message}`
    }
    const more = (places: CallerPlaces): void => {
      call({ places }).catch(() => {})
    }
    for (let i = 0; i < 16; i++) more(greedy)
    expect(ends).toHaveLength(16)
    // From the first try the other counts, and what comes free is kept for it.
    expect(await refused(other)).toBe("OVERLOADED: node 'n1' already runs 16 calls of 'users'")
    ends.pop()?.()
    await new Promise(setImmediate)
    expect(await refused(greedy)).toMatch(
      /^OVERLOADED: .* already runs 15 calls of this caller, which is its part of the 16 of 'users'$/,
    )
    more(other)
    expect(ends).toHaveLength(16)
    // Below the last eighth nobody is asked for its part.
    for (const end of ends.splice(0, 3)) end()
    await new Promise(setImmediate)
    more(greedy)
    expect(ends).toHaveLength(14)
    expect(await refused(greedy)).toMatch(/^OVERLOADED/)
    // Alone again.
    other.close()
    other.close()
    more(greedy)
    more(greedy)
    expect(ends).toHaveLength(16)
  })

  it('refuses more than maxInFlight calls and takes the next once one ended', async () => {
    const ends: (() => void)[] = []
    const { call } = setup({ get: () => new Promise<void>((resolve) => ends.push(resolve)) }, { maxInFlight: 2 })
    const first = call()
    void call()
    expect(await errorOf(call())).toMatchObject({ code: 'OVERLOADED', executed: 'no' })
    ends[0]?.()
    await first
    void call()
    expect(ends).toHaveLength(3)
  })
})

describe('handlers', () => {
  it('get exactly the arguments of the caller', async () => {
    const { call } = setup({ get: (...args: unknown[]) => args })
    expect(await call({ args: [] })).toEqual({ ok: true, value: [] })
    expect(await call({ args: [1, undefined, null] })).toEqual({ ok: true, value: [1, undefined, null] })
  })

  it('that answer synchronously settle before dispatch returns', () => {
    const { handlers } = setup({ get: () => 7 })
    const outcomes: Outcome[] = []
    expect(handlers.dispatch(incomingCall(), (outcome) => outcomes.push(outcome))).toBeUndefined()
    expect(outcomes).toEqual([{ ok: true, value: 7 }])
  })

  const nested = new RpcError('UNAVAILABLE', 'billing is paused', { executed: 'no', node: 'b' })
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error('hostile')
      },
    },
  )
  it.each<[string, unknown, object]>([
    ['an Error', new TypeError('bad id'), { name: 'TypeError', message: 'bad id' }],
    [
      'an Error with code and data',
      Object.assign(new Error('x'), { code: 'E_X', data: { id: 1 } }),
      { name: 'Error', message: 'x', code: 'E_X', data: { id: 1 } },
    ],
    ['a string', 'just text', { name: 'Error', message: 'just text', data: 'just text' }],
    ['undefined', undefined, { name: 'Error', message: 'a handler threw undefined' }],
    ['null', null, { name: 'Error', message: 'a handler threw null', data: null }],
    ['a number', 5, { name: 'Error', message: 'a handler threw 5', data: 5 }],
    ['a symbol', Symbol('s'), { name: 'Error', message: 'a handler threw Symbol(s)' }],
    ['an object', { message: 'plain', code: 3 }, { name: 'Error', message: 'plain', code: 3 }],
    ['an object whose properties throw', hostile, { name: 'Error', message: 'a handler threw an object' }],
    ["a nested call's refusal", nested, { name: 'RpcError', message: 'billing is paused', code: 'UNAVAILABLE' }],
  ])('%s thrown or rejected becomes REMOTE, executed', async (_what, thrown, remote) => {
    const { call, handlers } = setup({
      get: () => {
        throw thrown
      },
      rejects: () => Promise.reject(thrown),
      later: async () => {
        await null
        throw thrown
      },
    })
    for (const method of ['get', 'rejects', 'later']) {
      const error = await errorOf(call({ method }))
      expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', node: 'n1', attempts: [] })
      expect(error.remote).toEqual(remote)
    }
    expect(handlers.stats().inFlight).toBe(0)
  })

  it('a returned error, even a refusal of ours, is a value', async () => {
    expect(await setup({ get: () => nested }).call()).toEqual({ ok: true, value: nested })
  })

  it('a result whose then throws is a failure of the handler', async () => {
    const trap = Object.defineProperty({}, 'then', {
      get() {
        throw new Error('no')
      },
    })
    const { call } = setup({ get: () => trap })
    expect(await errorOf(call())).toMatchObject({ code: 'REMOTE', executed: 'yes' })
  })

  it('that throw what cannot be looked at still settle, as REMOTE', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const methods = {
      now: () => {
        throw proxy
      },
      later: () => Promise.reject(proxy),
    }
    for (const method of ['now', 'later']) {
      const error = await errorOf(setup(methods).call({ method }))
      expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes' })
    }
  })

  it('of an implementation that cannot be asked for its methods are NO_METHOD', async () => {
    const closed = new Proxy(
      {},
      {
        getOwnPropertyDescriptor: () => {
          throw new Error('closed')
        },
      },
    )
    expect(await errorOf(setup(closed).call())).toMatchObject({ code: 'NO_METHOD', executed: 'no' })
  })

  it('a foreign thenable is awaited', async () => {
    const foreign = Object.defineProperty({}, 'then', { value: (resolve: (value: number) => void) => resolve(3) })
    const { call } = setup({ get: () => foreign })
    expect(await call()).toEqual({ ok: true, value: 3 })
  })

  it('send the stack only when asked to', async () => {
    const methods = { get: () => Promise.reject(new Error('x')) }
    expect((await errorOf(setup(methods).call())).remote?.stack).toBeUndefined()
    const open = new Handlers({ node: 'n1', now: () => 0, runInCall, exposeStacks: true })
    open.provide('users', { methods, admission: () => 'running' })
    const outcome = new Promise<Outcome>((resolve) => open.dispatch(incomingCall(), resolve))
    expect((await errorOf(outcome)).remote?.stack).toContain('rpc-handlers.test')
  })
})

describe('in-flight calls', () => {
  it('are counted until the handler answers, also after a cancel', async () => {
    let end: ((value: unknown) => void) | undefined
    const { handlers } = setup({
      get: () =>
        new Promise((resolve) => {
          end = resolve
        }),
    })
    let settled: Outcome | undefined
    const cancel = handlers.dispatch(incomingCall(), (outcome) => {
      settled = outcome
    })
    cancel?.('cancelled')
    cancel?.('deadline')
    expect(handlers.stats()).toMatchObject({ inFlight: 1, cancelledRunning: 1, ignoredCancel: 0 })
    let idle = false
    const emptied = Promise.all([handlers.idle('users'), handlers.idle()]).then(() => {
      idle = true
    })
    await new Promise(setImmediate)
    expect(idle).toBe(false)
    end?.('late')
    await emptied
    expect(settled).toEqual({ ok: true, value: 'late' })
    expect(handlers.stats()).toMatchObject({ inFlight: 0, cancelledRunning: 0, ignoredCancel: 1 })
    expect(handlers.stats().inFlightByService).toEqual({ users: 0 })
  })

  it('a handler that heeds the signal has not ignored the cancel', async () => {
    const { handlers } = setup({
      get: () =>
        new Promise((_, reject) => currentCall()?.signal.addEventListener('abort', () => reject(new Error('stopped')))),
    })
    const settled = new Promise<Outcome>((resolve) => {
      handlers.dispatch(incomingCall(), resolve)?.('deadline')
    })
    expect((await settled).ok).toBe(false)
    expect(handlers.stats()).toMatchObject({ inFlight: 0, cancelledRunning: 0, ignoredCancel: 0 })
  })

  it('an idle or unknown service is idle at once', async () => {
    const { handlers } = setup({ get: () => 1 })
    await handlers.idle('users')
    await handlers.idle('unknown')
    await handlers.idle()
  })
})

describe('middleware', () => {
  it('runs outermost first around local and remote calls alike, with the context and the arguments', async () => {
    const log: string[] = []
    const layer =
      (name: string) => async (context: { args: readonly unknown[]; method: string }, next: () => Promise<unknown>) => {
        log.push(`${name} in ${context.method} ${context.args.join()}`)
        const result = await next()
        log.push(`${name} out ${String(result)}`)
        return result
      }
    const { call } = setup({ get: (id: string) => `user ${id}` }, { use: [layer('outer'), layer('inner')] })
    expect(await call()).toEqual({ ok: true, value: 'user 42' })
    expect(log).toEqual(['outer in get 42', 'inner in get 42', 'inner out user 42', 'outer out user 42'])
  })

  it('may answer instead of the handler, or replace its result', async () => {
    let ran = 0
    const methods = { get: () => ++ran }
    expect(await setup(methods, { use: [() => 'cached'] }).call()).toEqual({ ok: true, value: 'cached' })
    expect(ran).toBe(0)
    const doubled = setup(methods, { use: [async (_context, next) => Number(await next()) * 2] })
    expect(await doubled.call()).toEqual({ ok: true, value: 2 })
  })

  it('cannot run the handler twice', async () => {
    let ran = 0
    const { call } = setup({ get: () => ++ran }, { use: [async (_context, next) => [await next(), await next()]] })
    const error = await errorOf(call())
    expect(error.remote?.message).toContain('next() twice')
    expect(ran).toBe(1)
  })

  it('that throws fails the call as REMOTE, and the handler does not run', async () => {
    let ran = 0
    const refuse = () => {
      throw Object.assign(new Error('no token'), { code: 'NO_METHOD' })
    }
    const error = await errorOf(setup({ get: () => ++ran }, { use: [refuse] }).call())
    expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', remote: { code: 'NO_METHOD' } })
    expect(ran).toBe(0)
  })

  it('sees the current call, as the handler does', async () => {
    const seen: unknown[] = []
    const { call } = setup(
      { get: () => seen.push(currentCall()?.method) },
      {
        use: [
          (context, next) => {
            seen.push(currentCall() === context)
            return next()
          },
        ],
      },
    )
    await call()
    expect(seen).toEqual([true, 'get'])
  })
})

describe('the table', () => {
  it.each<[string, unknown, RegExp]>([
    ['an empty name', '', /must not be empty/],
    ['a name that is no string', 5, /must be a string, got 5/],
    ['a name over 255 bytes', 'é'.repeat(128), /at most 255 bytes of UTF-8, got 256/],
  ])('rejects %s', (_what, name, message) => {
    const { handlers } = setup({})
    expect(() => handlers.expose(name as string, {})).toThrow(message)
    expect(() => handlers.provide(name as string, { methods: {}, admission: () => 'running' })).toThrow(message)
  })

  it('takes a name of exactly 255 bytes', () => {
    expect(() => setup({}).handlers.expose(`${'é'.repeat(127)}x`, {})).not.toThrow()
  })

  it.each([[undefined], [null], [[]], ['text'], [() => 1]])('rejects %j as an implementation', (methods) => {
    expect(() => setup({}).handlers.expose('m', methods as unknown as object)).toThrow(/needs an object with functions/)
  })

  it.each([[0], [-1], [1.5], [Number.NaN], ['5']])('rejects maxInFlight %j', (maxInFlight) => {
    expect(() => setup({}, { maxInFlight: maxInFlight as number })).toThrow(/maxInFlight/)
  })

  it('rejects an implementation that lacks a method of its contract', () => {
    expect(() => setup({ get: () => 1 }, { only: ['get', 'save'] })).toThrow(/no method 'save'/)
  })

  it('rejects a name twice and says the way out, until the first is removed', () => {
    const { handlers } = setup({ get: () => 1 })
    const again = () => handlers.expose('users', { get: () => 2 })
    expect(again).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(again).toThrow(/stop it first if it is a service, or choose another name/)
    expect(handlers.remove('users')).toBe(true)
    expect(handlers.remove('users')).toBe(false)
    expect(again).not.toThrow()
  })
})
