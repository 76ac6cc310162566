import { describe, expect, test } from 'vitest'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { MsgpackReader } from '../../src/membership/wire/msgpack-reader.js'
import { structSchema } from '../../src/membership/wire/struct-schema.js'
import { hex, onlyMessage } from '../support/wire.js'

const SEQ = 'a55365714e6f'
const NODE = 'a44e6f6465'
const PAYLOAD = 'a75061796c6f6164'

function decode(...parts: string[]) {
  return decodePacket(hex(...parts))
}

describe('integers come in either family', () => {
  const accepted: readonly [string, number][] = [
    ['05', 5],
    ['cc 05', 5],
    ['cd 0005', 5],
    ['ce 00000005', 5],
    ['cf 0000000000000005', 5],
    ['d0 05', 5],
    ['d1 0100', 256],
    ['d2 00010000', 65_536],
    ['d3 00000000ffffffff', 0xffff_ffff],
    ['c0', 0],
  ]
  test.each(accepted)('%s is %i', (value, seqNo) => {
    expect(onlyMessage(decode('0b 81', SEQ, value))).toEqual({ type: 'nack', seqNo })
  })

  test.each(['ff', 'd0 ff', 'd1 8000', 'd2 ffffffff', 'd3 ffffffffffffffff', 'cf 0000000100000000'])(
    '%s is outside an unsigned field of 32 bits',
    (value) => {
      expect(decode('0b 81', SEQ, value)).toEqual({ messages: [], drops: ['bad-record'] })
    },
  )

  test.each(['ca 40000000', 'cb 4000000000000000', 'c3', 'a131', '9101', '8101a161', 'd40102', 'c7 02 01 0000'])(
    '%s is no integer',
    (value) => {
      expect(decode('0b 81', SEQ, value)).toEqual({ messages: [], drops: ['malformed'] })
    },
  )
})

describe('text and bytes come in any family', () => {
  test.each(['a161', 'd90161', 'da000161', 'db0000000161', 'c40161', 'c5000161', 'c60000000161'])('text %s', (text) => {
    expect(onlyMessage(decode('00 82', NODE, text, SEQ, '01'))).toMatchObject({ node: 'a' })
  })

  test.each(['a2ff61', 'd902ff61', 'da0002ff61', 'c402ff61', '92ccff61', 'dc0002ccffd061', 'dd00000002cd00ff61'])(
    'bytes %s',
    (bytes) => {
      expect(onlyMessage(decode('02 82', PAYLOAD, bytes, SEQ, '01'))).toMatchObject({ payload: hex('ff61') })
    },
  )

  test.each(['93 01 cd0100 02', '92 a161 01', 'c3', '80'])('bytes may not be %s', (bytes) => {
    expect(decode('02 82', PAYLOAD, bytes, SEQ, '01').drops).toHaveLength(1)
  })
})

describe('structs', () => {
  test('missing keys, nil and the nil struct are zero values', () => {
    const zero = { type: 'ping', seqNo: 0, node: '', source: undefined }
    expect(onlyMessage(decode('00 80'))).toEqual(zero)
    expect(onlyMessage(decode('00 c0'))).toEqual(zero)
    expect(onlyMessage(decode('00 82', NODE, 'c0', SEQ, 'c0'))).toEqual(zero)
  })

  test('keys count in any order, and the last of equal ones', () => {
    expect(onlyMessage(decode('00 83', SEQ, '01', NODE, 'a161', SEQ, '02'))).toMatchObject({ seqNo: 2, node: 'a' })
  })

  test('a map may have a long head', () => {
    expect(onlyMessage(decode('0b de0001', SEQ, '07'))).toEqual({ type: 'nack', seqNo: 7 })
    expect(onlyMessage(decode('0b df00000001', SEQ, '07'))).toEqual({ type: 'nack', seqNo: 7 })
  })

  test('an array counts by the order of the declaration, extra values skipped', () => {
    expect(onlyMessage(decode('00 92 07 a161'))).toMatchObject({ seqNo: 7, node: 'a' })
    expect(onlyMessage(decode('00 95 07 a161 a40a000001 cd1f0a a16d'))).toEqual({
      type: 'ping',
      seqNo: 7,
      node: 'a',
      source: { addr: hex('0a000001'), port: 7946, node: 'm' },
    })
    expect(onlyMessage(decode('0b dc0003 07 81a16101 c0'))).toEqual({ type: 'nack', seqNo: 7 })
  })

  const unknown = ['c0', 'c2', '7f', 'a3616263', 'c4020102', 'ca00000000', 'cb0000000000000000', 'd6ff00000000']
  const nested = [
    'c80001ff00',
    'd8ff00000000000000000000000000000000',
    '93010203',
    '82a16101a16202',
    '9192939101 02 03 80',
  ]
  test.each([...unknown, ...nested])('an unknown key with the value %s is skipped', (value) => {
    expect(onlyMessage(decode('0b 82 a178', value, SEQ, '07'))).toEqual({ type: 'nack', seqNo: 7 })
  })

  test('keys of the wrong case or of another kind than text are unknown', () => {
    expect(onlyMessage(decode('0b 83 a5 7365716e6f 05 01 06', SEQ, '07'))).toEqual({ type: 'nack', seqNo: 7 })
  })

  test('what is neither map, array nor nil is malformed', () => {
    for (const head of ['a0', '01', 'c3', 'c1', 'ff']) expect(decode('0b', head).drops).toEqual(['malformed'])
    expect(decode('0b 81 a178 c1').drops).toEqual(['malformed'])
  })
})

describe('announced sizes', () => {
  test.each(['0b dfffffffff', '0b ddffffffff', '0b 81 a178 ddffffffff', '0b 81 a178 dfffffffff', '02 9201ddffffffff'])(
    '%s is refused before anything is kept',
    (start) => {
      expect(decode(start).drops).toEqual(['too-large'])
    },
  )

  test.each(['00 81 dbffffffff', '02 81 a75061796c6f6164 c6ffffffff', '0b 81 a178 c9ffffffff'])(
    '%s is cut off',
    (start) => {
      expect(decode(start).drops).toEqual(['truncated'])
    },
  )

  test('a tower of a hundred thousand arrays costs its bytes and no stack', () => {
    expect(decode('0b 81 a178', '91'.repeat(100_000), '00').drops).toEqual(['too-large'])
  })
})

test('a reader says how many bytes it took, and after a cut how far the bytes must reach', () => {
  const schema = structSchema('B', 'A')
  const reader = new MsgpackReader()
  const bytes = hex('c1', '82 a141 07 a142 a3616263', 'c1')
  reader.open(bytes, 1)
  reader.openStruct()
  expect(reader.nextField(schema)).toBe('A')
  expect(reader.readUint(255)).toBe(7)
  expect(reader.nextField(schema)).toBe('B')
  expect(reader.readText(255)).toBe('abc')
  expect(reader.nextField(schema)).toBeUndefined()
  expect(reader.trouble()).toBeUndefined()
  expect(reader.position()).toBe(bytes.length - 1)

  reader.open(hex('81 a142 da0100 61'), 0)
  reader.openStruct()
  reader.nextField(schema)
  expect(reader.readText(255)).toBe('')
  expect(reader.failure()).toBe('truncated')
  expect(reader.wantedEnd()).toBe(6 + 256)
})
