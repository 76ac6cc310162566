/**
 * The scenarios of real clusters on simulated ones, on the real machines with virtual time: what each figure is at this
 * size and this loss of packets. One cluster for each run, from one seed.
 */
import type { HostPort } from '../../src/address.js'
import { EMPTY_BYTES } from '../../src/bytes.js'
import type { SwimConfig } from '../../src/membership/config.js'
import { Envelope } from '../../src/membership/envelope.js'
import { encodePushPull } from '../../src/membership/wire/encode.js'
import type { PushNodeState } from '../../src/membership/wire/messages.js'
import { Cluster } from '../../test/sim/cluster.js'
import type { Observation } from '../../test/sim/observation.js'
import type { Times } from '../lib/spread.js'

export interface GrowthRun {
  readonly nodes: number
  readonly lossRate: number
  readonly seed: number
  /** Joins with services and a leave; kills. */
  readonly lives: number
  readonly kills: number
  /** Kills, SIGSTOP, and what is sent in quiet for a while: not where loss makes everybody suspect everybody. */
  readonly verdicts: boolean
  /** Halves that bury each other, for which every node has half a cluster of news: not for large ones. */
  readonly halves: boolean
  /** All join through one seed within two seconds: a matter of minutes for a thousand. */
  readonly coldStart: boolean
}

export interface GrowthFigures {
  /** One for each repeat of each event, in order. */
  readonly spreads: readonly { readonly event: string; readonly times: Times }[]
  /** Sent by a node in a second, while nothing happened. */
  readonly quiet: { readonly packets: number; readonly bytes: number }
  /** Members called dead that lived and were reachable, each counted once a minute, and for how many node-hours. */
  readonly falseDeaths: number
  readonly nodeHours: number
  readonly cpuSeconds: number
  readonly rssBytes: number
}

/** From so many nodes on the gossip of their start takes minutes to end. */
const LARGE_FROM = 200
const LARGE_QUEUE = 16
const STARTS_MS = 2_000
const STALL_FACTOR = 1.5
const STALL_MORE_MS = 5_000
const START_LIMIT_MS = 300_000
const NEWS_LIMIT_MS = 120_000
const REST_LIMIT_MS = 60_000
const QUIET_MS = { usual: 20_000, large: 5_000, storm: 500 } as const
/** Accounts of one wrong verdict come from all over the cluster. */
const SAME_DEATH_MS = 60_000

export function runGrowth(run: GrowthRun): GrowthFigures {
  return new Growth(run).measure()
}

class Growth {
  readonly #run: GrowthRun
  #cluster: Cluster
  /** Whom a newcomer asks; the list is read at each try. */
  #seeds: number[] = [0]
  readonly #spreads: { event: string; times: Times }[] = []
  /** Deaths of these are right, or nobody's fault. */
  readonly #gone = new Set<string>()
  readonly #wronged = new Map<string, number>()
  #isCut = false
  #exposedMs = 0
  #falseDeaths = 0

  constructor(run: GrowthRun) {
    this.#run = run
    this.#cluster = this.#makeCluster(0)
  }

  #makeCluster(spare: number, tuning: Partial<SwimConfig> = {}): Cluster {
    const { nodes, seed } = this.#run
    const cluster = new Cluster({ nodes: nodes + spare, seed, tuning, seeds: this.#seeds })
    cluster.watch((seen) => this.#watchDeaths(seen))
    return cluster
  }

  measure(): GrowthFigures {
    const { nodes, lives, kills, verdicts, halves, coldStart } = this.#run
    const before = process.cpuUsage()
    if (coldStart) this.#coldStart(nodes)
    this.#assemble()
    const quiet = this.#quiet()
    for (let i = 0; i < lives; i++) this.#life(nodes + i)
    if (verdicts) {
      for (let i = 0; i < kills; i++) this.#kill(nodes - 1 - i)
      this.#stop(nodes - 1 - kills)
    }
    if (halves) this.#partition()
    const { user, system } = process.cpuUsage(before)
    return {
      spreads: this.#spreads,
      quiet,
      falseDeaths: this.#falseDeaths,
      nodeHours: (nodes * this.#exposedMs) / 3_600_000,
      cpuSeconds: (user + system) / 1e6,
      rssBytes: process.memoryUsage.rss(),
    }
  }

  #coldStart(nodes: number): void {
    this.#expose(() => {
      this.#startAll(nodes)
      const isWhole = (index: number): boolean => this.#sees(index, nodes)
      this.#record('cold start: sees all', this.#until(isWhole, START_LIMIT_MS, 20))
    })
  }

