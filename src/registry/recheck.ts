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
import { digestOf } from './sync.js'

export interface RecheckParts {
  readonly node: string
  readonly view: ClusterView
  readonly random: Random
  readonly emit: (effect: RegistryEffect) => void
}

/** Of the push/pulls that others' hashes may make us begin between two ticks: one is expected in ten seconds. */
const MISMATCHES_MAX = 4

export class Recheck {
  readonly #parts: RecheckParts
  #mismatches = 0

  constructor(parts: RecheckParts) {
    this.#parts = parts
  }

  begin(): void {
    const { node, view, random, emit } = this.#parts
    const peers = view.peers()
    const peer = peers[randomInt(random, peers.length)]
    if (peer === undefined) return
    emit({ type: 'send', node: peer, bytes: encodeMessage({ kind: 'recheck', node, hash: this.#hash() }) })
  }

  /** False when it is not taken: from nobody that we see, or one too many. */
  handle({ node, hash }: RegistryMessage & { readonly kind: 'recheck' }): boolean {
    const { view, emit } = this.#parts
    if (!view.isPeer(node)) return false
    const { a, b } = this.#hash()
    if (hash.a === a && hash.b === b) return true
    if (this.#mismatches >= MISMATCHES_MAX) return false
    this.#mismatches++
    emit({ type: 'sync', node })
    return true
  }

  handleTick(): void {
    this.#mismatches = 0
  }

  #hash(): SetHash {
    return setHash(Array.from(this.#parts.view.visibleRecords(), digestOf))
  }
}
