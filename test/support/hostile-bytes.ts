/** Bytes that no honest peer sends: random ones, and real ones cut, flipped, repeated, and with lengths that lie. */
import { concatBytes } from '../../src/bytes.js'
import { type Random, randomInt } from '../../src/random.js'

/** Bytes that mean much in MessagePack or on this wire. */
const TELLING = Uint8Array.from([
  ...[0x00, 0x07, 0x08, 0x09, 0x0a, 0x0c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9],
  ...[0xca, 0xcf, 0xd3, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xf4, 0xff],
])

type Damage = (sample: Uint8Array, random: Random, samples: readonly Uint8Array[]) => Uint8Array

export function randomBytes(random: Random, bytesMax: number): Uint8Array {
  return Uint8Array.from({ length: 1 + randomInt(random, bytesMax) }, () => randomInt(random, 256))
}

/** Random bytes among which telling ones are frequent. */
export function tellingBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = random() < 0.3 ? tellingByte(random) : randomInt(random, 256)
  return bytes
}

/** One of the samples, damaged in one of several ways. */
export function damaged(samples: readonly Uint8Array[], random: Random): Uint8Array {
  return damagedOne(pick(samples, random), random, samples)
}

/** This sample, damaged in one of several ways, one of which needs others to be spliced with. */
export function damagedOne(sample: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  return pick(DAMAGES, random)(sample, random, others)
}

export function pick<T>(items: readonly T[], random: Random): T {
  return items[randomInt(random, items.length)] as T
}

/** MessagePack arrays or maps within each other, as deep as the bytes go, with nothing in the innermost. */
export function nested(depth: number, opening: number): Uint8Array {
  const isMap = opening >= 0x80 && opening <= 0x8f
  const bytes = new Uint8Array(isMap ? 2 * depth : depth).fill(opening)
  // A map entry needs a key before its value: the empty text.
  if (isMap) for (let at = 1; at < bytes.length; at += 2) bytes[at] = 0xa0
  return bytes
}

function tellingByte(random: Random): number {
  return TELLING[randomInt(random, TELLING.length)] as number
}

function flipped(sample: Uint8Array, random: Random): Uint8Array {
  const bytes = sample.slice()
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
  return concatBytes([head, other.subarray(randomInt(random, other.length + 1))])
}

/** Four bytes become the largest number: a length, a count, or whatever is there. */
function overwritten(sample: Uint8Array, random: Random): Uint8Array {
  const at = randomInt(random, sample.length)
  return sample.slice().fill(0xff, at, at + 4)
}

/** A part of it comes twice. */
function doubled(sample: Uint8Array, random: Random): Uint8Array {
  const end = randomInt(random, sample.length + 1)
  return concatBytes([sample.subarray(0, end), sample.subarray(randomInt(random, end + 1))])
}

/** One byte becomes one that means much. */
function retyped(sample: Uint8Array, random: Random): Uint8Array {
  const bytes = sample.slice()
  bytes[randomInt(random, bytes.length)] = tellingByte(random)
  return bytes
}

/** A few bytes more somewhere. */
function stuffed(sample: Uint8Array, random: Random): Uint8Array {
  const at = randomInt(random, sample.length + 1)
  return concatBytes([sample.subarray(0, at), tellingBytes(random, randomInt(random, 6)), sample.subarray(at)])
}

/** Where a value begins stands one that announces none, or as much as its kind can. */
const EXTREMES: readonly Uint8Array[] = [
  [0xa0],
  [0xbf],
  [0x80],
  [0x8f],
  [0x90],
  [0x9f],
  [0xda, 0xff, 0xff],
  [0xdb, 0xff, 0xff, 0xff, 0xff],
  [0xdb, 0x7f, 0xff, 0xff, 0xff],
  [0xc6, 0xff, 0xff, 0xff, 0xff],
  [0xc9, 0xff, 0xff, 0xff, 0xff, 1],
  [0xdd, 0xff, 0xff, 0xff, 0xff],
  [0xdf, 0xff, 0xff, 0xff, 0xff],
  [0xde, 0xff, 0xff],
  [0xdc, 0xff, 0xff],
  [0xcd, 0xff, 0xff],
  [0xce, 0xff, 0xff, 0xff, 0xff],
  [0xce, 0xf0, 0, 0, 0],
  [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xd1, 0x80, 0],
  [0xd2, 0x80, 0, 0, 0],
  [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
].map((bytes) => Uint8Array.from(bytes))

function stretched(sample: Uint8Array, random: Random): Uint8Array {
  let at = randomInt(random, sample.length)
  // The next byte that may be the head of a value.
  for (let looked = 0; looked < 16 && at + 1 < sample.length && (sample[at] as number) < 0x80; looked++) at++
  return concatBytes([sample.subarray(0, at), pick(EXTREMES, random), sample.subarray(at + 1)])
}

/** Values within each other, hundreds deep. */
function deepened(sample: Uint8Array, random: Random): Uint8Array {
  const at = randomInt(random, sample.length)
  const depth = 1 + randomInt(random, 400)
  return concatBytes([sample.subarray(0, at), nested(depth, pick([0x91, 0x81], random)), sample.subarray(at)])
}

const DAMAGES: readonly Damage[] = [
  flipped,
  flipped,
  truncated,
  spliced,
  overwritten,
  doubled,
  retyped,
  retyped,
  stuffed,
  stretched,
  stretched,
  deepened,
]
