import { describe, expect, it } from 'vitest'
import type { ShoalError } from '../../src/errors.js'
import type { Authorize } from '../../src/rpc/authorization.js'
import type { IncomingCall, Outcome } from '../../src/rpc/call.js'
import { currentCall, runInCall } from '../../src/rpc/current-call.js'
import { Handlers } from '../../src/rpc/handlers.js'
import type { Admission } from '../../src/rpc/handlers-options.js'
import { LocalAttempt } from '../../src/rpc/local-attempt.js'
import { callRequest, candidate, HandClock, incomingCall, rejection } from '../support/rpc-fakes.js'

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

function deferred<T>(): Deferred<T> {
  let settle: { resolve: (value: T) => void; reject: (error: unknown) => void } | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: (value) => settle?.resolve(value), reject: (error) => settle?.reject(error) }
}

function setup(authorize: Authorize) {
  const clock = new HandClock()
  const faults: ShoalError[] = []
  const ran: unknown[] = []
  const state: { admission: Admission } = { admission: 'running' }
  const handlers = new Handlers({
    node: 'n1',
    now: clock.now,
    runInCall,
    authorize,
    onAuthorizeFailed: (error) => faults.push(error),
  })
  const methods = { get: (id: unknown) => ran.push(id), slow: () => new Promise(() => {}) }
  handlers.provide('users', { methods, admission: () => state.admission, maxInFlight: 2 })
  const dispatch = (changes: Partial<IncomingCall> = {}) => {
    const outcomes: Outcome[] = []
    const cancel = handlers.dispatch(incomingCall(changes), (outcome) => outcomes.push(outcome))
    return { outcomes, cancel }
  }
  return { clock, faults, ran, state, handlers, dispatch }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function refusal(outcome: Outcome | undefined): unknown[] {
  return outcome === undefined || outcome.ok ? [outcome] : [outcome.error.code, outcome.error.executed]
}

describe('the hook before each call', () => {
  it('that says yes at once costs no promise: the answer is there in the same tick', () => {
    const { dispatch, ran } = setup(() => true)
    const { outcomes, cancel } = dispatch()
    expect([outcomes, cancel, ran]).toEqual([[{ ok: true, value: 1 }], undefined, ['42']])
  })

  it.each([
    ['false', () => false, ''],
    ['a reason', () => 'not today', ': not today'],
    ['a promise of false', async () => false, ''],
    ['a promise of a reason', async () => 'not today', ': not today'],
  ])('that gives %s refuses before anything runs', async (_what, authorize, because) => {
    const { dispatch, ran, handlers, faults } = setup(authorize)
    const { outcomes } = dispatch()
    await turn()
    expect(refusal(outcomes[0])).toEqual(['UNAUTHORIZED', 'no'])
    const [outcome] = outcomes
    if (outcome?.ok === false)
      expect(outcome.error.message).toBe(`node 'n1' does not allow users.get to 'web'${because}`)
    expect([ran, faults]).toEqual([[], []])
    expect(handlers.stats()).toMatchObject({ inFlight: 0, served: 0, refused: 1, unauthorized: 1, authorizeFailed: 0 })
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('secret')
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret'))],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['gives nothing', () => undefined],
    ['gives 1', () => 1],
    ['gives an object', async () => ({ allow: true })],
    [
      'gives a thenable that throws',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        then() {
          throw new Error('secret')
        },
      }),
    ],
  ])('that %s refuses, tells its own node, and nothing of it to the caller', async (_what, authorize) => {
    const { dispatch, ran, handlers, faults } = setup(authorize as unknown as Authorize)
    const { outcomes } = dispatch()
    await turn()
    expect(refusal(outcomes[0])).toEqual(['UNAUTHORIZED', 'no'])
    expect(JSON.stringify(outcomes)).not.toContain('secret')
    expect(ran).toEqual([])
    expect(faults.map(({ code }) => code)).toEqual(['HOOK_FAILED'])
    expect(handlers.stats()).toMatchObject({ inFlight: 0, authorizeFailed: 1 })
  })

  it('that fails for every call is told of once a minute', () => {
    const { dispatch, faults, clock } = setup(() => {
      throw new Error('broken')
    })
    for (let i = 0; i < 100; i++) dispatch({ deadlineAt: 1_000_000 })
    expect(faults).toHaveLength(1)
    clock.at = 60_000
    dispatch({ deadlineAt: 1_000_000 })
    expect(faults).toHaveLength(2)
  })

  it('that never answers holds the call until its deadline, and no longer', async () => {
    const hanging = deferred<boolean>()
    const { dispatch, handlers, ran } = setup(() => hanging.promise)
    const { outcomes, cancel } = dispatch()
    const idle = handlers.idle('users')
    expect([outcomes, handlers.stats().inFlight]).toEqual([[], 1])
    cancel?.('deadline')
    expect(refusal(outcomes[0])).toEqual(['DEADLINE_EXCEEDED', 'no'])
    await idle
    hanging.resolve(true)
    await turn()
    expect(outcomes).toHaveLength(1)
    expect([ran, handlers.stats()]).toMatchObject([[], { inFlight: 0, cancelledRunning: 0, ignoredCancel: 0 }])
  })

  it('is no way around the bound of calls in flight', () => {
    const { dispatch } = setup(() => new Promise(() => {}))
    dispatch()
    dispatch()
    expect(refusal(dispatch().outcomes[0])).toEqual(['OVERLOADED', 'no'])
  })

  it('takes its time: what was paused meanwhile, or is too late, does not run', async () => {
    const asked: Deferred<boolean>[] = []
    const { dispatch, state, clock, ran } = setup(() => {
      const one = deferred<boolean>()
      asked.push(one)
      return one.promise
    })
    const paused = dispatch()
    state.admission = 'unavailable'
    asked[0]?.resolve(true)
    await turn()
    expect(refusal(paused.outcomes[0])).toEqual(['UNAVAILABLE', 'no'])
    state.admission = 'running'
    const late = dispatch()
    clock.at = 1_000
    asked[1]?.resolve(true)
    await turn()
    expect(refusal(late.outcomes[0])).toEqual(['DEADLINE_EXCEEDED', 'no'])
    expect(ran).toEqual([])
  })

  it('hands over to the handler, which is cancelled like any other then', async () => {
    const { dispatch, handlers } = setup(async () => true)
    const { outcomes, cancel } = dispatch({ method: 'slow' })
    await turn()
    cancel?.('cancelled')
    expect([outcomes, handlers.stats()]).toMatchObject([[], { inFlight: 1, cancelledRunning: 1 }])
  })

  it('sees the call that it judges as currentCall(), and cannot be asked about what is not there', () => {
    const seen: unknown[] = []
    const { dispatch } = setup((call) => {
      seen.push([call.service, call.method, call.caller.node, call.headers['tenant'], currentCall() === call])
      return true
    })
    dispatch({ headers: { tenant: 't' } })
    expect(refusal(dispatch({ service: 'nobody' }).outcomes[0])).toEqual(['NOT_PROVIDED', 'no'])
    expect(refusal(dispatch({ method: 'missing' }).outcomes[0])).toEqual(['NO_METHOD', 'no'])
    expect(seen).toEqual([['users', 'get', 'web', 't', true]])
  })

  it('is asked for local calls too, and a hanging one ends them by their deadline as not executed', async () => {
    const { handlers } = setup(() => new Promise(() => {}))
    const local = new LocalAttempt({
      dispatcher: handlers,
      node: 'n1',
      address: () => '127.0.0.1:9',
      passing: 'reference',
      now: () => performance.now(),
    })
    const request = callRequest({ deadlineAt: performance.now() + 20 })
    const error = await rejection(local.attempt(candidate('n1', true), request))
    expect([error.code, error.executed]).toEqual(['DEADLINE_EXCEEDED', 'no'])
    local.close()
  })
})
