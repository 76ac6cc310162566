/**
 * Calls between real processes: closed loops that take turns within each round, so that a drift of the machine's speed
 * touches all of them alike; failover from a candidate that has just gone; and open loops while something goes wrong.
 */
import { type ClusterParts, ProcessCluster } from '../lib/cluster.js'
import type { CallShape, ClosedLoad, Latencies, LoneCall } from '../lib/protocol.js'
import type { Worker } from '../lib/worker-process.js'

export interface CallsOptions {
  readonly rounds: number
  readonly failovers: number
  readonly durationMs: number
  readonly warmupMs: number
  /** Of the open loops, each round one. */
  readonly windowMs: number
  readonly isLate: () => boolean
}

export interface CallsSink {
  readonly step: (what: string) => void
  readonly attempt: (what: string, part: () => Promise<void>) => Promise<void>
  readonly closed: (row: ClosedRow, figures: Latencies) => void
  readonly lone: (row: string, call: LoneCall) => void
  readonly open: (row: string, figures: Latencies) => void
}

export interface ClosedRow {
  readonly title: string
  readonly table: 'paths' | 'in flight' | 'payloads'
  readonly to: 'itself' | 'another' | 'another, TLS' | 'a refusing one first' | 'all'
  readonly inFlight: number
  readonly what: CallShape
  readonly beside?: NonNullable<ClosedLoad['beside']>
}

const SMALL: CallShape = { kind: 'small' }
export const ALL_NODES = 8
const IN_FLIGHT = [1, 4, 16, 64, 256, 1_024]
const PAYLOAD_KIB = [1, 16, 64, 256, 1_024, 4_096]

function path(title: string, to: ClosedRow['to'], more: Partial<ClosedRow> = {}): ClosedRow {
  return { title, table: 'paths', to, inFlight: 1, what: SMALL, ...more }
}

export const CLOSED_ROWS: readonly ClosedRow[] = [
  path('local', 'itself'),
  path('remote', 'another'),
  path('remote, TLS by keys', 'another, TLS'),
  path('remote, first candidate refuses', 'a refusing one first'),
  path(`callAll over ${ALL_NODES} nodes`, 'all', { what: { kind: 'all' } }),
  path('remote, beside a 64 MiB stream', 'another', { beside: 'stream' }),
  path('remote, beside 16 MiB values', 'another', { beside: 'values' }),
  path('stream of 1,000 x 64 B', 'another', { what: { kind: 'stream', items: 1_000, bytes: 64 } }),
  path('stream of 64 x 64 KiB', 'another', { what: { kind: 'stream', items: 64, bytes: 65_536 } }),
  ...IN_FLIGHT.map((inFlight): ClosedRow => path(`${inFlight}`, 'another', { table: 'in flight', inFlight })),
  ...PAYLOAD_KIB.map((kib): ClosedRow => {
    return path(`${kib} KiB`, 'another', { table: 'payloads', what: { kind: 'bytes', bytes: kib * 1_024 } })
  }),
]

/** Calls a second of the open loops: far below what the path can do. */
export const OPEN_RATE = 500
const CHURN_CALLEES = 4
const BLOCK = { blockedMs: 100, periodMs: 500 }

export async function runCalls(parts: ClusterParts, options: CallsOptions, sink: CallsSink): Promise<void> {
  const cluster = new ProcessCluster(parts)
  const sealed = new ProcessCluster({ ...parts, keys: [Buffer.alloc(32, 7).toString('base64')] })
  try {
    sink.step('start of the processes')
    const stage = await setStage(cluster, sealed)
    await closedLoops(stage, options, sink)
    await sink.attempt('failover', () => failover(cluster, stage, options, sink))
    await sink.attempt('open loops', () => openLoops(cluster, stage, options, sink))
  } finally {
    await Promise.all([cluster.stop(), sealed.stop()])
  }
}

interface Stage {
  readonly caller: Worker
  readonly callee: Worker
  readonly refuser: Worker
  readonly sealed: { readonly caller: Worker; readonly callee: Worker }
}

async function setStage(cluster: ProcessCluster, sealed: ProcessCluster): Promise<Stage> {
  const one = async (of: ProcessCluster, ...services: string[]): Promise<Worker> =>
    (await of.add({ servicesOf: () => services })).worker
  const callee = await one(cluster, 'remote', 'all', 'calm')
  const refuser = await one(cluster, 'remote', 'all')
  const others = Array.from({ length: ALL_NODES - 2 }, () => one(cluster, 'all'))
  const caller = await one(cluster, 'local')
  await Promise.all(others)
  await refuser.order('service', 'pause', 'remote')
  const safe = { callee: await one(sealed, 'remote'), caller: await one(sealed) }
  const seen = [
    caller.order('sees', 'all', ALL_NODES),
    caller.order('sees', 'remote', 1),
    caller.order('sees', 'calm', 1),
    safe.caller.order('sees', 'remote', 1),
  ]
  if ((await Promise.all(seen)).includes(false)) throw new Error('the caller does not see the services')
  return { caller, callee, refuser, sealed: safe }
}

