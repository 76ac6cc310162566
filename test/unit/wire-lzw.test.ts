import { expect, test } from 'vitest'
import { lzwDecode, lzwEncode } from '../../src/membership/wire/lzw.js'
import { seededRandom } from '../../src/random.js'
import { hex, toHex, vectors } from '../support/wire.js'

const seed = Number(process.env['SEED'] ?? 1)

test('every vector of Go is read and written alike', () => {
  expect(vectors.lzw.length).toBeGreaterThan(30)
  for (const [plain, packed] of vectors.lzw) {
    expect(toHex(lzwDecode(hex(packed), 1_000_000) as Uint8Array)).toBe(plain)
    expect(toHex(lzwEncode(hex(plain)))).toBe(packed)
  }
})

test('every prefix of the data is refused: it has no end', () => {
  const refuted: string[] = []
  for (const [, packed] of vectors.lzw) {
    const bytes = hex(packed)
    for (let length = 0; length < bytes.length; length++) {
      if (lzwDecode(bytes.subarray(0, length), 1_000_000) !== 'bad-lzw') refuted.push(toHex(bytes.subarray(0, length)))
    }
  }
  expect(refuted).toEqual([])
})

test('data of any size and kind comes back, across full and cleared tables', () => {
  const random = seededRandom(seed)
  for (const symbols of [1, 2, 3, 40, 256]) {
    for (const length of [1, 511, 512, 3_838, 3_839, 3_840, 4_095, 4_096, 4_097, 20_000, 200_000]) {
      const bytes = Uint8Array.from({ length }, () => Math.floor(random() * symbols))
      const back = lzwDecode(lzwEncode(bytes), length)
      expect(back instanceof Uint8Array && Buffer.compare(back, bytes) === 0, `seed ${seed} ${symbols} ${length}`).toBe(
        true,
      )
    }
  }
})

test('output beyond the limit is refused, output of exactly the limit is not', () => {
  const packed = lzwEncode(new Uint8Array(100_000))
  expect(lzwDecode(packed, 100_000)).toHaveLength(100_000)
  expect(lzwDecode(packed, 99_999)).toBe('too-large')
  expect(lzwDecode(lzwEncode(hex('')), 0)).toEqual(hex(''))
})

test('a table that stays full, as no encoder leaves it, is still read', () => {
  // Literals only: nothing ever clears the table, so from its 3838th code on no further one is added.
  const length = 6_000
  const bits: number[] = []
  const put = (code: number, width: number) => {
    for (let i = 0; i < width; i++) bits.push((code >> i) & 1)
  }
  put(256, 9)
  for (let i = 0, highest = 257, width = 9; i <= length; i++) {
    put(i < length ? i % 251 : 257, width)
    if (highest < 4_095 && ++highest === 1 << width && width < 12) width++
  }
  const packed = new Uint8Array(Math.ceil(bits.length / 8))
  for (const [i, bit] of bits.entries()) packed[i >> 3] = (packed[i >> 3] as number) | (bit << (i & 7))
  expect(lzwDecode(packed, length)).toEqual(Uint8Array.from({ length }, (_, i) => i % 251))
})

test('a code that stands for nothing yet is refused', () => {
  expect(lzwDecode(hex('02 03 02'), 100)).toBe('bad-lzw')
  expect(lzwDecode(hex('00 05 02'), 100)).toBe('bad-lzw')
})
