/**
 * Memory that connections write into before it leaves, shared by those of a node: one that has nothing to say holds none,
 * and a slab that grew with one connection serves the next. Knows nothing of what is written.
 */
import { newBytes } from './byte-writer.js'

const SLAB_BYTES_MIN = 4_096
/** A slab that grew past this is not kept. */
const SLAB_BYTES_KEPT_MAX = 262_144
/** Of all slabs that nobody uses. */
const FREE_BYTES_MAX = 4_194_304

export class Slabs {
  readonly #free: Uint8Array[] = []
  #freeBytes = 0

  /** The one that was used last, since the processor still has it at hand. It grows with what is written into it. */
  take(): Uint8Array {
    const slab = this.#free.pop()
    if (slab === undefined) return newBytes(SLAB_BYTES_MIN)
    this.#freeBytes -= slab.length
    return slab
  }

  /** Nobody else may hold on to it. */
  give(slab: Uint8Array): void {
    if (slab.length === 0 || slab.length > SLAB_BYTES_KEPT_MAX || this.#freeBytes + slab.length > FREE_BYTES_MAX) return
    this.#free.push(slab)
    this.#freeBytes += slab.length
  }
}