async function closedLoops(stage: Stage, options: CallsOptions, sink: CallsSink): Promise<void> {
  const { durationMs, warmupMs } = options
  for (let round = 0; round < options.rounds && (round === 0 || !options.isLate()); round++) {
    for (const row of CLOSED_ROWS) {
      sink.step(`${row.table}: ${row.title}`)
      const { to, inFlight, what, beside } = row
      const caller = to === 'another, TLS' ? stage.sealed.caller : stage.caller
      const load: ClosedLoad = {
        ...{ what, inFlight, durationMs, warmupMs },
        ...addressOf(stage, to),
        ...(beside === undefined ? {} : { beside }),
      }
      await sink.attempt(row.title, async () => sink.closed(row, await caller.order('closedLoad', load)))
    }
  }
}

function addressOf(
  { caller, callee, refuser, sealed }: Stage,
  to: ClosedRow['to'],
): Pick<ClosedLoad, 'service' | 'nodes'> {
  switch (to) {
    case 'itself':
      return { service: 'local', nodes: [caller.name] }
    case 'another':
      return { service: 'remote', nodes: [callee.name] }
    case 'another, TLS':
      return { service: 'remote', nodes: [sealed.callee.name] }
    case 'a refusing one first':
      return { service: 'remote', nodes: [refuser.name, callee.name] }
    case 'all':
      return { service: 'all' }
  }
}

/** Each repeat with another victim, which was called before: what is known of one instance would shorten the next try. */
async function failover(
  cluster: ProcessCluster,
  stage: Stage,
  { failovers, isLate }: CallsOptions,
  sink: CallsSink,
): Promise<void> {
  const { caller, callee } = stage
  for (let round = 0; round < failovers && (round === 0 || !isLate()); round++) {
    for (const how of ['dead', 'silent'] as const) {
      sink.step(`failover: first candidate ${how}`)
      const { worker: victim } = await cluster.add({ servicesOf: () => ['remote'] })
      if (!(await caller.order('sees', 'remote', 2))) throw new Error('the caller does not see the victim')
      await caller.order('callOnce', 'remote', [victim.name])
      if (how === 'dead') victim.kill()
      else victim.pause()
      const nodes = [victim.name, callee.name]
      sink.lone(`first candidate is ${how}: first call`, await caller.order('callOnce', 'remote', nodes))
      sink.lone(`first candidate is ${how}: next call`, await caller.order('callOnce', 'remote', nodes))
      victim.kill()
      cluster.forget(victim)
    }
  }
}

async function openLoops(cluster: ProcessCluster, stage: Stage, options: CallsOptions, sink: CallsSink): Promise<void> {
  const { caller, callee } = stage
  const { rounds, windowMs } = options
  const load = { perSecond: OPEN_RATE, windowMs, durationMs: rounds * windowMs, idempotent: true, timeoutMs: 10_000 }
  const run = async (row: string, service: string): Promise<void> => {
    for (const window of await caller.order('openLoad', { ...load, service })) sink.open(row, window)
  }
  sink.step('open loop: nothing happens')
  await run('nothing happens', 'calm')
  sink.step('open loop: the callee is blocked now and then')
  await callee.order('block', BLOCK.blockedMs, BLOCK.periodMs)
  await run(`the callee is blocked ${BLOCK.blockedMs} ms in ${BLOCK.periodMs}`, 'calm')
  await callee.order('block', 0, 0)
  sink.step('open loop: a callee is killed now and then')
  await churn(cluster, caller, windowMs, () =>
    run(`one of ${CHURN_CALLEES} callees killed every ${windowMs / 1_000} s`, 'churn'),
  )
}

/** One callee is killed in the middle of each window and another one started in its place. */
async function churn(
  cluster: ProcessCluster,
  caller: Worker,
  windowMs: number,
  run: () => Promise<void>,
): Promise<void> {
  const start = async (): Promise<Worker> => (await cluster.add({ servicesOf: () => ['churn'] })).worker
  const callees = await Promise.all(Array.from({ length: CHURN_CALLEES }, start))
  if (!(await caller.order('sees', 'churn', CHURN_CALLEES))) throw new Error('the caller does not see the callees')
  let replaced: Promise<unknown> = Promise.resolve()
  const killOne = (): void => {
    const victim = callees.shift()
    victim?.kill()
    if (victim !== undefined) cluster.forget(victim)
    replaced = start().then((worker) => callees.push(worker))
  }
  let timer = setTimeout(function next() {
    killOne()
    timer = setTimeout(next, windowMs)
  }, windowMs / 2)
  try {
    await run()
  } finally {
    clearTimeout(timer)
    await replaced
  }
}
