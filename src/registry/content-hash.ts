/**
 * Short hashes that tell equal from different: of what a record says, and of a set of revs. They are spread well and
 * quick, not safe against somebody who wants two things to look alike; what must be is hashed by SHA-256 instead.
 */
import { unreachable } from '../errors.js'
import type { DigestEntry } from './messages.js'
import type { PlainData } from './plain-data.js'
import type { RegistryRecord } from './record.js'

/** Two times 32 bits; the order of the entries does not matter. */
export interface SetHash {
  readonly a: number
  readonly b: number
}

/** Of what a node has said up to a rev. */
export function revHash({ node, bootId, rev }: DigestEntry): SetHash {
  const mixer = new Mixer()
  mixer.text(node)
  mixer.text(bootId)
  mixer.word(rev)
  mixer.word(rev / 0x1_0000_0000)
  return { a: mixer.first(), b: mixer.second() }
}

/** Of all of them: equal at two nodes that hold the same. */
export function setHash(all: Iterable<{ readonly hash: SetHash }>): SetHash {
  let a = 0
  let b = 0
  for (const { hash } of all) {
    a = (a + hash.a) >>> 0
    b = (b + hash.b) >>> 0
  }
  return { a, b }
}

export type Content = Pick<RegistryRecord, 'service' | 'version' | 'status' | 'reason' | 'methods' | 'meta' | 'metaRef'>

/** 53 bits in hex. Equal wherever the same is offered in the same state: node, address and times do not count. */
export function contentHash({ service, version, status, reason, methods, meta, metaRef }: Content): string {
  const mixer = new Mixer()
  for (const text of [service, version, status, reason ?? '']) mixer.text(text)
  mixer.word(methods.length)
  for (const method of methods) mixer.text(method)
  if (metaRef === undefined) mixer.data(meta)
  else mixer.text(metaRef.hash)
  // One number makes one flat string, where two would be kept as a rope of three.
  return ((mixer.first() & 0x1f_ffff) * 0x1_0000_0000 + mixer.second()).toString(16).padStart(14, '0')
}

class Mixer {
  #a = 0x811c_9dc5
  #b = 0x2545_f491

  word(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x0100_0193)
    this.#b = Math.imul(this.#b ^ value, 0x5bd1_e995)
    this.#b ^= this.#b >>> 15
  }

  text(text: string): void {
    this.word(text.length)
    for (let i = 0; i < text.length; i++) this.word(text.charCodeAt(i))
  }

  /** The kind of each value counts too: 1, '1' and [1] differ. */
  data(value: PlainData | undefined): void {
    if (typeof value === 'string') this.#kind(1, value)
    else if (typeof value === 'number') this.#kind(2, String(value))
    else if (value === null || value === undefined || typeof value === 'boolean') this.#kind(3, String(value))
    else if (isList(value)) {
      this.#kind(4, String(value.length))
      for (const item of value) this.data(item)
    } else if (typeof value === 'object') {
      const entries = Object.entries(value)
      this.#kind(5, String(entries.length))
      for (const [key, item] of entries) {
        this.text(key)
        this.data(item)
      }
    } else unreachable(value)
  }

  first(): number {
    return avalanche(this.#a)
  }

  second(): number {
    return avalanche(this.#b)
  }

  #kind(code: number, text: string): void {
    this.word(code)
    this.text(text)
  }
}

function isList(value: object): value is readonly PlainData[] {
  return Array.isArray(value)
}

/** Each bit of the result hangs on each bit of the state. */
function avalanche(state: number): number {
  let x = state ^ (state >>> 16)
  x = Math.imul(x, 0x7feb_352d)
  x ^= x >>> 15
  x = Math.imul(x, 0x846c_a68b)
  return (x ^ (x >>> 16)) >>> 0
}
