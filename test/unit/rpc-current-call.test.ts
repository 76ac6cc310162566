import { describe, expect, it } from 'vitest'
import type { CancelReason, IncomingCall, Outcome } from '../../src/rpc/call.js'
import { Caller } from '../../src/rpc/caller.js'
import { currentCall, runInCall } from '../../src/rpc/current-call.js'
import { Handlers } from '../../src/rpc/handlers.js'
import {
  candidate,
  directoryOf,
  HandClock,
  incomingCall,
  quietParts,
  rejection,
  ScriptedAttempt,
} from '../support/rpc-fakes.js'

function setup(get: (...args: never[]) => unknown) {
  const clock = new HandClock()
  const handlers = new Handlers({ node: 'n1', now: clock.now, runInCall })
  handlers.expose('users', { get })
  const scripted = new ScriptedAttempt({ b: 'nested' })
  const directory = directoryOf({ billing: [candidate('b')] })
  const caller = new Caller({ directory, attempt: scripted.attempt, now: clock.now, ...quietParts(clock.now) })
  let cancel: ((reason: CancelReason) => void) | undefined
  const serve = (changes: Partial<IncomingCall> = {}): Promise<Outcome> =>
    new Promise((resolve) => {
      cancel = handlers.dispatch(incomingCall(changes), resolve)
    })
  const nested = (options = {}): Promise<unknown> =>
    caller.callCb({ service: 'billing', method: 'charge', args: [], options })
  return { clock, serve, nested, scripted, cancel: (reason: CancelReason) => cancel?.(reason) }
}

describe('currentCall', () => {
  it('is undefined outside a call', () => {
    expect(currentCall()).toBeUndefined()
  })

  it('tells the handler what it serves, also after an await', async () => {
    const { clock, serve } = setup(async () => {
      await null
      const call = currentCall()
      return [call?.service, call?.method, call?.caller, call?.headers, call?.traceparent, call?.remaining()]
    })
    clock.at = 400
    const headers = { traceparent: '00-abc', tenant: 't1' }
    expect(await serve({ headers })).toEqual({
      ok: true,
      value: [
        'users',
        'get',
        { node: 'web', address: '10.0.0.1:1', verified: false, certificate: undefined },
        headers,
        '00-abc',
        600,
      ],
    })
  })

  it('never shows less than no time, and no traceparent when there is none', async () => {
    const { clock, serve } = setup(() => {
      clock.at = 5_000
      return [currentCall()?.remaining(), currentCall()?.traceparent]
    })
    expect(await serve()).toEqual({ ok: true, value: [0, undefined] })
  })

  it.each([
    ['cancelled', 'CANCELLED'],
    ['caller-lost', 'CANCELLED'],
    ['deadline', 'DEADLINE_EXCEEDED'],
  ] as const)('its signal is aborted on %s, read before or after', async (reason, code) => {
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const early: (AbortSignal | undefined)[] = []
    const { serve, cancel } = setup(async (readFirst: boolean) => {
      if (readFirst) early.push(currentCall()?.signal)
      await gate
      return currentCall()?.signal
    })
    const settled = [true, false].map((readFirst) => {
      const outcome = serve({ args: [readFirst] })
      cancel(reason)
      cancel('cancelled')
      return outcome
    })
    release()
    for (const outcome of await Promise.all(settled)) {
      const signal = (outcome as { value: AbortSignal }).value
      expect(signal.aborted).toBe(true)
      expect(signal.reason).toMatchObject({ code })
    }
    expect(early[0]?.aborted).toBe(true)
  })

  it('gives the same signal each time', async () => {
    const { serve } = setup(() => {
      const call = currentCall()
      const first = call?.signal
      return first !== undefined && first === call?.signal
    })
    expect(await serve()).toEqual({ ok: true, value: true })
  })

  it('is over once the handler answered: what it left running inherits nothing', async () => {
    let left: Promise<unknown> | undefined
    const { serve } = setup(() => {
      left = new Promise((resolve) => setImmediate(() => resolve(currentCall())))
      return 1
    })
    await serve()
    expect(await left).toBeUndefined()
  })
})

describe('a nested call', () => {
  it('inherits the deadline when its own would be later', async () => {
    const parts = setup(() => parts.nested())
    parts.clock.at = 10
    await parts.serve({ deadlineAt: 500 })
    expect(parts.scripted.requests[0]?.deadlineAt).toBe(500)
  })

  it('keeps its own deadline when that is earlier', async () => {
    const parts = setup(() => parts.nested({ timeout: 100 }))
    parts.clock.at = 10
    await parts.serve({ deadlineAt: 500 })
    expect(parts.scripted.requests[0]?.deadlineAt).toBe(110)
  })

  it('carries the headers on, its own over them', async () => {
    const parts = setup(() => parts.nested({ headers: { tenant: 't2', own: 'x' } }))
    await parts.serve({ headers: { traceparent: '00-abc', tenant: 't1' } })
    expect(parts.scripted.requests[0]?.headers).toEqual({ traceparent: '00-abc', tenant: 't2', own: 'x' })
  })

  it('without headers anywhere carries none', async () => {
    const parts = setup(() => parts.nested({ headers: {} }))
    await parts.serve()
    expect(parts.scripted.requests[0]?.headers).toBeUndefined()
  })

  it('made after the deadline of its parent is not sent', async () => {
    const parts = setup(async () => {
      parts.clock.at = 600
      return rejection(parts.nested())
    })
    const outcome = await parts.serve({ deadlineAt: 500 })
    expect(outcome).toMatchObject({ ok: true, value: { code: 'DEADLINE_EXCEEDED', executed: 'no' } })
    expect(parts.scripted.tried).toEqual([])
  })

  it.each(['cancelled', 'caller-lost'] as const)('made after its parent was %s is not sent', async (reason) => {
    const parts = setup(async () => {
      await null
      return rejection(parts.nested())
    })
    const outcome = parts.serve()
    parts.cancel(reason)
    expect(await outcome).toMatchObject({ value: { code: 'CANCELLED', executed: 'no', cause: { code: 'CANCELLED' } } })
    expect(parts.scripted.tried).toEqual([])
  })

  it('made by what a cancelled parent left running after its end is sent, on its own time', async () => {
    let left: Promise<unknown> | undefined
    const parts = setup(async () => {
      await null
      left = new Promise((resolve) => setImmediate(() => resolve(parts.nested({ timeout: 5_000 }))))
    })
    const outcome = parts.serve({ deadlineAt: 500, headers: { tenant: 't1' } })
    parts.cancel('caller-lost')
    await outcome
    expect(await left).toBe('nested')
    expect(parts.scripted.requests[0]).toMatchObject({ deadlineAt: 5_000, headers: undefined })
  })

  it('finds the nodes of the service that it is made from', async () => {
    const clock = new HandClock()
    const scripted = new ScriptedAttempt({ b: 'sum' })
    const caller = new Caller({
      ...quietParts(() => 0),
      directory: directoryOf({ users: [candidate('b')] }),
      attempt: scripted.attempt,
      now: clock.now,
    })
    const handlers = new Handlers({ node: 'n1', now: clock.now, runInCall })
    handlers.expose('users', {
      get: () => caller.call({ service: 'math', method: 'add', args: [1], options: undefined }),
    })
    const outcome = await new Promise<Outcome>((resolve) => handlers.dispatch(incomingCall(), resolve))
    expect(outcome).toEqual({ ok: true, value: 'sum' })
    expect(scripted.requests[0]).toMatchObject({ service: 'math', method: 'add' })
  })
})
