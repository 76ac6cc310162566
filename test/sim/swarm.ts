/**
 * Swarm testing: each seed enables a random subset of all fault kinds, so that rare combinations come up and no kind
 * hides another one's work. Draws the plan, and puts its faults on the cluster's clock; what must hold is judged
 * elsewhere. Every fault has ended when `runSwarm` returns.
 */
import { type Random, randomInt, seededRandom, shuffle } from '../../src/random.js'
import type { Cluster, ClusterOptions } from './cluster.js'
import { FORGED_MEMBERS_MAX, FORGED_QUEUE_MAX, forgedPacket } from './forgery.js'

/** The share of seeds that enable each kind. */
const FAULTS = {
  loss: 0.5,
  duplication: 0.4,
  reordering: 0.4,
  spike: 0.3,
  slowLink: 0.3,
  partition: 0.4,
  oneWay: 0.4,
  crash: 0.5,
  restart: 0.5,
  massRestart: 0.15,
  move: 0.3,
  clock: 0.3,
  pause: 0.4,
  squeeze: 0.25,
  sleep: 0.3,
  leave: 0.4,
  return: 0.4,
  meta: 0.4,
  services: 0.6,
  /** The dead are forgotten within the run. */
  reap: 0.2,
  forgery: 0.1,
} as const

export type Fault = keyof typeof FAULTS

const ALL = Object.keys(FAULTS) as readonly Fault[]
const DURATION_MS = 30_000
/** No fault begins later, and none lasts beyond the end. */
const LAST_START_MS = 25_000
const SERVICES = 6
const REAP_MS = 12_000
/** Long enough for old rumours to meet the new owner of a name, short enough to happen within the run. */
const RECLAIM_MS = 8_000

export interface SwarmPlan {
  readonly faults: ReadonlySet<Fault>
  readonly options: Pick<ClusterOptions, 'tuning' | 'everyChange' | 'statsIntervalMs' | 'seeds'>
}

/** The same for the same seed, whatever the cluster does. */
export function swarmPlan(seed: number): SwarmPlan {
  const random = seededRandom(seed ^ 0x0005_7a12)
  const faults = new Set(ALL.filter((fault) => random() < FAULTS[fault]))
  const tuning = {
    deadNodeReclaimMs: RECLAIM_MS,
    ...(faults.has('reap') ? { reapAfterMs: REAP_MS } : {}),
    ...(faults.has('forgery') ? { memberMax: FORGED_MEMBERS_MAX, queueMax: FORGED_QUEUE_MAX } : {}),
  }
  return { faults, options: { tuning, everyChange: true, statsIntervalMs: 250, seeds: [0, 1] } }
}

/** Two of its seeds always run in the end; of the others some stay away. */
export function runSwarm(cluster: Cluster, faults: ReadonlySet<Fault>): void {
  const schedule = new Schedule(cluster, faults)
  for (const fault of ALL) if (faults.has(fault)) STORIES[fault](schedule)
  cluster.run(DURATION_MS)
  schedule.end()
}

class Schedule {
  readonly cluster: Cluster
  readonly faults: ReadonlySet<Fault>
  readonly random: Random
  readonly #endsAt: number
  readonly #calm: Cluster['network']['conditions']
  readonly #healers: (() => void)[] = []

  constructor(cluster: Cluster, faults: ReadonlySet<Fault>) {
    this.cluster = cluster
    this.faults = faults
    this.random = cluster.random
    this.#endsAt = cluster.now + DURATION_MS
    this.#calm = { ...cluster.network.conditions }
  }

  get conditions(): Cluster['network']['conditions'] {
    return this.cluster.network.conditions
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.random()
  }

  pick<T>(items: readonly T[]): T {
    return items[randomInt(this.random, items.length)] as T
  }

  /** At `countMin` to `countMax` random instants. */
  sometimes(countMin: number, countMax: number, run: () => void): void {
    const count = countMin + randomInt(this.random, countMax - countMin + 1)
    for (let i = 0; i < count; i++) this.cluster.clock.after(this.random() * LAST_START_MS, run)
  }

