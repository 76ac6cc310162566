/**
 * The same few bytes arrive again and again: names, addresses, metas, a message that many peers relay. What was made of
 * them is kept and given back, which saves making it and holding it twice. Bounded: bytes that fall on a taken slot
 * replace what is there. Knows nothing of what is made.
 */

interface Slot<T> {
  readonly bytes: Uint8Array
  readonly value: T
}

export class ByteCache<T> {
  readonly #slots: (Slot<T> | undefined)[]
  readonly #mask: number
  readonly #make: (bytes: Uint8Array) => T

  /** `slotCount` is a power of two. `make` must depend on the bytes alone, and nobody may change what it made. */
  constructor(slotCount: number, make: (bytes: Uint8Array) => T) {
    this.#slots = new Array<Slot<T> | undefined>(slotCount).fill(undefined)
    this.#mask = slotCount - 1
    this.#make = make
  }

  /** What is made of the bytes from `start` up to `end`. It is made of a copy, which the cache keeps. */
  get(source: Uint8Array, start: number = 0, end: number = source.length): T {
    const at = hashOf(source, start, end) & this.#mask
    const slot = this.#slots[at]
    if (slot !== undefined && isPartOf(slot.bytes, source, start, end)) return slot.value
    const copy = new Uint8Array(end - start)
    for (let i = start; i < end; i++) copy[i - start] = source[i] as number
    const value = this.#make(copy)
    this.#slots[at] = { bytes: copy, value }
    return value
  }
}

function isPartOf(bytes: Uint8Array, source: Uint8Array, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== source[start + i]) return false
  return true
}

function hashOf(source: Uint8Array, start: number, end: number): number {
  let hash = end - start
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (source[i] as number)) | 0
  return hash ^ (hash >>> 12)
}
