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
  | { readonly kind: 'udp-blocked'; readonly member: string; readonly address: string }
  | { readonly kind: 'peer-error'; readonly peer: string; readonly reason: string }
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
  /** Our leave has been sent as often as it will be. */
  | { readonly type: 'left' }
