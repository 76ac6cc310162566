/** Call latency and throughput between real processes: closed loops over one connection, echoing a small object. */
import { ProcessCluster, type WorkerProgram } from '../lib/cluster.js'
import type { CallFigures, CallRun } from '../lib/protocol.js'

export interface CallsOptions {
  readonly durationMs: number
  readonly rounds: number
}

export interface CallsSink {
  readonly step: (what: string) => void
  readonly record: (row: string, figures: CallFigures) => void
}

interface Row {
  readonly title: string
  readonly target: 'local' | 'remote'
  readonly inFlight: number
  readonly beside?: NonNullable<CallRun['beside']>
}

const ROWS: readonly Row[] = [
  { title: 'local, one at a time', target: 'local', inFlight: 1 },
  { title: 'remote, one at a time', target: 'remote', inFlight: 1 },
  { title: 'remote, 64 in flight', target: 'remote', inFlight: 64 },
  { title: 'remote, 256 in flight', target: 'remote', inFlight: 256 },
  { title: 'remote, beside a 64 MiB stream', target: 'remote', inFlight: 1, beside: 'stream' },
  { title: 'remote, beside 16 MiB values', target: 'remote', inFlight: 1, beside: 'values' },
]
const PAYLOAD = { id: 1, name: 'alice', tags: ['a', 'b'], n: 3.14 }
const WARMUP_MS = 500

export function callSteps({ rounds }: CallsOptions): number {
  return rounds * ROWS.length
}

/** The rows take turns within each round, so that a drift of the machine's speed touches all of them alike. */
export async function runCalls(program: WorkerProgram, options: CallsOptions, sink: CallsSink): Promise<void> {
  const cluster = new ProcessCluster(program, 'lan')
  try {
    const callee = await cluster.add(['echo-remote'])
    const caller = await cluster.add(['echo-local'])
    for (let round = 0; round < options.rounds; round++) {
      for (const { title, target, inFlight, beside } of ROWS) {
        sink.step(`calls: ${title}`)
        const run: CallRun = {
          service: target === 'local' ? 'echo-local' : 'echo-remote',
          node: target === 'local' ? caller.worker.name : callee.worker.name,
          inFlight,
          durationMs: options.durationMs,
          warmupMs: WARMUP_MS,
          payload: PAYLOAD,
          ...(beside === undefined ? {} : { beside }),
        }
        const { figures } = await caller.worker.ask({ kind: 'calls', run }, 'calls')
        sink.record(title, figures)
      }
    }
  } finally {
    await cluster.stop()
  }
}
