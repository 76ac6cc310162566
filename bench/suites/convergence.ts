/** Real processes on loopback: how fast all know what happened, and what that costs each of them. */

import { seededRandom } from '../../src/random.js'
import { networkMissing } from '../../test/support/switched-hosts.js'
import { type ClusterParts, ProcessCluster } from '../lib/cluster.js'
import { Spreads } from '../lib/spread.js'
import type { Bench, Suite } from '../lib/suite.js'
import * as scenario from '../scenarios/convergence.js'
import { runPartition } from '../scenarios/partition.js'

const NEWS = [
  'cold start: sees all',
  'join',
  'service provided',
  'service provided: called from',
  'service meta changed',
  'service paused',
  'service withdrawn',
  'graceful leave',
]
const VERDICTS = [
  'kill -9: suspected',
  'kill -9: dead',
  'SIGSTOP: dead',
  'resume: alive again',
  'partition: other half dead',
  'heal: other half alive',
]
/** Steps of a life, a kill and a stop, and what they take with 30 processes. */
const LIFE_STEPS = 6
const COLD_STARTS_MAX = 3

export const convergenceSuite: Suite = {
  name: 'convergence',
  about: 'real processes: cold start, join, leave, kill, stop, services, partition',
  plan: ({ quick, repeats }) => ({ steps: repeats * (LIFE_STEPS + 4) + 6, seconds: quick ? 40 : 160 }),
  run: runConvergence,
}

async function runConvergence(bench: Bench): Promise<void> {
  const { options, owner } = bench
  const { nodes, quick, seed, profile } = options
  const parts: ClusterParts = { file: await bench.program('worker'), owner, options }
  const random = seededRandom(seed)
  const spreads = new Spreads(bench, `Time until processes know, ${nodes} processes, profile ${profile}`)
  const sink = sinkOf(bench, spreads)
  const repeats = Array.from({ length: options.repeats }, (_, i) => i)
  try {
    const cluster = await coldStarts(parts, bench, sink)
    const wronged = new Set<string>()
    try {
      for (const _ of repeats) await bench.attempt('quiet', () => scenario.quietCost(cluster, sink))
      for (const i of repeats) {
        if (i > 0 && bench.isLate()) break
        await bench.attempt('life of a newcomer', () => scenario.life(cluster, nodes, sink))
      }
      for (const i of repeats.slice(0, quick ? 1 : undefined)) {
        if (i > 0 && bench.isLate()) break
        const wrong = (name: string): void => void wronged.add(name)
        await bench.attempt('kill', () => scenario.kill(cluster, random, sink, wrong))
        await bench.attempt('SIGSTOP', () => scenario.stopAndResume(cluster, random, sink, wrong))
      }
      const value = scenario.falseDeaths(cluster.workers, wronged)
      bench.record({ table: 'False deaths', row: 'sightings', column: 'all', unit: '', better: 'lower', value })
      if (value > 0) bench.miss(`${value} sightings of a death of a process that lived`)
    } finally {
      await cluster.stop()
    }
    await partitions(parts, bench, sink)
  } finally {
    spreads.chart(`News: who knows after how long, ${nodes} processes`, NEWS, 'log')
    spreads.chart(`Verdicts: who knows after how long, ${nodes} processes`, VERDICTS, 'linear')
  }
  bench.note('\nEach event begins when nobody has anything queued for gossip (at most 15 s are waited for that).')
  bench.note('Packets and bytes: sent by a process in a second, payload of UDP without headers and without streams;')
  bench.note('"quiet" over 2 s, an event until the cluster is quiet again. On loopback nothing is lost.')
}

/** The cluster of the last cold start stays. */
async function coldStarts(parts: ClusterParts, bench: Bench, sink: scenario.ConvergenceSink): Promise<ProcessCluster> {
  const { nodes, quick, repeats } = bench.options
  for (let left = quick ? 1 : Math.min(repeats, COLD_STARTS_MAX); ; left--) {
    const cluster = new ProcessCluster(parts)
    await scenario.coldStart(cluster, nodes, sink)
    if (left <= 1) return cluster
    await cluster.stop()
  }
}

async function partitions(parts: ClusterParts, bench: Bench, sink: scenario.ConvergenceSink): Promise<void> {
  if (bench.options.quick) return bench.note('\nPartition and heal are left out by --quick.')
  const missing = networkMissing()
  if (missing !== undefined) return bench.note(`\nPARTITION NOT MEASURED: ${missing}`)
  const { nodes, repeats } = bench.options
  for (let i = 0; i < repeats && (i === 0 || !bench.isLate()); i++)
    await bench.attempt('partition', () => runPartition(parts, nodes, sink))
}

function sinkOf(bench: Bench, spreads: Spreads): scenario.ConvergenceSink {
  const cost = 'Cost for a process'
  return {
    step: bench.step,
    miss: bench.miss,
    spread: (row, times) => spreads.add(row, times),
    duration: (row, value) =>
      bench.record({ table: 'In the process itself', row, column: 'took', unit: 'ms', better: 'lower', value }),
    cost: (row, { packetsPerSecond, bytesPerSecond, cpuMsPerSecond, rssBytes }) => {
      const add = (column: string, unit: string, value: number): void =>
        bench.record({ table: cost, row, column, unit, better: 'lower', value })
      add('packets', '/s', packetsPerSecond)
      add('bytes', 'B/s', bytesPerSecond)
      add('processor', 'ms/s', cpuMsPerSecond)
      add('memory', 'MB', rssBytes / 1e6)
    },
  }
}
