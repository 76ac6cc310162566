/** One scenario, one seed: the cluster, the standing checkers, and what came of it. */
import {
  deadStayDead,
  incarnationsRise,
  oneIdentityEach,
  ownRecordLives,
  packetsFit,
  tablesBounded,
  theDeadAreSilent,
} from './checkers.js'
import { Cluster } from './cluster.js'
import type { Checker } from './findings.js'
import { FORGED_MEMBERS_MAX, FORGED_QUEUE_MAX } from './forgery.js'
import { SCENARIOS } from './scenarios.js'
import { nothingDropped } from './snapshot-checkers.js'
import { addCounts, type RunCounts } from './tally.js'
import { transitionsLegal } from './transitions.js'

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
  const cluster = new Cluster({ nodes, seed, ...scenario.options?.(seed) })
  const isForged = scenario.isForged?.(seed) ?? false
  const transitions = transitionsLegal()
  const checkers = [transitions, ...(isForged ? checkersDespiteLies() : standingCheckers(cluster))]
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
  // Who moved is heard of at the former address for a while.
  if (!isForged) violations.push(...nothingDropped(cluster.snapshot(), cluster.counts.moves > 0 ? MOVING_DROPS : []))
  const { traceHash: hash, now: virtualMs } = cluster
  const counts = addCounts(cluster.counts, transitions.counts)
  return { ...options, violations, counts, hash, times, virtualMs }
}

/** The command that shows a run again. */
export function replayCommand({ scenario, nodes, seed, loss }: SimulationOptions): string {
  return `npm run sim -- --scenario ${scenario} --nodes ${nodes} --loss ${loss} --seeds 1 --first-seed ${seed}`
}

const MOVING_DROPS = ['address-conflict'] as const
const PACKET_BYTES_MAX = 1_400

/** What holds at every instant, whatever the scenario. */
function standingCheckers(cluster: Cluster): Checker[] {
  const bounds = { members: cluster.size, queued: 2 * cluster.size + 16 }
  return [
    incarnationsRise(),
    oneIdentityEach(),
    deadStayDead(),
    ownRecordLives(),
    theDeadAreSilent(),
    packetsFit(PACKET_BYTES_MAX),
    tablesBounded(bounds),
  ]
}

/** What asks for nobody's honesty. */
function checkersDespiteLies(): Checker[] {
  const bounds = { members: FORGED_MEMBERS_MAX, queued: FORGED_QUEUE_MAX }
  return [
    incarnationsRise({ byOwnerAlone: false }),
    ownRecordLives(),
    theDeadAreSilent(),
    packetsFit(PACKET_BYTES_MAX),
    tablesBounded(bounds),
  ]
}
