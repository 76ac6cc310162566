import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import type { Envelope } from '../../src/membership/envelope.js'
import { encodePushPull } from '../../src/membership/wire/encode.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { damaged } from '../support/hostile-bytes.js'
import { feedStream, KEY_A, KEY_B, KEY_C, sealed } from '../support/sealing.js'
import { compressed, pushPullSample, toHex, typed } from '../support/wire.js'

const SEED = Number(process.env['SEED'] ?? 20_261)
const PACKETS = 75_000
const STREAMS = 25_000

const LABELS = ['', 'shop']
const KEYRINGS = [[KEY_A], [KEY_B, KEY_A], [KEY_C, KEY_B, KEY_A]]
const ENVELOPES: readonly Envelope[] = LABELS.flatMap((label) => KEYRINGS.map((keys) => sealed(label, ...keys)))

describe(`mutated sealed bytes (SEED=${SEED})`, () => {
  test(`${PACKETS} packets are dropped for their seal or label, never with a throw, and none opens`, () => {
    const random = seededRandom(SEED)
    const samples = ENVELOPES.map((envelope) => envelope.sealPacket(typed(4, 'alive1')))
    const known = new Set(samples.map(toHex))
    const drops = new Map<string, number>()
    for (let i = 0; i < PACKETS; i++) {
      const bytes = damaged(samples, random)
      const opened = ENVELOPES[i % ENVELOPES.length]!.openPacket(bytes)
      if (opened.ok) expect(known.has(toHex(bytes)), `packet ${i} opened: ${toHex(bytes)}`).toBe(true)
      const outcome = opened.ok ? 'opened' : opened.drop
      drops.set(outcome, (drops.get(outcome) ?? 0) + 1)
    }
    for (const reason of ['bad-seal', 'wrong-label', 'bad-label'])
      expect(drops.get(reason), reason).toBeGreaterThan(100)
  })

  test(`${STREAMS} streams in random pieces are dropped or wait for more, never with a throw`, () => {
    const random = seededRandom(SEED + 1)
    const message = encodePushPull(pushPullSample)
    const samples = ENVELOPES.flatMap((envelope) => [
      envelope.sealStream(message),
      envelope.sealReply(compressed(message)),
    ])
    const ends = new Map<string, number>()
    for (let i = 0; i < STREAMS; i++) {
      const bytes = damaged(samples, random)
      const chunkBytes = 1 + randomInt(random, bytes.length + 1)
      const side = i % 2 === 0 ? 'accepted' : 'dialled'
      const result = feedStream(ENVELOPES[i % ENVELOPES.length]!, bytes, { side, chunkBytes })
      const end = !result.done ? 'waits' : 'drop' in result ? result.drop : 'opened'
      ends.set(end, (ends.get(end) ?? 0) + 1)
    }
    for (const end of ['bad-seal', 'waits', 'plaintext', 'wrong-label']) expect(ends.get(end), end).toBeGreaterThan(50)
  })
})

describe('any bytes', () => {
  const key = fc.constantFrom(16, 24, 32).chain((length) => fc.uint8Array({ minLength: length, maxLength: length }))
  const label = fc.string({ unit: 'grapheme', maxLength: 20 })

  test('that are sealed open under the same keys and label, and under no others', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), key, key, label, (plain, one, other, name) => {
        fc.pre(toHex(one) !== toHex(other))
        const packet = sealed(name, one).sealPacket(plain)
        const opened = sealed(name, other, one).openPacket(packet)
        expect(opened.ok && toHex(opened.rest)).toBe(toHex(plain))
        expect(sealed(name, other).openPacket(packet)).toEqual({ ok: false, drop: 'bad-seal' })
        expect(sealed(`${name}x`, one).openPacket(packet).ok).toBe(false)
      }),
      { seed: SEED, numRuns: 300 },
    )
  })

  test('behind the head of a sealed stream end it or wait for more', () => {
    const random: Random = seededRandom(SEED + 2)
    for (let i = 0; i < 2_000; i++) {
      const body = Uint8Array.from({ length: randomInt(random, 200) }, () => randomInt(random, 256))
      const head = Uint8Array.of(10, 0, 0, 0, randomInt(random, 256))
      const result = feedStream(ENVELOPES[0]!, concatBytes([head, body]))
      if (result.done) expect(result).toEqual({ done: true, drop: 'bad-seal' })
    }
  })
})
