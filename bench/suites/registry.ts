/** What the registry does and costs: news among a thousand services, lost updates, rechecks at rest, memory of a record. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { lostUpdate, type QuietCost, quietCost, statusSpread } from '../../test/sim/registry-figures.js'
import { quantile } from '../lib/statistics.js'
import { figure, renderTable } from '../lib/table.js'

export interface RegistryFigures {
  /** Virtual ms until another node has a change of status, by loss rate. */
  readonly spread: readonly {
    readonly lossRate: number
    readonly p50: number
    readonly p99: number
    readonly max: number
  }[]
  /** Virtual ms that a lost update lived, by the number of nodes that missed it. */
  readonly lost: readonly { readonly deaf: number; readonly tookMs: readonly number[] }[]
  readonly quiet: { readonly on: QuietCost; readonly off: QuietCost }
  readonly memory: { readonly records: number; readonly bytesPerRecord: number }
}

export interface RegistrySuiteResult {
  readonly figures: RegistryFigures
  readonly lines: readonly string[]
  readonly misses: readonly string[]
}

const NODES = 50
const SERVICES = 20
const PROMISED_MS = 1_000
const RECHECK_MS = 10_000
const SEEDS = [1, 2, 3]
const DEAF = [1, 25, 49]

export async function runRegistrySuite(): Promise<RegistrySuiteResult> {
  const spread = [0, 0.2].map((lossRate) => {
    const times = statusSpread({ nodes: NODES, servicesPerNode: SERVICES, changes: 200, lossRate, seed: 1 })
    return { lossRate, p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: times.at(-1) ?? Number.NaN }
  })
  const lost = DEAF.map((deaf) => ({ deaf, tookMs: SEEDS.map((seed) => lifeOf(deaf, seed)) }))
  const at = (recheckIntervalMs: number): QuietCost =>
    quietCost({ nodes: NODES, servicesPerNode: SERVICES, seed: 1, recheckIntervalMs })
  const figures = { spread, lost, quiet: { on: at(RECHECK_MS), off: at(0) }, memory: await memoryOfARecord() }
  const misses: string[] = []
  if ((spread[0]?.p99 ?? Number.POSITIVE_INFINITY) > PROMISED_MS) misses.push('a change of status took over a second')
  for (const { deaf, tookMs } of lost) {
    if (Math.max(...tookMs) > RECHECK_MS + PROMISED_MS) misses.push(`an update lost at ${deaf} nodes lived too long`)
  }
  return { figures, lines: linesOf(figures), misses }
}

function lifeOf(deaf: number, seed: number): number {
  return lostUpdate({ nodes: NODES, deaf, recheckIntervalMs: RECHECK_MS, seed }) ?? Number.POSITIVE_INFINITY
}

async function memoryOfARecord(): Promise<RegistryFigures['memory']> {
  const program = resolve(import.meta.dirname, '../scenarios/registry-memory.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--import', 'tsx', program])
  return JSON.parse(stdout) as RegistryFigures['memory']
}

function linesOf({ spread, lost, quiet, memory }: RegistryFigures): string[] {
  const perSecond = ({ packetBytes, streamBytes, streams }: QuietCost): string[] =>
    [packetBytes, streamBytes, streams].map(figure)
  return [
    `\n${NODES * SERVICES} services on ${NODES} simulated nodes: virtual ms until another node has a change of status`,
    renderTable(
      ['loss', 'p50', 'p99', 'max'],
      spread.map(({ lossRate, p50, p99, max }) => [`${lossRate * 100} %`, ...[p50, p99, max].map(figure)]),
    ),
    `\nAn update of which all gossip to some of ${NODES} nodes was lost, rechecks every ${RECHECK_MS / 1_000} s, no push/pull`,
    renderTable(
      ['nodes that missed it', 'median', 'max', 'n'],
      lost.map(({ deaf, tookMs }) => {
        const sorted = [...tookMs].sort((a, b) => a - b)
        return [`${deaf}`, figure(quantile(sorted, 0.5)), figure(sorted.at(-1) ?? Number.NaN), `${sorted.length}`]
      }),
    ),
    '\nSent by a node in a second at rest, without push/pulls; what TCP and IP add is not counted',
    renderTable(
      ['rechecks', 'bytes in packets', 'bytes on streams', 'streams'],
      [
        [`every ${RECHECK_MS / 1_000} s`, ...perSecond(quiet.on)],
        ['never', ...perSecond(quiet.off)],
      ],
    ),
    `\nMemory: ${figure(memory.bytesPerRecord)} bytes of heap for a record, of ${memory.records} held and listed`,
  ]
}
