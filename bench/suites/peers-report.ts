/** The comparison with the peers as Markdown, wins and losses alike. */
import { CALL_FIGURES, type CallPeer } from '../lib/call-peers.js'
import { AIMS, type CallResults, type Quantity, type Verdict } from '../lib/peer-aims.js'
import type { Readiness } from '../lib/peer-needs.js'
import { type Summary, summarize } from '../lib/statistics.js'
import { figure } from '../lib/table.js'
import { markdownTable } from '../report/markdown.js'
import type { Chart } from '../report/result.js'
import type { Placement } from '../scenarios/peer-calls.js'
import type { MembershipFigure } from '../scenarios/peer-membership.js'

export type MembershipFigures = ReadonlyMap<string, ReadonlyMap<MembershipFigure, readonly number[]>>

interface Column {
  readonly title: string
  readonly quantity: Quantity
  readonly of?: (value: number) => number
}

const MIB = 2 ** 20
const BULK_MIB = (16 * MIB - 4_096) / MIB
const latency = (title: string, name: Quantity['figure'], measure: 'p50' | 'p99'): Column => ({
  title: `${title} ${measure}`,
  quantity: { figure: name, measure },
})
const rate = (title: string, name: Quantity['figure']): Column => ({
  title,
  quantity: { figure: name, measure: 'rate' },
})

const LONE: readonly Column[] = [latency('lone call', 'sequential', 'p50'), latency('lone call', 'sequential', 'p99')]
const BULK: Column = { ...rate('16 MiB: MiB/s each way', 'bulk'), of: (perSecond) => perSecond * BULK_MIB }
const SMALL: readonly Column[] = [...LONE, rate('64 in flight/s', 'parallel'), rate('16 peers/s', 'sixteen')]
const BIG: readonly Column[] = [
  latency('string', 'string', 'p50'),
  latency('string', 'string', 'p99'),
  latency('binary', 'binary', 'p50'),
  latency('binary', 'binary', 'p99'),
  BULK,
]
const UNPINNED: readonly Column[] = [...LONE, rate('64 in flight/s', 'parallel'), BULK]
const RATIOS: readonly Column[] = [...SMALL, ...BIG]

export function callLines(results: CallResults, peers: readonly CallPeer[], isPinned: boolean): string[] {
  const table = (title: string, placement: Placement, columns: readonly Column[]): string[] => [
    `\n**${title}** (microseconds and calls a second; median of ${results.rounds.length} rounds, in brackets least and most)\n`,
    markdownTable(
      ['', ...columns.map((column) => column.title)],
      peers.map(({ name }) => [
        name,
        ...columns.map((c) => spread(results.summary(placement, name, c.quantity), c.of)),
      ]),
    ),
  ]
  const pinned = isPinned
    ? [
        ...table('A small object, all processes on one core', 'one core', SMALL),
        ...table('64 KiB and 16 MiB, all processes on one core', 'one core', BIG),
        ...ratioLines(results, peers),
      ]
    : ['\nThere is no `taskset` here: nothing is pinned, and the aims, which are about one core, are not judged.']
  return [...pinned, ...table('Placed by the system', 'as the system places them', UNPINNED)]
}

/** Latencies: below 1 shoal is faster. Rates: above 1. */
function ratioLines(results: CallResults, peers: readonly CallPeer[]): string[] {
  const products = [...new Set(peers.map(({ product }) => product))].filter((product) => product !== 'shoal')
  const rows = products.map((product) => [
    `shoal / ${product}`,
    ...RATIOS.map(({ quantity }) => ratio(results.ratio('one core', quantity, { ...quantity, product })?.median)),
  ])
  return [
    '\n**Shoal to each, on one core** (median of the ratios within a round; a latency below 1 and a rate above 1 are better than the peer, of whose variants the best counts)\n',
    markdownTable(['', ...RATIOS.map(({ title }) => title)], rows),
  ]
}

export function aimLines(verdicts: readonly Verdict[]): string[] {
  const rows = verdicts.map(({ aim, measured, holds }) => {
    const bound = aim.atMost === undefined ? `at least ${number(aim.atLeast)}` : `at most ${number(aim.atMost)}`
    const verdict = holds === undefined ? 'not measured' : holds ? 'yes' : '**no**'
    return [aim.title, bound, spread(measured), verdict]
  })
  return ['\n**Aims**, on one core\n', markdownTable(['', 'aim', 'measured', 'holds'], rows)]
}

export function judgeAims(results: CallResults): Verdict[] {
  return AIMS.map((aim) => results.judge('one core', aim))
}

const MEMBERSHIP_TITLES: Readonly<Record<MembershipFigure, string>> = {
  boot: 'boot: all see all, after the last start',
  join: 'join known by all',
  leave: 'leave known by all',
  kill: 'kill detected by all',
}

export function membershipLines(
  figures: MembershipFigures,
  falseDeaths: ReadonlyMap<string, number>,
  nodes: number,
): string[] {
  const names = Object.keys(MEMBERSHIP_TITLES) as MembershipFigure[]
  const rows = [...figures].map(([peer, values]) => [
    peer,
    ...names.map((name) => {
      const list = values.get(name) ?? []
      return list.length === 0 ? '-' : `${spread(summarize(list))} n=${list.length}`
    }),
    `${falseDeaths.get(peer) ?? '-'}`,
  ])
  return [
    `\n**Membership of ${nodes} processes** (ms; median, in brackets least and most, and how many)\n`,
    markdownTable(['', ...names.map((name) => MEMBERSHIP_TITLES[name]), 'false deaths seen'], rows),
  ]
}

export function readinessLines(readiness: ReadonlyMap<string, Readiness>): string[] {
  const rows = [...readiness].map(([name, state]) => [
    name,
    state.ready ? state.versions : `**not measured**: ${state.reason}`,
  ])
  return ['\n**Peers**\n', markdownTable(['', 'version'], rows)]
}

/** Side by side, median over the rounds: latency and rate apart. */
export function callCharts(results: CallResults, peers: readonly CallPeer[]): Omit<Chart, 'suite'>[] {
  const chart = (title: string, unit: string, columns: readonly Column[]): Omit<Chart, 'suite'> => ({
    title,
    kind: 'bars',
    x: { title: '', scale: 'linear' },
    y: { title: unit, scale: 'log' },
    groups: columns.map((column) => column.title),
    lines: peers.map(({ name }) => ({
      name,
      points: columns.flatMap(({ quantity }, i) => {
        const summary =
          results.summary('one core', name, quantity) ?? results.summary('as the system places them', name, quantity)
        return summary === undefined ? [] : [[i, summary.median] as const]
      }),
    })),
  })
  return [
    chart('A lone call, beside others', 'us', LONE),
    chart('Calls in a second, beside others', '1/s', SMALL.slice(LONE.length)),
  ]
}

export const CALLS_NOTE: string = `A call echoes; the small object has ${JSON.stringify({ id: 1, name: 'alice', tags: ['a', 'b'], n: 3.14 }).length} bytes as JSON, 16 peers share ${CALL_FIGURES.sixteen.inFlight} calls in flight.`

function spread(summary: Summary | undefined, of: (value: number) => number = (value) => value): string {
  if (summary === undefined) return '-'
  const [median, min, max] = [summary.median, summary.min, summary.max].map((value) => figure(of(value)))
  return summary.count === 1 ? `${median}` : `${median} (${min}–${max})`
}

function ratio(value: number | undefined): string {
  return value === undefined ? '-' : figure(value)
}

function number(value: number | undefined): string {
  return value === undefined ? '-' : value.toLocaleString('en-US')
}
