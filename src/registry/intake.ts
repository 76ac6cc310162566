/**
 * Takes in what others say of nodes' records, by whichever way it came, and notices what gossip must have lost: a peer
 * that lacks our latest, or news of an owner that came by a push/pull alone. Both make the owner tell it once more, so
 * that everybody has it within a second and not only those who compared.
 */
import { unreachable } from '../errors.js'
import type { Verdict } from '../membership/payload.js'
import type { ClusterView } from './cluster-view.js'
import type { DropCounts } from './drops.js'
import type { Change, DigestEntry, RecordSet } from './messages.js'
import type { NodeRecords } from './node-records.js'

export interface IntakeParts {
  /** Our own records as they are now. */
  readonly own: () => NodeRecords
  readonly view: ClusterView
  readonly drops: DropCounts
  /** Gossip our latest change once more. */
  readonly repeat: () => void
  /** Tell this owner that we were at this rev and missed what it said since. */
  readonly tellMissed: (entry: DigestEntry) => void
}

export const NOT_FRESH: Verdict = { fresh: false }

/** More owners' news in one exchange are no lost gossip but a join or a healed partition. */
const MISSED_MAX = 4
/** Times that others may make us repeat ourselves between two ticks. */
const REPEATS_MAX = 4

export class Intake {
  readonly #parts: IntakeParts
  #rivalBootId: string | undefined
  #repeats = 0

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  get rivalBootId(): string | undefined {
    return this.#rivalBootId
  }

  /** Our boot id is now this. */
  handleOwnBoot(bootId: string): void {
    if (this.#rivalBootId !== undefined && this.#rivalBootId <= bootId) this.#rivalBootId = undefined
  }

  handleTick(): void {
    this.#repeats = 0
  }

  takeChange(change: DigestEntry & Change): Verdict {
    const { view, drops } = this.#parts
    const records = this.#recordsFor(change)
    if (records === undefined) return NOT_FRESH
    const applied = records.applyChange(change)
    switch (applied.outcome) {
      case 'advanced':
        view.touch(records, applied.touched)
        return fresh(change.node)
      case 'gap':
        drops.gap++
        return this.#hear(records, change)
      case 'stale':
        drops.stale++
        return NOT_FRESH
      case 'too-large':
        drops.tooLarge++
        return NOT_FRESH
      default:
        return unreachable(applied)
    }
  }

  takeAnnounce(entry: DigestEntry): Verdict {
    const records = this.#recordsFor(entry)
    return records === undefined ? NOT_FRESH : this.#hear(records, entry)
  }

  takeSets(sets: readonly RecordSet[]): void {
    const { view, drops, tellMissed } = this.#parts
    const missed: DigestEntry[] = []
    for (const set of sets) {
      const records = this.#recordsFor(set)
      if (records === undefined) continue
      const { node, bootId, rev, isBehind } = records
      const applied = records.applySet(set)
      if (applied.outcome === 'too-large') drops.tooLarge++
      if (applied.outcome !== 'advanced') continue
      view.touch(records, applied.touched)
      // Had we been behind, gossip would have told us so, and there is nothing to repeat.
      if (!isBehind && view.isShown(records)) missed.push({ node, bootId, rev })
    }
    if (missed.length <= MISSED_MAX) for (const entry of missed) tellMissed(entry)
  }

  /**
   * A peer that lacks our latest shows that gossip of it did not get around: it was sent into an empty cluster before a
   * join, or into a partition. Told once more it reaches everybody at once; push/pull alone would take minutes.
   */
  takeDigest(digest: readonly DigestEntry[]): void {
    const { own, repeat } = this.#parts
    const { node, bootId, rev } = own()
    let known: DigestEntry | undefined
    for (const entry of digest) {
      if (entry.node !== node) continue
      known = entry
      this.#meetRival(entry.bootId)
    }
    if (rev === 0) return
    if (known === undefined || (known.bootId <= bootId && (known.bootId < bootId || known.rev < rev))) repeat()
  }

  takeMissed(entry: DigestEntry): void {
    const { node, bootId, rev } = this.#parts.own()
    if (entry.node !== node || entry.bootId !== bootId || entry.rev >= rev || this.#repeats >= REPEATS_MAX) return
    this.#repeats++
    this.#parts.repeat()
  }

  /** Passed on once though it cannot be used here: others may hold what we lack. */
  #hear(records: NodeRecords, entry: DigestEntry): Verdict {
    if (!records.hear(entry.rev)) return NOT_FRESH
    this.#parts.view.touch(records, [])
    this.#parts.view.askIfBehind(entry.node)
    return fresh(entry.node)
  }

  #recordsFor(entry: DigestEntry): NodeRecords | undefined {
    const { own, view, drops } = this.#parts
    if (entry.node === own().node) {
      this.#meetRival(entry.bootId)
      drops.own++
      return undefined
    }
    const records = view.recordsFor(entry.node, entry.bootId)
    if (records === undefined) drops.stale++
    return records
  }

  #meetRival(bootId: string): void {
    if (bootId > (this.#rivalBootId ?? this.#parts.own().bootId)) this.#rivalBootId = bootId
  }
}

/** One queued message per node: a newer one stands in for the older. */
export function broadcastKey(node: string): string {
  return `registry/${node}`
}

function fresh(node: string): Verdict {
  return { fresh: true, key: broadcastKey(node) }
}
