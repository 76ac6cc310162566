/** What the registry asks of its driver, pulled after each input, and what it is told of members. */
import type { Broadcast } from '../membership/payload.js'
import type { Instance } from './record.js'

/**
 * `up`: became listed (visible and running). `update`: listed, and something of it changed. `down`: no longer listed;
 * its instance shows the status that unlisted it, or the last listed state when its node went away.
 */
export interface RegistryEvent {
  readonly type: 'up' | 'down' | 'update'
  readonly instance: Instance
}

export type RegistryEffect =
  /** Gossip these bytes. */
  | { readonly type: 'broadcast'; readonly broadcast: Broadcast }
  /** Push/pull with this member: it has changed more than gossip brought. */
  | { readonly type: 'sync'; readonly node: string }
  /** Send these bytes to this member alone, as a user message over TCP. */
  | { readonly type: 'send'; readonly node: string; readonly bytes: Uint8Array }
  | { readonly type: 'event'; readonly event: RegistryEvent }

/** How membership sees a node; `gone` when it forgot it. */
export interface MemberView {
  readonly name: string
  /** From the tag `_b`; `undefined` for a node that is not shoal's, or when a dead node's tags are unknown. */
  readonly bootId: string | undefined
  readonly state: 'alive' | 'suspect' | 'dead' | 'left' | 'gone'
  /** From the tag `_rpc`. Services of a node without one are not listed: nobody could call them. */
  readonly rpcAddress: string | undefined
}

/** Where a call can be tried. */
export interface ServiceEndpoint {
  readonly node: string
  readonly bootId: string
  /** `host:port` of its RPC listener. */
  readonly address: string
  readonly local: boolean
}
