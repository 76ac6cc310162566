import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CallRequest } from '../../src/rpc/call.js'
import { currentCall, runInCall } from '../../src/rpc/current-call.js'
import { Handlers } from '../../src/rpc/handlers.js'
import { LocalAttempt, type LocalPassing } from '../../src/rpc/local-attempt.js'
import { callRequest, candidate, rejection } from '../support/rpc-fakes.js'

const here = candidate('n1', true)
const never = (): Promise<never> => new Promise(() => {})
function endless(): unknown[] {
  const value: unknown[] = []
  value.push(value)
  return value
}

function setup(methods: object, passing: LocalPassing = 'reference') {
  const now = (): number => performance.now()
  const handlers = new Handlers({ node: 'n1', now, runInCall })
  handlers.expose('users', methods)
  const local = new LocalAttempt({ dispatcher: handlers, node: 'n1', address: () => '127.0.0.1:9', passing, now })
  const call = (changes: Partial<CallRequest> = {}): Promise<unknown> =>
    local.attempt(here, callRequest({ deadlineAt: now() + 1_000, ...changes }))
  return { handlers, local, call, now }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a local call', () => {
  it('is served with the own node as its caller', async () => {
    const { call } = setup({ get: () => currentCall()?.caller })
    expect(await call()).toEqual({ node: 'n1', address: '127.0.0.1:9', verified: true, certificate: undefined })
  })

  it.each([
    [{ service: 'other' }, 'NOT_PROVIDED'],
    [{ method: 'nope' }, 'NO_METHOD'],
    [{ deadlineAt: 0 }, 'DEADLINE_EXCEEDED'],
  ])('meets the same admission as a remote one: %j is %s', async (changes, code) => {
    expect(await rejection(setup({ get: never }).call(changes))).toMatchObject({ code, executed: 'no', node: 'n1' })
  })

  it('that throws arrives as REMOTE', async () => {
    const { call } = setup({ get: () => Promise.reject(new RangeError('x')) })
    expect(await rejection(call())).toMatchObject({ code: 'REMOTE', executed: 'yes', remote: { name: 'RangeError' } })
  })

  it('that answers synchronously needs no timer and no listener', async () => {
    const { call, local } = setup({ get: () => 1 })
    const controller = new AbortController()
    const listening = vi.spyOn(controller.signal, 'addEventListener')
    await call({ signal: controller.signal })
    expect(vi.getTimerCount()).toBe(0)
    expect(listening).not.toHaveBeenCalled()
    expect(local.pending()).toBe(0)
  })

  it('is ended at its deadline, with its signal aborted, and may have been executed', async () => {
    let signal: AbortSignal | undefined
    const { call, handlers } = setup({
      get: () => {
        signal = currentCall()?.signal
        return never()
      },
    })
    const failed = rejection(call())
    await vi.advanceTimersByTimeAsync(999)
    expect(signal?.aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(2)
    expect(await failed).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe', node: 'n1' })
    expect(signal?.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(handlers.stats()).toMatchObject({ inFlight: 1, cancelledRunning: 1 })
  })

  it('never ends before its deadline, nor more than a few ms after, whatever waits beside it', async () => {
    const { call, now } = setup({ get: never })
    const late: number[] = []
    const all = Array.from({ length: 200 }, (_, i) => {
      const deadlineAt = now() + ((i * 37) % 200) + 1
      return rejection(call({ deadlineAt })).then(() => late.push(now() - deadlineAt))
    })
    await vi.advanceTimersByTimeAsync(300)
    await Promise.all(all)
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...late)).toBeLessThanOrEqual(7)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('shares one timer with all others', async () => {
    const { call } = setup({ get: never })
    for (let i = 0; i < 100; i++) void call().catch(() => {})
    expect(vi.getTimerCount()).toBe(1)
  })

  it('is cancelled by its signal while it runs and may have been executed', async () => {
    const controller = new AbortController()
    let inside: AbortSignal | undefined
    const { call, local } = setup({
      get: () => {
        inside = currentCall()?.signal
        return never()
      },
    })
    const failed = rejection(call({ signal: controller.signal }))
    controller.abort('why')
    expect(await failed).toMatchObject({ code: 'CANCELLED', executed: 'maybe', cause: 'why' })
    expect(inside?.aborted).toBe(true)
    expect(inside).not.toBe(controller.signal)
    expect(local.pending()).toBe(0)
  })

  it('whose signal was aborted before is not executed', async () => {
    let ran = 0
    const { call } = setup({ get: () => ++ran })
    expect(await rejection(call({ signal: AbortSignal.abort() }))).toMatchObject({ code: 'CANCELLED', executed: 'no' })
    expect(ran).toBe(0)
  })

  it('whose handler aborts its own caller is cancelled', async () => {
    const controller = new AbortController()
    const { call, local } = setup({
      get: () => {
        controller.abort()
        return never()
      },
    })
    expect(await rejection(call({ signal: controller.signal }))).toMatchObject({ code: 'CANCELLED', executed: 'maybe' })
    expect(local.pending()).toBe(0)
  })

  it('10,000 of them on one signal share one listener and leave none behind', async () => {
    const controller = new AbortController()
    const { call } = setup({ get: async () => 1, fail: () => Promise.reject(new Error('x')) })
    for (let i = 0; i < 100; i++) {
      const batch = Array.from({ length: 100 }, (_, k) =>
        call({ signal: controller.signal, method: k % 2 === 0 ? 'get' : 'fail' }).catch(() => {}),
      )
      expect(getEventListeners(controller.signal, 'abort').length).toBe(1)
      await Promise.all(batch)
    }
    expect(getEventListeners(controller.signal, 'abort').length).toBe(0)
  })

  it('leaves no listener behind when its deadline ends it', async () => {
    const controller = new AbortController()
    const failed = rejection(setup({ get: never }).call({ signal: controller.signal }))
    await vi.advanceTimersByTimeAsync(1_010)
    await failed
    expect(getEventListeners(controller.signal, 'abort').length).toBe(0)
  })

  it('ends with CLOSED when its node closes, and later ones are not executed', async () => {
    const { call, local } = setup({ get: never })
    const failed = rejection(call())
    local.close()
    expect(await failed).toMatchObject({ code: 'CLOSED', executed: 'maybe' })
    expect(await rejection(call())).toMatchObject({ code: 'CLOSED', executed: 'no' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('a cast whose handler closes the node is cancelled and leaves no timer', async () => {
    const seen: (AbortSignal | undefined)[] = []
    const { call, local } = setup({
      get: () => {
        seen.push(currentCall()?.signal)
        local.close()
        return never()
      },
    })
    await call({ cast: true })
    expect([seen[0]?.aborted, vi.getTimerCount()]).toEqual([true, 0])
  })

  it('whose handler closes the node ends with CLOSED and leaves no timer', async () => {
    const { call, local } = setup({
      stop: () => {
        local.close()
        return never()
      },
    })
    expect(await rejection(call({ method: 'stop' }))).toMatchObject({ code: 'CLOSED', executed: 'maybe' })
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('values of a local call', () => {
  const list = [1]
  const echo = { get: (value: unknown) => value }

  it('are passed by reference by default', async () => {
    expect(await setup(echo).call({ args: [list] })).toBe(list)
  })

  it('are copied both ways with clone', async () => {
    let seen: unknown
    const kept = { deep: [1] }
    const { call } = setup(
      {
        get: (value: unknown) => {
          seen = value
          return kept
        },
      },
      'clone',
    )
    const result = await call({ args: [list] })
    expect(seen).toEqual(list)
    expect(seen).not.toBe(list)
    expect(result).toEqual(kept)
    expect(result).not.toBe(kept)
  })

  it('that cannot be copied: arguments are INVALID_ARGUMENT, not executed', async () => {
    let ran = 0
    const { call } = setup({ get: () => ++ran }, 'clone')
    const error = await rejection(call({ args: [() => 1] }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect(ran).toBe(0)
  })

  it.each<[string, unknown, RegExp]>([
    ['a function', { deep: [() => 1] }, /args\[0\]\.deep\[0\] is a function and cannot be sent/],
    ['an instance of a class', new (class User {})(), /args\[0\] is an instance of User and cannot be sent/],
    ['a symbol', [Symbol('s')], /is a symbol/],
    ['an endless value', endless(), /nested deeper than/],
  ])('with clone refuse what cannot travel, by its path: %s', async (_what, value, message) => {
    const { call } = setup(echo, 'clone')
    const error = await rejection(call({ args: [value] }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no', node: 'n1' })
    expect(error.message).toMatch(message)
  })

  it('with clone arrive as they would from another node', async () => {
    const { call } = setup(echo, 'clone')
    const value = {
      at: new Date(5),
      big: 2n ** 90n,
      map: new Map([[1, new Set([-0])]]),
      bytes: Uint8Array.of(1),
      u: undefined,
    }
    expect(await call({ args: [value] })).toStrictEqual(value)
    expect(await call({ args: [Object.assign(new RangeError('x'), { own: 1 })] })).not.toHaveProperty('own')
  })

  it('with clone are copies in the data of an error too', async () => {
    const data = { list: [1], fn: undefined as unknown }
    const { call } = setup({ get: () => Promise.reject(Object.assign(new Error('x'), { code: 'E', data })) }, 'clone')
    const error = await rejection(call())
    expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', remote: { message: 'x', code: 'E', data } })
    expect(error.remote?.data).not.toBe(data)
    for (const fn of [() => 1, Symbol('x')]) {
      const thrown = Object.assign(new Error('x'), { data: fn })
      const refused = await rejection(setup({ get: () => Promise.reject(thrown) }, 'clone').call())
      expect(refused.remote).toEqual({ name: 'Error', message: 'x' })
    }
    data.fn = () => 1
    expect((await rejection(call())).remote).toEqual({ name: 'Error', message: 'x', code: 'E' })
  })

  it('with clone over the size of a frame are TOO_LARGE', async () => {
    const large = new Uint8Array(17_000_000)
    expect(await rejection(setup(echo, 'clone').call({ args: [large] }))).toMatchObject({
      code: 'TOO_LARGE',
      executed: 'no',
    })
    const { call } = setup({ get: () => large }, 'clone')
    expect(await rejection(call())).toMatchObject({ code: 'TOO_LARGE', executed: 'yes' })
  })

  it('that cannot be copied: a result is REMOTE, executed', async () => {
    const { call } = setup({ get: () => () => 1 }, 'clone')
    expect(await rejection(call())).toMatchObject({
      code: 'REMOTE',
      executed: 'yes',
      remote: { name: 'ValueError' },
    })
  })
})

describe('a local cast', () => {
  it('resolves undefined without waiting for its handler', async () => {
    let ran = 0
    const { call, local } = setup({
      get: () => {
        ran++
        return never()
      },
    })
    expect(await call({ cast: true })).toBeUndefined()
    expect(ran).toBe(1)
    expect(local.pending()).toBe(1)
  })

  it('is aborted at the default deadline that it carries', async () => {
    let signal: AbortSignal | undefined
    const { call, local } = setup({
      get: () => {
        signal = currentCall()?.signal
        return never()
      },
    })
    await call({ cast: true })
    await vi.advanceTimersByTimeAsync(1_010)
    expect(signal?.aborted).toBe(true)
    expect(local.pending()).toBe(0)
  })

  it('does not show what its handler answers or throws', async () => {
    const { call, local } = setup({
      get: () => 5,
      fail: () => {
        throw new Error('x')
      },
      later: () => Promise.reject(new Error('y')),
    })
    for (const method of ['get', 'fail', 'later']) expect(await call({ cast: true, method })).toBeUndefined()
    await vi.advanceTimersByTimeAsync(0)
    expect(local.pending()).toBe(0)
  })

  it('that is refused rejects, so that another instance gets it', async () => {
    expect(await rejection(setup({}).call({ cast: true }))).toMatchObject({ code: 'NO_METHOD', executed: 'no' })
  })
})
