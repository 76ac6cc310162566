import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes, utf8Encode } from '../../src/bytes.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { withCrc } from '../../src/membership/wire/crc.js'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { encodeErrorReply, encodeMessage, encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import type { DecodedPacket, PacketMessage, WireDrop } from '../../src/membership/wire/messages.js'
import { StreamDecoder, type StreamResult } from '../../src/membership/wire/stream.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { damaged, damagedOne, pick, tellingBytes } from '../support/hostile-bytes.js'
import { aliveSample, compressed, hex, pushPullSample, toHex, typed } from '../support/wire.js'
import { packetMessage, pushPull } from '../support/wire-arbitraries.js'

const SEED = Number(process.env['SEED'] ?? 20_260)
const PACKETS = 850_000
const STREAMS = 200_000

const LIMITS = { maxBytes: 20_000, maxNodes: 50 }

const packets: readonly Uint8Array[] = [
  typed(0, 'ping1'),
  typed(0, 'ping2'),
  typed(1, 'ind1'),
  typed(2, 'ack2'),
  typed(11, 'nack1'),
  typed(3, 'suspect1'),
  typed(5, 'suspect1'),
  typed(4, 'alive1'),
  encodeMessage(aliveSample),
  encodeMessage({ type: 'user', payload: utf8Encode('payload') }),
]

const streams: readonly Uint8Array[] = [
  encodePushPull(pushPullSample),
  encodePushPull({ ...pushPullSample, nodes: [] }),
  encodeStreamUser(utf8Encode('payload')),
  encodeErrorReply('boom'),
  typed(0, 'ping2'),
  typed(2, 'ack2'),
].flatMap((bytes) => [bytes, compressed(bytes)])

/** A few parts inside each other, harmed at any level. */
function nested(random: Random, depth: number): Uint8Array {
  const bytes = depth === 0 ? pick(packets, random) : wrapped(random, depth)
  return random() < 0.3 ? damagedOne(bytes, random, packets) : bytes
}

function wrapped(random: Random, depth: number): Uint8Array {
  const kind = random()
  if (kind < 0.15) return compressed(nested(random, depth - 1))
  if (kind < 0.3) return withCrc(nested(random, depth - 1))
  const parts = Array.from({ length: randomInt(random, 4) }, () => nested(random, randomInt(random, depth)))
  return encodeCompound(parts)
}

function hostilePacket(random: Random, nestings: readonly Uint8Array[]): Uint8Array {
  const kind = random()
  if (kind < 0.1) return tellingBytes(random, randomInt(random, 40))
  return damaged(kind < 0.25 ? nestings : packets, random)
}

function hostileStream(random: Random): Uint8Array {
  const kind = random()
  if (kind < 0.1) return tellingBytes(random, randomInt(random, 60))
  const bytes = damaged(streams, random)
  return kind < 0.7 ? bytes : damagedOne(bytes, random, streams)
}

/** Runs one input; what it throws is told with all that is needed to see it again. */
function guarded<T>(input: Uint8Array, index: number, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new Error(`SEED=${SEED}, input ${index}: ${toHex(input)}`, { cause: error })
  }
}

function obeysRules(message: PacketMessage): boolean {
  if (message.type === 'alive')
    return (
      (message.addr.length === 4 || message.addr.length === 16) &&
      message.vsn.length === 6 &&
      message.port > 0 &&
      message.node !== ''
    )
  if (message.type === 'indirectPing') return message.port > 0 && message.node !== ''
  if (message.type === 'suspect' || message.type === 'dead') return message.node !== '' && message.from !== ''
  return true
}

