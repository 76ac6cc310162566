import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { encodeErrorReply, encodeMessage, encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import type { PacketMessage } from '../../src/membership/wire/messages.js'
import { aliveSample, hex, onlyMessage, toHex, typed, vectors } from '../support/wire.js'
import { packetMessage } from '../support/wire-arbitraries.js'

const V4 = Uint8Array.of(127, 0, 0, 1)
const V6 = new Uint8Array(16).fill(0xfd)
const NONE = new Uint8Array(0)
const n40 = 'n'.repeat(40)

const cases: readonly [vector: string, type: number, message: PacketMessage][] = [
  ['ping1', 0, { type: 'ping', seqNo: 1, node: 'a', source: undefined }],
  ['ping2', 0, { type: 'ping', seqNo: 4_000_000_000, node: n40, source: { addr: V4, port: 7946, node: 'me' } }],
  [
    'ind1',
    1,
    {
      type: 'indirectPing',
      seqNo: 200,
      target: Uint8Array.of(10, 0, 0, 200),
      port: 300,
      node: 'b',
      nack: true,
      source: undefined,
    },
  ],
  ['ack1', 2, { type: 'ack', seqNo: 7, payload: NONE }],
  ['ack2', 2, { type: 'ack', seqNo: 7, payload: Uint8Array.of(1, 2, 3) }],
  ['suspect1', 3, { type: 'suspect', incarnation: 3, node: 'b', from: 'a' }],
  ['suspect1', 5, { type: 'dead', incarnation: 3, node: 'b', from: 'a' }],
  [
    'alive1',
    4,
    {
      type: 'alive',
      incarnation: 1,
      node: 'a',
      addr: V4,
      port: 7946,
      meta: NONE,
      vsn: Uint8Array.of(1, 5, 2, 0, 0, 0),
    },
  ],
  [
    'alive2',
    4,
    {
      type: 'alive',
      incarnation: 70_000,
      node: n40,
      addr: V6,
      port: 80,
      meta: Uint8Array.from({ length: 200 }, (_, i) => [0xff, 0x00, 0x80, 0x78][i % 4] as number),
      vsn: Uint8Array.of(1, 5, 2, 2, 5, 4),
    },
  ],
  [
    'alive3',
    4,
    {
      type: 'alive',
      incarnation: 70_000,
      node: 'z',
      addr: V6,
      port: 65_535,
      meta: new Uint8Array(512).fill(0xfe),
      vsn: Uint8Array.of(1, 5, 2, 2, 5, 4),
    },
  ],
  ['nack1', 11, { type: 'nack', seqNo: 129 }],
]

describe('vectors of Go', () => {
  test.each(cases)('%s (type %i) is read as the message it is', (vector, type, message) => {
    expect(onlyMessage(decodePacket(typed(type, vector)))).toEqual(message)
  })

  test.each(cases)('%s (type %i) is written with the same bytes', (vector, type, message) => {
    expect(toHex(encodeMessage(message))).toBe(toHex(typed(type, vector)))
  })

  test('an empty payload that Go wrote as empty is read like none, and written as nil', () => {
    const message = onlyMessage(decodePacket(typed(2, 'ack3')))
    expect(message).toEqual({ type: 'ack', seqNo: 65_536, payload: NONE })
    expect(toHex(encodeMessage(message))).toBe('0282a75061796c6f6164c0a55365714e6fce00010000')
  })

  test('a push/pull is its header, its members and its user state', () => {
    const node = {
      name: 'a',
      addr: V4,
      port: 7946,
      meta: Uint8Array.of(0x6d),
      incarnation: 9,
      state: 3 as const,
      vsn: Uint8Array.of(1, 5, 2, 0, 0, 0),
    }
    const userState = new Uint8Array(300).fill(5)
    const bytes = encodePushPull({ type: 'pushPull', join: true, nodes: [node, node], userState })
    const { pph1, pns1 } = vectors.messages
    expect(toHex(bytes)).toBe(`06${pph1}${pns1}${pns1}${toHex(userState)}`)
  })

  test('a user message on a stream has a header and an error reply its text', () => {
    const payload = new Uint8Array(70_000).fill(1)
    expect(toHex(encodeStreamUser(payload))).toBe(`08${vectors.messages['umh']}${toHex(payload)}`)
    expect(toHex(encodeErrorReply('boom'))).toBe(`0d${vectors.messages['err1']}`)
  })
})

describe('any message', () => {
  test('is read back as it was written', () => {
    fc.assert(
      fc.property(packetMessage, (message) => {
        expect(decodePacket(encodeMessage(message))).toEqual({ messages: [message], drops: [] })
      }),
      { numRuns: 1_000 },
    )
  })

  test('leaves messages that were written before it untouched', () => {
    fc.assert(
      fc.property(fc.array(packetMessage, { maxLength: 40 }), (messages) => {
        const all = messages.map(encodeMessage)
        for (const [i, bytes] of all.entries()) expect(decodePacket(bytes).messages).toEqual([messages[i]])
      }),
      { numRuns: 100 },
    )
  })

  test('is rejected as truncated at every length short of its own', () => {
    for (const [vector, type] of cases) {
      const whole = typed(type, vector)
      for (let length = 1; length < whole.length; length++)
        expect(decodePacket(whole.subarray(0, length))).toEqual({ messages: [], drops: ['truncated'] })
    }
  })

  test('owns its bytes: a reused receive buffer does not change it', () => {
    const packet = typed(4, 'alive3')
    const before = onlyMessage(decodePacket(packet))
    const copy = structuredClone(before)
    packet.fill(0)
    expect(before).toEqual(copy)
  })

  test('may be followed by bytes that mean nothing, as Go accepts', () => {
    expect(decodePacket(hex(toHex(typed(0, 'ping1')), 'c1c1')).drops).toEqual([])
  })
})

test('large messages after small ones and small ones after large ones keep their bytes', () => {
  const small = encodeMessage({ type: 'nack', seqNo: 1 })
  const large = encodeStreamUser(new Uint8Array(300_000).fill(3))
  const next = encodeMessage({ type: 'nack', seqNo: 2 })
  expect(toHex(small)).toBe('0b81a55365714e6f01')
  expect(toHex(next)).toBe('0b81a55365714e6f02')
  expect(large.length).toBe(300_000 + 18)
  expect(large.subarray(18).every((byte) => byte === 3)).toBe(true)
  expect(next.buffer.byteLength).toBeLessThan(10_000)
})

test('text that is not ASCII keeps its bytes when it does not fit the rest of a slab', () => {
  for (let i = 0; i < 120; i++) {
    const message = { type: 'suspect', incarnation: i, node: `${'n'.repeat(200)}é`, from: 'ü'.repeat(100) } as const
    const meta = new Uint8Array(i * 17)
    expect(decodePacket(encodeMessage(message)).messages).toEqual([message])
    const alive = { ...aliveSample, meta, node: message.node }
    expect(decodePacket(encodeMessage(alive)).messages).toEqual([alive])
  }
})
