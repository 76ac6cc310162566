/** What the machine asks of its driver, pulled by `drain()` after each input. */
import type { HostPort } from '../address.js'
import type { Member } from './member.js'

export type MemberEventType = 'join' | 'suspect' | 'alive' | 'update' | 'leave' | 'dead' | 'reap' | 'conflict'

export interface MemberEvent {
  readonly type: MemberEventType
  readonly member: Member
}

/** Troubles that a user should be able to see; none of them stops the node. */
export type Notice =
  | { readonly kind: 'version-conflict'; readonly peer: string; readonly reason: string }
  /** It answers over TCP and not over UDP. Said once for each member, until UDP is answered again. */
  | { readonly kind: 'udp-blocked'; readonly member: string; readonly address: string; readonly local: string }
  | { readonly kind: 'peer-error'; readonly peer: string; readonly reason: string }
  /** The hook `admitMember`, or its silence, keeps this node out. */
  | { readonly kind: 'member-refused'; readonly member: string; readonly address: string; readonly reason: string }
  /** The hook `admitMerge`, or its silence, has turned a joining node away. */
  | { readonly kind: 'merge-refused'; readonly peer: string; readonly reason: string }
  | { readonly kind: 'hook-failed'; readonly hook: 'admitMember' | 'admitMerge'; readonly cause: unknown }
  /** The gossip socket told of trouble; it stays open. Said once for each code. */
  | { readonly kind: 'socket-error'; readonly code: string; readonly reason: string }
  /** Somebody holds a record of this name that is not ours: an earlier life of this node, or another node. */
  | { readonly kind: 'foreign-self'; readonly meta: Uint8Array; readonly address: string }
  /** The snapshot file was of no use at the start, or could not be written. */
  | { readonly kind: 'snapshot'; readonly path: string; readonly reason: string }
  /**
   * Whose our name is, after the node at that address was pinged under it: `freed` when nobody answered, `kept` by us, or
   * `lost` to a node that was there before. Whoever lost it should go, and say so if it was `accepted` by anybody.
   */
  | {
      readonly kind: 'name-settled'
      readonly outcome: 'kept' | 'freed' | 'lost'
      readonly address: string
      readonly accepted: boolean
    }

/** What the user's hooks are asked. */
export type Question =
  | { readonly kind: 'member'; readonly member: Member }
  | { readonly kind: 'merge'; readonly merge: MergeRequest }

/** Two clusters, or a node and a cluster, are about to become one. */
export interface MergeRequest {
  /** Who asks to join us, or whom we ask. */
  readonly address: string
  /** True on the side that called `join`. */
  readonly initiator: boolean
  /** Everything the other side knows, itself included. */
  readonly members: readonly Member[]
}

export type Effect =
  /** Send one datagram: plaintext, within the packet budget. */
  | { readonly type: 'packet'; readonly to: HostPort; readonly bytes: Uint8Array }
  /** Connect, write, and read one reply if one is expected; report by `handleExchange(id, …)` within `timeoutMs`. */
  | {
      readonly type: 'exchange'
      readonly id: number
      readonly to: HostPort
      readonly bytes: Uint8Array
      readonly expectReply: boolean
      readonly timeoutMs: number
    }
  /** Answer an accepted stream and close it; without bytes only close it. */
  | { readonly type: 'reply'; readonly stream: number; readonly bytes: Uint8Array | undefined }
  | { readonly type: 'event'; readonly event: MemberEvent }
  | { readonly type: 'notice'; readonly notice: Notice }
  /** A join or sync that was asked for has ended. */
  | { readonly type: 'joined'; readonly id: number; readonly error: string | undefined }
  /** A ping that a user asked for has ended; without a round trip time nothing came back in time. */
  | { readonly type: 'pinged'; readonly id: number; readonly rttMs: number | undefined }
  /** Ask the user's hook and report by `handleVerdict`. */
  | { readonly type: 'judge'; readonly id: number; readonly question: Question }
  /** Our leave has been sent as often as it will be. */
  | { readonly type: 'left' }
