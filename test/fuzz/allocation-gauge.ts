/**
 * How much memory one input costs. Sees what V8 allocates for JavaScript objects and the backing stores of array buffers,
 * garbage included: the young generation is emptied before, so that hardly ever anything is collected meanwhile. Does not
 * see what native code (OpenSSL) takes and gives back by itself, nor tells an input's own memory from what happened to be
 * made during it: a slab, a larger table, compiled code. Hence the fixed allowance, and the second look at a breach.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
/** Without options all garbage goes. A `major` collection by options leaves some, however often it is repeated (V8 11). */
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void

/** Memory for each byte that came in, that it inflated to, and that was sent upon it. */
const ALLOCATED_PER_BYTE_MAX = 8
const FIXED_ALLOWANCE_BYTES = 64 * 1024

export interface Cost {
  readonly allocatedBytes: number
  readonly inputBytes: number
  /** The most that the input may inflate to. */
  readonly inflatedBytes: number
  readonly sentBytes: number
}

export function isBreach({ allocatedBytes, inputBytes, inflatedBytes, sentBytes }: Cost): boolean {
  return allocatedBytes > FIXED_ALLOWANCE_BYTES + ALLOCATED_PER_BYTE_MAX * (inputBytes + inflatedBytes + sentBytes)
}

/** Bytes allocated while it runs. */
export function allocatedBy(run: () => void): number {
  collect({ type: 'minor' })
  collect({ type: 'minor' })
  const before = inUse()
  run()
  return inUse() - before
}

/** Backing stores are given back by a thread of V8's, which a busy machine keeps waiting. */
const LOOKS = 5
const BETWEEN_LOOKS_MS = 20

/** Bytes held when all garbage is gone: the least of several looks. */
export function heldBytes(): number {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < LOOKS; look++) {
    if (look > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BETWEEN_LOOKS_MS)
    collect()
    least = Math.min(least, inUse())
  }
  return least
}

function inUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}
