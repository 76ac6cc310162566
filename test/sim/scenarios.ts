/**
 * The named stories that a cluster is put through. A scenario says which faults it promises, so that a sweep in which one
 * of them never happened fails; what must hold is stated by checkers.
 */

import { pushPullIntervalMs } from '../../src/membership/scaling.js'
import { suspicionLimits } from '../../src/membership/suspicion.js'
import { leaversAreLeft, nobodyDiesFalsely, nobodySuspected } from './checkers.js'
import type { Cluster, ClusterOptions } from './cluster.js'
import { crashesNoticed, detectionBoundMs } from './detection.js'
import { provideAll, runChaos } from './faults.js'
import type { Checker } from './findings.js'
import { nothingUnderWay, registryAgrees, viewsAgree } from './snapshot-checkers.js'
import { runSwarm, swarmPlan } from './swarm.js'
import type { RunClass } from './tally.js'
import { TRANSITIONS } from './transitions.js'

export interface Run {
  readonly cluster: Cluster
  /** Share of packets lost while the scenario's faults last. */
  readonly lossRate: number
  /** What the scenario found wrong, beside the standing checkers. */
  readonly fail: (violation: string) => void
  /** Times worth knowing, in virtual ms. */
  readonly note: (name: string, ms: number) => void
}

export interface Scenario {
  /** Each of these must have happened in a sweep of it. */
  readonly promises: readonly RunClass[]
  /** How this seed's cluster is set up. */
  readonly options?: (seed: number) => Partial<ClusterOptions>
  /** True for a seed in which packets are forged: only what needs no honesty is demanded then. */
  readonly isForged?: (seed: number) => boolean
  readonly run: (run: Run) => void
}

const JOIN_WITHIN_MS = 1_000
/** Healing tries somebody every few seconds; a push/pull round repairs what that missed. */
const HEAL_LIMIT_MS = 30_000
const QUIET_MS = 10_000
const SPLIT_MS = 300_000
const SPLIT_HEALED_MS = 10_000

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  swarm: {
    promises: [
      ...TRANSITIONS,
      'lost',
      'cut',
      'duplicated',
      'overtaken',
      'silentCrashes',
      'refusingCrashes',
      'restarts',
      'moves',
      'leaves',
      'returns',
      'stalls',
      'overflowed',
      'sleeps',
      'clockStepsBack',
      'clockStepsAhead',
      'raisedBoots',
      'slowLinks',
      'latencySpikes',
      'partitions',
      'oneWayCuts',
      'metaUpdates',
      'forged',
      'refutations',
      'streamFailures',
      'servicesUp',
      'servicesDown',
      'servicesUpdated',
    ],
    options: (seed) => swarmPlan(seed).options,
    isForged: (seed) => swarmPlan(seed).faults.has('forgery'),
    run: swarm,
  },
  chaos: {
    promises: [
      'lost',
      'cut',
      'duplicated',
      'overtaken',
      'crashes',
      'restarts',
      'leaves',
      'stalls',
      'partitions',
      'oneWayCuts',
      'suspects',
      'refutations',
      'deaths',
      'streams',
      'streamFailures',
      'servicesUp',
      'servicesDown',
    ],
    run: chaos,
  },
  calm: { promises: ['packets', 'streams', 'leaves', 'boots', 'servicesUp', 'servicesDown'], run: calm },
  crash: { promises: ['crashes', 'suspects', 'deaths', 'undelivered', 'streamFailures', 'servicesDown'], run: crash },
  partition: { promises: ['partitions', 'cut', 'suspects', 'refutations'], run: partition },
  'long-partition': { promises: ['partitions', 'cut', 'suspects', 'deaths', 'refutations'], run: longPartition },
  split: { promises: ['partitions', 'cut', 'suspects', 'deaths', 'refutations'], run: split },
  stall: { promises: ['stalls', 'suspects', 'refutations'], run: stall },
  'one-way': { promises: ['oneWayCuts', 'cut'], run: oneWay },
  'mass-restart': { promises: ['crashes', 'restarts', 'servicesUp', 'servicesDown'], run: massRestart },
  lossy: { promises: ['lost', 'crashes', 'suspects', 'refutations', 'deaths', 'streamFailures'], run: lossy },
  leave: { promises: ['leaves', 'servicesDown'], run: leave },
}

/** Everybody sees everybody, and all services. Cheap first: views are compared only when the counts are right. */
function isSettled(cluster: Cluster, strictLeft: boolean): boolean {
  const running = cluster.running()
  const services = cluster.providedCount()
  const isWhole = (index: number): boolean =>
    cluster.node(index).liveCount === running.length && cluster.node(index).listedCount === services
  return running.every(isWhole) && troubles(cluster, strictLeft).length === 0
}

