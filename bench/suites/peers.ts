/**
 * Shoal beside others: calls and membership of every peer that can be had on this machine, in one run. Prints Markdown.
 * Fails when something went wrong or an aim does not hold; a peer that is not installed is reported, and is no failure.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type CallPeer, callPeers } from '../lib/call-peers.js'
import { ProcessOwner } from '../lib/line-process.js'
import { type MemberPeer, memberPeers } from '../lib/member-peers.js'
import { CallResults } from '../lib/peer-aims.js'
import { type PeerNeeds, prepare, type Readiness } from '../lib/peer-needs.js'
import type { Bench, Suite } from '../lib/suite.js'
import { type PeerCallFigures, runPeerCalls } from '../scenarios/peer-calls.js'
import { type MembershipFigure, runPeerMembership } from '../scenarios/peer-membership.js'
import * as report from './peers-report.js'

const USAGE = `npm run bench -- peers [options]
  --install     install the Debian packages that are missing (root); those of npm are installed anyway, from lock files
  --only PART   calls or membership (default both)
  --with LIST   only these, comma-separated, by a part of their name; shoal and raw are always measured
  --rounds N    default 3 (membership: 2)
  --seconds S   length of each measurement of calls (default 1)
  --nodes N     processes of each cluster (default 20)
  --quick       one round, half a second, 10 nodes
`

interface PeersOptions {
  readonly install: boolean
  readonly only: string | undefined
  readonly wanted: readonly string[] | undefined
  readonly rounds: { readonly calls: number; readonly membership: number }
  readonly windowMs: number
  readonly nodes: number
  readonly kills: number
  readonly quick: boolean
}

/** The suite as these arguments ask for it; `undefined` when they asked for help, which is printed. */
export function peersSuite(args: readonly string[]): Suite | undefined {
  const options = parseOptions(args)
  if (options === undefined) return undefined
  const { quick, only } = options
  const share = only === undefined ? 1 : 0.5
  return {
    name: 'peers',
    about: 'beside others',
    plan: () => ({ steps: stepsOf(options), seconds: share * (quick ? 180 : 720) }),
    run: (bench) => runPeers(options, bench),
    options: { peers: options },
    ownTables: true,
  }
}

/** As if every peer were to be had. */
function stepsOf({ rounds, only }: PeersOptions): number {
  const calls = only === 'membership' ? 0 : 2 * rounds.calls * callPeers('', '').length
  return calls + (only === 'calls' ? 0 : rounds.membership * memberPeers('', '').length)
}

function parseOptions(args: readonly string[]): PeersOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      install: { type: 'boolean', default: false },
      only: { type: 'string' },
      with: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      nodes: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return undefined
  }
  const { only, quick } = values
  if (only !== undefined && only !== 'calls' && only !== 'membership') {
    throw new Error(`--only ${only} is neither calls nor membership`)
  }
  const positive = (name: string, text: string | undefined, otherwise: number): number => {
    const value = text === undefined ? otherwise : Number(text)
    if (!(value > 0) || (name !== 'seconds' && !Number.isInteger(value))) throw new Error(`--${name} ${text}`)
    return value
  }
  const nodes = positive('nodes', values.nodes, quick ? 10 : 20)
  if (nodes < 3) throw new Error(`--nodes ${nodes}: a cluster that loses nodes needs at least 3`)
  return {
    install: values.install,
    only,
    wanted: values.with?.split(',').map((name) => name.trim().toLowerCase()),
    rounds: {
      calls: positive('rounds', values.rounds, quick ? 1 : 3),
      membership: positive('rounds', values.rounds, quick ? 1 : 2),
    },
    windowMs: Math.round(positive('seconds', values.seconds, quick ? 0.5 : 1) * 1_000),
    nodes,
    kills: quick ? 1 : 2,
    quick,
  }
}

async function runPeers(options: PeersOptions, bench: Bench): Promise<void> {
  const owner = new ProcessOwner()
  bench.owner.onRelease(() => owner.killAll())
  const library = await bench.program('library')
  try {
    const runId = randomBytes(6).toString('hex')
    const run: Run = { options, owner, bench, readiness: new Map() }
    const calls = await measureCalls(callPeers(library, runId), run)
    const membership = await measureMembership(memberPeers(library, runId), run)
    const lines = [...report.readinessLines(run.readiness), ...calls, ...membership]
    for (const line of lines) bench.note(line)
    bench.note(`\nLoad after the run: ${(loadavg()[0] ?? 0).toFixed(2)}`)
  } finally {
    await owner.endAll(false)
  }
}

