import { describe, expect, test } from 'vitest'
import { concatBytes, EMPTY_BYTES, utf8Encode } from '../../src/bytes.js'
import { Envelope } from '../../src/membership/envelope.js'
import { Keyring } from '../../src/membership/keyring.js'
import { Sealer } from '../../src/membership/sealer.js'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import { stripLabel } from '../../src/membership/wire/label.js'
import { SealedStreamReader, sealAad, sealHead } from '../../src/membership/wire/seal.js'
import { base64, feedStream, KEY_A, KEY_B, KEY_C, envelopeOf as seal, sealed, sealing } from '../support/sealing.js'
import { compressed, hex, pushPullSample, toHex, typed, vectors } from '../support/wire.js'

const ping = typed(0, 'ping1')
const user = encodeStreamUser(utf8Encode('over a stream'))
const userMessage = { type: 'user', payload: Uint8Array.from(utf8Encode('over a stream')) }

/** An envelope of any version around any bytes, padded or not. */
function envelopeOf(version: number, plain: Uint8Array, key = KEY_A): Uint8Array {
  return seal({ version, plain, key, nonce: new Uint8Array(12).fill(9) })
}

describe('vectors with a key', () => {
  const packets = vectors.packets.filter(({ key }) => key !== null)
  const streams = vectors.streams.filter(({ key }) => key !== null)

  test('are nine, of every key length and both versions', () => {
    expect(packets.map(({ name }) => name)).toEqual([
      'aes128',
      'aes192',
      'aes256',
      'aes256+label',
      'aes256+label+lzw+crc',
      'aes128, encryption version 0 (padded)',
    ])
    expect(streams).toHaveLength(3)
  })

  test.each(packets)('packet $name opens to its inner message', ({ key, label, inner, packet }) => {
    const opened = sealed(label, hex(key ?? '')).openPacket(hex(packet))
    if (!opened.ok) throw new Error(opened.drop)
    const decoded = decodePacket(opened.rest)
    expect(decoded.messages.length).toBeGreaterThan(0)
    expect(decoded).toEqual(decodePacket(hex(inner)))
    expect(sealed(label, hex(key ?? '').fill(7)).openPacket(hex(packet))).toEqual({ ok: false, drop: 'bad-seal' })
  })

  test.each(streams)('stream $name opens to its inner message', ({ key, label, inner, stream, name }) => {
    const stripped = name.includes('dialler')
      ? stripLabel(hex(stream), label)
      : { ok: true as const, rest: hex(stream) }
    if (!stripped.ok) throw new Error(stripped.drop)
    const sealer = new Sealer(new Keyring([KEY_B, hex(key ?? '')]))
    let plain = EMPTY_BYTES
    const reader = new SealedStreamReader({
      label: utf8Encode(label),
      maxBytes: 10_000,
      open: (envelope, aad) => sealer.open(envelope, aad),
      readPlain: (bytes) => {
        plain = bytes
        return { done: true, drop: 'empty' }
      },
    })
    expect(reader.push(stripped.rest)).toEqual({ done: true, drop: 'empty' })
    expect(toHex(plain)).toBe(name.includes('lzw') ? toHex(compressed(hex(inner))) : inner)
  })
})

