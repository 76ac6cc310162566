/** What is expected of a great many calls, whatever their number: all right, and nothing left. */
import { expect } from 'vitest'
import { BundledProgram } from './bundled-program.js'
import type { CountsFigures, CountsOrder } from './rpc-counts-program.js'

const MIB = 1024 * 1024
/** What the collector and the compiler leave lying; a leak of one object a call would be some hundred MiB for a million. */
const HEAP_GROWTH_MAX = 3 * MIB

export async function expectNothingLeft(order: Omit<CountsOrder, 'do'>): Promise<void> {
  const program = await BundledProgram.make('test/support/rpc-counts-program.ts')
  try {
    const figures = await program.start().ask<CountsFigures>({ do: 'count', ...order } satisfies CountsOrder)
    process.stdout.write(`counts: ${said(figures)}\n`)
    const { concurrent, before, afterPlain, afterSignal, listeners, wrong, inFlight } = figures
    expect(concurrent).toMatchObject({ answered: order.concurrent, connections: 1 })
    expect({ wrong, inFlight }).toEqual({ wrong: 0, inFlight: 0 })
    expect([afterPlain.handles, afterSignal.handles]).toEqual([before.handles, before.handles])
    expect(afterPlain.heapBytes - before.heapBytes).toBeLessThan(HEAP_GROWTH_MAX)
    expect(afterSignal.heapBytes - before.heapBytes).toBeLessThan(HEAP_GROWTH_MAX)
    expect(listeners.most).toBeGreaterThanOrEqual(1)
    expect(listeners.most).toBeLessThanOrEqual(3)
    expect(listeners.atEnd).toBe(0)
  } finally {
    await program.stop()
  }
}

function said({ concurrent, before, afterPlain, afterSignal, callsPerSecond, listeners }: CountsFigures): string {
  const mib = (bytes: number): string => (bytes / MIB).toFixed(2)
  const heaps = [before, afterPlain, afterSignal].map(({ heapBytes }) => mib(heapBytes)).join(', ')
  const handles = [before, afterPlain, afterSignal].map((each) => each.handles).join(', ')
  return (
    `${concurrent.answered} at once on ${concurrent.connections} connection in ${concurrent.ms} ms; ` +
    `then ${callsPerSecond.plain}/s, with a signal ${callsPerSecond.signal}/s; heap MiB before, after, after with a ` +
    `signal: ${heaps}; rss MiB ${mib(before.rssBytes)}, ${mib(afterPlain.rssBytes)}, ${mib(afterSignal.rssBytes)}; ` +
    `handles ${handles}; listeners at most ${listeners.most}, at the end ${listeners.atEnd}`
  )
}
