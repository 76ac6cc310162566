/** What the registry does and costs: news among a thousand services, lost updates, rechecks at rest, memory of a record. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { lostUpdate, quietCost, statusSpread } from '../../test/sim/registry-figures.js'
import { quantile } from '../lib/statistics.js'
import type { Bench, Suite } from '../lib/suite.js'

const NODES = 50
const SERVICES = 20
const PROMISED_MS = 1_000
const RECHECK_MS = 10_000
const SEEDS = 3
const DEAF = [1, 25, 49]

export const registrySuite: Suite = {
  name: 'registry',
  about: 'simulated: news among a thousand services, lost updates, what rechecks cost, memory of a record',
  plan: () => ({ steps: 4, seconds: 60 }),
  run: runRegistry,
}

async function runRegistry(bench: Bench): Promise<void> {
  const { record, miss, step } = bench
  const seed = bench.options.seed
  step('a change of status')
  const spread = {
    table: `Until another of ${NODES} nodes has a change among ${NODES * SERVICES} services (virtual time)`,
  }
  for (const lossRate of [0, 0.2]) {
    const times = statusSpread({ nodes: NODES, servicesPerNode: SERVICES, changes: 200, lossRate, seed })
    const row = `${lossRate * 100} % loss`
    for (const [column, q] of Object.entries({ p50: 0.5, p99: 0.99, max: 1 })) {
      record({ ...spread, row, column, unit: 'ms', better: 'lower', value: quantile(times, q) })
    }
    if (lossRate === 0 && quantile(times, 0.99) > PROMISED_MS) miss('a change of status took over a second')
  }
  step('updates that gossip lost')
  const lost = { table: 'Life of an update that gossip lost, rechecks every 10 s, no push/pull (virtual time)' }
  for (const deaf of DEAF) {
    for (let i = 0; i < SEEDS; i++) {
      const value =
        lostUpdate({ nodes: NODES, deaf, recheckIntervalMs: RECHECK_MS, seed: seed + i }) ?? Number.MAX_VALUE
      record({ ...lost, row: `missed by ${deaf} of ${NODES}`, column: 'life', unit: 'ms', better: 'lower', value })
      if (value > RECHECK_MS + PROMISED_MS) miss(`an update lost at ${deaf} nodes lived too long`)
    }
  }
  step('rechecks at rest')
  recordQuiet(bench, `rechecks every ${RECHECK_MS / 1_000} s`, RECHECK_MS)
  recordQuiet(bench, 'no rechecks', 0)
  step('memory of a record')
  const { bytesPerRecord } = await memoryOfARecord()
  record({ table: 'Heap', row: 'a record', column: 'bytes', unit: 'B', better: 'lower', value: bytesPerRecord })
}

function recordQuiet({ options, record }: Bench, row: string, recheckIntervalMs: number): void {
  const cost = quietCost({ nodes: NODES, servicesPerNode: SERVICES, seed: options.seed, recheckIntervalMs })
  const quiet = { table: 'Sent by a node at rest, without push/pulls and without what TCP and IP add', row }
  record({ ...quiet, column: 'in packets', unit: 'B/s', better: 'lower', value: cost.packetBytes })
  record({ ...quiet, column: 'on streams', unit: 'B/s', better: 'lower', value: cost.streamBytes })
  record({ ...quiet, column: 'streams', unit: '/s', better: 'lower', value: cost.streams })
}

async function memoryOfARecord(): Promise<{ readonly records: number; readonly bytesPerRecord: number }> {
  const program = resolve(import.meta.dirname, '../scenarios/registry-memory.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--import', 'tsx', program])
  return JSON.parse(stdout) as { records: number; bytesPerRecord: number }
}
