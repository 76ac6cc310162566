import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CallErrorCode, Executed } from '../../src/errors.js'
import { type RetryOptions, resolveRetry } from '../../src/rpc/call-options.js'
import type { CallPlan } from '../../src/rpc/call-plan.js'
import { Retrier } from '../../src/rpc/retry.js'
import { callRequest, failure, rejection } from '../support/rpc-fakes.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

type Step = Error | (() => unknown) | { readonly value: unknown }

function setup(steps: readonly Step[], changes: Partial<CallPlan> & { signal?: AbortSignal; timeout?: number } = {}) {
  const startedAt = performance.now()
  const at: number[] = []
  const pass = async (): Promise<unknown> => {
    const step = steps[Math.min(at.length, steps.length - 1)]
    at.push(performance.now() - startedAt)
    const given = typeof step === 'function' ? step() : step
    if (given instanceof Error) throw given
    return (given as { value: unknown }).value
  }
  const retrier = new Retrier({ pass, now: () => performance.now(), mayRetry: () => true })
  const { signal, timeout = 15_000, ...plan } = changes
  const run = (options: RetryOptions = {}): Promise<unknown> => {
    const request = callRequest({ deadlineAt: startedAt + timeout, signal })
    return retrier.run(
      { request, selection: {}, idempotent: false, hedgeMs: undefined, ...plan },
      resolveRetry(options),
    )
  }
  return { at, retrier, run }
}

const none = failure('NO_INSTANCES', 'no')
const lost = failure('CONNECTION_LOST', 'maybe')

