import { Encoder } from '@msgpack/msgpack'
import { describe, expect, test } from 'vitest'
import { concatBytes, hexEncode } from '../../src/bytes.js'
import { randomInt, seededRandom } from '../../src/random.js'
import { decodeMessage, encodedEntryBytes, encodeMessage } from '../../src/registry/codec.js'
import type { RegistryMessage } from '../../src/registry/messages.js'
import { isSoundMsgpack } from '../../src/registry/prescan.js'
import { type RegistryRecord, recordWeight } from '../../src/registry/record.js'
import { BOOT_1, BOOT_2 } from '../support/registry-cluster.js'

const META = { zone: 'eu', weights: [1, 2.5, -3], nested: { ok: true, none: null } }
const META_WEIGHT = 1 + 4 + 3 + 7 + 1 + 27 + 6 + 1 + 2 + 1 + 4 + 1

function record(service: string, rev: number, fields: Partial<RegistryRecord> = {}): RegistryRecord {
  const bare = {
    node: 'api-1',
    bootId: BOOT_1,
    service,
    version: '1.2.0',
    status: 'running' as const,
    statusAt: 1_700_000_000_123,
    reason: undefined,
    methods: ['get', 'save'],
    meta: META,
    rev,
    ...fields,
  }
  return { ...bare, weight: recordWeight(bare, fields.meta === undefined ? META_WEIGHT : 1) }
}

const REF = { hash: '0123456789abcdef0123456789abcdef', bytes: 70_000 }
const owner = { node: 'api-1', bootId: BOOT_1 }
const samples: RegistryMessage[] = [
  { kind: 'change', ...owner, base: 3, rev: 6, records: [record('users', 6)], removed: [{ service: 'old', rev: 5 }] },
  { kind: 'announce', ...owner, rev: 7 },
  {
    kind: 'digest',
    digest: [
      { ...owner, rev: 7 },
      { node: 'api-2', bootId: BOOT_2, rev: 70_000 },
    ],
  },
  {
    kind: 'state',
    digest: [{ ...owner, rev: 7 }],
    sets: [
      { ...owner, rev: 9, records: [record('users', 6), record('b', 9, { reason: 'why', meta: {}, methods: [] })] },
    ],
  },
  { kind: 'records', sets: [{ ...owner, rev: 9, records: [] }] },
  { kind: 'change', ...owner, base: 5, rev: 6, records: [record('big', 6, { meta: {}, metaRef: REF })], removed: [] },
  { kind: 'recheck', node: 'api-1', hash: { a: 0xffff_ffff, b: 7 } },
  { kind: 'missed', ...owner, rev: 0 },
  { kind: 'fetch', node: 'api-1', hashes: [REF.hash] },
  { kind: 'bodies', bodies: [Uint8Array.of(0x80), Uint8Array.of(0x81, 0xa1, 0x61, 0x01)] },
]

function raw(kind: number, body: unknown): Uint8Array {
  return concatBytes([Uint8Array.of(0x53, 0x48, 1, kind), new Encoder().encode(body)])
}