  /** A duration that ends before the run does. */
  lasting(leastMs: number, mostMs: number): number {
    return Math.min(this.between(leastMs, mostMs), Math.max(0, this.#endsAt - 100 - this.cluster.now))
  }

  /** Runs `heal` after a while, and at the latest at the end. */
  until(heal: () => void, leastMs: number, mostMs: number): void {
    this.#healers.push(heal)
    this.cluster.clock.after(this.lasting(leastMs, mostMs), heal)
  }

  someone(): number {
    const running = this.cluster.running()
    return running.length === 0 ? 0 : this.cluster.pick(running)
  }

  some(): number[] {
    const all = shuffle([...Array(this.cluster.size).keys()], this.random)
    return all.slice(0, 1 + randomInt(this.random, this.cluster.size - 1))
  }

  /** Its next life begins as soon as this one is over. */
  startWhenGone(index: number, prepare: () => void = () => {}): void {
    const { cluster } = this
    if (cluster.isRunning(index)) cluster.clock.after(50, () => this.startWhenGone(index, prepare))
    else {
      prepare()
      cluster.start(index)
    }
  }

  crashAndReturn(index: number, downMs: number, prepare: () => void = () => {}): void {
    this.cluster.crash(index, this.random() < 0.5)
    this.cluster.clock.after(downMs, () => this.startWhenGone(index, prepare))
  }

  end(): void {
    const { cluster, random } = this
    for (const heal of this.#healers) heal()
    Object.assign(this.conditions, this.#calm)
    for (let i = 0; i < cluster.size; i++) if (!cluster.isRunning(i) && (i < 2 || random() < 0.5)) cluster.start(i)
  }
}

const STORIES: Readonly<Record<Fault, (schedule: Schedule) => void>> = {
  loss: (s) => {
    s.conditions.lossRate = s.pick([0.02, 0.1, 0.2, 0.3, 0.4])
  },
  duplication: (s) => {
    s.conditions.duplicateRate = s.between(0.02, 0.2)
  },
  reordering: (s) => {
    s.conditions.jitterMs = s.between(20, 400)
  },
  spike: (s) =>
    s.sometimes(1, 3, () => {
      const { latencyMs } = s.conditions
      s.cluster.countSpike()
      s.conditions.latencyMs = s.between(200, 900)
      s.until(() => Object.assign(s.conditions, { latencyMs }), 500, 4_000)
    }),
  slowLink: (s) => s.sometimes(1, 2, () => s.until(s.cluster.slowDown(s.someone(), s.between(50, 700)), 1_000, 10_000)),
  partition: (s) => s.sometimes(1, 2, () => s.until(s.cluster.partition(s.some()), 1_000, 20_000)),
  oneWay: (s) => s.sometimes(1, 3, () => s.until(cutSomething(s), 1_000, 20_000)),
  crash: (s) => s.sometimes(1, 3, () => s.cluster.crash(s.someone(), s.random() < 0.5)),
  restart: (s) => s.sometimes(1, 3, () => s.crashAndReturn(s.someone(), s.lasting(0, s.pick([100, 2_000, 15_000])))),
  massRestart: (s) =>
    s.sometimes(1, 1, () => {
      for (const index of s.cluster.running())
        s.cluster.clock.after(s.lasting(0, 3_000), () => s.crashAndReturn(index, s.lasting(0, 2_000)))
    }),
  move: (s) =>
    s.sometimes(1, 2, () => {
      const index = s.someone()
      const move = (): void => s.cluster.move(index)
      if (s.random() < 0.5) s.crashAndReturn(index, s.lasting(0, 15_000), move)
      else {
        s.cluster.leave(index)
        s.startWhenGone(index, move)
      }
    }),
  clock: (s) =>
    s.sometimes(1, 2, () => {
      const index = s.someone()
      const stepMs = s.pick([-3_600_000, -30_000, -1_500, -400, 400, 30_000, 3_600_000])
      s.crashAndReturn(index, s.lasting(0, s.pick([100, 8_000])), () => s.cluster.stepClock(index, stepMs))
    }),
  pause: (s) => s.sometimes(1, 3, () => s.cluster.stall(s.someone(), s.lasting(100, s.pick([1_000, 12_000])))),
  squeeze: (s) =>
    s.sometimes(1, 2, () => s.cluster.stall(s.someone(), s.lasting(500, 6_000), 1 + randomInt(s.random, 16))),
  sleep: (s) =>
    s.sometimes(1, 2, () => {
      const kind = s.pick(['clock-jumps', 'clock-stands'] as const)
      const sleepers = s.random() < 0.3 ? s.cluster.running() : [s.someone()]
      const ms = s.lasting(500, 20_000)
      for (const index of sleepers) s.cluster.sleep(index, Math.max(0, ms - 50 * s.random()), kind)
    }),
  leave: (s) => s.sometimes(1, 2, () => s.cluster.leave(s.someone())),
  return: (s) =>
    s.sometimes(1, 2, () => {
      const index = s.someone()
      s.cluster.leave(index)
      s.cluster.clock.after(s.lasting(0, 5_000), () => s.startWhenGone(index))
    }),
  meta: (s) =>
    s.sometimes(2, 8, () => s.cluster.setTag(s.someone(), s.pick(['zone', 'load']), String(randomInt(s.random, 100)))),
  services: (s) => s.sometimes(4, 16, () => changeService(s)),
  reap: () => {}, // a setting
  forgery: (s) => s.sometimes(50, 250, () => forge(s)),
}

function cutSomething({ cluster, random }: Schedule): () => void {
  return random() < 0.5
    ? cluster.cutOneWay([randomInt(random, cluster.size)], random() < 0.5)
    : cluster.cutLink(randomInt(random, cluster.size), randomInt(random, cluster.size))
}

function changeService(schedule: Schedule): void {
  const { cluster, random } = schedule
  const index = schedule.someone()
  const service = `service-${randomInt(random, SERVICES)}`
  const kind = random()
  if (kind < 0.35) cluster.provide(index, service)
  else if (kind < 0.65) cluster.withdraw(index, service)
  else cluster.touch(index, service)
}

function forge(schedule: Schedule): void {
  const { cluster, random } = schedule
  const witness = schedule.someone()
  const members = cluster.isRunning(witness) ? cluster.node(witness).members() : []
  cluster.inject(randomInt(random, cluster.size), forgedPacket({ random, members }))
}