describe('remote', () => {
  it('that succeeds at once makes one pass and no timer', async () => {
    const { at, run } = setup([{ value: 1 }])
    expect(await run()).toBe(1)
    expect(at).toEqual([0])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('makes five more passes, a second apart, while nothing is available', async () => {
    const { at, run } = setup([none])
    const failed = rejection(run())
    await vi.advanceTimersByTimeAsync(6_000)
    const error = await failed
    expect(at).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000])
    expect(error).toMatchObject({ code: 'NO_INSTANCES', executed: 'no' })
    expect(error.attempts).toHaveLength(6)
  })

  it('ends with the first success', async () => {
    const { at, run } = setup([none, failure('DRAINING', 'no'), { value: 'up' }])
    const result = run({ retryDelay: 10 })
    await vi.advanceTimersByTimeAsync(30)
    expect(await result).toBe('up')
    expect(at).toEqual([0, 10, 20])
  })

  it.each<[CallErrorCode, Executed, boolean]>([
    ['NO_INSTANCES', 'no', true],
    ['NOT_PROVIDED', 'no', true],
    ['UNAVAILABLE', 'no', true],
    ['DRAINING', 'no', true],
    ['OVERLOADED', 'no', true],
    ['UNREACHABLE', 'no', true],
    ['NO_METHOD', 'no', false],
    ['UNAUTHORIZED', 'no', false],
    ['CANCELLED', 'no', false],
    ['CLOSED', 'no', false],
    ['INVALID_ARGUMENT', 'no', false],
    ['CONNECTION_LOST', 'no', false],
    ['CONNECTION_LOST', 'maybe', false],
    ['UNAVAILABLE', 'maybe', false],
    ['REMOTE', 'yes', false],
  ])('%s executed=%s counts as unavailable: %s', async (code, executed, again) => {
    const { at, run } = setup([failure(code, executed), { value: 1 }])
    const settled = run({ retryDelay: 1, retries: { unavailable: 1 } }).catch(() => {})
    await vi.advanceTimersByTimeAsync(10)
    await settled
    expect(at).toHaveLength(again ? 2 : 1)
  })

  it.each<[CallErrorCode, Executed, boolean, boolean]>([
    ['CONNECTION_LOST', 'no', false, true],
    ['CONNECTION_LOST', 'maybe', false, false],
    ['CONNECTION_LOST', 'maybe', true, true],
    ['DEADLINE_EXCEEDED', 'maybe', true, true],
    ['NO_METHOD', 'no', false, true],
    ['REMOTE', 'yes', true, false],
    ['CANCELLED', 'maybe', true, false],
    ['TOO_LARGE', 'no', true, false],
  ])('an error pass after %s executed=%s idempotent=%s happens: %s', async (code, executed, idempotent, again) => {
    const { at, run } = setup([failure(code, executed), { value: 1 }], { idempotent })
    const settled = run({ retryDelay: 1, retries: { unavailable: 0, error: 1 } }).catch(() => {})
    await vi.advanceTimersByTimeAsync(10)
    await settled
    expect(at).toHaveLength(again ? 2 : 1)
  })

  it('a pass in which one instance may have done the work is not unavailable', async () => {
    const mixed = Object.assign(failure('UNREACHABLE', 'no'), {
      attempts: [{ node: 'a', code: 'CONNECTION_LOST', executed: 'maybe', message: '' }],
    })
    const { at, run } = setup([mixed])
    await rejection(run({ retryDelay: 1 }))
    expect(at).toHaveLength(1)
  })

  it('counts the two kinds of retries apart', async () => {
    const { at, run } = setup([none, lost, none, lost, lost], { idempotent: true })
    const failed = rejection(run({ retryDelay: 1, retries: { unavailable: 2, error: 1 } }))
    await vi.advanceTimersByTimeAsync(20)
    expect((await failed).code).toBe('CONNECTION_LOST')
    expect(at).toHaveLength(4)
  })

  it('whose earlier pass may have been executed is at least "maybe" as a whole', async () => {
    const { run } = setup([lost, none], { idempotent: true })
    const failed = rejection(run({ retryDelay: 1, retries: { unavailable: 0, error: 1 } }))
    await vi.advanceTimersByTimeAsync(5)
    const error = await failed
    expect(error).toMatchObject({ code: 'NO_INSTANCES', executed: 'maybe' })
    expect(error.attempts.map((attempt) => attempt.code)).toEqual(['CONNECTION_LOST', 'NO_INSTANCES'])
  })

  it('fits all its passes into a short timeout', async () => {
    const { at, run } = setup([none], { timeout: 600 })
    const failed = rejection(run())
    await vi.advanceTimersByTimeAsync(1_000)
    await failed
    expect(at).toEqual([0, 100, 200, 300, 400, 500])
  })

  it('makes no pass after its deadline, however many retries are left', async () => {
    const { at, run } = setup([none], { timeout: 100 })
    const failed = rejection(run({ retries: { unavailable: Number.POSITIVE_INFINITY }, retryDelay: 30 }))
    await vi.advanceTimersByTimeAsync(1_000)
    expect((await failed).code).toBe('NO_INSTANCES')
    expect(at.length).toBeGreaterThan(3)
    expect(Math.max(...at)).toBeLessThan(100)
  })

  it('aborted in a pause rejects at once and leaves neither timer nor listener', async () => {
    const controller = new AbortController()
    const { at, run, retrier } = setup([none], { signal: controller.signal })
    const failed = rejection(run())
    await vi.advanceTimersByTimeAsync(500)
    expect(retrier.pausing()).toBe(1)
    controller.abort('changed my mind')
    expect(await failed).toMatchObject({ code: 'CANCELLED', executed: 'no', cause: 'changed my mind' })
    expect(at).toEqual([0])
    expect(vi.getTimerCount()).toBe(0)
    expect(retrier.pausing()).toBe(0)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  it('aborted in a pause after a pass that may have been executed says so', async () => {
    const controller = new AbortController()
    const { run } = setup([lost], { signal: controller.signal, idempotent: true })
    const failed = rejection(run({ retries: { error: 3 } }))
    await vi.advanceTimersByTimeAsync(500)
    controller.abort()
    const error = await failed
    expect(error).toMatchObject({ code: 'CANCELLED', executed: 'maybe' })
    expect(error.attempts).toHaveLength(1)
  })

  it('aborted just as a pass succeeds keeps the result', async () => {
    const controller = new AbortController()
    const succeed = (): unknown => {
      controller.abort()
      return { value: 'done' }
    }
    const { run } = setup([none, succeed], { signal: controller.signal })
    const result = run({ retryDelay: 5 })
    await vi.advanceTimersByTimeAsync(10)
    expect(await result).toBe('done')
  })

  it('in a pause ends with CLOSED when its node closes', async () => {
    const { run, retrier } = setup([none])
    const failed = rejection(run())
    await vi.advanceTimersByTimeAsync(10)
    retrier.close()
    expect(await failed).toMatchObject({ code: 'CLOSED', executed: 'no' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('throws what is no RpcError on without another pass', async () => {
    const bug = new TypeError('a bug')
    const { at, run } = setup([none, bug])
    const result = expect(run({ retryDelay: 1, retries: { unavailable: 5, error: 5 } })).rejects.toBe(bug)
    await vi.advanceTimersByTimeAsync(20)
    await result
    expect(at).toHaveLength(2)
  })

  it.each<[RetryOptions, RegExp]>([
    [{ retries: { unavailable: -1 } }, /retries.unavailable must be an integer/],
    [{ retries: { error: 1.5 } }, /retries.error must be an integer/],
    [{ retries: { error: Number.NaN } }, /got NaN/],
    [{ retries: 3 as never }, /retries must be an object such as/],
    [3 as never, /retry must be an object such as/],
    [{ retryDelay: 0 }, /retryDelay must be a number of milliseconds from 1/],
    [{ retryDelay: Number.POSITIVE_INFINITY }, /got Infinity/],
  ])('%j is an INVALID_ARGUMENT', (options, message) => {
    expect(() => resolveRetry(options)).toThrow(message)
  })
})
