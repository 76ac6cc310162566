/**
 * The sides of a flood, each in a process of its own: the node that is attacked, an honest caller, an attacker; and one
 * that takes a flood and does nothing.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { seededRandom } from '../../src/random.js'
import { currentCall, Rpc } from '../../src/rpc/index.js'
import { type Attack, FloodAttacks } from './flood-attacks.js'
import { obey } from './obey.js'
import { directoryOf } from './rpc-fakes.js'

export const FLOOD = { cluster: 'flood', node: 'victim', service: 'test' } as const

export type FloodOrder =
  | { readonly do: 'listen' }
  | { readonly do: 'sink' }
  | { readonly do: 'memory' }
  | { readonly do: 'call'; readonly port: number; readonly lanes: number }
  | { readonly do: 'report' }
  | { readonly do: 'stop' }
  | {
      readonly do: 'flood'
      readonly port: number
      readonly frames: number
      readonly lanes: number
      readonly seed: number
    }
  | { readonly do: 'leave' }

export interface VictimState {
  /** After a full collection, array buffers included. */
  readonly heapBytes: number
  readonly rssBytes: number
  readonly drops: Readonly<Record<string, number>>
  readonly connections: number
  readonly callers: readonly string[]
  readonly inFlight: number
}

/** Since the last report. */
export interface HonestReport {
  readonly answered: number
  readonly failures: readonly string[]
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface FloodReport {
  readonly frames: number
  readonly connections: number
  readonly ms: number
}

/** Attackers that stay are held up to so many, the oldest goes first: more than a node lets in that say nothing. */
const HELD_MAX = 400
/** Connections that say nothing at all: more than a node has room for. */
const SILENT = 300
/** An attacker that does not stay leaves after this, if it was not thrown out before. */
const STAY_MS = 20

let rpc: Rpc | undefined
let histogram: RecordableHistogram = createHistogram()
let failures: string[] = []
let isCalling = false
let lanesDone: Promise<unknown> = Promise.resolve()
const held: Socket[] = []

obey<FloodOrder>((order) => {
  switch (order.do) {
    case 'listen':
      return listen()
    case 'sink':
      return sink()
    case 'memory':
      return memory()
    case 'call':
      return call(order.port, order.lanes)
    case 'report':
      return report()
    case 'stop':
      return stop()
    case 'flood':
      return flood(order)
    case 'leave':
      for (const socket of held.splice(0)) socket.destroy()
      return undefined
  }
})

async function listen(): Promise<number> {
  rpc = new Rpc({ ...identity('victim'), directory: directoryOf({}), limits: { helloMs: 1_000 } })
  const big = 'x'.repeat(50_000)
  const endless = async function* (): AsyncGenerator<string> {
    for (;;) yield big
  }
  const vast = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) yield new Uint8Array(150_000)
  }
  // Heeds its signal: what an attacker leaves running ends with its connection.
  const hold = (): Promise<never> =>
    new Promise((_, reject) => {
      const signal = currentCall()?.signal
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  const methods = { echo: (value: unknown) => value, big: () => big, hold, endless, vast }
  rpc.provide(FLOOD.service, { methods, admission: () => 'running' })
  return (await rpc.listen()).port
}

/** Reads whatever comes, and answers nothing. */
async function sink(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function memory(): Promise<VictimState> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  const { server, handlers } = started().stats()
  return {
    heapBytes: heapUsed + arrayBuffers,
    rssBytes: rss,
    drops: server.drops,
    connections: server.connections.length,
    callers: [...new Set(server.connections.map(({ caller }) => caller.node))],
    inFlight: handlers.inFlight,
  }
}

/** Lanes of calls without a pause, until `stop`. */
function call(port: number, lanes: number): void {
  const victim = { node: FLOOD.node, bootId: 'boot-victim', address: `127.0.0.1:${port}`, local: false }
  const caller = new Rpc({ ...identity('honest'), directory: directoryOf({ [FLOOD.service]: [victim] }) })
  rpc = caller
  isCalling = true
  const lane = async (_: unknown, number: number): Promise<void> => {
    for (let i = 0; isCalling; i++) {
      const startedAt = performance.now()
      try {
        const value = await caller.callCb(FLOOD.service, 'echo', [`${number}-${i}`], { timeout: 10_000 })
        if (value !== `${number}-${i}`) failures.push(`another answer: ${String(value)}`)
      } catch (error) {
        failures.push(String(error))
      }
      histogram.record(Math.max(1, Math.round((performance.now() - startedAt) * 1_000)))
      // Not more than a caller of real work would: the node is to be loaded by its attackers.
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  lanesDone = Promise.all(Array.from({ length: lanes }, lane))
}

function report(): HonestReport {
  const { count, max } = histogram
  const ms = (percentile: number): number => histogram.percentile(percentile) / 1_000
  const told = { answered: count - failures.length, failures, p50Ms: ms(50), p99Ms: ms(99), maxMs: max / 1_000 }
  histogram = createHistogram()
  failures = []
  return told
}

async function stop(): Promise<void> {
  isCalling = false
  await lanesDone
  await rpc?.close()
}

async function flood({ port, frames, lanes, seed }: FloodOrder & { do: 'flood' }): Promise<FloodReport> {
  const attacks = new FloodAttacks(FLOOD, seededRandom(seed))
  const startedAt = performance.now()
  for (let i = 0; i < SILENT; i++) hold(connect(port, '127.0.0.1').on('error', () => {}))
  const sent = { frames: 0, connections: 0 }
  let queue: Attack[] = []
  const lane = async (): Promise<void> => {
    while (sent.frames < frames) {
      if (queue.length === 0) queue = attacks.round()
      const attack = queue.pop()
      if (attack === undefined) continue
      sent.frames += attack.frames
      sent.connections++
      await strike(port, attack)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return { ...sent, ms: Math.round(performance.now() - startedAt) }
}

/** Resolves when it was thrown out, or leaves, or is left standing. */
function strike(port: number, { parts, everyMs, stays = false, isDeaf = false }: Attack): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const left = [...parts]
    const drip = everyMs === undefined ? undefined : setInterval(() => socket.write(left.shift() ?? EMPTY), everyMs)
    socket.on('error', () => {}) // it is thrown out: as it should be
    socket.on('close', () => {
      clearInterval(drip)
      resolve()
    })
    if (!isDeaf) socket.resume()
    if (drip === undefined) for (const part of left) socket.write(part)
    setTimeout(() => {
      if (stays) hold(socket)
      else socket.destroy()
      resolve()
    }, STAY_MS)
  })
}

const EMPTY = new Uint8Array(0)

function hold(socket: Socket): void {
  held.push(socket)
  if (held.length > HELD_MAX) held.shift()?.destroy()
}

function identity(node: string) {
  return { cluster: FLOOD.cluster, node, bootId: `boot-${node}`, bind: { host: '127.0.0.1', port: 0 } }
}

function started(): Rpc {
  if (rpc === undefined) throw new Error('not started')
  return rpc
}
