/**
 * The registry's messages as values. `change` and `announce` are gossiped; `digest` and `state` are the two sides of a
 * push/pull; `records` is what its initiator sends after it. The rest goes to one node over TCP: `recheck` and `missed`
 * for what gossip lost, `fetch` and `bodies` for large metas. Bytes are codec.ts's affair.
 */
import type { SetHash } from './content-hash.js'
import type { RegistryRecord } from './record.js'

export interface Removal {
  readonly service: string
  readonly rev: number
}

/**
 * Everything that became of a node's services in revs `(base, rev]`: the last word on each service that changed in
 * between. Whoever is at `base` or later gets to `rev` by it, so one message makes up for lost ones.
 */
export interface Change {
  readonly base: number
  readonly rev: number
  readonly records: readonly RegistryRecord[]
  readonly removed: readonly Removal[]
}

/** All records of a node as they were at `rev`. */
export interface RecordSet {
  readonly node: string
  readonly bootId: string
  readonly rev: number
  readonly records: readonly RegistryRecord[]
}

export interface DigestEntry {
  readonly node: string
  readonly bootId: string
  readonly rev: number
}

export type RegistryMessage =
  | ({ readonly kind: 'change'; readonly node: string; readonly bootId: string } & Change)
  | ({ readonly kind: 'announce' } & DigestEntry)
  | { readonly kind: 'digest'; readonly digest: readonly DigestEntry[] }
  | { readonly kind: 'state'; readonly digest: readonly DigestEntry[]; readonly sets: readonly RecordSet[] }
  | { readonly kind: 'records'; readonly sets: readonly RecordSet[] }
  /** `node` holds what hashes to this: a peer that holds something else begins a push/pull with it. */
  | { readonly kind: 'recheck'; readonly node: string; readonly hash: SetHash }
  /** To an owner: somebody was at this rev of it, and learned of a later one otherwise than by gossip. */
  | ({ readonly kind: 'missed' } & DigestEntry)
  /** `node` asks for the metas of these hashes. */
  | { readonly kind: 'fetch'; readonly node: string; readonly hashes: readonly string[] }
  /** Large metas in msgpack, each known by its hash. */
  | { readonly kind: 'bodies'; readonly bodies: readonly Uint8Array[] }
