import { describe, expect, it } from 'vitest'
import { type CallErrorCode, type Executed, RpcError } from '../../src/errors.js'
import type { CallRequest } from '../../src/rpc/call.js'
import { Failover } from '../../src/rpc/failover.js'
import { callRequest, candidate, failure, HandClock, rejection, ScriptedAttempt } from '../support/rpc-fakes.js'

const CODES: readonly CallErrorCode[] = [
  'NO_INSTANCES',
  'NOT_PROVIDED',
  'NO_METHOD',
  'UNAVAILABLE',
  'DRAINING',
  'OVERLOADED',
  'UNREACHABLE',
  'CONNECTION_LOST',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'REMOTE',
  'INVALID_ARGUMENT',
  'UNAUTHORIZED',
  'TOO_LARGE',
  'CLOSED',
]
const NEVER_ELSEWHERE: readonly CallErrorCode[] = ['INVALID_ARGUMENT', 'TOO_LARGE', 'CANCELLED', 'CLOSED']
const [a, b, c] = [candidate('a'), candidate('b'), candidate('c')]

function setup(script: Record<string, unknown>) {
  const clock = new HandClock()
  const scripted = new ScriptedAttempt(script)
  const failover = new Failover({ attempt: scripted.attempt, now: clock.now, mayBurden: () => true })
  const run = (nodes: readonly (typeof a)[], request: CallRequest = callRequest(), idempotent = false) =>
    failover.run({ candidates: nodes, request, idempotent })
  return { clock, scripted, run }
}

const table = CODES.flatMap((code) =>
  (['no', 'maybe', 'yes'] as const).flatMap((executed) =>
    [false, true].map((idempotent) => {
      const byRule = executed === 'no' || (executed === 'maybe' && idempotent)
      return { code, executed, idempotent, next: byRule && !NEVER_ELSEWHERE.includes(code) }
    }),
  ),
)

