import { describe, expect, test } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import { encodeErrorReply, encodeMessage, encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import { LabelStripper } from '../../src/membership/wire/label.js'
import type { StreamMessage } from '../../src/membership/wire/messages.js'
import { StreamDecoder, type StreamResult } from '../../src/membership/wire/stream.js'
import { compressed, hex, nodeSample, pushPullSample, toHex, typed, vectors } from '../support/wire.js'

const MiB = 1_048_576
const LIMITS = { maxBytes: 20 * MiB, maxNodes: 1_000 }

const samples: readonly [string, Uint8Array, StreamMessage][] = [
  ['a push/pull', encodePushPull(pushPullSample), pushPullSample],
  [
    'an empty push/pull',
    encodePushPull({ type: 'pushPull', join: false, nodes: [], userState: hex('') }),
    { type: 'pushPull', join: false, nodes: [], userState: hex('') },
  ],
  ['a ping', typed(0, 'ping1'), { type: 'ping', seqNo: 1, node: 'a', source: undefined }],
  [
    'an ack',
    encodeMessage({ type: 'ack', seqNo: 300, payload: hex('0102') }),
    { type: 'ack', seqNo: 300, payload: hex('0102') },
  ],
  ['a user message', encodeStreamUser(hex('0102030405')), { type: 'user', payload: hex('0102030405') }],
  ['an empty user message', encodeStreamUser(hex('')), { type: 'user', payload: hex('') }],
  ['an error reply', encodeErrorReply('boom'), { type: 'err', error: 'boom' }],
]
const all = samples.flatMap(([name, bytes, message]): typeof samples => [
  [name, bytes, message],
  [`${name}, compressed`, compressed(bytes), message],
])

function feed(bytes: Uint8Array, chunkBytes: number, limits = LIMITS): StreamResult {
  const decoder = new StreamDecoder(limits)
  let result: StreamResult = { done: false }
  for (let at = 0; at < bytes.length; at += chunkBytes) result = decoder.push(bytes.subarray(at, at + chunkBytes))
  return result
}

function once(...parts: string[]): StreamResult {
  return new StreamDecoder(LIMITS).push(hex(...parts))
}

describe.each(all)('%s', (_, bytes, message) => {
  test('is complete with its last byte and not before', () => {
    for (let length = 0; length < bytes.length; length++) {
      const decoder = new StreamDecoder(LIMITS)
      expect(decoder.push(bytes.subarray(0, length))).toEqual({ done: false })
      expect(decoder.push(bytes.subarray(length))).toEqual({ done: true, message, drops: [] })
    }
  })

  test('is read byte by byte', () => {
    expect(feed(bytes, 1)).toEqual({ done: true, message, drops: [] })
  })

  test('ends where it ends: what follows is ignored', () => {
    const decoder = new StreamDecoder(LIMITS)
    const result = decoder.push(concatBytes([bytes, hex('c1c1c1')]))
    expect(result).toEqual({ done: true, message, drops: [] })
    expect(decoder.push(hex('ff'))).toBe(result)
  })

  test('owns its bytes', () => {
    const chunk = Uint8Array.from(bytes)
    const result = new StreamDecoder(LIMITS).push(chunk)
    chunk.fill(0xee)
    expect(result).toEqual({ done: true, message, drops: [] })
  })
})

describe('stream vectors', () => {
  const plain = vectors.streams.filter((vector) => vector.key === null)

  test.each(plain)('$name: the push/pull lacks its second member and its user state', ({ label, stream, name }) => {
    const stripped = new LabelStripper(label).push(hex(stream))
    if (!stripped?.ok) throw new Error('label')
    const decoder = new StreamDecoder(LIMITS)
    const result = decoder.push(stripped.rest)
    // Compressed, everything is there at once or not at all.
    if (name === 'lzw') {
      expect(result).toEqual({ done: true, drop: 'truncated' })
      return
    }
    expect(result).toEqual({ done: false })
    const completed = decoder.push(hex(vectors.messages['pns1'] ?? '', '05'.repeat(300)))
    expect(completed).toMatchObject({ message: { join: true, nodes: [{ name: 'a' }, { name: 'a' }] }, drops: [] })
  })

  test('encrypted ones are dropped as encrypted', () => {
    const sealed = vectors.streams.filter((vector) => vector.key !== null && vector.stream.startsWith('0a'))
    expect(sealed.length).toBeGreaterThan(0)
    for (const { stream } of sealed) expect(once(stream)).toEqual({ done: true, drop: 'encrypted' })
  })

  test('compression writes the same bytes', () => {
    const lzw = plain.find((vector) => vector.name === 'lzw')
    expect(toHex(compressed(hex(lzw?.inner ?? '')))).toBe(lzw?.stream)
  })
})

describe('a push/pull list', () => {
  test('leaves out a bad record, counts it, and keeps the others', () => {
    const good = toHex(encodePushPull({ type: 'pushPull', join: false, nodes: [nodeSample], userState: hex('') }))
    const record = good.slice(good.indexOf('87a4'))
    const wrongState = record.replace('a5537461746501', 'a5537461746504')
    const textPort = record.replace('a4506f7274cd1f0a', 'a4506f7274a131')
    const shortVersions = record.replace(/a356736ea6.*$/, 'a356736ea20105')
    const list = [record, wrongState, textPort, 'c0', shortVersions, record].join('')
    const bytes = hex('06 83 a44a6f696ec2 a54e6f64657306 ac5573657253746174654c656e02', list, '0102')
    for (const chunkBytes of [1, 7, 10_000])
      expect(feed(bytes, chunkBytes)).toEqual({
        done: true,
        message: { type: 'pushPull', join: false, nodes: [nodeSample, nodeSample], userState: hex('0102') },
        drops: ['bad-record', 'malformed', 'bad-record', 'bad-record'],
      })
  })

  test('with a record that is not MessagePack is dropped whole', () => {
    expect(once('06 82 a54e6f64657302 ac5573657253746174654c656e00 81a178c1')).toEqual({
      done: true,
      drop: 'malformed',
    })
  })

  test('reads the signed integers of newer peers', () => {
    const header = '06 83 a44a6f696ec2 a54e6f646573d10000 ac5573657253746174654c656ed20000012c'
    expect(once(header, '07'.repeat(300))).toMatchObject({ message: { nodes: [], userState: { length: 300 } } })
    expect(once('06 81 a54e6f646573d1ffff')).toEqual({ done: true, drop: 'bad-record' })
  })
})

describe('limits', () => {
  const refused: readonly [string, string][] = [
    ['members', '06 82 a54e6f646573cd03e9 ac5573657253746174654c656e00'],
    ['4 Gi members', '06 82 a54e6f646573ceffffffff ac5573657253746174654c656e00'],
    ['user state of 4 GiB', '06 82 a54e6f64657301 ac5573657253746174654c656eceffffffff'],
    ['a user message of 4 GiB', '08 81 aa557365724d73674c656eceffffffff'],
    ['a compressed message of 4 GiB', '09 82 a4416c676f00 a3427566dbffffffff'],
    ['a name of 4 GiB', '06 81 a54e6f64657301 81 a44e616d65dbffffffff'],
    ['an error text of 4 GiB', '0d 81 a54572726f72dbffffffff'],
    ['a map of 4 Gi entries', '06 dfffffffff'],
  ]
  test.each(refused)('announced %s beyond the limit are refused at once', (_, start) => {
    expect(once(start)).toEqual({ done: true, drop: 'too-large' })
  })

  test('a message of exactly the limit passes, one byte more does not', () => {
    const bytes = encodeStreamUser(new Uint8Array(5_000))
    for (const chunkBytes of [100, 100_000]) {
      expect(feed(bytes, chunkBytes, { maxBytes: bytes.length, maxNodes: 1 })).toMatchObject({ message: {} })
      expect(feed(bytes, chunkBytes, { maxBytes: bytes.length - 1, maxNodes: 1 })).toEqual({
        done: true,
        drop: 'too-large',
      })
    }
  })

  test('hold for what a compressed message inflates to', () => {
    const bomb = compressed(concatBytes([hex('08 81 aa557365724d73674c656ece00100000'), new Uint8Array(MiB)]))
    expect(bomb.length).toBeLessThan(50_000)
    expect(feed(bomb, 1_000, { maxBytes: 100_000, maxNodes: 1 })).toEqual({ done: true, drop: 'too-large' })
    expect(feed(bomb, 1_000)).toMatchObject({ message: { type: 'user', payload: { length: MiB } } })
  })

  test('fields that are each within the limit may not exceed it together', () => {
    const decoder = new StreamDecoder({ maxBytes: 10_000, maxNodes: 10 })
    const unknownField = hex('a178 da03e8', '79'.repeat(1_000))
    let result = decoder.push(hex('06 de0040'))
    let fields = 0
    for (; fields < 64 && !result.done; fields++) result = decoder.push(unknownField)
    expect(result).toEqual({ done: true, drop: 'too-large' })
    expect(fields).toBe(10)
  })

  test('ten thousand streams that announce megabytes hold only what they sent', () => {
    const before = process.memoryUsage().arrayBuffers
    const decoders = Array.from({ length: 10_000 }, () => new StreamDecoder(LIMITS))
    for (const decoder of decoders)
      expect(decoder.push(hex('08 81 aa557365724d73674c656ece01000000 01')).done).toBe(false)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * MiB)
    expect(decoders).toHaveLength(10_000)
  })
})

