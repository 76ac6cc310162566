import { describe, expect, it } from 'vitest'
import { isRpcError, type RpcError } from '../../src/errors.js'
import type { CallRequest, CancelReason, Dispatcher, IncomingCall, Outcome } from '../../src/rpc/call.js'
import { CallSession } from '../../src/rpc/call-session.js'
import { CallerPlaces } from '../../src/rpc/caller-places.js'
import { Counters } from '../../src/rpc/counters.js'
import { FRAME_BYTES_MAX, FrameKind } from '../../src/rpc/frame.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { OutgoingCall } from '../../src/rpc/outgoing-call.js'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { ServeSession } from '../../src/rpc/serve-session.js'

interface Arrived {
  readonly call: IncomingCall
  readonly settle: (outcome: Outcome) => void
  readonly cancelled: CancelReason[]
}

/** Both sessions with nothing between them but two buffers, moved by hand. */
function pair(options: { callsMax?: number; callerFrameBytesMax?: number; calleeFrameBytesMax?: number } = {}) {
  const codec = new MsgpackCodec()
  const counters = new Counters()
  const arrived: Arrived[] = []
  const dispatcher: Dispatcher = {
    dispatch(call, settle) {
      const entry: Arrived = { call, settle, cancelled: [] }
      arrived.push(entry)
      return (reason) => entry.cancelled.push(reason)
    },
  }
  const callerBox = new Outbox()
  const calleeBox = new Outbox()
  const caller = new CallSession({
    outbox: callerBox,
    codec,
    counters,
    identity: { cluster: 'c', node: 'n1', bootId: 'b1' },
    target: { node: 'n2', bootId: 'b2' },
    frameBytesMax: options.callerFrameBytesMax ?? FRAME_BYTES_MAX,
    callsMax: 1_000,
    onAnswer: () => {},
  })
  const callee = new ServeSession({
    outbox: calleeBox,
    codec,
    counters,
    dispatcher,
    identity: { cluster: 'c', node: 'n2', bootId: 'b2' },
    frameBytesMax: options.calleeFrameBytesMax ?? FRAME_BYTES_MAX,
    callsMax: options.callsMax ?? 1_000,
    callerAddress: '127.0.0.1:1',
    onWritten: () => {},
  })
  const deliver = (now = 0): void => {
    const bytes = callerBox.take(true)
    callerBox.slabReturned(true)
    caller.flushed()
    callee.handleBytes(bytes, bytes.length, now)
  }
  const answer = (): void => {
    const bytes = calleeBox.take(true)
    calleeBox.slabReturned(true)
    caller.handleBytes(bytes, bytes.length)
  }
  const start = (request: Partial<CallRequest> = {}, now = 0) => {
    const state: { call: OutgoingCall; outcome?: { value: unknown } | { error: RpcError } } = {
      call: new OutgoingCall(
        {
          node: 'n2',
          bootId: 'n2-1',
          owner: { begun: () => {}, settled: () => {} },
          request: {
            service: 'users',
            method: 'get',
            args: [1],
            deadlineAt: 1_000,
            headers: undefined,
            signal: undefined,
            cast: false,
            ...request,
          },
        },
        (value) => {
          state.outcome = { value }
        },
        (error) => {
          state.outcome = { error }
        },
      ),
    }
    caller.send(state.call, codec.encode(state.call.request.args, 'args').slice(), now)
    return state
  }
  const greet = (): void => {
    caller.greet()
    deliver()
    answer()
  }
  return { caller, callee, callerBox, calleeBox, counters, arrived, deliver, answer, start, greet }
}

function failure(state: { outcome?: { value: unknown } | { error: RpcError } }): string {
  const { outcome } = state
  if (outcome === undefined) return 'pending'
  return 'error' in outcome ? `${outcome.error.code} ${outcome.error.executed}` : 'ok'
}