function troubles(cluster: Cluster, strictLeft: boolean): string[] {
  const snapshot = cluster.snapshot()
  return [...viewsAgree(snapshot, strictLeft), ...registryAgrees(snapshot)]
}

/** Anti-entropy repairs whatever gossip missed within two of its rounds; suspicions must have run out before. */
function repairBoundMs({ config, size }: Cluster): number {
  return 2 * pushPullIntervalMs(config.pushPullIntervalMs, size) + suspicionLimits(config, size).maxMs + 5_000
}

function settle({ cluster, fail, note }: Run, name: string, strictLeft: boolean = true): void {
  const limitMs = repairBoundMs(cluster)
  const tookMs = cluster.runUntil(() => isSettled(cluster, strictLeft), limitMs, 100)
  if (tookMs !== undefined) note(name, tookMs)
  else for (const trouble of troubles(cluster, strictLeft).slice(0, 5)) fail(`no agreement: ${trouble}`)
}

function judged(run: Run, checkers: readonly Checker[], story: () => void): void {
  const ends = checkers.map((checker) => run.cluster.watch((observation) => checker.observe(observation)))
  story()
  for (const end of ends) end()
  for (const { name, violations } of checkers) for (const violation of violations) run.fail(`${name}: ${violation}`)
}

function assemble(run: Run): void {
  provideAll(run.cluster)
  judged(run, [nobodySuspected()], () => {
    run.cluster.startAll(JOIN_WITHIN_MS)
    run.cluster.run(JOIN_WITHIN_MS)
    settle(run, 'join')
  })
}

/** Nothing is wrong any more, so nothing may go wrong, and all talk ends. */
function stayQuiet(run: Run, strictLeft: boolean = true): void {
  judged(run, [nobodySuspected()], () => run.cluster.run(QUIET_MS))
  for (const trouble of troubles(run.cluster, strictLeft)) run.fail(`after the quiet: ${trouble}`)
  for (const trouble of nothingUnderWay(run.cluster.snapshot())) run.fail(`after the quiet: ${trouble}`)
}

function chaos(run: Run): void {
  const { cluster, lossRate } = run
  const tenth = Math.ceil(cluster.size / 10)
  assemble(run)
  runChaos(cluster, {
    durationMs: 8_000,
    conditions: { lossRate, latencyMs: 1, jitterMs: 20, duplicateRate: 0.02 },
    crashes: tenth + 1, // the seed's, which returns, and others, of which some do not
    leaves: Math.ceil(tenth / 3),
    stalls: tenth,
    partitions: 1,
    oneWayCuts: 2,
    serviceChanges: 2 * tenth,
  })
  settle(run, 'agree after chaos', false)
  fadeOut(run, false)
  stayQuiet(run, false)
}

/**
 * Probes that began under faults still fail after them, and views may agree while an old suspicion of somebody who is long
 * dead still runs: this waits for all of it.
 */
function fadeOut(run: Run, strictLeft: boolean = true): void {
  const { cluster } = run
  cluster.run(cluster.config.awarenessMax * cluster.config.probeIntervalMs)
  const limitMs = suspicionLimits(cluster.config, cluster.size).maxMs
  cluster.runUntil(() => nothingUnderWay(cluster.snapshot()).length === 0, limitMs, 250)
  settle(run, 'last echo', strictLeft)
}

/** Any subset of all faults, then calm. Who lied may have killed for good, so that after lies no agreement is demanded. */
function swarm(run: Run): void {
  const { cluster } = run
  const { faults } = swarmPlan(cluster.seed)
  assemble(run)
  runSwarm(cluster, faults)
  if (faults.has('forgery')) {
    cluster.run(QUIET_MS)
    return
  }
  settle(run, 'agree after the swarm', false)
  fadeOut(run, false)
  stayQuiet(run, false)
}

function calm(run: Run): void {
  const { cluster } = run
  assemble(run)
  judged(run, [nobodySuspected(), leaversAreLeft()], () => {
    cluster.withdraw(0, 'service-0')
    cluster.leave(cluster.size - 1)
    cluster.run(3_000)
    cluster.start(cluster.size - 1)
    cluster.provide(0, 'service-late')
    settle(run, 'return')
    cluster.run(60_000)
  })
  stayQuiet(run)
}

function crash(run: Run): void {
  const { cluster } = run
  const boundMs = detectionBoundMs(cluster.config, cluster.size)
  judged(run, [crashesNoticed(boundMs), nobodyDiesFalsely()], () => {
    assemble(run)
    cluster.crash(cluster.size - 1, cluster.random() < 0.5)
    settle(run, 'crash seen by all')
    cluster.run(boundMs)
  })
  stayQuiet(run)
}

