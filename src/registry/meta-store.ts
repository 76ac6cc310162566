/**
 * The large metas that are held, by hash: our own, which others ask for, and those that we fetched. Bounded by weight:
 * what no record refers to any more goes first, the oldest of it; what is in use never does, and then there is no room.
 */
import type { ServiceMeta } from './record.js'

export interface MetaStoreParts {
  /** The most weight of fetched metas. */
  readonly weightMax: number
  /** Hashes that some record refers to. Asked only when room is short. */
  readonly inUse: () => ReadonlySet<string>
}

interface Held {
  readonly meta: ServiceMeta
  readonly weight: number
}

export class MetaStore {
  readonly #parts: MetaStoreParts
  readonly #own = new Map<string, Held & { readonly bytes: Uint8Array }>()
  readonly #fetched = new Map<string, Held>()
  #weight = 0

  constructor(parts: MetaStoreParts) {
    this.#parts = parts
  }

  /** Weight of what was fetched. */
  get weight(): number {
    return this.#weight
  }

  get size(): number {
    return this.#own.size + this.#fetched.size
  }

  get(hash: string): ServiceMeta | undefined {
    return (this.#own.get(hash) ?? this.#fetched.get(hash))?.meta
  }

  /** The bytes of one of our own. */
  ownBytes(hash: string): Uint8Array | undefined {
    return this.#own.get(hash)?.bytes
  }

  putOwn(hash: string, meta: ServiceMeta, bytes: Uint8Array): void {
    if (!this.#own.has(hash)) this.#own.set(hash, { meta, bytes, weight: bytes.length })
  }

  /** What of our own is announced no longer becomes like fetched: others may offer the same, and so may we again. */
  keepOwn(announced: () => ReadonlySet<string>): void {
    if (this.#own.size === 0) return
    const hashes = announced()
    for (const [hash, { meta, weight }] of this.#own) {
      if (hashes.has(hash)) continue
      this.#own.delete(hash)
      this.put(hash, meta, weight)
    }
  }

  /** False when there is no room for it. */
  put(hash: string, meta: ServiceMeta, weight: number): boolean {
    if (this.get(hash) !== undefined) return true
    if (!this.makeRoom(weight)) return false
    this.#fetched.set(hash, { meta, weight })
    this.#weight += weight
    return true
  }

  /** Gives up what is not in use until so much fits; false when it does not all the same. */
  makeRoom(weight: number): boolean {
    const { weightMax, inUse } = this.#parts
    if (this.#weight + weight <= weightMax) return true
    const kept = inUse()
    for (const [hash, held] of this.#fetched) {
      if (this.#weight + weight <= weightMax) break
      if (kept.has(hash)) continue
      this.#fetched.delete(hash)
      this.#weight -= held.weight
    }
    return this.#weight + weight <= weightMax
  }
}