  /** Packets are lost from here to the end of it: each event finds a cluster that is quiet, and its views in order. */
  #expose(during: () => void): void {
    const cluster = this.#cluster
    const startedAt = cluster.now
    cluster.network.conditions.lossRate = this.#run.lossRate
    during()
    cluster.network.conditions.lossRate = 0
    this.#exposedMs += cluster.now - startedAt
  }

  /**
   * A cluster for the events. That a thousand nodes join one after the other costs minutes of processor time: all of a
   * large one are told of all at once, as by one push/pull each, and their queues have room for the gossip of an event.
   */
  #assemble(): void {
    const { nodes, lives } = this.#run
    const isLarge = nodes > LARGE_FROM
    this.#seeds = isLarge ? [] : [0]
    this.#cluster = this.#makeCluster(lives, isLarge ? { queueMax: LARGE_QUEUE } : {})
    this.#startAll(nodes)
    if (isLarge) this.#introduceAll()
    this.#seeds.splice(0, 1, 0)
    const isWhole = (): boolean => this.#cluster.running().every((index) => this.#sees(index, nodes))
    if (this.#cluster.runUntil(isWhole, START_LIMIT_MS, 100) === undefined)
      throw new Error('the nodes do not see each other')
  }

  #introduceAll(): void {
    const cluster = this.#cluster
    const envelope = new Envelope('')
    const from: HostPort = { host: '10.255.255.1', port: 7_946 }
    const records: PushNodeState[] = []
    const ask = encodePushPull({ type: 'pushPull', join: false, nodes: [], userState: EMPTY_BYTES })
    for (const index of cluster.running()) {
      cluster.node(index).accept(ask, from, (reply) => {
        const decoded = envelope.streamDecoder('dialled').push(reply ?? EMPTY_BYTES)
        const name = cluster.nameOf(index)
        if (decoded.done && 'message' in decoded && decoded.message.type === 'pushPull')
          records.push(...decoded.message.nodes.filter((record) => record.name === name))
      })
    }
    const list = encodePushPull({ type: 'pushPull', join: false, nodes: records, userState: EMPTY_BYTES })
    for (const index of cluster.running()) cluster.node(index).accept(list, from, () => {})
  }

  #startAll(nodes: number): void {
    const cluster = this.#cluster
    for (let i = 0; i < nodes; i++)
      cluster.clock.after(i === 0 ? 0 : STARTS_MS * cluster.random(), () => cluster.start(i))
    cluster.run(STARTS_MS)
  }

  #sees(index: number, nodes: number): boolean {
    return this.#cluster.node(index).liveCount === nodes
  }

  #quiet(): GrowthFigures['quiet'] {
    this.#rest()
    const { nodes, verdicts } = this.#run
    const ms = verdicts ? (nodes > LARGE_FROM ? QUIET_MS.large : QUIET_MS.usual) : QUIET_MS.storm
    const { packets, bytes } = this.#cluster.counts
    this.#expose(() => this.#cluster.run(ms))
    const after = this.#cluster.counts
    const nodeSeconds = (nodes * ms) / 1_000
    return { packets: (after.packets - packets) / nodeSeconds, bytes: (after.bytes - bytes) / nodeSeconds }
  }

  #life(index: number): void {
    const cluster = this.#cluster
    const name = cluster.nameOf(index)
    const [news, brought] = [`news-${index}`, `brought-${index}`]
    cluster.provide(index, brought)
    this.#told(
      'join',
      (seen) => isMember(seen, 'join', name),
      () => cluster.start(index),
      index,
    )
    const isService =
      (event: string, service: string) =>
      (seen: Observation): string | undefined =>
        seen.type === 'service' && seen.event === event && seen.service === service ? seen.observer : undefined
    this.#told('service provided', isService('up', news), () => cluster.provide(index, news), index)
    this.#told('service meta changed', isService('update', news), () => cluster.touch(index, news), index)
    this.#told('service paused', isService('down', news), () => cluster.node(index).setStatus(news, 'paused'), index)
    this.#told('service withdrawn', isService('down', brought), () => cluster.withdraw(index, brought), index)
    this.#gone.add(name)
    this.#told(
      'graceful leave',
      (seen) => isMember(seen, 'leave', name),
      () => cluster.leave(index),
      index,
    )
  }

  #kill(index: number): void {
    const cluster = this.#cluster
    const name = cluster.nameOf(index)
    this.#gone.add(name)
    const isDead = (seen: Observation): string | undefined => isMember(seen, 'dead', name)
    this.#told('kill -9: dead', isDead, () => cluster.crash(index, false), index)
  }

  /** Its event loop stands still for so long that all should have called it dead, as they did one that was killed. */
  #stop(index: number): void {
    const cluster = this.#cluster
    const name = cluster.nameOf(index)
    this.#gone.add(name)
    const stallMs = STALL_FACTOR * this.#slowestDeathMs() + STALL_MORE_MS
    const resumedAt = cluster.now + stallMs
    this.#told(
      'SIGSTOP: dead',
      (seen) => isMember(seen, 'dead', name),
      () => cluster.stall(index, stallMs),
      index,
    )
    cluster.run(Math.max(0, resumedAt - cluster.now - 1))
    this.#told(
      'resume: alive again',
      (seen) => isMember(seen, 'join', name),
      () => {},
      index,
      false,
    )
    this.#gone.delete(name)
  }

  #partition(): void {
    const cluster = this.#cluster
    this.#rest()
    const half = (cluster.running().length / 2) | 0
    const left = cluster.running().slice(0, half)
    const total = cluster.running().length
    const isLeft = new Set(left)
    this.#isCut = true
    const exposedMs = this.#exposedMs
    const heal = cluster.partition(left)
    const own = (index: number): number => (isLeft.has(index) ? half : total - half)
    const measure = (event: string, isSo: (index: number) => boolean): void =>
      this.#expose(() => this.#record(event, this.#until(isSo, NEWS_LIMIT_MS, 50)))
    measure('partition: other half dead', (index) => cluster.node(index).liveCount <= own(index))
    heal()
    measure('heal: other half alive', (index) => cluster.node(index).liveCount === total)
    this.#isCut = false
    this.#exposedMs = exposedMs
  }

  /** An event and who hears of it when: `hears` gives the observer of an observation that tells of it. */
  #told(
    event: string,
    hears: (seen: Observation) => string | undefined,
    act: () => void,
    actor: number,
    rested = true,
  ): void {
    const cluster = this.#cluster
    if (rested) this.#rest()
    const observers = cluster.running().filter((index) => index !== actor)
    const at = new Map<string, number>()
    const actAt = cluster.now
    const stop = cluster.watch((seen) => {
      const observer = hears(seen)
      if (observer !== undefined && !at.has(observer)) at.set(observer, seen.at - actAt)
    })
    const names = observers.map((index) => cluster.nameOf(index))
    this.#expose(() => {
      act()
      cluster.runUntil(() => names.every((name) => at.has(name)), NEWS_LIMIT_MS, 20)
    })
    stop()
    this.#record(
      event,
      names.map((name) => at.get(name)),
    )
  }

  /** For each running node the time at which it was first seen to be so. */
  #until(isSo: (index: number) => boolean, limitMs: number, stepMs: number): Times {
    const cluster = this.#cluster
    const startedAt = cluster.now
    const times: (number | undefined)[] = []
    let waiting = cluster.running()
    const look = (): boolean => {
      const still = waiting.filter((index) => !isSo(index))
      for (let i = still.length; i < waiting.length; i++) times.push(cluster.now - startedAt)
      waiting = still
      return waiting.length === 0
    }
    cluster.runUntil(look, limitMs, stepMs)
    return [...times, ...waiting.map(() => undefined)]
  }

  /** Until nobody has anything left to gossip, if that comes soon enough. */
  #rest(): void {
    const cluster = this.#cluster
    const isAtRest = (): boolean =>
      cluster.running().every((index) => {
        const { queued } = cluster.node(index).stats().swim
        return queued.rumours + queued.userMessages === 0
      })
    cluster.runUntil(isAtRest, REST_LIMIT_MS, 200)
  }

  #slowestDeathMs(): number {
    const deaths = this.#spreads.filter(({ event }) => event.startsWith('kill')).flatMap(({ times }) => times)
    return Math.max(...deaths.map((time) => time ?? NEWS_LIMIT_MS))
  }

  #record(event: string, times: Times): void {
    this.#spreads.push({ event, times })
  }

  #watchDeaths(seen: Observation): void {
    if (seen.type !== 'member' || seen.event !== 'dead' || this.#isCut || this.#gone.has(seen.member)) return
    const last = this.#wronged.get(seen.member) ?? Number.NEGATIVE_INFINITY
    if (seen.at - last > SAME_DEATH_MS) this.#falseDeaths++
    this.#wronged.set(seen.member, seen.at)
  }
}

function isMember(seen: Observation, event: string, name: string): string | undefined {
  return seen.type === 'member' && seen.event === event && seen.member === name ? seen.observer : undefined
}
