/**
 * Copies of parts of what was received, made cheaply: of small ones (addresses, versions, metas) there is one for all
 * that are equal, middling ones share a slab (an allocation of its own would cost ten times the copy), large ones stand
 * alone.
 */
import { ByteCache } from '../../byte-cache.js'
import { EMPTY_BYTES } from '../../bytes.js'

const INTERNED_BYTES_MAX = 96
const SHARED_BYTES_MAX = 2_048
/** A copy that is kept keeps its slab alive, so slabs are small. */
const SLAB_BYTES = 8_192

const interned = new ByteCache<Uint8Array>(8_192, (bytes) => bytes)
let slab = new Uint8Array(SLAB_BYTES)
let slabUsed = 0

/** Bytes that nobody writes to. */
export function ownBytes(source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start
  if (length === 0) return EMPTY_BYTES
  if (length <= INTERNED_BYTES_MAX) return interned.get(source, start, end)
  const copy = newBytes(length)
  copy.set(source.subarray(start, end))
  return copy
}

/** Room for bytes that will be written once. */
export function newBytes(length: number): Uint8Array {
  if (length > SHARED_BYTES_MAX) return new Uint8Array(length)
  if (slabUsed + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    slabUsed = 0
  }
  const room = slab.subarray(slabUsed, slabUsed + length)
  slabUsed += length
  return room
}
