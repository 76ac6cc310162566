/**
 * Records of boots that membership does not show (yet): gossip of a service may overtake that of its node. One boot per
 * node, the newest; bounded in nodes and bytes, and the oldest is given up first. Push/pull brings back what was given up.
 */
import { NodeRecords } from './node-records.js'

export interface EarlyLimits {
  readonly nodesMax: number
  readonly weightMax: number
}

interface Waiting {
  readonly records: NodeRecords
  /** Its share of the table's total when last settled. */
  weight: number
}

export class EarlyTable {
  readonly #limits: EarlyLimits
  readonly #waiting = new Map<string, Waiting>()
  #weight = 0
  #evictedCount = 0

  constructor(limits: EarlyLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Nodes given up so far. */
  get evictedCount(): number {
    return this.#evictedCount
  }

  get(node: string): NodeRecords | undefined {
    return this.#waiting.get(node)?.records
  }

  /** Where news of this boot belong; a newer boot replaces an older one, for an older one there is `undefined`. */
  open(node: string, bootId: string): NodeRecords | undefined {
    const present = this.get(node)
    if (present !== undefined && present.bootId >= bootId) return present.bootId === bootId ? present : undefined
    const records = new NodeRecords(node, bootId)
    this.keep(records)
    return records
  }

  /** Takes in records of a boot, unless it has those of a newer one. */
  keep(records: NodeRecords): void {
    const present = this.get(records.node)
    if (present !== undefined && present.bootId > records.bootId) return
    this.remove(records.node)
    this.#waiting.set(records.node, { records, weight: 0 })
    this.settle(records)
  }

  /** Membership shows this boot: hands out what waited for it, and forgets what is older. */
  claim(node: string, bootId: string): NodeRecords | undefined {
    const present = this.get(node)
    if (present === undefined || present.bootId > bootId) return undefined
    this.remove(node)
    return present.bootId === bootId ? present : undefined
  }

  remove(node: string): void {
    this.#weight -= this.#waiting.get(node)?.weight ?? 0
    this.#waiting.delete(node)
  }

  /** To be called when records in the table may have grown. */
  settle(records: NodeRecords): void {
    const waiting = this.#waiting.get(records.node)
    if (waiting?.records !== records) return
    this.#weight += records.weight - waiting.weight
    waiting.weight = records.weight
    this.#evict()
  }

  values(): NodeRecords[] {
    return Array.from(this.#waiting.values(), (waiting) => waiting.records)
  }

  /** Gives up the oldest until the limits hold. */
  #evict(): void {
    for (const node of this.#waiting.keys()) {
      if (this.#waiting.size <= this.#limits.nodesMax && this.#weight <= this.#limits.weightMax) break
      this.remove(node)
      this.#evictedCount++
    }
  }
}
