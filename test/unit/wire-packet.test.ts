import { describe, expect, test } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import {
  COMPOUND_HEADER_BYTES,
  COMPOUND_PART_BYTES,
  COMPOUND_PARTS_MAX,
  encodeCompound,
} from '../../src/membership/wire/compound.js'
import { withCrc } from '../../src/membership/wire/crc.js'
import { decodePacket, INFLATED_BYTES_MAX, NESTING_MAX, PARTS_MAX } from '../../src/membership/wire/decode.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import { stripLabel } from '../../src/membership/wire/label.js'
import { lzwEncode } from '../../src/membership/wire/lzw.js'
import type { Alive } from '../../src/membership/wire/messages.js'
import { aliveSample, compressed, hex, onlyMessage, toHex, typed, vectors } from '../support/wire.js'

const ping = typed(0, 'ping1')
const nack = typed(11, 'nack1')

describe('packet vectors', () => {
  const plain = vectors.packets.filter((vector) => vector.key === null)

  test('there are vectors without a key', () => {
    expect(plain.map((vector) => vector.name)).toEqual(['plain', 'crc', 'label', 'label+crc', 'lzw'])
  })

  test.each(plain)('$name is read as its inner message', ({ label, inner, packet }) => {
    const stripped = stripLabel(hex(packet), label)
    if (!stripped.ok) throw new Error(stripped.drop)
    const decoded = decodePacket(stripped.rest)
    expect(decoded.drops).toEqual([])
    expect(decoded.messages.length).toBeGreaterThan(0)
    expect(decoded).toEqual(decodePacket(hex(inner)))
  })

  test('compound, checksum and compression are written with the same bytes', () => {
    const compound = encodeCompound([ping, typed(2, 'ack2')])
    expect(toHex(compound)).toBe(plain[0]?.packet)
    expect(toHex(withCrc(compound))).toBe(plain[1]?.packet)
    expect(toHex(compressed(hex(plain[4]?.inner ?? '')))).toBe(plain[4]?.packet)
  })
})

describe('a compound', () => {
  test('costs two bytes, and two for each part', () => {
    const parts = [ping, nack, ping]
    const bytes = parts.reduce((sum, part) => sum + part.length + COMPOUND_PART_BYTES, COMPOUND_HEADER_BYTES)
    expect(encodeCompound(parts).length).toBe(bytes)
  })

  test('carries up to 255 messages in order', () => {
    const parts = Array.from({ length: COMPOUND_PARTS_MAX }, (_, seqNo) => encodeMessage({ type: 'nack', seqNo }))
    const { messages, drops } = decodePacket(encodeCompound(parts))
    expect(drops).toEqual([])
    expect(messages).toEqual(parts.map((_, seqNo) => ({ type: 'nack', seqNo })))
    expect(() => encodeCompound([...parts, ping])).toThrow(RangeError)
  })

  test('delivers its good parts whatever the bad ones are', () => {
    const badVersion = encodeMessage({ ...aliveSample, vsn: Uint8Array.of(1, 5) })
    const parts = [ping, hex(''), badVersion, hex('63'), hex('0b 81 a178 c1'), hex('0c 00000000'), nack]
    const { messages, drops } = decodePacket(encodeCompound(parts))
    expect(messages.map((message) => message.type)).toEqual(['ping', 'nack'])
    expect(drops).toEqual(['empty', 'bad-record', 'unknown-type', 'malformed', 'unknown-type'])
  })

  test('that is cut off delivers the parts that came whole and counts the others', () => {
    const whole = encodeCompound([ping, nack, nack])
    const { messages, drops } = decodePacket(whole.subarray(0, whole.length - nack.length - 1))
    expect(messages.map((message) => message.type)).toEqual(['ping'])
    expect(drops).toEqual(['truncated', 'truncated'])
  })

  test('without all its lengths is rejected whole', () => {
    for (const start of ['07', '07 02', '07 02 0001', '07 02 0001 00'])
      expect(decodePacket(hex(start))).toEqual({ messages: [], drops: ['truncated'] })
  })

  test('of compounds carries a thousand messages, and says once that there were more', () => {
    const inner = encodeCompound(new Array<Uint8Array>(255).fill(nack))
    const { messages, drops } = decodePacket(encodeCompound(new Array<Uint8Array>(20).fill(inner)))
    expect(messages.length).toBeGreaterThan(1_000)
    expect(messages.length).toBeLessThanOrEqual(PARTS_MAX)
    expect(drops).toEqual(['too-large'])
  })

  test('may hold compounds, but not without end', () => {
    const nested = (levels: number): Uint8Array => (levels === 0 ? ping : encodeCompound([nested(levels - 1), nack]))
    expect(decodePacket(nested(NESTING_MAX)).drops).toEqual([])
    const tooDeep = decodePacket(nested(NESTING_MAX + 1))
    expect(tooDeep.drops).toEqual(['too-deep'])
    expect(tooDeep.messages).toHaveLength(NESTING_MAX)
  })
})

