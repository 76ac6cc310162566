import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { isShoalError } from '../../src/errors.js'
import { decodeTags, encodeTags, META_BYTES_MAX } from '../../src/membership/tags.js'
import { hex, toHex } from '../support/wire.js'

describe('tags', () => {
  test('are ff and a map of text in the old raw family, keys ascending', () => {
    expect(toHex(encodeTags({ role: 'web', dc: 'x' }))).toBe('ff82a26463a178a4726f6c65a3776562')
    expect(toHex(encodeTags({}))).toBe('ff80')
    expect(toHex(encodeTags({ k: 'v'.repeat(40) }))).toBe(`ff81a16bda0028${'76'.repeat(40)}`)
  })

  test('come back as they went', () => {
    const key = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('__proto__', 'constructor', 'toString', 'é', ''))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(key, fc.string({ unit: 'grapheme', maxLength: 8 })), { maxLength: 17 }),
        (entries) => {
          const tags = Object.fromEntries(entries)
          expect(Object.entries(decodeTags(encodeTags(tags))).sort()).toEqual(Object.entries(tags).sort())
        },
      ),
      { numRuns: 500 },
    )
  })

  test('are refused beyond 512 bytes, with size and limit named', () => {
    const fitting = { key: 'v'.repeat(META_BYTES_MAX - 9) }
    expect(encodeTags(fitting)).toHaveLength(META_BYTES_MAX)
    let thrown: unknown
    try {
      encodeTags({ key: `${fitting.key}v` })
    } catch (error) {
      thrown = error
    }
    expect(isShoalError(thrown, 'TOO_LARGE')).toBe(true)
    expect(String(thrown)).toMatch(/513.*512/)
  })
})

describe('the meta of others', () => {
  test('in text is the role of an old peer, and none gives no tags', () => {
    expect({ ...decodeTags(utf8Encode('web')) }).toEqual({ role: 'web' })
    expect({ ...decodeTags(hex('')) }).toEqual({})
  })

  test('gives no prototype to be written or met', () => {
    const tags = decodeTags(hex('ff81 a9', toHex(utf8Encode('__proto__')), 'a178'))
    expect(Object.keys(tags)).toEqual(['__proto__'])
    expect(tags['constructor']).toBeUndefined()
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })

  test('reads str, bin and nil', () => {
    expect({ ...decodeTags(hex('ff de0003 d90161 c40162 a162 c0 c0 a163')) }).toEqual({ a: 'b', b: '', '': 'c' })
  })

  const malformed = ['ff', 'ffc0', 'ff81', 'ff81a161', 'ff81a16101', 'ff8101a161', 'ff91a161', 'ff05', 'ff81a161a1ff']
  test.each([...malformed, 'ffdfffffffff', 'ff81a161dbffffffff', 'ffc1', '80ff', 'c0'])('%s gives none', (meta) => {
    expect({ ...decodeTags(hex(meta)) }).toEqual({})
  })

  test('cut off anywhere gives none', () => {
    const meta = encodeTags({ role: 'web', dc: 'x' })
    for (let length = 1; length < meta.length; length++) expect({ ...decodeTags(meta.subarray(0, length)) }).toEqual({})
  })
})
