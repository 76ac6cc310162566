/** Bytes that no honest peer sends: random ones, and real ones cut, flipped, repeated, and with lengths that lie. */
import { type Random, randomInt } from '../../src/random.js'

export function randomBytes(random: Random, bytesMax: number): Uint8Array {
  return Uint8Array.from({ length: 1 + randomInt(random, bytesMax) }, () => randomInt(random, 256))
}

/** One of the samples, damaged in one of several ways. */
export function damaged(samples: readonly Uint8Array[], random: Random): Uint8Array {
  const sample = pick(samples, random)
  const damage = pick([flipped, truncated, spliced, overwritten], random)
  return damage(sample, random, samples)
}

export function pick<T>(items: readonly T[], random: Random): T {
  return items[randomInt(random, items.length)] as T
}

/** MessagePack arrays or maps within each other, as deep as the bytes go, with nothing in the innermost. */
export function nested(depth: number, opening: number): Uint8Array {
  // A map entry needs a key before its value: the empty text.
  const level = opening >= 0x80 && opening <= 0x8f ? [opening, 0xa0] : [opening]
  return Uint8Array.from({ length: depth * level.length }, (_, at) => level[at % level.length] as number)
}

function flipped(sample: Uint8Array, random: Random): Uint8Array {
  const bytes = Uint8Array.from(sample)
  for (let flips = 1 + randomInt(random, 4); flips > 0; flips--) {
    const at = randomInt(random, bytes.length)
    bytes[at] = (bytes[at] as number) ^ (1 << randomInt(random, 8))
  }
  return bytes
}

function truncated(sample: Uint8Array, random: Random): Uint8Array {
  return sample.slice(0, randomInt(random, sample.length))
}

/** The head of one and the tail of another. */
function spliced(sample: Uint8Array, random: Random, samples: readonly Uint8Array[]): Uint8Array {
  const other = pick(samples, random)
  const head = sample.subarray(0, randomInt(random, sample.length + 1))
  return Uint8Array.from([...head, ...other.subarray(randomInt(random, other.length + 1))])
}

/** Four bytes become the largest number: a length, a count, or whatever is there. */
function overwritten(sample: Uint8Array, random: Random): Uint8Array {
  const at = randomInt(random, sample.length)
  return Uint8Array.from(sample).fill(0xff, at, at + 4)
}
