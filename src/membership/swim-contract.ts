/** What the machine is made of and what is read from it: the shapes that its driver, its tests and the simulator share. */
import type { Random } from '../random.js'
import type { SwimConfig } from './config.js'
import type { SwimFeatures } from './features.js'
import type { Identity } from './member.js'
import type { PayloadHandler } from './payload.js'
import type { StreamMessage, WireDrop } from './wire/messages.js'

export interface SwimOptions {
  readonly config: SwimConfig
  readonly name: string
  readonly identity: Identity
  /** Boot time in seconds since 1970. */
  readonly incarnation: number
  readonly random: Random
  readonly payload: PayloadHandler | undefined
  /** The members that are no shoal nodes are Serf's agents, and are told of our join and leave as they are used to. Default false. */
  readonly amongSerf?: boolean
  /** Which questions the user wants to be asked; the answers come by `handleVerdict`. Default none. */
  readonly asks?: { readonly members: boolean; readonly merges: boolean }
  /** Whether members may have this address. Default all may. */
  readonly isAllowed?: ((host: string) => boolean) | undefined
  /** Wall clock minus monotonic clock, in ms: only for what users are shown. */
  readonly wallOffsetMs: number
  /** Left out except in experiments. @internal */
  readonly features?: SwimFeatures | undefined
}

export type DropReason =
  | WireDrop
  | 'wrong-name' // a ping for another node
  | 'foreign-user-message'
  | 'unexpected-stream'
  | 'bad-incarnation'
  | 'members-full'
  | 'address-conflict'
  | 'relays-full' // more pings for others than we make
  | 'answers-full' // more pings in one packet than are answered, or than an unproven sender has paid for
  | 'not-allowed' // an address outside the allow list
  | 'refused' // by the hook admitMember
  | 'verdicts-full' // more records waiting for a hook than are held

export type ExchangeResult =
  | { readonly ok: true; readonly message: StreamMessage | undefined }
  | { readonly ok: false; readonly error: string }

export interface SwimStats {
  readonly healthScore: number
  /** Members in the table, whatever their state. */
  readonly members: number
  readonly live: number
  readonly suspicions: number
  readonly queued: { readonly rumours: number; readonly userMessages: number; readonly dropped: number }
  readonly drops: Readonly<Partial<Record<DropReason, number>>>
}