describe('the codec', () => {
  test.each(samples.map((sample) => [sample.kind, sample] as const))('brings a %s back unchanged', (_, sample) => {
    expect(decodeMessage(encodeMessage(sample))).toEqual(sample)
  })

  test('writes these very bytes', () => {
    expect(hexEncode(encodeMessage({ kind: 'announce', node: 'a', bootId: BOOT_1, rev: 300 }))).toBe(
      `5348010293a161b4${hexEncode(new TextEncoder().encode(BOOT_1))}cd012c`,
    )
    const bare = record('s', 2, { node: 'a', version: '', statusAt: 5, methods: ['m'], meta: {} })
    const change: RegistryMessage = {
      kind: 'change',
      node: 'a',
      bootId: BOOT_1,
      base: 0,
      rev: 3,
      records: [bare],
      removed: [{ service: 'x', rev: 3 }],
    }
    expect(hexEncode(encodeMessage(change).subarray(28))).toBe(
      '00' + '03' + '9198a173a00105c091a16d8002' + '9192a17803',
    )
  })

  test('measures an entry as it stands in a message', () => {
    const empty: RegistryMessage = { kind: 'change', ...owner, base: 0, rev: 9, records: [], removed: [] }
    const one = record('users', 6)
    const gone = { service: 'old', rev: 5 }
    const grown = encodeMessage({ ...empty, records: [one], removed: [gone] }).length - encodeMessage(empty).length
    expect(encodedEntryBytes(one) + encodedEntryBytes(gone)).toBe(grown)
  })

  test('takes every proper prefix, and every longer message, for none of ours', () => {
    for (const sample of samples) {
      const bytes = encodeMessage(sample)
      for (let length = 0; length < bytes.length; length++) {
        expect(decodeMessage(bytes.subarray(0, length))).toBeUndefined()
      }
      expect(decodeMessage(concatBytes([bytes, Uint8Array.of(0)]))).toBeUndefined()
    }
  })

  test('reads past fields that a later version appended', () => {
    expect(decodeMessage(raw(2, ['a', BOOT_1, 3, 'later']))).toEqual({
      kind: 'announce',
      node: 'a',
      bootId: BOOT_1,
      rev: 3,
    })
  })

  const fields = ['s', '1', 1, 5, null, ['m'], {}, 2]
  const changed = (index: number, value: unknown): unknown[] => fields.map((field, i) => (i === index ? value : field))
  test.each([
    ['an unknown kind', raw(9, ['a', BOOT_1, 3])],
    ['a map for a list', raw(2, { a: 1 })],
    ['an empty node name', raw(2, ['', BOOT_1, 3])],
    ['a boot id that is none', raw(2, ['a', 'boot', 3])],
    ['a negative rev', raw(2, ['a', BOOT_1, -1])],
    ['a broken rev', raw(2, ['a', BOOT_1, 1.5])],
    ['a rev beyond exact integers', raw(2, ['a', BOOT_1, 2 ** 60])],
    ['a change that does not advance', raw(1, ['a', BOOT_1, 3, 3, [], []])],
    ['a record at the base', raw(1, ['a', BOOT_1, 2, 3, [fields], []])],
    ['a record past the end', raw(1, ['a', BOOT_1, 0, 1, [fields], []])],
    ['a service twice', raw(1, ['a', BOOT_1, 0, 3, [fields, changed(7, 3)], []])],
    ['a service both there and gone', raw(1, ['a', BOOT_1, 0, 3, [fields], [['s', 3]]])],
    ['an unknown status', raw(1, ['a', BOOT_1, 0, 3, [changed(2, 8)], []])],
    ['a nameless service', raw(1, ['a', BOOT_1, 0, 3, [changed(0, '')], []])],
    ['a service name of 256 bytes', raw(1, ['a', BOOT_1, 0, 3, [changed(0, 'é'.repeat(128))], []])],
    ['a reason too long', raw(1, ['a', BOOT_1, 0, 3, [changed(4, 'x'.repeat(1_025))], []])],
    ['too many methods', raw(1, ['a', BOOT_1, 0, 3, [changed(5, new Array(1_025).fill('m'))], []])],
    ['a method that is no name', raw(1, ['a', BOOT_1, 0, 3, [changed(5, [1])], []])],
    ['a list for meta', raw(1, ['a', BOOT_1, 0, 3, [changed(6, [])], []])],
    ['a timestamp', raw(1, ['a', BOOT_1, 0, 3, [changed(6, { at: new Date() })], []])],
    ['bytes', raw(1, ['a', BOOT_1, 0, 3, [changed(6, { at: new Uint8Array(3) })], []])],
    [
      'meta too deep',
      raw(1, ['a', BOOT_1, 0, 3, [changed(6, JSON.parse(`{"a":${'['.repeat(8)}${']'.repeat(8)}}`))], []]),
    ],
    ['a reference to a meta by a hash that is none', raw(1, ['a', BOOT_1, 0, 3, [[...fields, ['0123', 700]]], []])],
    ['a reference to a meta above a megabyte', raw(1, ['a', BOOT_1, 0, 3, [[...fields, [REF.hash, 2 ** 20 + 1]]], []])],
    ['a comparison without a hash', raw(6, ['a', 1])],
    ['a question for more than 64 metas', raw(8, ['a', new Array(65).fill(REF.hash)])],
    ['a meta longer than its message', concatBytes([Uint8Array.of(0x53, 0x48, 1, 9, 1, 0, 0, 0, 2, 0x80)])],
    ['an empty meta', concatBytes([Uint8Array.of(0x53, 0x48, 1, 9, 1, 0, 0, 0, 0)])],
    ['a record too heavy', raw(1, ['a', BOOT_1, 0, 3, [changed(6, { a: 'x'.repeat(66_000) })], []])],
  ])('refuses %s', (_, bytes) => {
    expect(decodeMessage(raw(1, ['a', BOOT_1, 0, 3, [fields], []]))?.kind).toBe('change')
    expect(decodeMessage(bytes)).toBeUndefined()
  })
})

