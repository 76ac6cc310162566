import { expect, it } from 'vitest'
import { ByteCache } from '../../src/byte-cache.js'
import { utf8Decode, utf8Encode } from '../../src/bytes.js'

function counting(slots: number): { cache: ByteCache<{ text: string }>; made: string[] } {
  const made: string[] = []
  const cache = new ByteCache(slots, (bytes) => {
    made.push(utf8Decode(bytes))
    return { text: utf8Decode(bytes) }
  })
  return { cache, made }
}

it('equal bytes give the very thing that was made of them before, wherever they lie', () => {
  const { cache, made } = counting(16)
  const first = cache.get(utf8Encode('alice'))
  expect(cache.get(utf8Encode('to alice!'), 3, 8)).toBe(first)
  expect(made).toEqual(['alice'])
})

it('bytes that fall on one slot replace each other and are never taken for each other', () => {
  const { cache, made } = counting(1)
  for (const text of ['a', 'b', 'a', 'ab', '']) expect(cache.get(utf8Encode(text)).text).toBe(text)
  expect(made).toEqual(['a', 'b', 'a', 'ab', ''])
})

it('as many are kept as there is room for, of those too that fell on one slot while the table was small', () => {
  const { cache, made } = counting(4_096)
  const texts = Array.from({ length: 64 }, (_, i) => `name-${i * 7_919}`)
  for (let pass = 0; pass < 3; pass++) for (const text of texts) expect(cache.get(utf8Encode(text)).text).toBe(text)
  expect(made.length).toBeLessThan(texts.length + 16)
})

it('what it keeps does not change with the buffer that it came in', () => {
  const { cache } = counting(16)
  const buffer = utf8Encode('alice')
  const kept = cache.get(buffer)
  buffer.fill(0x62)
  expect(kept.text).toBe('alice')
  expect(cache.get(utf8Encode('alice'))).toBe(kept)
  expect(cache.get(buffer).text).toBe('bbbbb')
})
