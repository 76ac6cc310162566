import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Caller } from '../../src/rpc/caller.js'
import { OutgoingLayers, type OutgoingMiddleware } from '../../src/rpc/outgoing-layers.js'
import { candidate, directoryOf, failure, quietParts, rejection, ScriptedAttempt } from '../support/rpc-fakes.js'

const never = (): Promise<never> => new Promise(() => {})

function setup(layers: readonly OutgoingMiddleware[], script: Readonly<Record<string, unknown>> = { a: 1, b: 2 }) {
  const now = (): number => performance.now()
  const scripted = new ScriptedAttempt(script)
  const outgoing = new OutgoingLayers({ layers, now })
  const directory = directoryOf({ users: Object.keys(script).map((node) => candidate(node)) })
  const caller = new Caller({ directory, attempt: scripted.attempt, now, ...quietParts(now), outgoing })
  const call = (options = {}): Promise<unknown> =>
    caller.callCb({ service: 'users', method: 'get', args: ['42'], options })
  return { call, caller, scripted, outgoing }
}

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('middleware around outgoing calls', () => {
  it('sees what is called, and wraps it with the first one outermost', async () => {
    const seen: unknown[] = []
    const note =
      (name: string): OutgoingMiddleware =>
      async (call, next) => {
        seen.push([
          name,
          call.service,
          call.method,
          call.args,
          { ...call.headers },
          call.remaining(),
          call.cast,
          call.all,
        ])
        return `${name}(${await next()})`
      }
    const { call } = setup([note('x'), note('y')])
    expect(await call({ headers: { own: '1' }, timeout: 500 })).toBe('x(y(1))')
    const rest = ['users', 'get', ['42'], { own: '1' }, 500, false, false]
    expect(seen).toEqual([
      ['x', ...rest],
      ['y', ...rest],
    ])
  })

  it('runs once for a call, however many instances are tried', async () => {
    let ran = 0
    const layer: OutgoingMiddleware = (_call, next) => {
      ran++
      return next()
    }
    const { call, scripted } = setup([layer], { a: failure('UNAVAILABLE', 'no', 'a'), b: 'found' })
    expect(await call()).toBe('found')
    expect([ran, scripted.tried]).toEqual([1, ['a', 'b']])
  })

  it('adds headers, which every instance gets and later layers see', async () => {
    const later: unknown[] = []
    const { call, scripted } = setup([
      (outgoing, next) => {
        outgoing.setHeader('token', 't')
        outgoing.setHeader('own', 'replaced')
        return next()
      },
      (outgoing, next) => {
        later.push({ ...outgoing.headers })
        return next()
      },
    ])
    await call({ headers: { own: 'x' } })
    expect(later).toEqual([{ own: 'replaced', token: 't' }])
    expect(scripted.requests[0]?.headers).toEqual({ own: 'replaced', token: 't' })
  })

  it.each([
    ['', 'x'],
    ['__proto__', 'x'],
    ['a', 5 as never],
    ['a', 'x'.repeat(20_000)],
  ])('cannot add the header %j', async (name, value) => {
    const { call, scripted } = setup([
      (outgoing, next) => {
        outgoing.setHeader(name, value)
        return next()
      },
    ])
    expect(await rejection(call())).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect(scripted.tried).toEqual([])
  })

  it('cannot add one to a call that was sent', async () => {
    const { call } = setup([
      async (outgoing, next) => {
        await next()
        outgoing.setHeader('late', 'x')
      },
    ])
    expect((await rejection(call())).message).toMatch(/came too late/)
  })

  it('may answer itself, refuse with an error of its own, or replace the result', async () => {
    const cached = setup([() => 'cached'])
    expect(await cached.call()).toBe('cached')
    expect(cached.scripted.tried).toEqual([])
    const refused = new TypeError('not allowed')
    await expect(setup([() => Promise.reject(refused)]).call()).rejects.toBe(refused)
    expect(await setup([async (_call, next) => [await next()]]).call()).toEqual([1])
  })

  it('gets the failure of the call as it is, and may make a result of it', async () => {
    const failed = failure('REMOTE', 'yes')
    await expect(setup([(_call, next) => next()], { a: failed }).call()).rejects.toBe(failed)
    const fallback = setup([(_call, next) => next().catch(() => 'fallback')], { a: failed })
    expect(await fallback.call()).toBe('fallback')
  })

  it('cannot make the call twice', async () => {
    const { call, scripted } = setup([async (_call, next) => [await next(), await next()]])
    await expect(call()).rejects.toThrow(/called next\(\) twice/)
    expect(scripted.tried).toEqual(['a'])
  })

  it('wraps a call of all instances once', async () => {
    const seen: boolean[] = []
    const { caller } = setup([
      (outgoing, next) => {
        seen.push(outgoing.all)
        return next()
      },
    ])
    const results = await caller.callCbAll({ service: 'users', method: 'get', args: [], options: undefined })
    expect(results.map(({ node }) => node)).toEqual(['a', 'b'])
    expect(seen).toEqual([true])
  })

  it('wraps a call of a module', async () => {
    const { caller } = setup([async (outgoing, next) => `${outgoing.service} ${await next()}`])
    const spec = { service: 'math', method: 'add', args: [] }
    expect(await caller.call({ ...spec, options: { nodes: ['b'] } })).toBe('math 2')
    expect(await caller.call({ ...spec, options: { service: 'users' } })).toBe('math 1')
  })
})

