/** A caller and a callee in one process, and what a great many calls leave of memory, handles and listeners in it. */
import { getEventListeners } from 'node:events'
import { Peers } from '../../src/rpc/peers.js'
import { RpcServer } from '../../src/rpc/server.js'
import { obey } from './obey.js'

export interface CountsOrder {
  readonly do: 'count'
  readonly concurrent: number
  readonly calls: number
}

/** After a full collection. */
export interface Residue {
  readonly heapBytes: number
  readonly rssBytes: number
  readonly handles: number
}

export interface CountsFigures {
  /** Of all calls at once: answers that were the right ones, connections, and how long all took. */
  readonly concurrent: { readonly answered: number; readonly connections: number; readonly ms: number }
  readonly before: Residue
  readonly afterPlain: Residue
  readonly afterSignal: Residue
  readonly callsPerSecond: { readonly plain: number; readonly signal: number }
  readonly listeners: { readonly most: number; readonly atEnd: number }
  readonly wrong: number
  readonly inFlight: number
}

const LANES = 64
const identity = { cluster: 'counts', bootId: 'b' }
const server = new RpcServer({
  identity: { ...identity, node: 'callee' },
  dispatcher: {
    dispatch(call, settle) {
      // Half of them answer at once, half later: the two ways of a call through its session.
      if (Number(call.args[0]) % 2 === 0) settle({ ok: true, value: call.args[0] })
      else setImmediate(() => settle({ ok: true, value: call.args[0] }))
      return undefined
    },
  },
})
const peers = new Peers({ identity: { ...identity, node: 'caller' }, random: Math.random })
const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
const candidate = { node: 'callee', bootId: 'b', address: `127.0.0.1:${port}`, local: false }
let wrong = 0

obey<CountsOrder>(async ({ concurrent, calls }) => {
  await many(2_000, undefined)
  const before = await residue()
  const atOnce = await allAtOnce(concurrent)
  const plain = await many(calls, undefined)
  const afterPlain = await residue()
  const controller = new AbortController()
  const signal = await many(calls, controller.signal)
  const afterSignal = await residue()
  return {
    concurrent: atOnce,
    before,
    afterPlain,
    afterSignal,
    callsPerSecond: { plain: plain.perSecond, signal: signal.perSecond },
    listeners: { most: signal.listeners, atEnd: getEventListeners(controller.signal, 'abort').length },
    wrong,
    inFlight: peers.stats().inFlight + server.stats().running,
  } satisfies CountsFigures
})

async function call(argument: number, signal: AbortSignal | undefined): Promise<boolean> {
  const answer = await peers.attempt(candidate, {
    service: 'test',
    method: 'echo',
    args: [argument],
    deadlineAt: performance.now() + 60_000,
    headers: undefined,
    signal,
    cast: false,
  })
  if (answer !== argument) wrong++
  return answer === argument
}

async function allAtOnce(count: number): Promise<CountsFigures['concurrent']> {
  const startedAt = performance.now()
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => call(i, undefined)))
  const ms = Math.round(performance.now() - startedAt)
  return { answered: answers.filter(Boolean).length, connections: server.stats().connections.length, ms }
}

async function many(count: number, signal: AbortSignal | undefined): Promise<{ perSecond: number; listeners: number }> {
  const startedAt = performance.now()
  let next = 0
  let listeners = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      const i = next++
      const answer = call(i, signal)
      if (signal !== undefined && i % 1_000 === 0) {
        listeners = Math.max(listeners, getEventListeners(signal, 'abort').length)
      }
      await answer
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return { perSecond: Math.round((count / (performance.now() - startedAt)) * 1_000), listeners }
}

async function residue(): Promise<Residue> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    globalThis.gc?.()
  }
  const { heapUsed, rss } = process.memoryUsage()
  return { heapBytes: heapUsed, rssBytes: rss, handles: process.getActiveResourcesInfo().length }
}