describe('the sessions of a connection', () => {
  it('exchange hellos, then calls and replies', () => {
    const { caller, callee, arrived, start, deliver, answer, greet } = pair()
    greet()
    expect([caller.state, callee.state, callee.callerNode]).toEqual(['ready', 'serving', 'n1'])
    const call = start({ args: ['42'], headers: { traceparent: 'x' } }, 400)
    deliver(5_000)
    const { places, ...arrivedCall } = arrived[0]?.call ?? {}
    expect(places).toBeInstanceOf(CallerPlaces)
    expect(arrivedCall).toEqual({
      service: 'users',
      method: 'get',
      args: ['42'],
      deadlineAt: 5_600,
      headers: { traceparent: 'x' },
      caller: { node: 'n1', address: '127.0.0.1:1', verified: false, certificate: undefined },
      cast: false,
    })
    arrived[0]?.settle({ ok: true, value: { name: 'x' } })
    answer()
    expect(call.outcome).toEqual({ value: { name: 'x' } })
    expect([caller.pendingCount, callee.runningCount]).toEqual([0, 0])
  })

  it('send the names of a method once', () => {
    const { callerBox, arrived, start, deliver, greet } = pair()
    greet()
    start({ service: 'a-long-service-name' })
    const first = callerBox.pendingBytes
    start({ service: 'a-long-service-name' })
    expect(callerBox.pendingBytes - first).toBe(9 + 7 + 2)
    deliver()
    expect(arrived.map(({ call }) => call.service)).toEqual(['a-long-service-name', 'a-long-service-name'])
  })

  it('carry what the callee says of an error, its data included', () => {
    const { arrived, start, deliver, answer, greet } = pair()
    greet()
    const call = start()
    deliver()
    const remote = { name: 'OrderError', message: 'no stock', code: 7, data: { left: 0n } }
    const error = { code: 'REMOTE', executed: 'yes', message: 'no stock', remote } as RpcError
    arrived[0]?.settle({ ok: false, error })
    answer()
    const got = (call.outcome as { error: RpcError }).error
    expect(isRpcError(got, 'REMOTE')).toBe(true)
    expect([got.executed, got.node, got.remote, got.message]).toEqual(['yes', 'n2', remote, 'no stock'])
  })

  it('leave out error data that cannot travel, and keep the rest', () => {
    const { arrived, start, deliver, answer, greet } = pair()
    greet()
    const call = start()
    deliver()
    const remote = { name: 'E', message: 'm', data: () => {} }
    arrived[0]?.settle({ ok: false, error: { code: 'REMOTE', executed: 'yes', message: 'm', remote } as RpcError })
    answer()
    expect((call.outcome as { error: RpcError }).error.remote).toEqual({ name: 'E', message: 'm' })
  })

  it('answer a result that cannot travel with its path, executed yes', () => {
    const { arrived, start, deliver, answer, greet } = pair()
    greet()
    const call = start()
    deliver()
    arrived[0]?.settle({ ok: true, value: { user: { save() {} } } })
    answer()
    expect(failure(call)).toBe('REMOTE yes')
    expect((call.outcome as { error: RpcError }).error.message).toContain('result.user.save')
  })

  it('answer a result over the caller’s frame cap with TOO_LARGE, executed yes', () => {
    const { arrived, start, deliver, answer, greet } = pair({ callerFrameBytesMax: 5_000 })
    greet()
    const call = start()
    deliver()
    arrived[0]?.settle({ ok: true, value: 'x'.repeat(6_000) })
    answer()
    expect(failure(call)).toBe('TOO_LARGE yes')
  })

  it('refuse arguments over the callee’s frame cap before anything is written', () => {
    const { callerBox, start, greet } = pair({ calleeFrameBytesMax: 5_000 })
    greet()
    expect(failure(start({ args: ['x'.repeat(6_000)] }))).toBe('TOO_LARGE no')
    expect(failure(start({ service: 'x'.repeat(256) }))).toBe('INVALID_ARGUMENT no')
    expect(callerBox.pendingBytes).toBe(0)
  })

  it('ignore a second settlement', () => {
    const { arrived, calleeBox, start, deliver, greet } = pair()
    greet()
    start()
    deliver()
    arrived[0]?.settle({ ok: true, value: 1 })
    const once = calleeBox.pendingBytes
    arrived[0]?.settle({ ok: true, value: 2 })
    expect(calleeBox.pendingBytes).toBe(once)
  })
})

