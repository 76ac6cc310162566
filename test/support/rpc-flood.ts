/** A node that serves honest callers while it is flooded: what is expected of it, whatever the size of the flood. */
import { expect } from 'vitest'
import { BundledProgram } from './bundled-program.js'
import type { FloodOrder, FloodReport, HonestReport, VictimState } from './flood-program.js'
import { until } from './until.js'

export interface FloodPlan {
  readonly frames: number
  readonly seed: number
  /** How long the callers are watched without a flood. */
  readonly quietMs: number
}

const MIB = 1024 * 1024
/** What attackers that stay may hold, by the node's own bounds, and what the collector leaves. Without them: gigabytes. */
const HELD_MIB_MAX = 400
/** What is left when they are gone. */
const LEFT_MIB_MAX = 32
/** No aim but a bound that a node which is stuck would go past; the aim is in the bench. */
const P99_MS_MAX = 1_000
const REASONS = [
  ...['no-hello', 'wrong-cluster', 'hello-timeout', 'closed-before-hello', 'frame-too-large', 'bad-method-id'],
  ...['refused-invalid-argument', 'duplicate-call-id', 'unexpected-frame', 'unknown-frame', 'late-credit'],
  ...['credit-overflow', 'item-beyond-credit', 'too-many-messages', 'piece-too-small', 'too-many-connections'],
]

export async function expectHonestServed({ frames, seed, quietMs }: FloodPlan): Promise<void> {
  const program = await BundledProgram.make('test/support/flood-program.ts')
  try {
    const [victim, honest, attacker, sink] = [program.start(), program.start(), program.start(), program.start()]
    const ask = <Answer>(of: typeof victim, order: FloodOrder): Promise<Answer> => of.ask<Answer>(order)
    const port = await ask<number>(victim, { do: 'listen' })
    await ask(honest, { do: 'call', port, lanes: 16 })
    await new Promise((resolve) => setTimeout(resolve, quietMs / 4)) // until the code is warm
    await ask(honest, { do: 'report' })
    await new Promise((resolve) => setTimeout(resolve, quietMs))
    const quiet = await ask<HonestReport>(honest, { do: 'report' })
    const before = await ask<VictimState>(victim, { do: 'memory' })

    // What the attacker costs by its work alone: no node of this machine can do better.
    const elsewhere = await ask<number>(sink, { do: 'sink' })
    await ask(honest, { do: 'report' })
    await ask<FloodReport>(attacker, { do: 'flood', port: elsewhere, frames, lanes: 64, seed })
    const beside = await ask<HonestReport>(honest, { do: 'report' })
    await ask(attacker, { do: 'leave' })
    await ask(honest, { do: 'report' })

    const flooded = await ask<FloodReport>(attacker, { do: 'flood', port, frames, lanes: 64, seed })
    const during = await ask<HonestReport>(honest, { do: 'report' })
    await until('those that said nothing are cut off', async () => {
      return ((await ask<VictimState>(victim, { do: 'memory' })).drops['hello-timeout'] ?? 0) > 0
    })
    let held = await ask<VictimState>(victim, { do: 'memory' })
    await until('all who wait at the port are in', async () => {
      const { connections } = held
      held = await ask<VictimState>(victim, { do: 'memory' })
      return held.connections <= connections
    })
    await ask(attacker, { do: 'leave' })
    await until('only the honest caller is left, and nothing of the others runs', async () => {
      const { callers, connections, inFlight } = await ask<VictimState>(victim, { do: 'memory' })
      return connections === 1 && callers[0] === 'honest' && inFlight <= 16
    })
    const after = await ask<VictimState>(victim, { do: 'memory' })
    await ask(honest, { do: 'stop' })

    const ratio = during.p99Ms / quiet.p99Ms
    process.stdout.write(`flood (seed ${seed}): ${said({ flooded, quiet, beside, during, before, held, after })}\n`)
    expect([...quiet.failures, ...beside.failures, ...during.failures], `seed ${seed}`).toEqual([])
    expect(during.answered).toBeGreaterThan(100)
    expect(during.p99Ms, `${ratio.toFixed(1)} times the quiet one`).toBeLessThan(P99_MS_MAX)
    for (const state of [held, after]) {
      const max = (state === held ? HELD_MIB_MAX : LEFT_MIB_MAX) * MIB
      expect(state.heapBytes - before.heapBytes, `seed ${seed}`).toBeLessThan(max)
    }
    for (const reason of REASONS) expect(after.drops[reason], `${reason} (seed ${seed})`).toBeGreaterThan(0)
  } finally {
    await program.stop()
  }
}

function said(figures: {
  readonly flooded: FloodReport
  readonly quiet: HonestReport
  /** While the flood went to another process. */
  readonly beside: HonestReport
  readonly during: HonestReport
  readonly before: VictimState
  readonly held: VictimState
  readonly after: VictimState
}): string {
  const { flooded, quiet, beside, during, before, held, after } = figures
  const mib = (bytes: number): string => (bytes / MIB).toFixed(0)
  const latency = ({ p50Ms, p99Ms, maxMs, answered }: HonestReport): string =>
    `p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)}, longest ${maxMs.toFixed(1)} ms of ${answered} calls`
  const size = (state: VictimState): string => `${mib(state.heapBytes)}/${mib(state.rssBytes)}`
  return (
    `${flooded.frames} frames on ${flooded.connections} connections in ${flooded.ms} ms; quiet: ${latency(quiet)}; ` +
    `while another process is flooded: ${latency(beside)}; flooded: ${latency(during)}; p99 ` +
    `${(during.p99Ms / quiet.p99Ms).toFixed(1)} times the quiet one, ${(during.p99Ms / beside.p99Ms).toFixed(1)} times ` +
    `that beside a flood; heap with buffers/rss MiB before, held, after: ${size(before)}, ${size(held)}, ${size(after)}; ${JSON.stringify(after.drops)}`
  )
}
