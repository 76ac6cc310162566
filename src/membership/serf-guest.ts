/**
 * What Serf's agents expect of a member beyond memberlist. They tell a leave from a failure by an intent that comes
 * before it, ordered by a Lamport clock over all joins and leaves: this keeps that clock from what the agents say,
 * announces our join once it is known, contradicts whoever says that we leave when we do not, and lets our leave
 * intent go ahead of the leave itself. What agents tell each other is passed on. Knows no packets.
 */
import {
  encodeSerfIntent,
  LAMPORT_TIME_MAX,
  type SerfIntent,
  tryDecodeSerfIntent,
  tryDecodeSerfState,
} from './serf-messages.js'
import { SerfRelay } from './serf-relay.js'
import type { WireDrop } from './wire/messages.js'

export interface SerfGuestParts {
  readonly name: string
  /** Spreads this intent of ours among the agents, in place of an older one. */
  readonly announce: (intent: Uint8Array, now: number) => void
  /** Spreads what an agent tells all others, under this name. */
  readonly relay: (message: Uint8Array, key: string, now: number) => void
  /** Asks this member for its state. */
  readonly ask: (member: string) => void
  /** Time that a leave intent needs to get around: as long it goes ahead of the leave. */
  readonly leadMs: number
}

/** Until some agent has told the time, one of those that come into view is asked this often. */
const ASK_INTERVAL_MS = 1_000

export class SerfGuest {
  readonly #parts: SerfGuestParts
  readonly #relay = new SerfRelay()
  /** No message with this time was sent yet, as far as we know. Serf's clock begins at 1 as well. */
  #clock = 1
  /** Of our latest intent: what is said of us counts only above it. */
  #statusTime = 0
  #knowsTime = false
  #askAt = Number.NEGATIVE_INFINITY
  #leaving = false
  /** When the leave intent is repeated, and when the leave itself is due. */
  #repeatAt: number | undefined
  #leaveAt: number | undefined

  constructor(parts: SerfGuestParts) {
    this.#parts = parts
  }

  nextDeadline(): number | undefined {
    return this.#repeatAt ?? this.#leaveAt
  }

  /** A user message that is no shoal node's. Gives why it was dropped, if it was. */
  handleMessage(bytes: Uint8Array, now: number): WireDrop | 'foreign-user-message' | undefined {
    const intent = tryDecodeSerfIntent(bytes)
    if (intent !== undefined && 'drop' in intent) return intent.drop
    if (intent !== undefined) this.#witness(intent.time)
    if (intent?.node === this.#parts.name) this.#judge(intent, now)
    else return this.#relayOnce(bytes, now)
    return undefined
  }

  /** The user state of a push/pull that is not ours; the reason if it is an agent's and cannot be read. */
  handleState(bytes: Uint8Array, now: number): WireDrop | undefined {
    const state = tryDecodeSerfState(bytes, this.#parts.name)
    if (state === undefined) return undefined
    if ('drop' in state) return state.drop
    if (state.time > 0) this.#witness(state.time - 1)
    const isFirst = !this.#knowsTime
    this.#knowsTime = true
    if (isFirst) this.#announceJoin(now)
    else if (state.hasLeft) this.#judge({ kind: 'leave', node: this.#parts.name, time: state.statusTime + 1 }, now)
    return undefined
  }

  /** An agent came into view. Whoever joined through other guests alone has not heard the time yet. */
  handleAgent(name: string, now: number): void {
    if (this.#knowsTime || this.#leaving || now < this.#askAt) return
    this.#askAt = now + ASK_INTERVAL_MS
    this.#parts.ask(name)
  }

  /**
   * Announces our leave, which is then due when the intent has had time to get around, or half of `timeoutMs`. Without
   * time it is not announced.
   */
  leave(timeoutMs: number, now: number): void {
    if (this.#leaving) return
    this.#leaving = true
    const leadMs = Math.min(this.#parts.leadMs, timeoutMs / 2)
    this.#leaveAt = now + leadMs
    if (leadMs === 0) return
    this.#repeatAt = now + leadMs / 2
    this.#announce('leave', now)
  }

  /** Comes back after a leave. */
  rejoin(now: number): void {
    if (!this.#leaving) return
    this.#leaving = false
    this.#repeatAt = undefined
    this.#leaveAt = undefined
    this.#announce('join', now)
  }

  /**
   * True once, when the leave is due. Half-way the intent is repeated with a later time: an agent that was told of its
   * time by another agent's state, which does not say of what it is the time, took the first for old.
   */
  takeLeave(now: number): boolean {
    if (this.#repeatAt !== undefined && now >= this.#repeatAt) {
      this.#repeatAt = undefined
      this.#announce('leave', now)
    }
    if (this.#leaveAt === undefined || now < this.#leaveAt) return false
    this.#leaveAt = undefined
    return true
  }

  #relayOnce(bytes: Uint8Array, now: number): 'foreign-user-message' | undefined {
    const verdict = this.#relay.judge(bytes)
    if (verdict === 'foreign') return 'foreign-user-message'
    if (verdict !== 'seen') this.#parts.relay(bytes, verdict.key, now)
    return undefined
  }

  /** Somebody says when we joined or that we leave: an earlier life of ours, or an operator's force-leave. */
  #judge({ kind, time }: SerfIntent, now: number): void {
    if (time <= this.#statusTime) return
    if (kind === 'join') this.#statusTime = time
    else if (!this.#leaving) this.#announceJoin(now)
  }

  #announceJoin(now: number): void {
    if (!this.#leaving) this.#announce('join', now)
  }

  #announce(kind: SerfIntent['kind'], now: number): void {
    this.#statusTime = this.#clock
    this.#witness(this.#clock)
    this.#parts.announce(encodeSerfIntent({ kind, time: this.#statusTime, node: this.#parts.name }), now)
  }

  #witness(time: number): void {
    if (time >= this.#clock) this.#clock = Math.min(LAMPORT_TIME_MAX, time + 1)
  }
}
