/**
 * The keys of one struct of the wire. Peers send a struct as a map (keys in ascending order) or, rarely, as an array
 * whose positions are those of the declaration.
 */
import { utf8Encode } from '../../bytes.js'

export interface StructSchema<K extends string> {
  /** By position in the array form. */
  readonly declared: readonly K[]
  /** By position in the map form, as every known peer sends it. */
  readonly ascending: readonly K[]
  /** `ascending`, as bytes. */
  readonly keyBytes: readonly Uint8Array[]
}

/** All keys are ASCII, so the order of strings is the order of bytes. */
export function structSchema<K extends string>(...declared: readonly K[]): StructSchema<K> {
  const ascending = [...declared].sort()
  return { declared, ascending, keyBytes: ascending.map(utf8Encode) }
}
