/**
 * Anti-entropy arithmetic: what a peer lacks, given its digest. Bounded by a budget; what did not fit shows as lacking
 * again in the next push/pull.
 */
import type { DigestEntry, RecordSet } from './messages.js'
import type { NodeRecords } from './node-records.js'

// A set's own fields, so that a million empty sets are not free.
const SET_OVERHEAD = 64

export function digestOf(records: NodeRecords): DigestEntry {
  return { node: records.node, bootId: records.bootId, rev: records.rev }
}

/** Sets of which the digest shows nothing, an older boot or an older rev. At least one, however large, when any is lacking. */
export function lackingSets(
  held: Iterable<NodeRecords>,
  digest: readonly DigestEntry[],
  budgetBytes: number,
): RecordSet[] {
  const known = new Map(digest.map((entry) => [entry.node, entry]))
  const sets: RecordSet[] = []
  let room = budgetBytes
  for (const records of held) {
    if (!isNewer(records, known.get(records.node))) continue
    room -= records.weight + SET_OVERHEAD
    if (room < 0 && sets.length > 0) break
    sets.push(records.toSet())
  }
  return sets
}

function isNewer(records: NodeRecords, known: DigestEntry | undefined): boolean {
  if (known === undefined) return true
  return records.bootId === known.bootId ? records.rev > known.rev : records.bootId > known.bootId
}