describe('what is known of a call when it ends early', () => {
  it('aborted before the slab left: CANCELLED no, and the callee never runs it', () => {
    const { caller, arrived, start, deliver, greet } = pair()
    greet()
    const first = start()
    const second = start()
    caller.abort(first.call)
    expect(failure(first)).toBe('CANCELLED no')
    deliver()
    // The frame that was called off is the one that named the method: the second call relies on it.
    expect(arrived.map(({ call }) => call.method)).toEqual(['get'])
    expect(failure(second)).toBe('pending')
  })

  it('aborted after the slab left: CANCELLED maybe, and the callee aborts it and answers nothing', () => {
    const { caller, callee, calleeBox, arrived, start, deliver, greet } = pair()
    greet()
    const call = start()
    deliver()
    caller.abort(call.call)
    expect(failure(call)).toBe('CANCELLED maybe')
    deliver()
    expect(arrived[0]?.cancelled).toEqual(['cancelled'])
    expect(callee.runningCount).toBe(1)
    arrived[0]?.settle({ ok: true, value: 1 })
    expect([callee.runningCount, calleeBox.pendingBytes]).toEqual([0, 0])
  })

  it('over its deadline before and after the slab left: no and maybe', () => {
    const { caller, arrived, start, deliver, greet } = pair()
    greet()
    const sent = start({ deadlineAt: 50 })
    deliver()
    const unsent = start({ deadlineAt: 50 })
    expect(caller.sweep(49)).toBe(false)
    expect(caller.sweep(50)).toBe(true)
    expect([failure(sent), failure(unsent)]).toEqual(['DEADLINE_EXCEEDED maybe', 'DEADLINE_EXCEEDED no'])
    deliver()
    expect(arrived).toHaveLength(1)
    expect(arrived[0]?.cancelled).toEqual(['cancelled'])
  })

  it('connection lost: no for what is in the slab, maybe for what left', () => {
    const { caller, start, deliver, greet } = pair()
    greet()
    const sent = start()
    deliver()
    const unsent = start()
    caller.lost('CONNECTION_LOST', 'gone')
    expect([failure(sent), failure(unsent)]).toEqual(['CONNECTION_LOST maybe', 'CONNECTION_LOST no'])
  })

  it('callee goes away: calls up to the last accepted go on, later ones are no', () => {
    const { caller, callee, arrived, counters, start, deliver, answer, greet } = pair()
    greet()
    const taken = start()
    deliver()
    callee.goAway()
    const late = start()
    deliver()
    answer()
    expect(caller.state).toBe('leaving')
    expect([failure(taken), failure(late)]).toEqual(['pending', 'UNAVAILABLE no'])
    expect(arrived).toHaveLength(1)
    expect(counters.get('request-while-leaving')).toBe(1)
    arrived[0]?.settle({ ok: true, value: 1 })
    answer()
    expect(failure(taken)).toBe('ok')
  })

  it('callee goes away before it took any call: all are no', () => {
    const { callee, start, answer, greet } = pair()
    greet()
    const call = start()
    callee.goAway()
    answer()
    expect(failure(call)).toBe('UNAVAILABLE no')
  })

  it('a cast succeeds when its slab leaves, fails when it does not, and is never answered', () => {
    const { caller, calleeBox, arrived, start, deliver, greet } = pair()
    greet()
    const cast = start({ cast: true })
    expect(failure(cast)).toBe('pending')
    deliver()
    expect([failure(cast), caller.pendingCount]).toEqual(['ok', 0])
    arrived[0]?.settle({ ok: true, value: 1 })
    expect(calleeBox.pendingBytes).toBe(0)
    const unsent = start({ cast: true })
    caller.lost('CONNECTION_LOST', 'gone')
    expect(failure(unsent)).toBe('CONNECTION_LOST no')
  })
})