/**
 * Long enough to be suspected, shorter than any suspicion. In a larger cluster a suspect may still not be asked again in
 * time after the heal: it then dies in some views, and its refutation brings it back.
 */
function partition(run: Run): void {
  const { cluster } = run
  assemble(run)
  judged(run, [nobodyDiesFalsely()], () => {
    const half = [...Array(Math.floor(cluster.size / 2)).keys()]
    const heal = cluster.partition(half)
    cluster.run(suspicionLimits(cluster.config, cluster.size).minMs * 0.5)
    heal()
    settle(run, 'heal')
    fadeOut(run)
  })
  stayQuiet(run)
}

/** So long that each half has buried the other, and forgotten to gossip to it: only healing brings them together. */
function longPartition(run: Run): void {
  const { cluster } = run
  assemble(run)
  for (const index of cluster.running()) cluster.node(index).forgetSeeds() // they would bring them together as well
  const heal = cluster.partition([...Array(Math.floor(cluster.size / 2)).keys()])
  cluster.run(suspicionLimits(cluster.config, cluster.size).maxMs + cluster.config.gossipToTheDeadMs + 60_000)
  heal()
  const tookMs = cluster.runUntil(() => isSettled(cluster, true), HEAL_LIMIT_MS, 100)
  if (tookMs === undefined) run.fail(`the halves did not agree again within ${HEAL_LIMIT_MS} ms`)
  else run.note('heal', tookMs)
  fadeOut(run)
  stayQuiet(run)
}

/** Two halves for five minutes, without seeds that would bring them together: all views are equal soon after. */
function split(run: Run): void {
  const { cluster, fail, note } = run
  assemble(run)
  for (const index of cluster.running()) cluster.node(index).forgetSeeds()
  const heal = cluster.partition([...Array(Math.floor(cluster.size / 2)).keys()])
  cluster.run(SPLIT_MS)
  heal()
  const tookMs = cluster.runUntil(() => isSettled(cluster, true), 3 * SPLIT_HEALED_MS, 50)
  if (tookMs === undefined) fail(`the halves did not agree again within ${3 * SPLIT_HEALED_MS} ms`)
  else if (tookMs > SPLIT_HEALED_MS) fail(`the halves agreed again only after ${tookMs} ms`)
  if (tookMs !== undefined) note('heal', tookMs)
}

function stall(run: Run): void {
  const { cluster } = run
  assemble(run)
  judged(run, [nobodyDiesFalsely()], () => {
    const stalled = cluster.pick(cluster.running())
    const ms = suspicionLimits(cluster.config, cluster.size).minMs * 0.9
    const convicts = cluster.watch((observation) => {
      if (observation.type !== 'member' || observation.observer !== cluster.nameOf(stalled)) return
      if (observation.event === 'dead') run.fail(`the stalled ${observation.observer} convicted ${observation.member}`)
    })
    cluster.stall(stalled, ms)
    cluster.run(ms)
    settle(run, 'recovery')
    fadeOut(run)
    convicts()
  })
  stayQuiet(run)
}

/** Two nodes of which one does not hear the other: the rest vouches for both. */
function oneWay(run: Run): void {
  const { cluster } = run
  assemble(run)
  judged(run, [nobodyDiesFalsely()], () => {
    const heal = cluster.cutLink(0, cluster.size - 1)
    cluster.run(30_000)
    heal()
    settle(run, 'heal')
    fadeOut(run)
  })
  stayQuiet(run)
}

/** Every process ends and comes back within ten seconds, as in a rolling deployment in a hurry. */
function massRestart(run: Run): void {
  const { cluster } = run
  assemble(run)
  for (let i = 0; i < cluster.size; i++) {
    cluster.clock.after(8_000 * cluster.random(), () => {
      cluster.crash(i, false)
      cluster.clock.after(2_000 * cluster.random(), () => cluster.start(i))
    })
  }
  cluster.run(10_000)
  settle(run, 'agree after restarts')
  fadeOut(run)
  stayQuiet(run)
}

/** Nothing but loss, and a few crashes in the midst of it. */
function lossy(run: Run): void {
  const { cluster, lossRate } = run
  assemble(run)
  cluster.network.conditions.lossRate = lossRate
  for (let i = 0; i < 3; i++) cluster.crash(cluster.size - 1 - i, true)
  cluster.run(20_000)
  cluster.network.conditions.lossRate = 0
  settle(run, 'agree after loss')
  fadeOut(run)
  stayQuiet(run)
}

function leave(run: Run): void {
  const { cluster } = run
  assemble(run)
  judged(run, [nobodySuspected(), leaversAreLeft()], () => {
    for (let i = 1; i < cluster.size; i += 3) cluster.leave(i)
    cluster.run(100)
    settle(run, 'leave seen by all')
  })
  fadeOut(run)
  stayQuiet(run)
}