describe('what is no stream message', () => {
  test.each(['01', '03', '04', '05', '07', '0b', '0c', '0e', 'f4', 'ff'])('%s is an unknown type', (type) => {
    expect(once(type)).toEqual({ done: true, drop: 'unknown-type' })
  })

  test('a compressed one inside a compressed one is too deep, an incomplete or empty one truncated', () => {
    const ping = typed(0, 'ping1')
    const drop = (bytes: Uint8Array) => new StreamDecoder(LIMITS).push(bytes)
    expect(drop(compressed(compressed(ping)))).toEqual({ done: true, drop: 'too-deep' })
    expect(drop(compressed(ping.subarray(0, 5)))).toEqual({ done: true, drop: 'truncated' })
    expect(drop(compressed(hex('')))).toEqual({ done: true, drop: 'truncated' })
    expect(drop(hex('09 82 a4416c676f00 a3427566a20102'))).toEqual({ done: true, drop: 'bad-lzw' })
    expect(drop(hex('09 82 a4416c676f01 a3427566a20102'))).toEqual({ done: true, drop: 'malformed' })
  })
})

test('a push/pull of 20 MiB takes work in proportion to its bytes, whatever the chunks', () => {
  const nodes = new Array(20_000).fill({ ...nodeSample, meta: new Uint8Array(460) })
  const bytes = encodePushPull({ type: 'pushPull', join: true, nodes, userState: new Uint8Array(9 * MiB) })
  expect(bytes.length).toBeGreaterThan(19 * MiB)
  const limits = { maxBytes: 20 * MiB, maxNodes: 20_000 }
  for (const chunkBytes of [1_400, 65_536, bytes.length]) {
    const startedAt = performance.now()
    expect(feed(bytes, chunkBytes, limits)).toMatchObject({ done: true, drops: [] })
    // Linear it takes a fraction of a second; walked again for each chunk it would take minutes.
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  }
})
