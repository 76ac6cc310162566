/**
 * Shoal beside others: calls and membership of every peer that can be had on this machine, in one run. Prints Markdown.
 * Fails when something went wrong or an aim does not hold; a peer that is not installed is reported, and is no failure.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type CallPeer, callPeers } from '../lib/call-peers.js'
import { buildProgram } from '../lib/cluster.js'
import { readEnvironment } from '../lib/environment.js'
import { ProcessOwner } from '../lib/line-process.js'
import { type MemberPeer, memberPeers } from '../lib/member-peers.js'
import { CallResults } from '../lib/peer-aims.js'
import { type PeerNeeds, prepare, type Readiness } from '../lib/peer-needs.js'
import { Progress } from '../lib/progress.js'
import type { SuiteResult } from '../lib/suite.js'
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
}

/** Runs the suite with these arguments and sets the exit code. */
export async function benchPeers(args: readonly string[]): Promise<void> {
  const options = parseOptions(args)
  if (options === undefined) return
  const { figures, lines, misses } = await runPeersSuite(options)
  process.stdout.write(`${[...lines, ...misses.map((miss) => `MISSED: ${miss}`)].join('\n')}\n`)
  const file = resolve(import.meta.dirname, '../results', `peers-${new Date().toISOString().replaceAll(':', '-')}.json`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ figures, misses }, null, 2)}\n`)
  if (misses.length > 0) process.exitCode = 1
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
  }
}

async function runPeersSuite(options: PeersOptions): Promise<SuiteResult> {
  const environment = readEnvironment()
  const owner = new ProcessOwner()
  const library = await buildProgram('library')
  const stop = (): void => {
    owner.killAll()
    rmSync(dirname(library.file), { recursive: true, force: true })
    process.exit(130)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.once(signal, stop)
  try {
    const runId = randomBytes(6).toString('hex')
    const readiness = new Map<string, Readiness>()
    const misses: string[] = []
    const calls = await measureCalls(callPeers(library.file, runId), { options, owner, readiness, misses })
    const membership = await measureMembership(memberPeers(library.file, runId), { options, owner, readiness, misses })
    const { node, cpu, cores, commit, loadBefore } = environment
    const loadAfter = loadavg()[0] ?? 0
    const lines = [
      `Node ${node} on ${cores} x ${cpu}, commit ${commit}, load ${loadBefore} before and ${loadAfter.toFixed(2)} after`,
      ...(loadBefore > 1
        ? ['\n**Preliminary**: the load was above 1 when the run began, so others used the cores as well.']
        : []),
      ...report.readinessLines(readiness),
      ...calls.lines,
      ...membership.lines,
    ]
    return { figures: { environment, options, calls: calls.figures, membership: membership.figures }, lines, misses }
  } finally {
    for (const signal of signals) process.off(signal, stop)
    await owner.endAll(false)
    await library.remove()
  }
}

interface Run {
  readonly options: PeersOptions
  readonly owner: ProcessOwner
  readonly readiness: Map<string, Readiness>
  readonly misses: string[]
}

type Part = Pick<SuiteResult, 'figures' | 'lines'>

async function measureCalls(all: readonly CallPeer[], run: Run): Promise<Part> {
  const { options, owner, misses } = run
  if (options.only === 'membership') return { figures: [], lines: [] }
  const peers = await readyPeers(all, run)
  const core = pinnableCore()
  const isPinned = core !== undefined
  const figures: PeerCallFigures[] = []
  const progress = new Progress(report.callSteps(peers, options.rounds.calls, isPinned))
  await runPeerCalls(
    peers,
    owner,
    { rounds: options.rounds.calls, windowMs: options.windowMs, core },
    { step: (what) => progress.step(what), record: (one) => figures.push(one), miss: (what) => misses.push(what) },
  )
  progress.end()
  const results = new CallResults(figures, peers)
  const verdicts = isPinned ? report.judgeAims(results) : []
  for (const { aim, holds } of verdicts) if (holds === false) misses.push(`aim not met: ${aim.title}`)
  const tables = report.callLines(results, peers, isPinned)
  return { figures: { figures, verdicts }, lines: [...tables, ...report.aimLines(verdicts), `\n${report.CALLS_NOTE}`] }
}

async function measureMembership(all: readonly MemberPeer[], run: Run): Promise<Part> {
  const { options, owner, misses } = run
  if (options.only === 'calls') return { figures: {}, lines: [] }
  const peers = await readyPeers(all, run)
  const { nodes, kills, rounds } = options
  const figures = new Map(peers.map(({ name }) => [name, new Map<MembershipFigure, number[]>()]))
  const falseDeaths = new Map<string, number>()
  const progress = new Progress(peers.length * rounds.membership)
  await runPeerMembership(
    peers,
    owner,
    { nodes, kills, repeats: 3, rounds: rounds.membership },
    {
      step: (what) => progress.step(what),
      miss: (what) => misses.push(what),
      record: (peer, figure, ms) => {
        const values = figures.get(peer)
        values?.set(figure, [...(values.get(figure) ?? []), ms])
      },
      falseDeaths: (peer, count) => {
        falseDeaths.set(peer, (falseDeaths.get(peer) ?? 0) + count)
        if (count > 0 && peer.startsWith('shoal')) misses.push(`${peer}: ${count} sightings of a false death`)
      },
    },
  )
  progress.end()
  const plain = Object.fromEntries([...figures].map(([name, values]) => [name, Object.fromEntries(values)]))
  const lines = report.membershipLines(figures, falseDeaths, nodes)
  return { figures: { values: plain, falseDeaths: Object.fromEntries(falseDeaths) }, lines }
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