interface Run {
  readonly options: PeersOptions
  readonly owner: ProcessOwner
  readonly bench: Bench
  readonly readiness: Map<string, Readiness>
}

async function measureCalls(all: readonly CallPeer[], run: Run): Promise<string[]> {
  const { options, owner, bench } = run
  if (options.only === 'membership') return []
  const peers = await readyPeers(all, run)
  const core = pinnableCore()
  const isPinned = core !== undefined
  const figures: PeerCallFigures[] = []
  const record = (one: PeerCallFigures): void => {
    figures.push(one)
    recordCalls(bench, one)
  }
  const { step, miss } = bench
  await runPeerCalls(
    peers,
    owner,
    { rounds: options.rounds.calls, windowMs: options.windowMs, core },
    { step, miss, record },
  )
  const results = new CallResults(figures, peers)
  const verdicts = isPinned ? report.judgeAims(results) : []
  for (const { aim, holds } of verdicts) if (holds === false) bench.miss(`aim not met: ${aim.title}`)
  for (const chart of report.callCharts(results, peers)) bench.chart(chart)
  return [...report.callLines(results, peers, isPinned), ...report.aimLines(verdicts), `\n${report.CALLS_NOTE}`]
}

function recordCalls({ record }: Bench, { placement, peer, figure, calls, seconds, p50, p99 }: PeerCallFigures): void {
  const cell = { table: `Calls, ${placement}`, row: peer }
  if (p50 === undefined) record({ ...cell, column: figure, unit: '1/s', better: 'higher', value: calls / seconds })
  else record({ ...cell, column: `${figure} p50`, unit: 'us', better: 'lower', value: p50 })
  if (p99 !== undefined) record({ ...cell, column: `${figure} p99`, unit: 'us', better: 'lower', value: p99 })
}

async function measureMembership(all: readonly MemberPeer[], run: Run): Promise<string[]> {
  const { options, owner, bench } = run
  if (options.only === 'calls') return []
  const peers = await readyPeers(all, run)
  const { nodes, kills, rounds } = options
  const figures = new Map(peers.map(({ name }) => [name, new Map<MembershipFigure, number[]>()]))
  const falseDeaths = new Map<string, number>()
  await runPeerMembership(
    peers,
    owner,
    { nodes, kills, repeats: 3, rounds: rounds.membership },
    {
      step: bench.step,
      miss: bench.miss,
      record: (peer, figure, value) => {
        const values = figures.get(peer)
        values?.set(figure, [...(values.get(figure) ?? []), value])
        bench.record({ table: 'Membership', row: peer, column: figure, unit: 'ms', better: 'lower', value })
      },
      falseDeaths: (peer, count) => {
        falseDeaths.set(peer, (falseDeaths.get(peer) ?? 0) + count)
        if (count > 0 && peer.startsWith('shoal')) bench.miss(`${peer}: ${count} sightings of a false death`)
      },
    },
  )
  return report.membershipLines(figures, falseDeaths, nodes)
}

async function readyPeers<P extends { readonly name: string; readonly product: string; readonly needs: PeerNeeds }>(
  all: readonly P[],
  { options: { wanted, install }, readiness }: Run,
): Promise<P[]> {
  const isWanted = ({ product, name }: P): boolean =>
    wanted === undefined || ['shoal', 'raw'].includes(product) || wanted.some((w) => name.toLowerCase().includes(w))
  const ready: P[] = []
  for (const peer of all) {
    if (!isWanted(peer)) {
      if (!readiness.has(peer.product)) readiness.set(peer.product, { ready: false, reason: 'not asked for' })
      continue
    }
    const say = (line: string): void => void process.stderr.write(`${peer.name}: ${line}\n`)
    const state = await prepare(peer.needs, { install, say })
    readiness.set(peer.product, state)
    if (state.ready) ready.push(peer)
  }
  return ready
}

/** The last core that this process may use; `undefined` where there is no taskset. */
function pinnableCore(): number | undefined {
  try {
    const allowed = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync(join('/proc', 'self', 'status'), 'utf8'))?.[1]
    const core = Number(/\d+$/.exec(allowed ?? '')?.[0])
    return spawnSync('taskset', ['-c', `${core}`, 'true']).status === 0 ? core : undefined
  } catch {
    return undefined // no Linux
  }
}
