/** One scenario, one seed: the cluster, the standing checkers, and what came of it. */
import { type Checker, deadStayDead, incarnationsRise, ownRecordLives, packetsFit, tablesBounded } from './checkers.js'
import { Cluster } from './cluster.js'
import { SCENARIOS } from './scenarios.js'
import { nothingDropped } from './snapshot-checkers.js'
import type { RunCounts } from './tally.js'

export interface SimulationOptions {
  readonly scenario: string
  readonly nodes: number
  readonly seed: number
  /** Loss while the scenario's faults last. */
  readonly loss: number
}

export interface SimulationResult extends SimulationOptions {
  readonly violations: readonly string[]
  readonly counts: RunCounts
  readonly hash: string
  /** Times worth knowing, in virtual ms. */
  readonly times: Readonly<Record<string, number>>
  readonly virtualMs: number
}

export function simulate(options: SimulationOptions): SimulationResult {
  const { nodes, seed, loss } = options
  const scenario = SCENARIOS[options.scenario]
  if (scenario === undefined) {
    throw new Error(`no scenario '${options.scenario}'; there are ${Object.keys(SCENARIOS).join(', ')}`)
  }
  const cluster = new Cluster({ nodes, seed })
  const checkers = standingCheckers(cluster)
  for (const checker of checkers) cluster.watch((observation) => checker.observe(observation))
  const violations: string[] = []
  const times: Record<string, number> = {}
  scenario.run({
    cluster,
    lossRate: loss,
    fail: (violation) => violations.push(violation),
    note: (name, ms) => {
      times[name] = ms
    },
  })
  for (const { name, violations: found } of checkers) violations.push(...found.map((one) => `${name}: ${one}`))
  violations.push(...nothingDropped(cluster.snapshot()))
  const { counts, traceHash: hash, now: virtualMs } = cluster
  return { ...options, violations, counts, hash, times, virtualMs }
}

/** The command that shows a run again. */
export function replayCommand({ scenario, nodes, seed, loss }: SimulationOptions): string {
  return `npm run sim -- --scenario ${scenario} --nodes ${nodes} --loss ${loss} --seeds 1 --first-seed ${seed}`
}

/** What holds at every instant, whatever the scenario. */
function standingCheckers(cluster: Cluster): Checker[] {
  const bounds = { members: cluster.size, queued: 2 * cluster.size + 16 }
  return [incarnationsRise(), deadStayDead(), ownRecordLives(), packetsFit(1_400), tablesBounded(bounds)]
}
