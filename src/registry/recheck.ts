/**
 * The comparison that bounds how long a lost update can live: now and then a node tells a random peer the hash of all
 * that it holds. A peer that holds the same keeps silent; any other begins a push/pull, which brings both to the same.
 * Knows no time: the driver says when.
 */

import { type Random, randomInt } from '../random.js'
import type { ClusterView } from './cluster-view.js'
import { encodeMessage } from './codec.js'
import { type SetHash, setHash } from './content-hash.js'
import type { RegistryEffect } from './effects.js'
import type { RegistryMessage } from './messages.js'

export interface RecheckParts {
  readonly node: string
  readonly view: ClusterView
  readonly random: Random
  readonly emit: (effect: RegistryEffect) => void
}

/** Of the push/pulls that others' hashes may make us begin between two ticks: one is expected in ten seconds. */
const MISMATCHES_MAX = 4

export interface RecheckCounts {
  /** Peers that we told our hash. */
  readonly begun: number
  /** Hashes of others that were ours, and that were not. */
  readonly same: number
  readonly different: number
}

export class Recheck {
  readonly #parts: RecheckParts
  #mismatches = 0
  #begun = 0
  #same = 0
  #different = 0

  constructor(parts: RecheckParts) {
    this.#parts = parts
  }

  get counts(): RecheckCounts {
    return { begun: this.#begun, same: this.#same, different: this.#different }
  }

  begin(): void {
    const { node, view, random, emit } = this.#parts
    const peers = view.peers()
    const peer = peers[randomInt(random, peers.length)]
    if (peer === undefined) return
    this.#begun++
    emit({ type: 'send', node: peer, bytes: encodeMessage({ kind: 'recheck', node, hash: this.#hash() }) })
  }

  /** False when it is not taken: from nobody that we see, or one too many. */
  handle({ node, hash }: RegistryMessage & { readonly kind: 'recheck' }): boolean {
    const { view, emit } = this.#parts
    if (!view.isPeer(node)) return false
    const { a, b } = this.#hash()
    if (hash.a === a && hash.b === b) {
      this.#same++
      return true
    }
    this.#different++
    if (this.#mismatches >= MISMATCHES_MAX) return false
    this.#mismatches++
    emit({ type: 'sync', node })
    return true
  }

  handleTick(): void {
    this.#mismatches = 0
  }

  #hash(): SetHash {
    return setHash(this.#parts.view.visibleRecords())
  }
}