describe('the pre-scan', () => {
  test('refuses announced counts that the bytes cannot hold', () => {
    const array30M = [0xdd, 0x01, 0xc9, 0xc3, 0x80]
    expect(isSoundMsgpack(Uint8Array.from(array30M), 0, 20)).toBe(false)
    expect(isSoundMsgpack(Uint8Array.from(new Array(20).fill(array30M).flat()), 0, 20)).toBe(false)
    const map16 = Uint8Array.from([0xde, 0x40, 0x00, ...new Array(0x4000).fill(0xc0)])
    expect(isSoundMsgpack(map16, 0, 20)).toBe(false)
  })

  test('refuses nesting at its bound and lets through what is just within', () => {
    const nested = (depth: number): Uint8Array => Uint8Array.from([...new Array(depth).fill(0x91), 0xc0])
    expect(isSoundMsgpack(nested(20), 0, 20)).toBe(true)
    expect(isSoundMsgpack(nested(21), 0, 20)).toBe(false)
    expect(isSoundMsgpack(new Uint8Array(1 << 20).fill(0x91), 0, 20)).toBe(false)
  })

  test('agrees with the encoder on every size of head', () => {
    const encoder = new Encoder()
    const list = (length: number): unknown[] => new Array(length).fill(1)
    const map = (size: number): unknown => Object.fromEntries(list(size).map((_, i) => [`k${i}`, i]))
    const texts = [0, 31, 32, 255, 256, 65_535, 65_536].map((length) => 'x'.repeat(length))
    const numbers = [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32, -1, -32, -33, -129, -40_000, -(2 ** 40), 1.5]
    const values = [
      ...texts,
      ...numbers,
      ...[0, 15, 16, 65_535, 65_536].flatMap((n) => [list(n), map(n)]),
      null,
      true,
      false,
    ]
    for (const value of values) {
      const bytes = encoder.encode(value)
      expect(isSoundMsgpack(bytes, 0, 4)).toBe(true)
      expect(isSoundMsgpack(bytes.subarray(0, -1), 0, 4)).toBe(false)
    }
  })
})

test('no bytes make the decoder throw: 400,000 random, truncated, flipped and nested ones', () => {
  const seed = 0x5eed
  const random = seededRandom(seed)
  const bases = samples.map(encodeMessage)
  const heads = [0x91, 0x93, 0x98, 0xdc, 0xdd, 0xde, 0xdf, 0xdb, 0xd9, 0xc4, 0xc7, 0xd6, 0xcf, 0xcb, 0x81, 0xa3, 0xc0]
  let decoded = 0
  for (let i = 0; i < 400_000; i++) {
    const bytes = mutate(bases[i % bases.length]!, i % 4)
    try {
      if (decodeMessage(bytes) !== undefined) decoded++
    } catch (error) {
      throw new Error(`seed ${seed}, input ${i}: ${hexEncode(bytes)}`, { cause: error })
    }
  }
  expect(decoded).toBeGreaterThan(1_000) // some flips hit a value: the fuzz reaches behind the framing
  expect(decoded).toBeLessThan(200_000)

  function mutate(base: Uint8Array, how: number): Uint8Array {
    const bytes = base.slice()
    if (how === 0) return bytes.subarray(0, randomInt(random, bytes.length))
    if (how === 1) {
      for (let flips = 1 + randomInt(random, 3); flips > 0; flips--) {
        const at = randomInt(random, bytes.length)
        bytes[at] = bytes[at]! ^ (1 << randomInt(random, 8))
      }
      return bytes
    }
    const noise = new Uint8Array(4 + randomInt(random, 60))
    for (let at = 4; at < noise.length; at++) {
      noise[at] = how === 2 ? randomInt(random, 256) : heads[randomInt(random, heads.length)]!
    }
    noise.set([0x53, 0x48, 1, 1 + randomInt(random, 9)])
    return noise
  }
})