describe('the callee', () => {
  it('aborts a call at its deadline, keeps its place until it settles, and answers nothing', () => {
    const { callee, calleeBox, arrived, start, deliver, greet } = pair()
    greet()
    start({ deadlineAt: 100 })
    deliver(7_000)
    callee.sweep(7_099)
    expect(arrived[0]?.cancelled).toEqual([])
    callee.sweep(7_100)
    callee.sweep(7_200)
    expect(arrived[0]?.cancelled).toEqual(['deadline'])
    expect(callee.runningCount).toBe(1)
    arrived[0]?.settle({ ok: true, value: 1 })
    expect([callee.runningCount, calleeBox.pendingBytes]).toEqual([0, 0])
  })

  it('aborts the calls of a lost caller, but not its casts', () => {
    const { callee, arrived, start, deliver, greet } = pair()
    greet()
    start()
    start({ cast: true })
    deliver()
    callee.callerLost()
    expect(arrived.map(({ cancelled }) => cancelled)).toEqual([['caller-lost'], []])
  })

  it('refuses calls over its limit with OVERLOADED, executed no', () => {
    const { arrived, start, deliver, answer, greet } = pair({ callsMax: 2 })
    greet()
    const calls = [start(), start(), start()]
    deliver()
    answer()
    expect(calls.map(failure)).toEqual(['pending', 'pending', 'OVERLOADED no'])
    expect(arrived).toHaveLength(2)
  })

  it('survives a dispatcher that throws', () => {
    const codec = new MsgpackCodec()
    const outbox = new Outbox()
    const counters = new Counters()
    const session = new ServeSession({
      outbox,
      codec,
      counters,
      identity: { cluster: 'c', node: 'n2', bootId: 'b2' },
      dispatcher: {
        dispatch() {
          throw new Error('bug')
        },
      },
      frameBytesMax: FRAME_BYTES_MAX,
      callsMax: 10,
      callerAddress: '',
      onWritten: () => {},
    })
    const { caller, callerBox, start } = pair()
    caller.greet()
    let bytes = callerBox.take(true)
    session.handleBytes(bytes, bytes.length, 0)
    const welcome = outbox.take(true)
    caller.handleBytes(welcome, welcome.length)
    const call = start()
    bytes = callerBox.take(true)
    session.handleBytes(bytes, bytes.length, 0)
    const reply = outbox.take(true)
    caller.handleBytes(reply, reply.length)
    expect(failure(call)).toBe('REMOTE maybe')
    expect(counters.get('dispatcher-threw')).toBe(1)
  })

  it.each([
    ['a request before the hello', FrameKind.request, 'no-hello'],
    ['a hello that is none', FrameKind.hello, 'bad-hello'],
    ['a kind that nobody knows', 99, 'no-hello'],
  ])('ends a connection that begins with %s', (_name, kind, reason) => {
    const { callee, counters } = pair()
    const bytes = rawFrame(kind, 1)
    callee.handleBytes(bytes, bytes.length, 0)
    expect([callee.state, counters.get(reason)]).toEqual(['failed', 1])
  })

  it.each([
    ['an empty request', FrameKind.request, 'bad-request'],
    ['a reply', FrameKind.reply, 'unexpected-frame'],
    ['a second hello', FrameKind.hello, 'unexpected-frame'],
  ])('ends a connection that goes on with %s', (_name, kind, reason) => {
    const { callee, counters, greet } = pair()
    greet()
    const bytes = rawFrame(kind, 1)
    callee.handleBytes(bytes, bytes.length, 0)
    expect([callee.state, counters.get(reason)]).toEqual(['failed', 1])
  })

  it('ends a connection that uses the id of a running call again', () => {
    const { callee, callerBox, counters, start, deliver, greet } = pair()
    greet()
    start()
    deliver()
    start()
    const again = callerBox.take(true)
    callee.handleBytes(again, again.length, 0)
    expect(callee.state).toBe('serving')
    callee.handleBytes(again, again.length, 0)
    expect([callee.state, counters.get('duplicate-call-id')]).toEqual(['failed', 1])
  })

  it('ends a connection that uses the number of a method it never named', () => {
    const { callee, callerBox, counters, start, greet } = pair()
    greet()
    start()
    callerBox.take(true)
    start()
    const unnamed = callerBox.take(true)
    callee.handleBytes(unnamed, unnamed.length, 0)
    expect([callee.state, counters.get('bad-method-id')]).toEqual(['failed', 1])
  })
})

function rawFrame(kind: number, id: number): Uint8Array {
  const outbox = new Outbox()
  outbox.bareFrame(kind, id)
  return outbox.take(true)
}
