/** The bench's loads: what they count, and from when. */
import { expect, it } from 'vitest'
import { runClosed, runOpen } from '../../bench/lib/load.js'
import type { Latencies } from '../../bench/lib/protocol.js'
import type { ShoalNode } from '../../src/index.js'

const STALL_MS = 200

/** A node whose calls are answered at once, after `before` had its say. */
function answering(before: () => void): ShoalNode {
  const callCb = async (): Promise<number> => {
    before()
    return 1
  }
  return { callCb } as unknown as ShoalNode
}

function at(percentile: number, { percentiles }: Latencies): number {
  return percentiles.find(([p]) => p === percentile)?.[1] ?? Number.NaN
}

function stallOnce(): () => void {
  let stalled = false
  return () => {
    if (stalled) return
    stalled = true
    const until = performance.now() + STALL_MS
    while (performance.now() < until);
  }
}

it('an open loop counts a stall for every call that was due in it, not for one alone', async () => {
  const load = { service: 's', perSecond: 200, durationMs: 2 * STALL_MS, windowMs: 2 * STALL_MS, idempotent: true }
  const [window] = (await runOpen(answering(stallOnce()), { ...load, timeoutMs: 1_000 })) as [Latencies]
  expect(window).toMatchObject({ count: 80, errors: 0 })
  expect(at(75, window)).toBeGreaterThan(50_000)
  expect(at(100, window)).toBeGreaterThanOrEqual(STALL_MS * 1_000 * 0.99)
})

it('a closed loop has the same stall in one call, which is why its tail is not that of a fixed load', async () => {
  const load = { service: 's', what: { kind: 'small' }, inFlight: 1, durationMs: 2 * STALL_MS, warmupMs: 0 } as const
  const figures = await runClosed(answering(stallOnce()), load)
  expect(at(100, figures)).toBeGreaterThanOrEqual(STALL_MS * 1_000 * 0.99)
  expect(at(99, figures)).toBeLessThan(50_000)
})

it('a closed loop measures one call even when its time is up before the first one begins', async () => {
  const load = { service: 's', what: { kind: 'small' }, inFlight: 1, durationMs: 20, warmupMs: 20 } as const
  const figures = await runClosed(answering(stallOnce()), load)
  expect(figures.count).toBe(1)
  expect(figures.seconds).toBeGreaterThan(STALL_MS / 1_000 - 0.021)
})

it('puts failed calls into the window in which they were due, and counts them', async () => {
  let calls = 0
  const failing = answering(() => {
    if (++calls <= 10) throw new Error('down')
  })
  const load = { service: 's', perSecond: 200, durationMs: 100, windowMs: 50, idempotent: true, timeoutMs: 1_000 }
  const windows = await runOpen(failing, load)
  expect(windows.map(({ count, errors }) => [count, errors])).toEqual([
    [0, 10],
    [10, 0],
  ])
})
