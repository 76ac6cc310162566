import { describe, expect, it } from 'vitest'
import { Envelope } from '../../src/membership/envelope.js'
import { encodeCompressed } from '../../src/membership/wire/compress.js'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { encodeMessage, encodePushPull } from '../../src/membership/wire/encode.js'
import { lzwDecode, lzwEncode } from '../../src/membership/wire/lzw.js'
import { randomInt, seededRandom } from '../../src/random.js'
import { aliveSample, hex, nodeSample, toHex, vectors } from '../support/wire.js'

const plain = new Envelope('shop')
const packed = new Envelope('shop', undefined, true)
const list = encodePushPull({
  type: 'pushPull',
  join: false,
  nodes: Array.from({ length: 100 }, (_, i) => ({ ...nodeSample, name: `node-${i}` })),
  userState: new Uint8Array(),
})

describe('compression on the way out', () => {
  it('writes the bytes of the vectors', () => {
    const lzw = vectors.packets.find(({ name }) => name === 'lzw')!
    expect(toHex(encodeCompressed(hex(lzw.inner)))).toBe(lzw.packet)
  })

  it('shrinks a list of members to less than half, on streams and in packets, which are read as before', () => {
    for (const seal of ['sealStream', 'sealReply', 'sealPacket'] as const) {
      expect(packed[seal](list).length).toBeLessThan(plain[seal](list).length / 2)
    }
    const read = plain.streamDecoder('accepted').push(packed.sealStream(list))
    expect(read).toEqual(plain.streamDecoder('accepted').push(plain.sealStream(list)))
    const user = encodeMessage({ type: 'user', payload: new Uint8Array(600).fill(7) })
    const opened = plain.openPacket(packed.sealPacket(user))
    expect(opened.ok && decodePacket(opened.rest)).toEqual(decodePacket(user))
  })

  it('leaves alone what is small and what does not shrink', () => {
    const alive = encodeMessage(aliveSample)
    const random = seededRandom(1)
    const noise = Uint8Array.from({ length: 1_200 }, () => randomInt(random, 256))
    for (const message of [alive, noise]) expect(packed.sealPacket(message)).toEqual(plain.sealPacket(message))
  })
})

describe('bombs', () => {
  it('on streams may inflate to 64 times their size, or to two MiB', () => {
    const bytes = (count: number) => encodeMessage({ type: 'user', payload: new Uint8Array(count) })
    const result = (count: number) => plain.streamDecoder('dialled').push(encodeCompressed(bytes(count)))
    expect(result(4 * 1024 * 1024)).toEqual({ done: true, drop: 'too-large' })
    expect(result(1_000_000)).not.toEqual({ done: true, drop: 'too-large' })
    expect(result(2_200_000)).toEqual({ done: true, drop: 'too-large' })
  })

  it('that are refused cost what came in and not what would come out', () => {
    const bomb = lzwEncode(new Uint8Array(4 * 1024 * 1024))
    const timeOf = (bytesMax: number): number => {
      const start = performance.now()
      for (let i = 0; i < 20; i++) lzwDecode(bomb, bytesMax)
      return performance.now() - start
    }
    timeOf(0)
    expect(timeOf(4 * 1024 * 1024 - 1)).toBeLessThan(timeOf(4 * 1024 * 1024))
  })
})
