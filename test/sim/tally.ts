/** What really happened in a run, for the proof that its checks had something to check, and as the trace's fingerprint. */
import type { Observation } from './observation.js'
import type { NetworkCounts } from './virtual-network.js'

export interface RunCounts extends NetworkCounts {
  boots: number
  crashes: number
  restarts: number
  leaves: number
  stalls: number
  partitions: number
  oneWayCuts: number
  suspects: number
  refutations: number
  deaths: number
  /** Deaths of a boot that was running. */
  falseDeaths: number
  servicesUp: number
  servicesDown: number
}

export type RunClass = keyof RunCounts

export function emptyCounts(): RunCounts {
  return {
    packets: 0,
    bytes: 0,
    lost: 0,
    cut: 0,
    duplicated: 0,
    undelivered: 0,
    overtaken: 0,
    streams: 0,
    streamFailures: 0,
    boots: 0,
    crashes: 0,
    restarts: 0,
    leaves: 0,
    stalls: 0,
    partitions: 0,
    oneWayCuts: 0,
    suspects: 0,
    refutations: 0,
    deaths: 0,
    falseDeaths: 0,
    servicesUp: 0,
    servicesDown: 0,
  }
}

export function addCounts(sum: RunCounts, more: Readonly<Partial<RunCounts>>): RunCounts {
  for (const [key, count] of Object.entries(more)) sum[key as RunClass] += count
  return sum
}

/** The classes that a run promised and that never happened. */
export function missingClasses(counts: RunCounts, promised: readonly RunClass[]): RunClass[] {
  return promised.filter((one) => counts[one] === 0)
}

/** Counts observations, and folds each into a hash: two runs with one hash went the same way. */
export class Tally {
  readonly counts: RunCounts = emptyCounts()
  readonly #running = new Map<string, string>()
  readonly #firstOwn = new Set<string>()
  #hash = 0x811c9dc5

  /** 32 bits over everything that was observed so far. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  fold(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193)
    this.#hash ^= this.#hash >>> 15
  }

  observe(observation: Observation): void {
    this.fold(observation.at * 1_024)
    switch (observation.type) {
      case 'boot':
        this.counts.boots++
        if (this.#running.has(observation.node)) this.counts.restarts++
        this.#running.set(observation.node, observation.boot)
        break
      case 'crash':
        this.counts.crashes++
        this.#running.set(observation.node, '')
        break
      case 'leave':
        this.counts.leaves++
        this.#running.set(observation.node, '')
        break
      case 'own':
        this.#countOwn(observation)
        break
      case 'member':
        this.#countMember(observation)
        break
      case 'service':
        this.#foldText(observation.service)
        if (observation.event === 'up') this.counts.servicesUp++
        if (observation.event === 'down') this.counts.servicesDown++
        break
      case 'packet':
        this.fold(observation.bytes)
        break
      case 'stats':
        break
    }
  }

  #countOwn({ boot, incarnation, state }: Observation & { type: 'own' }): void {
    this.fold(incarnation)
    if (this.#firstOwn.has(boot) && state === 'alive') this.counts.refutations++
    this.#firstOwn.add(boot)
  }

  #countMember({ event, member, boot, incarnation }: Observation & { type: 'member' }): void {
    this.fold(incarnation)
    this.#foldText(event)
    this.#foldText(member)
    if (event === 'suspect') this.counts.suspects++
    if (event !== 'dead') return
    this.counts.deaths++
    if (this.#running.get(member) === boot) this.counts.falseDeaths++
  }

  #foldText(text: string): void {
    for (let i = 0; i < text.length; i++) this.fold(text.charCodeAt(i))
  }
}
