/** What a test network does to its traffic, and which ways are cut: decides for each packet, and carries none. */
import type { Random } from '../random.js'

export interface Conditions {
  latencyMs: number
  /** Up to so much is added to the latency of each packet, so that later ones overtake earlier ones. */
  jitterMs: number
  /** Share of the datagrams, and of the segments of streams, that are lost. */
  loss: number
}

export type Passage = 'passes' | 'lost' | 'cut'

type Cut = (from: string, to: string) => boolean

export class Roads {
  readonly conditions: Conditions
  readonly #random: Random
  readonly #cuts: Cut[] = []

  constructor(conditions: Conditions, random: Random) {
    this.conditions = conditions
    this.#random = random
  }

  /** Nothing passes from these addresses to those; the other way stays open. */
  cut(from: ReadonlySet<string>, to: ReadonlySet<string>): void {
    this.#cuts.push((source, target) => from.has(source) && to.has(target))
  }

  /** Nothing passes between the groups; addresses in none of them, now or later, are one more group. */
  partition(groups: readonly ReadonlySet<string>[]): void {
    const groupOf = (address: string): number => groups.findIndex((group) => group.has(address))
    this.#cuts.push((from, to) => groupOf(from) !== groupOf(to))
  }

  heal(): void {
    this.#cuts.length = 0
  }

  isCut(from: string, to: string): boolean {
    return from !== to && this.#cuts.some((cut) => cut(from, to))
  }

  /** What happens to one packet. Within a host nothing does. */
  pass(from: string, to: string): Passage {
    if (from === to) return 'passes'
    if (this.isCut(from, to)) return 'cut'
    const { loss } = this.conditions
    return loss > 0 && this.#random() < loss ? 'lost' : 'passes'
  }

  delayMs(from: string, to: string): number {
    const { latencyMs, jitterMs } = this.conditions
    if (from === to) return 0
    return jitterMs === 0 ? latencyMs : latencyMs + jitterMs * this.#random()
  }
}
