/**
 * Calls between two processes of each peer. In a round all peers have their turn, in an order that rotates, with fresh
 * processes: what a ratio compares was measured within seconds.
 */
import { CALL_FIGURES, type CallFigure, type CallPeer } from '../lib/call-peers.js'
import type { Launch, ProcessOwner, Report } from '../lib/line-process.js'

/** `one core`: caller, callee and broker share one, so that the figure is the length of the path and not of a wake-up. */
export type Placement = 'one core' | 'as the system places them'

export interface PeerCallFigures {
  readonly round: number
  readonly placement: Placement
  readonly peer: string
  readonly figure: CallFigure
  readonly calls: number
  readonly seconds: number
  /** Microseconds; absent where calls were only counted. */
  readonly p50?: number
  readonly p99?: number
}

export interface PeerCallsOptions {
  readonly rounds: number
  readonly windowMs: number
  /** The core that all share; absent: it cannot be pinned here. */
  readonly core: number | undefined
}

export interface PeerCallsSink {
  readonly step: (what: string) => void
  readonly record: (figures: PeerCallFigures) => void
  readonly miss: (what: string) => void
}

const UNPINNED: readonly CallFigure[] = ['sequential', 'parallel', 'bulk']
/** Compilers work beside the calls on the same core: a fresh process needs a while until they have nothing to do. */
const FIRST_WARMUP_MS = 1_500
const WARMUP_MS = 400

export async function runPeerCalls(
  peers: readonly CallPeer[],
  owner: ProcessOwner,
  options: PeerCallsOptions,
  sink: PeerCallsSink,
): Promise<void> {
  const placements: readonly Placement[] =
    options.core === undefined ? ['as the system places them'] : ['one core', 'as the system places them']
  for (let round = 0; round < options.rounds; round++) {
    for (const placement of placements) {
      for (let i = 0; i < peers.length; i++) {
        const peer = peers[(i + round) % peers.length] as CallPeer
        sink.step(`round ${round + 1}, ${placement}: ${peer.name}`)
        await runPeer({ peer, owner, options, sink, placement, round })
      }
    }
  }
}

interface Turn {
  readonly peer: CallPeer
  readonly owner: ProcessOwner
  readonly options: PeerCallsOptions
  readonly sink: PeerCallsSink
  readonly placement: Placement
  readonly round: number
}

async function runPeer(turn: Turn): Promise<void> {
  const { peer, placement } = turn
  const figures = peer.figures.filter((figure) => placement === 'one core' || UNPINNED.includes(figure))
  const inOrder = (Object.keys(CALL_FIGURES) as CallFigure[]).filter((figure) => figures.includes(figure))
  for (const callees of [1, 16]) {
    const some = inOrder.filter((figure) => CALL_FIGURES[figure].callees === callees)
    if (some.length > 0) await runPair(turn, callees, some)
  }
}

async function runPair(turn: Turn, callees: number, figures: readonly CallFigure[]): Promise<void> {
  const { peer, owner, options, sink, placement, round } = turn
  const miss = (what: string, error: unknown): void => sink.miss(`${peer.name}, ${placement}, ${what}: ${error}`)
  const core = placement === 'one core' ? options.core : undefined
  const [callee, caller] = [
    owner.start(pin(peer.launch('callee'), core)),
    owner.start(pin(peer.launch('caller'), core)),
  ]
  try {
    const { addresses } = await callee.ask({ do: 'serve', count: callees }, 'ready')
    await caller.ask({ do: 'connect', addresses: String(addresses) }, 'connected')
    for (const figure of figures) {
      const { what, inFlight } = CALL_FIGURES[figure]
      const ms = options.windowMs
      try {
        const warmupMs = figure === figures[0] ? FIRST_WARMUP_MS : WARMUP_MS
        const order = { do: 'calls', what, inFlight, ms, warmupMs }
        const report = await caller.ask(order, 'figures')
        if (Number(report['errors']) > 0) miss(figure, `${report['errors']} calls failed`)
        sink.record({ round, placement, peer: peer.name, figure, ...numbersOf(report) })
      } catch (error) {
        miss(figure, error)
      }
    }
  } catch (error) {
    miss('start', error)
  } finally {
    await owner.endAll()
  }
}

function numbersOf(report: Report): Pick<PeerCallFigures, 'calls' | 'seconds' | 'p50' | 'p99'> {
  const { calls, seconds, p50, p99 } = report
  const counted = { calls: Number(calls), seconds: Number(seconds) }
  return p50 === undefined ? counted : { ...counted, p50: Number(p50), p99: Number(p99) }
}

function pin(launch: Launch, core: number | undefined): Launch {
  if (core === undefined) return launch
  return { ...launch, command: 'taskset', args: ['-c', `${core}`, launch.command, ...launch.args] }
}
