/** What a call costs, and what becomes of calls when something goes wrong: tables, and distributions as charts. */
import type { ClusterParts } from '../lib/cluster.js'
import type { Latencies } from '../lib/protocol.js'
import { summarize } from '../lib/statistics.js'
import type { Bench, Suite } from '../lib/suite.js'
import type { Line } from '../report/result.js'
import { type CallsOptions, CLOSED_ROWS, type ClosedRow, OPEN_RATE, runCalls } from '../scenarios/calls.js'

export const callsSuite: Suite = {
  name: 'calls',
  about: 'real processes: latency and throughput of calls, failover, streams, payloads, churn',
  plan: ({ quick, repeats }) => ({ steps: repeats * (CLOSED_ROWS.length + 2) + 4, seconds: quick ? 30 : 130 }),
  run: runCallsSuite,
}

const TABLES: Readonly<Record<ClosedRow['table'], string>> = {
  paths: 'Closed loops, a small object echoed, one call at a time',
  'in flight': 'Closed loops, remote, by the number of calls in flight',
  payloads: 'Closed loops, remote, one call at a time, by the bytes echoed',
}
const OPEN_TABLE = `Open loops, ${OPEN_RATE} calls/s, latency from when a call was due`
const COLUMNS: readonly (readonly [column: string, percentile: number])[] = [
  ['p50', 50],
  ['p99', 99],
  ['p99.9', 99.9],
  ['max', 100],
]

async function runCallsSuite(bench: Bench): Promise<void> {
  const { options, owner, isLate } = bench
  const parts: ClusterParts = { file: await bench.program('worker'), owner, options }
  const calls: CallsOptions = {
    rounds: options.repeats,
    failovers: options.quick ? 1 : options.repeats,
    ...(options.quick
      ? { durationMs: 150, warmupMs: 80, windowMs: 1_000 }
      : { durationMs: 350, warmupMs: 100, windowMs: 2_500 }),
    isLate,
  }
  const closed = new Map<ClosedRow, Latencies[]>()
  const open = new Map<string, Latencies[]>()
  try {
    await runCalls(parts, calls, {
      step: bench.step,
      attempt: bench.attempt,
      closed: (row, figures) => {
        closed.set(row, [...(closed.get(row) ?? []), figures])
        recordClosed(bench, row, figures)
      },
      lone: (row, { ms, error }) => {
        if (error === undefined)
          bench.record({ table: 'Failover', row, column: 'took', unit: 'ms', better: 'lower', value: ms })
        else bench.miss(`${row}: ${error}`)
      },
      open: (row, figures) => {
        open.set(row, [...(open.get(row) ?? []), figures])
        recordLatencies(bench, OPEN_TABLE, row, figures)
        bench.record({ table: OPEN_TABLE, row, column: 'failed', unit: '', better: 'lower', value: figures.errors })
      },
    })
  } finally {
    drawClosed(bench, closed)
    const lines = [...open].map(([row, rounds]) => distribution(row, rounds))
    drawDistribution(bench, `Open loops: latency of ${OPEN_RATE} calls/s`, lines)
  }
  bench.note(
    '\nClosed loops slow down with a stalled callee: their tails are not those under a fixed load. Open loops count',
  )
  bench.note(
    'from when a call was due (no coordinated omission), and hold the failed ones too. Failover: idempotent calls.',
  )
}

function recordClosed(bench: Bench, row: ClosedRow, figures: Latencies): void {
  const { count, errors, seconds, mibPerSecond } = figures
  const cell = { table: TABLES[row.table], row: row.title, better: 'higher' } as const
  recordLatencies(bench, cell.table, row.title, figures)
  bench.record({ ...cell, column: 'calls', unit: '/s', value: count / seconds })
  if (mibPerSecond !== undefined) bench.record({ ...cell, column: 'moved', unit: 'MiB/s', value: mibPerSecond })
  if (errors > 0) bench.miss(`${row.title}: ${errors} calls failed`)
  if (count === 0) bench.miss(`${row.title}: no call ended within the time`)
}

function recordLatencies({ record }: Bench, table: string, row: string, { percentiles }: Latencies): void {
  for (const [column, p] of COLUMNS) {
    const value = percentiles.find(([percentile]) => percentile === p)?.[1]
    if (value !== undefined) record({ table, row, column, unit: 'us', better: 'lower', value })
  }
}

function drawClosed(bench: Bench, closed: ReadonlyMap<ClosedRow, readonly Latencies[]>): void {
  const of = (table: ClosedRow['table']): [ClosedRow, readonly Latencies[]][] =>
    [...closed].filter(([row]) => row.table === table)
  const paths = of('paths').map(([row, rounds]) => distribution(row.title, rounds))
  drawDistribution(bench, 'Closed loops: latency of one call at a time', paths)
  const rate = of('in flight').map(([row, rounds]) =>
    point(row.inFlight, rounds, ({ count, seconds }) => count / seconds),
  )
  const x = { title: 'calls in flight', scale: 'log' } as const
  const lines = [{ name: 'calls/s', points: rate }]
  if (rate.length > 0)
    bench.chart({ title: 'Throughput by calls in flight', kind: 'lines', x, y: { title: '1/s', scale: 'log' }, lines })
  const moved = of('payloads').map(([row, rounds]) =>
    point(Number.parseInt(row.title, 10), rounds, (f) => f.mibPerSecond ?? 0),
  )
  const sizes = { title: 'KiB echoed', scale: 'log' } as const
  if (moved.length > 0)
    bench.chart({
      title: 'Bandwidth each way by payload',
      kind: 'lines',
      x: sizes,
      y: { title: 'MiB/s', scale: 'linear' },
      lines: [{ name: 'one call at a time', points: moved }],
    })
}

function point(x: number, rounds: readonly Latencies[], of: (figures: Latencies) => number): readonly [number, number] {
  return [x, summarize(rounds.map(of)).median]
}

/** Median over the rounds at each percentile. The axis stretches the tail: 10 is p90, 100 is p99, 1,000 is p99.9. */
function distribution(name: string, rounds: readonly Latencies[]): Line {
  const percentiles = rounds.find((one) => one.percentiles.length > 0)?.percentiles ?? []
  const points = percentiles.flatMap(([p], i): [number, number][] => {
    if (p >= 100) return []
    const values = rounds.map((round) => round.percentiles[i]?.[1]).filter((us) => us !== undefined)
    return [[100 / (100 - p), summarize(values).median]]
  })
  return { name, points }
}

function drawDistribution(bench: Bench, title: string, all: readonly Line[]): void {
  const lines = all.filter(({ points }) => points.length > 0)
  if (lines.length === 0) return
  const x = { title: '1 call in so many is slower (10: p90, 100: p99, 1,000: p99.9)', scale: 'log' } as const
  bench.chart({ title, kind: 'lines', x, y: { title: 'us', scale: 'log' }, lines })
}
