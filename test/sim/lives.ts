/**
 * Simulated processes of any name at any address, with clocks of their own: for what happens to one name over several
 * lives. Decides nothing; a test starts, kills and cuts, and looks at everyone's view.
 */
import { formatHostPort, type HostPort } from '../../src/address.js'
import { resolveSwimConfig, type SwimConfig } from '../../src/membership/config.js'
import type { Notice } from '../../src/membership/effects.js'
import { Envelope } from '../../src/membership/envelope.js'
import { type Random, seededRandom } from '../../src/random.js'
import { EventQueue } from '../../src/testing/event-queue.js'
import type { Observation } from './observation.js'
import { SimNode } from './sim-node.js'
import { type Conditions, VirtualNetwork } from './virtual-network.js'

const EPOCH_MS = 1_767_225_600_000
const CALM: Conditions = { lossRate: 0, latencyMs: 0.5, jitterMs: 1, duplicateRate: 0 }

export interface LifeOptions {
  /** The last number of its host; each has its own. */
  readonly host: number
  readonly seeds?: readonly Life[]
  /** How far its wall clock is ahead of the others'. */
  readonly clockMs?: number
}

/** One process from its start to its end. */
export class Life {
  readonly name: string
  readonly address: HostPort
  readonly node: SimNode
  readonly notices: Notice[] = []
  ended = false

  constructor(name: string, address: HostPort, create: (life: Life) => SimNode) {
    this.name = name
    this.address = address
    this.node = create(this)
  }

  get at(): string {
    return formatHostPort(this.address)
  }

  outcomes(): string[] {
    return this.notices.flatMap((notice) => (notice.kind === 'name-settled' ? [notice.outcome] : []))
  }
}

export class Lives {
  readonly clock: EventQueue = new EventQueue()
  readonly network: VirtualNetwork
  readonly config: SwimConfig
  readonly random: Random
  readonly observations: Observation[] = []
  readonly all: Life[] = []
  readonly #seed: number
  readonly #envelope = new Envelope('')

  constructor(seed: number, tuning: Partial<SwimConfig> = {}) {
    this.#seed = seed
    this.random = seededRandom(seed)
    this.config = resolveSwimConfig('lan', tuning)
    const random = seededRandom(seed ^ 0x5eed_0001)
    this.network = new VirtualNetwork({ clock: this.clock, random, conditions: CALM, onPacket: () => {} })
  }

  /** Starts a process. One that loses its name leaves, as the node does. */
  start(name: string, { host, seeds = [], clockMs = 0 }: LifeOptions): Life {
    const address = { host: `10.0.0.${host}`, port: 7_946 }
    const life = new Life(name, address, (self) => this.#create(self, seeds, EPOCH_MS + clockMs))
    this.all.push(life)
    life.node.start()
    return life
  }

  /** So many nodes with the first as everybody's seed, settled. */
  form(count: number): Life[] {
    const lives = [this.start('n0', { host: 1 })]
    const [first] = lives as [Life]
    for (let i = 1; i < count; i++) lives.push(this.start(`n${i}`, { host: i + 1, seeds: [first] }))
    this.run(3_000)
    return lives
  }

  crash(life: Life, silently: boolean = true): void {
    life.ended = true
    life.node.crash(silently)
  }

  running(): Life[] {
    return this.all.filter(({ ended }) => !ended)
  }

  run(ms: number): void {
    this.clock.runUntil(this.clock.now + ms)
  }

  /** Virtual ms until it is true for all that run; undefined when `limitMs` were not enough. */
  runUntil(isTrue: (life: Life) => boolean, limitMs: number, stepMs: number = 10): number | undefined {
    const startedAt = this.clock.now
    while (!this.running().every(isTrue)) {
      if (this.clock.now - startedAt >= limitMs) return undefined
      this.run(stepMs)
    }
    return this.clock.now - startedAt
  }

  /** Two sides that do not hear each other until the returned function is called. */
  cut(side: readonly Life[]): () => void {
    const inside = new Set(side.map(({ at }) => at))
    const outside = this.all.map(({ at }) => at).filter((at) => !inside.has(at))
    const healers = [this.network.cut(inside, outside), this.network.cut(outside, inside)]
    return () => {
      for (const heal of healers) heal()
    }
  }

  /** What this observer was told of a member, in order. */
  events(observer: Life, member: string): string[] {
    return this.observations.flatMap((seen) => {
      if (seen.type !== 'member' || seen.observer !== observer.name || seen.observerBoot !== observer.node.boot)
        return []
      return seen.member === member ? [seen.event] : []
    })
  }

  #create(life: Life, seeds: readonly Life[], wallOffsetMs: number): SimNode {
    return new SimNode({
      name: life.name,
      address: life.address,
      seeds: () => seeds.map(({ at }) => at),
      config: this.config,
      envelope: this.#envelope,
      clock: this.clock,
      network: this.network,
      random: seededRandom((this.#seed * 1_000_003 + this.all.length * 1_009 + 7) | 0),
      wallOffsetMs: () => wallOffsetMs,
      life: this.all.length,
      observe: (observation) => {
        if (observation.type !== 'packet') this.observations.push(observation)
      },
      onNotice: (notice) => {
        life.notices.push(notice)
        if (notice.kind === 'name-settled' && notice.outcome === 'lost') this.#yield(life, notice.accepted)
      },
      onGone: () => {
        life.ended = true
      },
    })
  }

  /** A node that nobody took in ends without a word; another one leaves. */
  #yield(life: Life, accepted: boolean): void {
    this.clock.after(0, () => {
      if (accepted) life.node.leave()
      else this.crash(life, false)
    })
  }
}
