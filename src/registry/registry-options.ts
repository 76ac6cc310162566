/** What a registry is made of, and what is read from it. */
import type { Random } from '../random.js'
import type { DropCounts } from './drops.js'
import type { Sha256 } from './meta-fetch.js'
import type { RecheckCounts } from './recheck.js'

export interface RegistryOptions {
  readonly node: string
  readonly bootId: string
  /** Our own RPC `host:port`. */
  readonly rpcAddress: string
  readonly random: Random
  /** SHA-256 of bytes, in hex: it names large metas. */
  readonly sha256: Sha256
  /** The most bytes of one gossiped message. Default 1,200. */
  readonly packetBytesMax?: number | undefined
  /** About the most bytes of records in one push/pull direction. Default 8 MiB. */
  readonly syncBytesMax?: number | undefined
  /** Calls under way at a node, for `least-pending`. Default unknown, which is 0. */
  readonly pending?: ((node: string) => number) | undefined
  /** Round trip to a node in ms, for `nearest`. Default unknown. */
  readonly rttMs?: ((node: string) => number | undefined) | undefined
  /** How long a change is repeated along with later ones. Default 10,000 ms. */
  readonly recentMs?: number | undefined
  /** Nodes whose records may wait for membership to show them. Default 4,096. */
  readonly earlyNodesMax?: number | undefined
  /** About the bytes of those records. Default 16 MiB. */
  readonly earlyBytesMax?: number | undefined
  /** About the most bytes of other nodes' large metas. When all are in use further ones stay pending. Default 64 MiB. */
  readonly metaBytesMax?: number | undefined
}

/** One JSON-ready snapshot. */
export interface RegistryInspection {
  readonly node: string
  readonly bootId: string
  readonly rev: number
  /** Members known, with and without services, this node included. */
  readonly nodes: number
  /** Nodes whose records wait for membership. */
  readonly early: number
  /** Visible nodes of which more was heard than is held. */
  readonly behind: readonly string[]
  /** Large metas held, their weight, and those that are announced and not here yet. */
  readonly metas: { readonly held: number; readonly weight: number; readonly pending: number }
  readonly rechecks: RecheckCounts
  /** Listed instances by service. */
  readonly services: Readonly<Record<string, number>>
  readonly drops: Readonly<DropCounts> & {
    /** Nodes whose records were given up while they waited for membership. */
    readonly earlyEvicted: number
  }
}
