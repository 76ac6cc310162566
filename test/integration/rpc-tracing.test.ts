/** What a tracer sees of calls through the two diagnostics channels, and what it can put on their way. Real sockets, one process. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type CallTrace, currentCall, type RpcError, type ServeTrace, type ShoalNode } from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

const calls = tracingChannel<unknown, CallTrace>('shoal:rpc:call')
const serves = tracingChannel<unknown, ServeTrace>('shoal:rpc:serve')
const undo: (() => void)[] = []
let nodes: TestNodes
let a: ShoalNode
let b: ShoalNode

beforeEach(async () => {
  nodes = new TestNodes()
  ;[a, b] = await nodes.startAll('a', 'b')
})

afterEach(async () => {
  for (const each of undo.splice(0)) each()
  await nodes.close()
})

/** All events on both channels, as `side event method`, and what came with them. */
function listen(onStart: (trace: CallTrace) => void = () => {}): {
  seen: string[]
  traces: Set<CallTrace | ServeTrace>
} {
  const seen: string[] = []
  const traces = new Set<CallTrace | ServeTrace>()
  const note = (side: string, event: string) => (message: object) => {
    const trace = message as CallTrace
    seen.push(`${side} ${event} ${trace.method}`)
    traces.add(trace)
    if (side === 'call' && event === 'start') onStart(trace)
  }
  const listeners = (side: string): TracingChannelSubscribers<object> =>
    Object.fromEntries(
      EVENTS.map((event) => [event, note(side, event)]),
    ) as unknown as TracingChannelSubscribers<object>
  const [ofCalls, ofServes] = [listeners('call'), listeners('serve')]
  calls.subscribe(ofCalls as TracingChannelSubscribers<CallTrace>)
  serves.subscribe(ofServes as TracingChannelSubscribers<ServeTrace>)
  undo.push(() => {
    calls.unsubscribe(ofCalls as TracingChannelSubscribers<CallTrace>)
    serves.unsubscribe(ofServes as TracingChannelSubscribers<ServeTrace>)
  })
  return { seen, traces }
}

it('a call is told of on both sides, with who, where and what came of it', async () => {
  await b.provide('users', { get: async (id: string) => `user ${id}` })
  await a.waitForServices(['users'])
  const { seen, traces } = listen()
  expect(await a.callCb('users', 'get', ['7'], { headers: { tenant: 't1' } })).toBe('user 7')
  const both = (side: string): string[] => EVENTS.slice(0, 4).map((event) => `${side} ${event} get`)
  expect(seen.filter((line) => line.startsWith('call'))).toEqual(both('call'))
  expect(seen.filter((line) => line.startsWith('serve'))).toEqual(both('serve'))
  const [call, serve] = [...traces]
  expect(call).toMatchObject({
    service: 'users',
    cast: false,
    stream: false,
    all: false,
    nodes: ['b'],
    result: 'user 7',
  })
  expect(serve).toMatchObject({ service: 'users', caller: { node: 'a' }, headers: { tenant: 't1' }, result: 'user 7' })
})

it('what the subscriber puts into the headers reaches the callee, and the calls that it makes', async () => {
  await b.provide('outer', { get: () => b.callCb('inner', 'get', []) })
  await a.provide('inner', { get: () => ({ ...currentCall()?.headers }) })
  await until('both are known', () => a.getNodes('outer').length + b.getNodes('inner').length === 2)
  const made: unknown[] = []
  listen((trace) => {
    made.push({ ...trace.headers })
    if (trace.service === 'outer') {
      trace.setHeader('traceparent', PARENT)
      trace.setHeader('tracestate', 'vendor=1')
    }
  })
  const context = { traceparent: PARENT, tracestate: 'vendor=1' }
  expect(await a.callCb('outer', 'get', [])).toEqual(context)
  expect(made).toEqual([{}, context])
})

