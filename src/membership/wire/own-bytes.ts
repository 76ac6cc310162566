/**
 * Copies of parts of what was received, made cheaply: small ones live inside their own object, middling ones share a
 * slab (an allocation of its own would cost ten times the copy), large ones stand alone.
 */
import { EMPTY_BYTES } from '../../bytes.js'

/** V8 keeps typed arrays up to this size on its own heap. */
const INLINE_BYTES_MAX = 64
const SHARED_BYTES_MAX = 2_048
/** A copy that is kept keeps its slab alive, so slabs are small. */
const SLAB_BYTES = 8_192

let slab = new Uint8Array(SLAB_BYTES)
let slabUsed = 0

/** Bytes that nothing else writes to. */
export function ownBytes(source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start
  if (length === 0) return EMPTY_BYTES
  if (length > SHARED_BYTES_MAX) return new Uint8Array(source.subarray(start, end))
  if (length > INLINE_BYTES_MAX) return fromSlab(source.subarray(start, end))
  const copy = new Uint8Array(length)
  for (let i = 0; i < length; i++) copy[i] = source[start + i] as number
  return copy
}

function fromSlab(part: Uint8Array): Uint8Array {
  if (slabUsed + part.length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    slabUsed = 0
  }
  const copy = slab.subarray(slabUsed, slabUsed + part.length)
  copy.set(part)
  slabUsed += part.length
  return copy
}