describe('a call that middleware holds', () => {
  it('ends at its deadline, not executed, and is never sent afterwards', async () => {
    let late: Promise<unknown> | undefined
    const { call, scripted } = setup([
      async (_call, next) => {
        await new Promise((resolve) => setTimeout(resolve, 800))
        late = next()
        return late
      },
    ])
    const failed = rejection(call({ timeout: 500 }))
    await vi.advanceTimersByTimeAsync(510)
    expect(await failed).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'no' })
    await vi.advanceTimersByTimeAsync(300)
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(scripted.tried).toEqual([])
  })

  it('ends with its signal, and leaves no listener and no running timer', async () => {
    const controller = new AbortController()
    const { call } = setup([never])
    const failed = rejection(call({ signal: controller.signal }))
    controller.abort('why')
    expect(await failed).toMatchObject({ code: 'CANCELLED', executed: 'no', cause: 'why' })
    expect(getEventListeners(controller.signal, 'abort').length).toBe(0)
    let ran = 0
    const before = setup([() => ++ran]).call({ signal: AbortSignal.abort() })
    expect(await rejection(before)).toMatchObject({ code: 'CANCELLED', executed: 'no' })
    expect(ran).toBe(0)
  })

  it('that has its answer still ends with its signal, and says that the work was done', async () => {
    const { signal, abort } = abortable()
    const hanging: OutgoingMiddleware = async (_call, next) => {
      await next()
      return never()
    }
    const { call } = setup([hanging])
    const held = call({ signal, timeout: 5_000 })
    await vi.advanceTimersByTimeAsync(10)
    abort()
    expect(await rejection(held)).toMatchObject({ code: 'CANCELLED', executed: 'yes' })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('that was cancelled under way has a moment to look at that, and no more', async () => {
    const { signal, abort } = abortable()
    const hanging: OutgoingMiddleware = (_call, next) => next().catch(never)
    const { call } = setup([hanging], {
      a: () => new Promise((resolve) => signal.addEventListener('abort', () => resolve(failure('CANCELLED', 'maybe')))),
    })
    const held = rejection(call({ signal, timeout: 60_000 }))
    abort()
    await vi.advanceTimersByTimeAsync(200)
    expect(await held).toMatchObject({ code: 'CANCELLED', executed: 'maybe' })
  })

  it('that looks at the failure of a call whose node was closed ends soon too', async () => {
    const hanging: OutgoingMiddleware = (_call, next) => next().catch(never)
    let close = (): void => {}
    const closing = new Promise((resolve) => {
      close = () => resolve(failure('CLOSED', 'maybe'))
    })
    const { call, outgoing } = setup([hanging], { a: () => closing })
    const held = rejection(call({ timeout: 60_000 }))
    await vi.advanceTimersByTimeAsync(1)
    outgoing.close()
    close()
    await vi.advanceTimersByTimeAsync(200)
    expect(await held).toMatchObject({ code: 'CLOSED', executed: 'maybe' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('ends with its node', async () => {
    const { call, outgoing } = setup([never])
    const failed = rejection(call())
    outgoing.close()
    expect(await failed).toMatchObject({ code: 'CLOSED', executed: 'no' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['an answer', 1, 'yes'],
    ['a refusal', failure('UNAVAILABLE', 'no'), 'no'],
    ['an unknown end', failure('CONNECTION_LOST', 'maybe'), 'maybe'],
  ])('after %s ends by its deadline with what is known of the execution', async (_what, answer, executed) => {
    const { call } = setup([(_call, next) => next().then(never, never)], { a: answer })
    const failed = rejection(call({ timeout: 500 }))
    await vi.advanceTimersByTimeAsync(600)
    expect(await failed).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed })
  })

  it('leaves nothing behind when it does not wait for the call', async () => {
    const { call, outgoing } = setup(
      [
        (_call, next) => {
          void next()
          return 'early'
        },
      ],
      { a: () => Promise.resolve(5) },
    )
    expect(await call()).toBe('early')
    await vi.advanceTimersByTimeAsync(1)
    outgoing.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})
