/**
 * All that is known of one life (boot) of one node: its records and the rev up to which they are complete. The state is a
 * function of the rev alone, so taking in messages is a join: order, repetition and loss do not matter to its end.
 * Knows neither membership nor who listens.
 */
import { revHash, type SetHash } from './content-hash.js'
import type { Change, RecordSet } from './messages.js'
import { type Instance, RECORD_LIMITS, type RegistryRecord } from './record.js'

/** What became of news: `gap` means that revs in between are missing, `too-large` that its owner broke the limits. */
export type Applied =
  | { readonly outcome: 'advanced'; readonly touched: readonly string[] }
  | { readonly outcome: 'stale' | 'gap' | 'too-large' }

/** A record and, once someone asked, its public face. */
export interface HeldRecord {
  readonly record: RegistryRecord
  instance: Instance | undefined
}

const STALE: Applied = { outcome: 'stale' }
const GAP: Applied = { outcome: 'gap' }
const TOO_LARGE: Applied = { outcome: 'too-large' }

export class NodeRecords {
  readonly node: string
  readonly bootId: string
  readonly #held = new Map<string, HeldRecord>()
  #rev = 0
  #heardRev = 0
  #weight = 0
  #hash: SetHash | undefined

  constructor(node: string, bootId: string) {
    this.node = node
    this.bootId = bootId
  }

  /** Every change up to here is in, none after it. */
  get rev(): number {
    return this.#rev
  }

  get weight(): number {
    return this.#weight
  }

  /** Of node, boot and rev, made once for each rev: thousands are compared every few seconds. */
  get hash(): SetHash {
    this.#hash ??= revHash(this)
    return this.#hash
  }

  /** Someone spoke of a later rev than we hold. */
  get isBehind(): boolean {
    return this.#heardRev > this.#rev
  }

  get(service: string): HeldRecord | undefined {
    return this.#held.get(service)
  }

  services(): IterableIterator<string> {
    return this.#held.keys()
  }

  all(): IterableIterator<HeldRecord> {
    return this.#held.values()
  }

  /** Remembers that the owner has got to `rev`; true when that is later than all we knew. */
  hear(rev: number): boolean {
    if (rev <= this.#rev || rev <= this.#heardRev) return false
    this.#heardRev = rev
    return true
  }

  /** Advances from any rev at or above the change's base. */
  applyChange(change: Change): Applied {
    if (change.rev <= this.#rev) return STALE
    if (change.base > this.#rev) return GAP
    const news = change.records.filter((record) => record.rev > this.#rev)
    const gone = change.removed.filter((removal) => removal.rev > this.#rev && this.#held.has(removal.service))
    return this.#commit(
      change.rev,
      news,
      gone.map((removal) => removal.service),
    )
  }

  /** A full set replaces everything at or below its rev. */
  applySet(set: Pick<RecordSet, 'rev' | 'records'>): Applied {
    if (set.rev <= this.#rev) return STALE
    const kept = new Set(set.records.map((record) => record.service))
    const news = set.records.filter((record) => record.rev !== this.#held.get(record.service)?.record.rev)
    const gone = [...this.#held.keys()].filter((service) => !kept.has(service))
    return this.#commit(set.rev, news, gone)
  }

  toSet(): RecordSet {
    const records = Array.from(this.#held.values(), (held) => held.record)
    return { node: this.node, bootId: this.bootId, rev: this.#rev, records }
  }

  #commit(rev: number, news: readonly RegistryRecord[], gone: readonly string[]): Applied {
    let weight = this.#weight
    let count = this.#held.size - gone.length
    for (const service of gone) weight -= this.#weightOf(service)
    for (const record of news) {
      weight += record.weight - this.#weightOf(record.service)
      if (!this.#held.has(record.service)) count++
    }
    if (weight > RECORD_LIMITS.nodeWeightMax || count > RECORD_LIMITS.servicesPerNodeMax) return TOO_LARGE
    for (const service of gone) this.#held.delete(service)
    for (const record of news) this.#held.set(record.service, { record, instance: undefined })
    this.#weight = weight
    this.#rev = rev
    this.#hash = undefined
    return { outcome: 'advanced', touched: [...gone, ...news.map((record) => record.service)] }
  }

  #weightOf(service: string): number {
    return this.#held.get(service)?.record.weight ?? 0
  }
}
