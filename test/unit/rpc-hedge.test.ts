import { describe, expect, it } from 'vitest'
import { AbortWatch } from '../../src/rpc/abort-watch.js'
import type { Attempt } from '../../src/rpc/call.js'
import { type Hedged, runHedged } from '../../src/rpc/hedge.js'
import { callRequest, candidate, failure, rejection } from '../support/rpc-fakes.js'

interface Try {
  readonly node: string
  readonly signal: AbortSignal | undefined
  readonly answer: (value: unknown) => void
  readonly fail: (error: unknown) => void
}

function setup({
  nodes = ['a', 'b', 'c'],
  mayHedge = true,
  signal,
}: {
  nodes?: string[]
  mayHedge?: boolean
  signal?: AbortSignal
} = {}) {
  const tries: Try[] = []
  const timers: (() => void)[] = []
  let timersLeft = 0
  const attempt: Attempt = ({ node }, request) =>
    new Promise((answer, fail) => tries.push({ node, signal: request.signal, answer, fail }))
  const setTimer = (callback: () => void): (() => void) => {
    timers.push(callback)
    timersLeft++
    return () => timersLeft--
  }
  const request = callRequest({ signal })
  const result = runHedged(
    { attempt, setTimer, mayHedge: () => mayHedge, aborts: new AbortWatch<Hedged>((hedge) => hedge.abort()) },
    { candidates: nodes.map((node) => candidate(node)), request, hedgeMs: 50 },
  )
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return { tries, result, settle, elapse: () => timers[0]?.(), timersLeft: () => timersLeft }
}

describe('a hedged call', () => {
  it('that is answered in time is made once', async () => {
    const { tries, result, timersLeft } = setup()
    tries[0]?.answer(1)
    expect(await result).toBe(1)
    expect([tries.length, timersLeft()]).toEqual([1, 0])
  })

  it('that is slow is made a second time; the first answer counts and the other is cancelled', async () => {
    const { tries, result, elapse } = setup()
    elapse()
    expect(tries.map(({ node }) => node)).toEqual(['a', 'b'])
    tries[1]?.answer('from b')
    expect(await result).toBe('from b')
    expect(tries[0]?.signal?.aborted).toBe(true)
  })

  it('whose second try fails still waits for the first, and goes on to the third when both have failed', async () => {
    const { tries, result, elapse, settle } = setup()
    elapse()
    tries[1]?.fail(failure('CONNECTION_LOST', 'maybe', 'b'))
    await settle()
    expect(tries).toHaveLength(2)
    tries[0]?.fail(failure('UNAVAILABLE', 'no', 'a'))
    await settle()
    expect(tries.map(({ node }) => node)).toEqual(['a', 'b', 'c'])
    tries[2]?.fail(failure('UNREACHABLE', 'no', 'c'))
    const error = await rejection(result)
    expect(error).toMatchObject({ code: 'UNREACHABLE', executed: 'maybe' })
    expect(error.attempts.map(({ node }) => node)).toEqual(['b', 'a', 'c'])
  })

  it.each([
    ['a refusal of the arguments by the second', 1, failure('INVALID_ARGUMENT', 'no', 'b')],
    ['the end of this node, seen first by a try that was not sent', 1, failure('CLOSED', 'no', 'b')],
    ['its caller, seen first by a try that was not sent', 1, failure('CANCELLED', 'no', 'b')],
  ])('that is ended by %s says what is known of the try that runs', async (_what, which, error) => {
    const { tries, result, elapse, settle } = setup()
    elapse()
    tries[which]?.fail(error)
    await settle()
    expect(tries[0]?.signal?.aborted).toBe(true)
    tries[0]?.fail(failure('CANCELLED', 'maybe', 'a'))
    const rejected = await rejection(result)
    expect(rejected).toMatchObject({ code: error.code, executed: 'maybe' })
    expect(rejected.attempts.map(({ node }) => node)).toEqual(['b', 'a'])
  })

  it('that a handler failed is over: it was executed', async () => {
    const { tries, result, elapse } = setup()
    elapse()
    tries[0]?.fail(failure('REMOTE', 'yes', 'a'))
    expect(await rejection(result)).toMatchObject({ code: 'REMOTE', executed: 'yes' })
    expect(tries[1]?.signal?.aborted).toBe(true)
  })

  it('is not made twice when the budget is used up', async () => {
    const { tries, result, elapse } = setup({ mayHedge: false })
    elapse()
    expect(tries).toHaveLength(1)
    tries[0]?.answer(1)
    expect(await result).toBe(1)
  })

  it('is given up with its caller’s signal, which keeps no listener of it', async () => {
    const controller = new AbortController()
    let listeners = 0
    const { signal } = controller
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    const { tries, result, elapse } = setup({ signal })
    elapse()
    controller.abort()
    expect(tries.every((each) => each.signal?.aborted)).toBe(true)
    for (const each of tries) each.fail(failure('CANCELLED', 'maybe', each.node))
    expect(await rejection(result)).toMatchObject({ code: 'CANCELLED', executed: 'maybe' })
    expect(listeners).toBe(0)
  })
})
