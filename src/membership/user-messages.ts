/**
 * What rides on gossip beside membership's own news: the payload's messages, passed on while they are fresh, and among
 * Serf agents what those tell each other. Whatever is neither is counted and goes no further.
 */
import type { SwimConfig } from './config.js'
import type { Gossip } from './gossip.js'
import { isLive, isShoalNode, type MemberEntry } from './member.js'
import type { Members } from './members.js'
import { isShoalPayload, type PayloadHandler } from './payload.js'
import { SerfGuest } from './serf-guest.js'
import type { DropReason } from './swim-contract.js'

export interface UserMessagesParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: string
  readonly payload: PayloadHandler | undefined
  readonly gossip: Gossip
  /** This node is a guest among Serf agents. */
  readonly isGuest: boolean
  readonly ask: (member: string) => void
  readonly count: (reason: DropReason) => void
}

/** Among the messages for agents; those that are passed on have names with a blank. */
const OWN_INTENT = 'own'

export class UserMessages {
  readonly guest: SerfGuest | undefined
  readonly #parts: UserMessagesParts

  constructor(parts: UserMessagesParts) {
    this.#parts = parts
    this.guest = parts.isGuest ? this.#createGuest() : undefined
  }

  handleMessage(bytes: Uint8Array, now: number): void {
    const { payload, gossip, count } = this.#parts
    if (payload === undefined || !isShoalPayload(bytes)) {
      const drop = this.guest === undefined ? 'foreign-user-message' : this.guest.handleMessage(bytes, now)
      if (drop !== undefined) count(drop)
      return
    }
    const verdict = payload.handleMessage(bytes)
    if (verdict.fresh) gossip.addUserMessage({ key: verdict.key, bytes, own: false }, now)
  }

  /** User state in push/pull that is not the payload's. */
  handleForeignState(state: Uint8Array, now: number): void {
    const drop = this.guest?.handleState(state, now)
    if (drop !== undefined) this.#parts.count(drop)
  }

  noteJoin(entry: MemberEntry, now: number): void {
    if (this.#isAgent(entry)) this.guest?.handleAgent(entry.name, now)
  }

  /** This node leaves; true when the leave itself is due now, and not only after agents were told of the intent. */
  leaves(timeoutMs: number, now: number): boolean {
    this.guest?.leave(this.#agentCount() > 0 ? timeoutMs : 0, now)
    return this.guest === undefined || this.guest.takeLeave(now)
  }

  #createGuest(): SerfGuest {
    const { self, gossip, config, ask } = this.#parts
    return new SerfGuest({
      name: self,
      announce: (bytes, now) => gossip.addAgentMessage({ key: OWN_INTENT, bytes, own: true }, now),
      relay: (bytes, key, now) => {
        if (this.#agentCount() > 0) gossip.addAgentMessage({ key, bytes, own: false }, now)
      },
      ask,
      leadMs: 2 * config.gossipIntervalMs,
    })
  }

  #agentCount(): number {
    return this.#parts.members.count((entry) => this.#isAgent(entry))
  }

  #isAgent(entry: MemberEntry): boolean {
    return isLive(entry) && !isShoalNode(entry) && entry.name !== this.#parts.self
  }
}
