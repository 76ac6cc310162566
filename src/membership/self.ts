/**
 * This node's own record: its identity, its incarnation and how it defends itself. An accusation is refuted with a
 * higher incarnation (SWIM 4.2); a record of ours with other bytes at our incarnation or above - a restart within one
 * second, a clock set back - is refuted above it as well.
 */
import { equalBytes } from '../bytes.js'
import type { Identity } from './member.js'
import { INCARNATION_MAX } from './precedence.js'
import type { Alive } from './wire/messages.js'

export type SelfVerdict = 'ignore' | 'refute' | 'foreign'

export class Self {
  readonly name: string
  #identity: Identity
  #incarnation: number
  #leaving = false

  /** The first incarnation is the boot time in seconds: a restart outbids whatever its former life left behind. */
  constructor(name: string, identity: Identity, incarnation: number) {
    this.name = name
    this.#identity = identity
    this.#incarnation = incarnation
  }

  get identity(): Identity {
    return this.#identity
  }

  get incarnation(): number {
    return this.#incarnation
  }

  get leaving(): boolean {
    return this.#leaving
  }

  leave(): void {
    this.#leaving = true
  }

  rejoin(): void {
    this.#leaving = false
  }

  setMeta(meta: Uint8Array): void {
    this.#identity = { ...this.#identity, meta }
  }

  /** Goes above everything that was said of us. */
  outbid(heard: number): void {
    this.#incarnation = Math.min(INCARNATION_MAX, Math.max(this.#incarnation + 1, heard + 1))
  }

  judgeAlive(alive: Alive): SelfVerdict {
    const { addr, port, meta, vsn } = this.#identity
    if (this.#leaving) return 'ignore'
    // Another address is not ours to refute: an earlier life elsewhere, or another node with our name.
    if (alive.port !== port || !equalBytes(alive.addr, addr)) return 'foreign'
    if (alive.incarnation < this.#incarnation) return 'ignore'
    const same = equalBytes(alive.meta, meta) && equalBytes(alive.vsn, vsn)
    return same && alive.incarnation === this.#incarnation ? 'ignore' : 'refute'
  }

  judgeAccusation(incarnation: number): SelfVerdict {
    return this.#leaving || incarnation < this.#incarnation ? 'ignore' : 'refute'
  }

  toAlive(): Alive {
    return { type: 'alive', node: this.name, incarnation: this.#incarnation, ...this.#identity }
  }
}
