/**
 * Calls in number, from one node: closed loops, which measure what a path costs, and open ones, whose calls are due at
 * fixed instants. An open loop's latency counts from when the call was due, not from when it was made, so that a stall
 * is in the figures of all calls that it held up and not of one alone (coordinated omission).
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { ShoalNode } from '../../src/index.js'
import { machineMs } from './clock.js'
import type { ClosedLoad, Latencies, OpenLoad } from './protocol.js'

/** With its envelope within the limit. */
const LARGEST_VALUE = 16 * 1_048_576
const MIB = 1_048_576
const SMALL = { id: 1, name: 'alice', tags: ['a', 'b'], n: 3.14 }
const PERCENTILES = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100]

type Target = { readonly nodes?: readonly string[] }

export async function runClosed(node: ShoalNode, load: ClosedLoad): Promise<Latencies> {
  const { service, inFlight, durationMs, warmupMs, beside, what } = load
  const target: Target = load.nodes === undefined ? {} : { nodes: load.nodes }
  const once = callOf(node, service, load)
  const histogram = newHistogram()
  const measureAt = performance.now() + warmupMs
  const endAt = measureAt + durationMs
  let count = 0
  let errors = 0
  let bytes = 0
  let lastAt = endAt
  const loop = async (): Promise<void> => {
    for (;;) {
      const startedAt = performance.now()
      // On a busy machine one call may outlast the window: at least one is measured all the same.
      if (startedAt >= endAt && count + errors > 0) return
      try {
        const moved = await once()
        if (startedAt < measureAt) continue
        const endedAt = performance.now()
        lastAt = Math.max(lastAt, endedAt)
        count++
        bytes += moved
        record(histogram, endedAt - startedAt)
      } catch {
        errors++
      }
    }
  }
  const stop = beside === undefined ? undefined : startBeside(node, service, beside, target)
  await Promise.all(Array.from({ length: inFlight }, loop))
  const seconds = (lastAt - measureAt) / 1e3
  const own = what.kind === 'bytes' || what.kind === 'stream' ? { mibPerSecond: bytes / MIB / seconds } : {}
  const moved = stop === undefined ? own : { mibPerSecond: await stop() }
  return { count, errors, seconds, percentiles: percentilesOf(histogram), ...moved }
}

/** Makes one call; gives the bytes of payload that came back. */
function callOf(node: ShoalNode, service: string, { what, nodes }: ClosedLoad): () => Promise<number> {
  const target: Target = nodes === undefined ? {} : { nodes }
  switch (what.kind) {
    case 'small':
      return async () => {
        await node.callCb(service, 'echo', [SMALL], target)
        return 0
      }
    case 'all':
      return async () => {
        const results = await node.callCbAll(service, 'echo', [SMALL])
        const failed = results.find(({ ok }) => !ok)
        if (failed !== undefined || results.length === 0) throw new Error('an instance did not answer')
        return 0
      }
    case 'bytes': {
      const value = new Uint8Array(what.bytes)
      return async () => (await node.callCb<Uint8Array>(service, 'echo', [value], target)).length
    }
    case 'stream':
      return async () => {
        let bytes = 0
        const items = node.streamCb<Uint8Array>(service, 'items', [what.items, what.bytes], target)
        for await (const item of items) bytes += item.length
        return bytes
      }
  }
}

/** Moves bytes until it is stopped; gives MiB per second. */
function startBeside(
  node: ShoalNode,
  service: string,
  kind: NonNullable<ClosedLoad['beside']>,
  target: Target,
): () => Promise<number> {
  const value = new Uint8Array(LARGEST_VALUE)
  const startedAt = performance.now()
  let bytes = 0
  let stopped = false
  const stream = async (): Promise<void> => {
    for await (const item of node.streamCb<Uint8Array>(service, 'items', [1_024, 65_536], target)) {
      bytes += item.length
      if (stopped) break
    }
  }
  const call = async (): Promise<void> => {
    bytes += await node.callCb<number>(service, 'size', [value], target)
  }
  const loop = async (): Promise<void> => {
    while (!stopped) await (kind === 'stream' ? stream() : call())
  }
  const running = loop()
  return async () => {
    stopped = true
    await running
    return bytes / MIB / ((performance.now() - startedAt) / 1e3)
  }
}

/** One histogram for each window in which calls were due. */
export async function runOpen(node: ShoalNode, load: OpenLoad): Promise<Latencies[]> {
  const { service, perSecond, durationMs, windowMs, idempotent, timeoutMs } = load
  const windows = Array.from({ length: Math.ceil(durationMs / windowMs) }, () => ({
    histogram: newHistogram(),
    count: 0,
    errors: 0,
  }))
  const startedAt = machineMs()
  const pending: Promise<void>[] = []
  const make = async (dueMs: number): Promise<void> => {
    const window = windows[Math.floor(dueMs / windowMs)]
    if (window === undefined) return
    try {
      await node.callCb(service, 'echo', [SMALL], { timeout: timeoutMs, idempotent })
      window.count++
    } catch {
      window.errors++
    }
    record(window.histogram, machineMs() - startedAt - dueMs)
  }
  const total = Math.floor((perSecond * durationMs) / 1e3)
  for (let made = 0; made < total; ) {
    const due = Math.min(total, Math.floor(((machineMs() - startedAt) * perSecond) / 1e3))
    for (; made < due; made++) pending.push(make((made * 1e3) / perSecond))
    await untilDue((made * 1e3) / perSecond - (machineMs() - startedAt))
  }
  await Promise.all(pending)
  return windows.map(({ histogram, count, errors }) => ({
    count,
    errors,
    seconds: windowMs / 1e3,
    percentiles: percentilesOf(histogram),
  }))
}

/** Timers are coarse: the last two milliseconds are spent in turns of the event loop. */
function untilDue(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms > 3) setTimeout(resolve, ms - 2)
    else setImmediate(resolve)
  })
}

function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 600_000_000_000, figures: 3 })
}

function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1e6)))
}

function percentilesOf(histogram: RecordableHistogram): (readonly [number, number])[] {
  if (histogram.count === 0) return []
  return PERCENTILES.map((p) => [p, (p === 0 ? histogram.min : histogram.percentile(p)) / 1e3] as const)
}
