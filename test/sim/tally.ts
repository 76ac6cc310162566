/** What really happened in a run, for the proof that its checks had something to check, and as the trace's fingerprint. */
import type { Observation } from './observation.js'
import { TRANSITIONS, type Transition } from './transitions.js'
import type { NetworkCounts } from './virtual-network.js'

const OWN_CLASSES = [
  'boots',
  'crashes',
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
  'suspects',
  'refutations',
  'deaths',
  /** Deaths of a boot that was running. */
  'falseDeaths',
  'conflicts',
  'servicesUp',
  'servicesDown',
  'servicesUpdated',
] as const

const NETWORK_CLASSES = [
  'packets',
  'bytes',
  'lost',
  'cut',
  'duplicated',
  'undelivered',
  'overtaken',
  'streams',
  'streamBytes',
  'streamFailures',
] as const satisfies readonly (keyof NetworkCounts)[]

export type RunClass = (typeof OWN_CLASSES)[number] | keyof NetworkCounts | Transition

export type RunCounts = Record<RunClass, number>

export function emptyCounts(): RunCounts {
  const classes: readonly RunClass[] = [...NETWORK_CLASSES, ...OWN_CLASSES, ...TRANSITIONS]
  return Object.fromEntries(classes.map((one) => [one, 0])) as RunCounts
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
  readonly #left = new Set<string>()
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
        this.#countBoot(observation.node, observation.boot)
        break
      case 'raised-boot':
        this.counts.raisedBoots++
        this.#running.set(observation.node, observation.boot)
        break
      case 'crash':
        this.counts.crashes++
        this.#running.set(observation.node, '')
        break
      case 'leave':
        this.counts.leaves++
        this.#running.set(observation.node, '')
        this.#left.add(observation.node)
        break
      case 'gone':
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
        if (observation.event === 'update') this.counts.servicesUpdated++
        break
      case 'packet':
        this.fold(observation.bytes)
        break
      case 'stats':
        break
    }
  }

  #countBoot(node: string, boot: string): void {
    this.counts.boots++
    if (this.#running.has(node)) this.counts.restarts++
    if (this.#left.delete(node)) this.counts.returns++
    this.#running.set(node, boot)
  }

  #countOwn({ node, life, incarnation, state }: Observation & { type: 'own' }): void {
    this.fold(incarnation)
    if (this.#firstOwn.has(`${node}/${life}`) && state === 'alive') this.counts.refutations++
    this.#firstOwn.add(`${node}/${life}`)
  }

  #countMember({ event, member, boot, incarnation }: Observation & { type: 'member' }): void {
    this.fold(incarnation)
    this.#foldText(event)
    this.#foldText(member)
    if (event === 'suspect') this.counts.suspects++
    if (event === 'conflict') this.counts.conflicts++
    if (event !== 'dead') return
    this.counts.deaths++
    if (this.#running.get(member) === boot) this.counts.falseDeaths++
  }

  #foldText(text: string): void {
    for (let i = 0; i < text.length; i++) this.fold(text.charCodeAt(i))
  }
}