describe(`hostile bytes (SEED=${SEED})`, () => {
  test(`${PACKETS} packets are answered with messages that obey the rules and reasons, never with a throw`, () => {
    const random = seededRandom(SEED)
    const nestings = Array.from({ length: 5_000 }, () => nested(random, 1 + randomInt(random, 6)))
    const drops = new Map<WireDrop, number>()
    let messages = 0
    for (let i = 0; i < PACKETS; i++) {
      const input = hostilePacket(random, nestings)
      const decoded: DecodedPacket = guarded(input, i, () => decodePacket(input))
      messages += decoded.messages.length
      for (const drop of decoded.drops) drops.set(drop, (drops.get(drop) ?? 0) + 1)
      if (!decoded.messages.every(obeysRules)) throw new Error(`SEED=${SEED}, input ${i}: ${toHex(input)}`)
      if (i % 499 === 0) expectStable(decoded, i)
    }
    expect(messages).toBeGreaterThan(PACKETS / 20)
    const expected = ['bad-crc', 'bad-lzw', 'bad-record', 'empty', 'malformed', 'too-deep', 'too-large', 'truncated']
    expect([...drops.keys()].sort()).toEqual([...expected, 'unknown-type'])
  }, 120_000)

  test(`${STREAMS} streams in random pieces come to the same end as in one, never to a throw`, () => {
    const random = seededRandom(SEED + 1)
    const ends = new Map<string, number>()
    for (let i = 0; i < STREAMS; i++) {
      const input = hostileStream(random)
      const whole = guarded(input, i, () => new StreamDecoder(LIMITS).push(input))
      const pieces = guarded(input, i, () => inPieces(input, random))
      const end = endOf(whole)
      if (end !== endOf(pieces)) throw new Error(`SEED=${SEED}, input ${i}: ${toHex(input)}: ${end}, ${endOf(pieces)}`)
      if (i % 499 === 0) expect(pieces, `SEED=${SEED}, input ${i}`).toEqual(whole)
      ends.set(end, (ends.get(end) ?? 0) + 1)
    }
    const dropped = ['bad-lzw', 'bad-record', 'encrypted', 'malformed', 'too-deep', 'too-large', 'truncated']
    const decoded = ['ack', 'err', 'ping', 'pushPull', 'unfinished', 'user']
    expect([...ends.keys()].sort()).toEqual([...decoded, ...dropped, 'unknown-type'].sort())
  }, 120_000)
})

/** What was believed can be written and is then read as the same: nothing is relayed that was not understood. */
function expectStable({ messages }: DecodedPacket, index: number): void {
  for (const message of messages)
    expect(decodePacket(encodeMessage(message)), `SEED=${SEED}, input ${index}`).toEqual({
      messages: [message],
      drops: [],
    })
}

function endOf(result: StreamResult): string {
  if (!result.done) return 'unfinished'
  return 'drop' in result ? result.drop : result.message.type
}

function inPieces(input: Uint8Array, random: Random): StreamResult {
  const decoder = new StreamDecoder(LIMITS)
  let result: StreamResult = { done: false }
  for (let at = 0; at < input.length; ) {
    const end = at + 1 + randomInt(random, 40)
    result = decoder.push(input.subarray(at, end))
    at = end
  }
  return result
}

describe('any push/pull', () => {
  test('is read back as it was written, split anywhere, compressed or not', () => {
    fc.assert(
      fc.property(pushPull, fc.boolean(), fc.nat(), (message, isCompressed, where) => {
        const plain = encodePushPull(message)
        const bytes = isCompressed ? compressed(plain) : plain
        const split = where % bytes.length
        const decoder = new StreamDecoder({ maxBytes: 100_000, maxNodes: 10 })
        expect(decoder.push(bytes.subarray(0, split))).toEqual({ done: false })
        expect(decoder.push(bytes.subarray(split))).toEqual({ done: true, message, drops: [] })
      }),
      { numRuns: 500 },
    )
  })
})

describe('any packet', () => {
  test('gives its messages in order through compound, compression and checksum', () => {
    fc.assert(
      fc.property(fc.array(packetMessage, { minLength: 1, maxLength: 12 }), (messages) => {
        const compound = encodeCompound(messages.map(encodeMessage))
        for (const packet of [compound, withCrc(compound), compressed(compound), withCrc(compressed(compound))])
          expect(decodePacket(packet)).toEqual({ messages, drops: [] })
      }),
      { numRuns: 300 },
    )
  })
})

test('a packet made to cost as much as it can is answered in bounded time and memory', () => {
  const user = (length: number): Uint8Array => concatBytes([hex('08'), new Uint8Array(length)])
  const bomb = compressed(user(65_000))
  const unfinished = bomb.subarray(0, bomb.length - 3)
  const fill = (part: Uint8Array): Uint8Array =>
    encodeCompound(new Array<Uint8Array>(Math.min(255, Math.floor(60_000 / part.length))).fill(part))
  const nestedCompounds = fill(fill(fill(hex('07ff'))))
  const worst = [fill(bomb), fill(unfinished), compressed(fill(bomb)), nestedCompounds, fill(hex(''))]
  const startedAt = performance.now()
  for (const packet of worst) {
    const { messages, drops } = decodePacket(packet)
    expect(drops.length + messages.length).toBeLessThan(100_000)
    expect(
      messages.reduce((sum, message) => sum + (message.type === 'user' ? message.payload.length : 0), 0),
    ).toBeLessThan(65_536)
  }
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})