describe('a sealed packet', () => {
  test.each([KEY_A, KEY_B, KEY_C])('opens under the same key, behind its label', (key) => {
    const envelope = sealed('shop', key)
    const packet = envelope.sealPacket(ping)
    expect(toHex(packet.subarray(0, 7))).toBe('f40473686f7001')
    expect(packet.length).toBe(ping.length + envelope.overhead)
    expect(envelope.overhead).toBe(6 + 29)
    expect(toHex(packet)).not.toContain(toHex(ping))
    expect(sealed('shop', KEY_A, KEY_B, KEY_C).openPacket(packet)).toMatchObject({ ok: true })
  })

  test('holds a nonce of its own, however many there are', () => {
    const envelope = sealed('', KEY_A)
    const nonces = Array.from({ length: 2_000 }, () => toHex(envelope.sealPacket(ping).subarray(1, 13)))
    expect(new Set(nonces).size).toBe(nonces.length)
  })

  test('does not open under another key, under another label, cut off, or with any bit behind its version changed', () => {
    const envelope = sealed('', KEY_A)
    const packet = envelope.sealPacket(ping)
    const labelled = sealed('shop', KEY_A)
    const foreign = [
      sealed('', KEY_B).sealPacket(ping),
      labelled.sealPacket(ping).subarray(6),
      ...Array.from(packet, (_, at) => packet.subarray(0, at)),
      ...Array.from({ length: packet.length * 8 - 8 }, (_, i) => {
        const bit = i + 8
        const flipped = packet.slice()
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        return flipped
      }),
    ]
    expect(foreign.length).toBe(2 + packet.length * 9 - 8)
    for (const bytes of foreign) expect(envelope.openPacket(bytes)).toEqual({ ok: false, drop: 'bad-seal' })
    expect(envelope.openPacket(packet)).toMatchObject({ ok: true })
  })

  test('of version 0 opens without its padding', () => {
    const envelope = sealed('', KEY_A)
    for (let length = 0; length < 40; length++) {
      const plain = new Uint8Array(length).fill(0x33)
      const padding = 16 - (length % 16)
      const padded = concatBytes([plain, new Uint8Array(padding).fill(padding)])
      const opened = envelope.openPacket(envelopeOf(0, padded))
      expect(opened.ok && toHex(opened.rest)).toBe(toHex(plain))
    }
  })

  const misshapen: readonly [string, Uint8Array][] = [
    ['of version 2', envelopeOf(2, ping)],
    ['of version 255', envelopeOf(255, ping)],
    ['of version 0 without padding', envelopeOf(0, EMPTY_BYTES)],
    ['of version 0 that is no whole blocks', envelopeOf(0, new Uint8Array(17).fill(1))],
    ['padded with zeros', envelopeOf(0, new Uint8Array(16))],
    ['padded by more than a block', envelopeOf(0, new Uint8Array(32).fill(17))],
    ['with unequal padding', envelopeOf(0, hex('0a'.repeat(13), '020303'))],
  ]
  test.each(misshapen)('%s is refused though its key is right', (_, bytes) => {
    expect(sealed('', KEY_A).openPacket(bytes)).toEqual({ ok: false, drop: 'bad-seal' })
  })

  test('turned from version 1 into 0 opens only if it ends like padding, which it loses', () => {
    const envelope = sealed('', KEY_A)
    const asPadded = (plain: Uint8Array): Uint8Array => {
      const packet = envelope.sealPacket(plain)
      packet[0] = 0
      return packet
    }
    expect(envelope.openPacket(asPadded(typed(4, 'alive1')))).toEqual({ ok: false, drop: 'bad-seal' })
    const opened = envelope.openPacket(asPadded(ping))
    if (!opened.ok) throw new Error(opened.drop)
    expect([ping.length, opened.rest.length]).toEqual([16, 15])
    expect(decodePacket(opened.rest)).toEqual({ messages: [], drops: ['truncated'] })
  })

  test('around nothing opens to nothing', () => {
    expect(sealed('', KEY_A).openPacket(envelopeOf(1, EMPTY_BYTES))).toMatchObject({ ok: true, rest: { length: 0 } })
  })
})

describe('while a cluster is being encrypted', () => {
  const plain = new Envelope('shop')
  const listening = new Envelope('shop', sealing([KEY_A], { verifyIncoming: false, verifyOutgoing: false }))
  const sending = new Envelope('shop', sealing([KEY_A], { verifyIncoming: false }))
  const strict = sealed('shop', KEY_A)

  test('each stage understands the one before and the one after', () => {
    for (const [from, to] of [
      [plain, listening],
      [listening, plain],
      [listening, sending],
      [sending, listening],
      [sending, strict],
      [strict, sending],
    ] as const) {
      const packet = to.openPacket(from.sealPacket(ping))
      expect(packet.ok && toHex(packet.rest)).toBe(toHex(ping))
      expect(feedStream(to, from.sealStream(user))).toMatchObject({ message: userMessage })
      expect(feedStream(to, from.sealReply(user), { side: 'dialled' })).toMatchObject({ message: userMessage })
    }
  })

  test('the last stage takes no plaintext', () => {
    expect(strict.openPacket(plain.sealPacket(ping))).toEqual({ ok: false, drop: 'bad-seal' })
    expect(feedStream(strict, plain.sealStream(user))).toEqual({ done: true, drop: 'plaintext' })
    expect(feedStream(strict, listening.sealReply(user), { side: 'dialled' })).toEqual({
      done: true,
      drop: 'plaintext',
    })
  })
})

