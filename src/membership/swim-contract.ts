/** What the machine is made of and what is read from it: the shapes that its driver, its tests and the simulator share. */
import type { Random } from '../random.js'
import type { SwimConfig } from './config.js'
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
  /** Wall clock minus monotonic clock, in ms: only for what users are shown. */
  readonly wallOffsetMs: number
}

export type DropReason =
  | WireDrop
  | 'wrong-name' // a ping for another node
  | 'foreign-user-message'
  | 'unexpected-stream'
  | 'bad-incarnation'
  | 'members-full'
  | 'address-conflict'
  | 'relays-full'

export type ExchangeResult =
  | { readonly ok: true; readonly message: StreamMessage | undefined }
  | { readonly ok: false; readonly error: string }

export interface SwimStats {
  readonly healthScore: number
  readonly live: number
  readonly suspicions: number
  readonly queued: { readonly rumours: number; readonly userMessages: number; readonly dropped: number }
  readonly drops: Readonly<Partial<Record<DropReason, number>>>
}