describe('failover', () => {
  it.each(table)('after $code executed=$executed idempotent=$idempotent goes on: $next', async (row) => {
    const { scripted, run } = setup({ a: failure(row.code, row.executed, 'a'), b: 'from b' })
    const result = run([a, b], callRequest(), row.idempotent)
    if (row.next) {
      await expect(result).resolves.toBe('from b')
      expect(scripted.tried).toEqual(['a', 'b'])
      return
    }
    const error = await rejection(result)
    expect(error).toMatchObject({ code: row.code, executed: row.executed, node: 'a' })
    expect(error.attempts).toEqual([{ node: 'a', code: row.code, executed: row.executed, message: `${row.code} by a` }])
    expect(scripted.tried).toEqual(['a'])
  })

  it('rejects NO_INSTANCES, not executed, when there is no candidate', async () => {
    const error = await rejection(setup({}).run([]))
    expect(error).toMatchObject({ code: 'NO_INSTANCES', executed: 'no', node: undefined, attempts: [] })
    expect(error.message).toContain('users')
  })

  it('hands the promise of a single candidate through as it is', () => {
    const answer = new Promise(() => {})
    const failover = new Failover({ attempt: () => answer, now: () => 0, mayBurden: () => true })
    expect(failover.run({ candidates: [a], request: callRequest(), idempotent: false })).toBe(answer)
  })

  it('does not take an overload from one instance to the next when the budget for that is used up', async () => {
    const scripted = new ScriptedAttempt({ a: failure('OVERLOADED', 'no', 'a'), b: 'from b' })
    let left = 1
    const failover = new Failover({ attempt: scripted.attempt, now: () => 0, mayBurden: () => left-- > 0 })
    const run = () => failover.run({ candidates: [a, b], request: callRequest(), idempotent: false })
    expect(await run()).toBe('from b')
    expect(await rejection(run())).toMatchObject({ code: 'OVERLOADED', executed: 'no' })
  })

  it('never tries the same node twice in one pass', async () => {
    const { scripted, run } = setup({ a: failure('DRAINING', 'no', 'a'), b: failure('OVERLOADED', 'no', 'b') })
    const error = await rejection(run([a, b, a, candidate('b'), a]))
    expect(scripted.tried).toEqual(['a', 'b'])
    expect(error.attempts.map((attempt) => attempt.node)).toEqual(['a', 'b'])
  })

  it('throws the last failure with every attempt in order', async () => {
    const { run } = setup({
      a: failure('UNREACHABLE', 'no', 'a'),
      b: failure('DRAINING', 'no', 'b'),
      c: failure('NOT_PROVIDED', 'no', 'c'),
    })
    const error = await rejection(run([a, b, c]))
    expect(error).toMatchObject({ code: 'NOT_PROVIDED', executed: 'no', node: 'c', message: 'NOT_PROVIDED by c' })
    expect(error.attempts.map(({ node, code }) => `${node} ${code}`)).toEqual([
      'a UNREACHABLE',
      'b DRAINING',
      'c NOT_PROVIDED',
    ])
  })

  it.each<[Executed[], Executed]>([
    [['maybe', 'no', 'no'], 'maybe'],
    [['no', 'maybe', 'no'], 'maybe'],
    [['no', 'no', 'no'], 'no'],
    [['maybe', 'no', 'yes'], 'yes'],
  ])('attempts left as %j leave the whole as %s', async (each, whole) => {
    const codes = { no: 'UNREACHABLE', maybe: 'CONNECTION_LOST', yes: 'REMOTE' } as const
    const [x, y, z] = each.map((executed) => failure(codes[executed], executed))
    const error = await rejection(setup({ a: x, b: y, c: z }).run([a, b, c], callRequest(), true))
    expect(error.executed).toBe(whole)
    expect(error.attempts).toHaveLength(3)
  })

  it('keeps what the handler threw and the cause of the last failure', async () => {
    const cause = new Error('ECONNRESET')
    const remote = { name: 'Oops', message: 'no', code: 'E_NO' }
    const { run } = setup({
      a: failure('UNREACHABLE', 'no', 'a'),
      b: new RpcError('REMOTE', 'failed', { executed: 'yes', node: 'b', remote, cause }),
    })
    const error = await rejection(run([a, b]))
    expect(error.remote).toEqual(remote)
    expect(error.cause).toBe(cause)
  })

  it('gives every attempt the same request and so the same deadline', async () => {
    const { scripted, run } = setup({ a: failure('DRAINING', 'no'), b: failure('DRAINING', 'no'), c: 1 })
    const request = callRequest({ deadlineAt: 777 })
    await run([a, b, c], request)
    expect(scripted.requests).toEqual([request, request, request])
    expect(scripted.requests.every((given) => given === request)).toBe(true)
  })

  it('stops with DEADLINE_EXCEEDED when no time is left for the next instance', async () => {
    const { clock, scripted, run } = setup({
      a: () => {
        clock.at = 1_000
        return failure('UNREACHABLE', 'no', 'a')
      },
      b: 'too late',
    })
    const error = await rejection(run([a, b]))
    expect(scripted.tried).toEqual(['a'])
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'no', node: 'a' })
    expect(error.attempts.map((attempt) => attempt.code)).toEqual(['UNREACHABLE'])
  })

  it('its own deadline is final even for an idempotent call', async () => {
    const { clock, scripted, run } = setup({
      a: () => {
        clock.at = 1_000
        return failure('DEADLINE_EXCEEDED', 'maybe', 'a')
      },
      b: 'too late',
    })
    const error = await rejection(run([a, b], callRequest(), true))
    expect(scripted.tried).toEqual(['a'])
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
  })

  it('a call cancelled between two attempts does not reach the second', async () => {
    const controller = new AbortController()
    const { scripted, run } = setup({
      a: () => {
        controller.abort()
        return failure('DRAINING', 'no', 'a')
      },
      b: 'never',
    })
    const error = await rejection(run([a, b], callRequest({ signal: controller.signal })))
    expect(scripted.tried).toEqual(['a'])
    expect(error).toMatchObject({ code: 'CANCELLED', executed: 'no' })
  })

  it('throws a failure that is no RpcError on as it is', async () => {
    const bug = new Error('a bug')
    await expect(setup({ a: bug, b: 1 }).run([a, b])).rejects.toBe(bug)
  })
})