describe('a sealed stream', () => {
  const envelope = sealed('shop', KEY_C)

  test('is read the same wherever it is split, labelled or as a reply, compressed or not', () => {
    const plain = encodePushPull(pushPullSample)
    for (const inner of [plain, compressed(plain)]) {
      for (const [side, bytes] of [
        ['accepted', envelope.sealStream(inner)],
        ['dialled', envelope.sealReply(inner)],
      ] as const) {
        for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++)
          expect(feedStream(envelope, bytes, { side, chunkBytes })).toMatchObject({ done: true, drops: [] })
        expect(feedStream(envelope, bytes, { side })).toEqual({ done: true, drops: [], message: pushPullSample })
        for (let end = 0; end < bytes.length; end++)
          expect(feedStream(envelope, bytes.subarray(0, end), { side })).toEqual({ done: false })
      }
    }
  })

  test('ignores what follows it', () => {
    const bytes = concatBytes([envelope.sealStream(user), hex('ff ff ff')])
    for (const chunkBytes of [1, 1_000]) {
      expect(feedStream(envelope, bytes, { chunkBytes })).toMatchObject({ message: userMessage })
    }
  })

  test('covers its length and the label, also where no label is written', () => {
    const reply = sealed('office', KEY_C).sealReply(user)
    expect(feedStream(envelope, reply, { side: 'dialled' })).toEqual({ done: true, drop: 'bad-seal' })
    const longer = concatBytes([envelope.sealReply(user), hex('00')])
    longer[4] = (longer[4] ?? 0) + 1
    expect(feedStream(envelope, longer, { side: 'dialled' })).toEqual({ done: true, drop: 'bad-seal' })
  })

  const refused: readonly [string, string, string][] = [
    ['4 GiB', '0a ffffffff', 'too-large'],
    ['a byte more than 20 MiB', '0a 01400001', 'too-large'],
    ['less than an envelope takes', '0a 0000001c', 'bad-seal'],
    ['nothing', '0a 00000000', 'bad-seal'],
  ]
  test.each(refused)('that announces %s is refused at once', (_, head, drop) => {
    for (const chunkBytes of [1, 5]) {
      expect(feedStream(envelope, hex(head), { side: 'dialled', chunkBytes })).toEqual({ done: true, drop })
    }
  })

  test('of 20 MiB is waited for, holding no more than came', () => {
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 1_000 }, () => {
      const reader = envelope.streamDecoder('dialled')
      expect(reader.push(hex('0a 01400000', '00'.repeat(100)))).toEqual({ done: false })
      return reader
    })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000)
    expect(readers).toHaveLength(1_000)
  })

  test('with half a message, or with another sealed one inside, is dropped', () => {
    const half = envelope.sealReply(user.subarray(0, -1))
    expect(feedStream(envelope, half, { side: 'dialled' })).toEqual({ done: true, drop: 'truncated' })
    const twice = envelope.sealReply(envelope.sealReply(user))
    expect(feedStream(envelope, twice, { side: 'dialled' })).toMatchObject({ done: true, drop: 'encrypted' })
  })
})

describe('a refusal', () => {
  const keyless = new Envelope('shop')
  const strict = sealed('shop', KEY_A)

  test('of an encrypted request by a node without keys is plaintext and says why', () => {
    const asked = feedStream(keyless, strict.sealStream(user))
    expect(asked).toEqual({ done: true, drop: 'encrypted' })
    const answer = keyless.sealRefusal('encrypted')
    expect(answer?.[0]).toBe(13)
    expect(feedStream(keyless, answer ?? EMPTY_BYTES, { side: 'dialled' })).toMatchObject({
      message: { type: 'err', error: expect.stringContaining('has no keys') },
    })
  })

  test.each(['plaintext', 'bad-seal'] as const)('for %s is itself sealed', (drop) => {
    const answer = strict.sealRefusal(drop) ?? EMPTY_BYTES
    expect(feedStream(keyless, answer, { side: 'dialled' })).toEqual({ done: true, drop: 'encrypted' })
    expect(feedStream(strict, answer, { side: 'dialled' })).toMatchObject({ message: { type: 'err' } })
  })

  test('is not made for what is no matter of keys', () => {
    for (const drop of ['malformed', 'wrong-label', 'too-large'] as const)
      expect([strict.sealRefusal(drop), keyless.sealRefusal(drop)]).toEqual([undefined, undefined])
  })
})

test('a changed keyring counts from the next packet on', () => {
  const ring = new Keyring([KEY_A])
  const envelope = new Envelope('', { cipher: new Sealer(ring), verifyIncoming: true, verifyOutgoing: true })
  const [onlyA, onlyB] = [sealed('', KEY_A), sealed('', base64(KEY_B))]
  const readers = (): boolean[] => {
    const packet = envelope.sealPacket(ping)
    return [onlyA, onlyB].map((reader) => reader.openPacket(packet).ok)
  }
  expect([readers(), envelope.openPacket(onlyB.sealPacket(ping)).ok]).toEqual([[true, false], false])
  ring.add(KEY_B)
  expect([readers(), envelope.openPacket(onlyB.sealPacket(ping)).ok]).toEqual([[true, false], true])
  ring.use(KEY_B)
  expect([readers(), envelope.openPacket(onlyA.sealPacket(ping)).ok]).toEqual([[false, true], true])
  ring.remove(KEY_A)
  expect([readers(), envelope.openPacket(onlyA.sealPacket(ping)).ok]).toEqual([[false, true], false])
})

test('the head of a sealed stream is its type and length', () => {
  expect(toHex(sealHead(0x01020304))).toBe('0a01020304')
  expect(toHex(sealAad(sealHead(29), utf8Encode('shop')))).toBe('0a0000001d73686f70')
})
