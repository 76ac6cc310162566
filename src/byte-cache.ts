/**
 * The same few bytes arrive again and again: names, addresses, metas, a message that many peers relay. What was made of
 * them is kept and given back, which saves making it and holding it twice. Bounded: bytes that fall on a taken slot
 * replace what is there, once the table has grown as far as it may. Knows nothing of what is made.
 */

/** A small cluster needs few slots: with all of them, the tables of a process would be a quarter of a megabyte of its heap. */
const SLOTS_MIN = 64

interface Slot<T> {
  readonly bytes: Uint8Array
  readonly value: T
}

export class ByteCache<T> {
  #slots: (Slot<T> | undefined)[]
  readonly #slotsMax: number
  readonly #make: (bytes: Uint8Array) => T

  /** `slotsMax` is a power of two. `make` must depend on the bytes alone, and nobody may change what it made. */
  constructor(slotsMax: number, make: (bytes: Uint8Array) => T) {
    this.#slots = emptySlots(Math.min(SLOTS_MIN, slotsMax))
    this.#slotsMax = slotsMax
    this.#make = make
  }

  /** What is made of the bytes from `start` up to `end`. It is made of a copy, which the cache keeps. */
  get(source: Uint8Array, start: number = 0, end: number = source.length): T {
    const hash = hashOf(source, start, end)
    const slot = this.#slots[hash & (this.#slots.length - 1)]
    if (slot !== undefined && isPartOf(slot.bytes, source, start, end)) return slot.value
    if (slot !== undefined && this.#slots.length < this.#slotsMax) this.#grow()
    const copy = new Uint8Array(end - start)
    for (let i = start; i < end; i++) copy[i - start] = source[i] as number
    const value = this.#make(copy)
    this.#slots[hash & (this.#slots.length - 1)] = { bytes: copy, value }
    return value
  }

  #grow(): void {
    const slots = emptySlots<T>(2 * this.#slots.length)
    for (const slot of this.#slots)
      if (slot !== undefined) slots[hashOf(slot.bytes, 0, slot.bytes.length) & (slots.length - 1)] = slot
    this.#slots = slots
  }
}

function emptySlots<T>(count: number): (Slot<T> | undefined)[] {
  return new Array<Slot<T> | undefined>(count).fill(undefined)
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