describe('a checksum', () => {
  test('that does not match drops the packet', () => {
    const packet = withCrc(ping)
    for (let bit = 8; bit < packet.length * 8; bit++) {
      const flipped = Uint8Array.from(packet)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(decodePacket(flipped)).toEqual({ messages: [], drops: ['bad-crc'] })
    }
  })

  test('is cut off below five bytes, and over nothing stands for an empty packet', () => {
    expect(decodePacket(hex('0c 0000')).drops).toEqual(['truncated'])
    expect(decodePacket(withCrc(hex(''))).drops).toEqual(['empty'])
    expect(decodePacket(hex('')).drops).toEqual(['empty'])
  })

  test('counts only outermost', () => {
    expect(decodePacket(withCrc(withCrc(ping))).drops).toEqual(['unknown-type'])
  })
})

describe('a compressed packet', () => {
  test('may hold a compound, and be a part of one', () => {
    const inner = encodeCompound([ping, nack])
    expect(decodePacket(compressed(inner))).toEqual(decodePacket(inner))
    expect(decodePacket(encodeCompound([compressed(inner), nack])).messages).toHaveLength(3)
  })

  test('is dropped with another algorithm, without an end, or cut off', () => {
    const good = compressed(ping)
    const otherAlgorithm = hex(toHex(good).replace('416c676f00', '416c676f01'))
    expect(decodePacket(otherAlgorithm).drops).toEqual(['malformed'])
    expect(decodePacket(hex('09', vectors.messages['comp1'] ?? '')).drops).toEqual(['bad-lzw'])
    expect(decodePacket(hex('09 80')).drops).toEqual(['bad-lzw'])
    for (let length = 1; length < good.length; length++)
      expect(decodePacket(good.subarray(0, length)).drops).toEqual(['truncated'])
  })

  test('may not be compressed again without end', () => {
    let packet = ping
    for (let i = 0; i <= NESTING_MAX; i++) packet = compressed(packet)
    expect(decodePacket(packet).drops).toEqual(['too-deep'])
  })

  test('may inflate to 64 KiB and not beyond', () => {
    const user = (length: number): Uint8Array => concatBytes([hex('08'), new Uint8Array(length - 1)])
    expect(decodePacket(compressed(user(INFLATED_BYTES_MAX))).drops).toEqual([])
    expect(decodePacket(compressed(user(INFLATED_BYTES_MAX + 1)))).toEqual({ messages: [], drops: ['too-large'] })
  })

  test('shares the limit with all others in the same packet', () => {
    const bomb = compressed(concatBytes([hex('08'), new Uint8Array(40_000)]))
    const { messages, drops } = decodePacket(encodeCompound(new Array<Uint8Array>(200).fill(bomb)))
    expect(messages).toHaveLength(1)
    expect(drops).toEqual(new Array(199).fill('too-large'))
  })
})