it('a header that cannot be sent is refused without a throw, and so is one that comes too late', async () => {
  await a.provide('users', { get: () => ({ ...currentCall()?.headers }) })
  const answers: boolean[] = []
  const { traces } = listen(({ setHeader }) => {
    answers.push(setHeader('', 'x'), setHeader('__proto__', 'x'), setHeader('n', 5 as unknown as string))
    answers.push(setHeader('big', 'x'.repeat(20_000)), setHeader('a', '1'))
  })
  expect(await a.callCb('users', 'get', [])).toEqual({ a: '1' })
  for (const trace of traces) if ('setHeader' in trace) answers.push(trace.setHeader('b', '2'))
  expect(answers).toEqual([false, false, false, false, true, false])
})

it('the store that is bound at the start of serving is the one of the handler', async () => {
  const spans = new AsyncLocalStorage<string>()
  await b.provide('users', {
    get: async () => {
      await Promise.resolve()
      return spans.getStore()
    },
  })
  await a.waitForServices(['users'])
  serves.start.bindStore(spans as AsyncLocalStorage<unknown>, (trace) => `span of ${(trace as ServeTrace).method}`)
  undo.push(() => serves.start.unbindStore(spans as AsyncLocalStorage<unknown>))
  expect(await a.callCb('users', 'get', [])).toBe('span of get')
  expect(spans.getStore()).toBeUndefined()
})

it('failures are told with their error: of the handler, of a refusal, of a call that finds nobody', async () => {
  const fail = (): never => {
    throw new TypeError('no')
  }
  await b.provide('users', { fail })
  await a.waitForServices(['users'])
  const { seen, traces } = listen()
  await rejection(a.callCb('users', 'fail', []))
  await rejection(a.callCb('users', 'missing', []))
  await rejection(a.callCb('nobody', 'get', []))
  expect(seen.filter((line) => line.includes(' error '))).toEqual([
    'serve error fail',
    'call error fail',
    'serve error missing',
    'call error missing',
    'call error get',
  ])
  const codes = [...traces].map(({ error, method }) => `${(error as RpcError).code} ${method}`)
  expect(codes).toEqual(['REMOTE fail', 'REMOTE fail', 'NO_METHOD missing', 'NO_METHOD missing', 'NO_INSTANCES get'])
})

it('local calls, casts, calls to all and streams are told of once each; a stream is served to its end', async () => {
  const watch = async function* (): AsyncGenerator<number> {
    yield* [1, 2, 3]
  }
  for (const node of [a, b]) await node.provide('users', { get: () => node.name, watch })
  await until('both know both', () => [a, b].every((node) => node.getNodes('users').length === 2))
  const { seen, traces } = listen()
  await a.callCb('users', 'get', [])
  await a.callCb('users', 'get', [], { timeout: 0 })
  await a.callCbAll('users', 'get', [])
  const items: unknown[] = []
  for await (const item of a.streamCb('users', 'watch', [], { nodes: ['b'] })) items.push(item)
  expect(items).toEqual([1, 2, 3])
  await until('all is over', () => seen.filter((line) => line.startsWith('serve asyncEnd')).length === 5)
  const made = [...traces].filter((trace): trace is CallTrace => 'nodes' in trace)
  expect(made.map(({ cast, all, stream, nodes: tried }) => ({ cast, all, stream, tried: [...tried].sort() }))).toEqual([
    { cast: false, all: false, stream: false, tried: ['a'] },
    { cast: true, all: false, stream: false, tried: ['a'] },
    { cast: false, all: true, stream: false, tried: ['a', 'b'] },
    { cast: false, all: false, stream: true, tried: ['b'] },
  ])
  expect(seen.filter((line) => line.includes('error'))).toEqual([])
})

it('every node that was tried is named, in order', async () => {
  await b.provide('users', { get: () => 'b' })
  const paused = await a.provide('users', { get: () => 'a' })
  await a.waitForServices(['users'], { min: 2 })
  paused.pause()
  const { traces } = listen()
  expect(await a.callCb('users', 'get', [], { nodes: ['a', 'b'] })).toBe('b')
  expect([...traces][0]).toMatchObject({ nodes: ['a', 'b'], result: 'b' })
})