describe('a record outside its rules is dropped', () => {
  const good: Alive = aliveSample
  const bad: readonly [string, Partial<Alive>][] = [
    ['without a name', { node: '' }],
    ['with a name of 256 bytes', { node: 'é'.repeat(128) }],
    ['without an address', { addr: hex('') }],
    ['with an address of 5 bytes', { addr: hex('0102030405') }],
    ['with port 0', { port: 0 }],
    ['with port 65536', { port: 65_536 }],
    ['without versions', { vsn: hex('') }],
    ['with one version, which crashes old peers', { vsn: hex('01') }],
    ['with five versions, which crashes old peers', { vsn: hex('0105020000') }],
    ['with seven versions', { vsn: hex('01050200000000') }],
    ['with minimum version 0', { vsn: hex('000502000000') }],
    ['with maximum version 0', { vsn: hex('010002000000') }],
    ['with a minimum version above the maximum', { vsn: hex('060502000000') }],
    ['with more than 4 KiB of meta', { meta: new Uint8Array(4_097) }],
  ]

  test.each(bad)('alive %s', (_, change) => {
    expect(decodePacket(encodeMessage({ ...good, ...change }))).toEqual({ messages: [], drops: ['bad-record'] })
  })

  const allowed: readonly [string, Partial<Alive>][] = [
    ['a name of 255 bytes', { node: `${'é'.repeat(127)}x` }],
    ['a name that begins with a byte order mark', { node: '\u{feff}a' }],
    ['a v4-mapped address of 16 bytes', { addr: hex('00000000000000000000ffff0a090901') }],
    ['4 KiB of meta', { meta: new Uint8Array(4_096) }],
    ['the highest incarnation', { incarnation: 0xffff_ffff }],
  ]
  test.each(allowed)('but alive with %s is not', (_, change) => {
    const message = { ...good, ...change }
    expect(onlyMessage(decodePacket(encodeMessage(message)))).toEqual(message)
  })

  test('a name that is not UTF-8', () => {
    const packet = encodeMessage({ type: 'suspect', incarnation: 1, node: 'XY', from: 'b' })
    packet[packet.length - 1] = 0xff
    expect(decodePacket(packet).drops).toEqual(['bad-record'])
  })

  test('an accusation without accused or accuser', () => {
    for (const type of ['suspect', 'dead'] as const) {
      expect(decodePacket(encodeMessage({ type, incarnation: 1, node: '', from: 'b' })).drops).toEqual(['bad-record'])
      expect(decodePacket(encodeMessage({ type, incarnation: 1, node: 'b', from: '' })).drops).toEqual(['bad-record'])
    }
  })

  test('an indirect ping without a target that can be dialled', () => {
    const request = { type: 'indirectPing', seqNo: 1, node: 'b', nack: true, source: undefined } as const
    const target = hex('0a000001')
    expect(decodePacket(encodeMessage({ ...request, target, port: 1 })).drops).toEqual([])
    expect(decodePacket(encodeMessage({ ...request, target, port: 0 })).drops).toEqual(['bad-record'])
    expect(decodePacket(encodeMessage({ ...request, target: hex('0a'), port: 1 })).drops).toEqual(['bad-record'])
    expect(decodePacket(encodeMessage({ ...request, target, port: 1, node: '' })).drops).toEqual(['bad-record'])
  })
})

describe('the source of a ping', () => {
  const withSource = (addr: string, port: number) =>
    decodePacket(encodeMessage({ type: 'ping', seqNo: 1, node: '', source: { addr: hex(addr), port, node: 'a' } }))

  test('is none without both address and port', () => {
    expect(onlyMessage(withSource('', 7946))).toMatchObject({ source: undefined })
    expect(onlyMessage(withSource('0a000001', 0))).toMatchObject({ source: undefined })
  })

  test('makes the ping a bad record when its address is none', () => {
    expect(withSource('0a0000', 7946).drops).toEqual(['bad-record'])
  })
})

test('stream messages, envelopes and labels are unknown types in a packet', () => {
  for (const type of ['06', '0a', '0d', '0e', '63', 'f4', 'ff'])
    expect(decodePacket(hex(type, '80')).drops).toEqual(['unknown-type'])
})

test('lzw of nothing is an empty part', () => {
  expect(decodePacket(compressed(hex(''))).drops).toEqual(['empty'])
  expect(lzwEncode(hex('')).length).toBe(3)
})
