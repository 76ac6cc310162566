import { expect, it } from 'vitest'
import {
  encodeSerfIntent,
  LAMPORT_TIME_MAX,
  tryDecodeSerfIntent,
  tryDecodeSerfState,
} from '../../src/membership/serf-messages.js'
import { MsgpackWriter } from '../../src/membership/wire/msgpack-writer.js'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** As serf agents sent them. */
const JOIN = '01 82 a54c54696d65 02 a44e6f6465 a573686f616c'
const LEAVE = '00 83 a54c54696d65 03 a44e6f6465 a573686f616c a55072756e65 c2'
const STATE = [
  '02 86 aa4576656e744c54696d65 01 a64576656e7473 dc0200',
  'c0'.repeat(512),
  'a54c54696d65 03 ab4c6566744d656d62657273 90 aa51756572794c54696d65 01',
  'ac5374617475734c54696d6573 83 a6736572662d32 01 a573686f616c 02 a6736572662d31 00',
].join('')

it('intents are byte for byte those of a serf agent', () => {
  expect(toHex(encodeSerfIntent({ kind: 'join', time: 2, node: 'shoal' }))).toBe(toHex(hex(JOIN)))
  expect(toHex(encodeSerfIntent({ kind: 'leave', time: 3, node: 'shoal' }))).toBe(toHex(hex(LEAVE)))
})

it('an agent’s intents are read', () => {
  expect(tryDecodeSerfIntent(hex(JOIN))).toEqual({ kind: 'join', time: 2, node: 'shoal' })
  expect(tryDecodeSerfIntent(hex(LEAVE))).toEqual({ kind: 'leave', time: 3, node: 'shoal' })
})

it.each([
  [127, '7f'],
  [255, 'ccff'],
  [65_535, 'cdffff'],
  [0xffff_ffff, 'ceffffffff'],
  [2 ** 32, 'cf0000000100000000'],
  [LAMPORT_TIME_MAX, 'cf001ffffffffffffe'],
])('a Lamport time of %d takes the shortest form and comes back', (time, form) => {
  const bytes = encodeSerfIntent({ kind: 'join', time, node: 'n' })
  expect(toHex(bytes)).toBe(toHex(hex(`01 82 a54c54696d65 ${form} a44e6f6465 a16e`)))
  expect(tryDecodeSerfIntent(bytes)).toEqual({ kind: 'join', time, node: 'n' })
})

it('a Lamport time beyond what a number holds exactly is no intent', () => {
  expect(tryDecodeSerfIntent(hex('01 82 a54c54696d65 cfffffffffffffffff a44e6f6465 a16e'))).toEqual({
    drop: 'bad-record',
  })
})

it('other user messages are no intents, and a broken one says why', () => {
  for (const first of [2, 3, 4, 5, 8, 9, 0x53, 255])
    expect(tryDecodeSerfIntent(Uint8Array.of(first, 0x80))).toBeUndefined()
  expect(tryDecodeSerfIntent(new Uint8Array())).toBeUndefined()
  const whole = hex(LEAVE)
  for (let length = 1; length < whole.length; length++) {
    expect(tryDecodeSerfIntent(whole.subarray(0, length)), `${length} bytes`).toEqual({ drop: 'truncated' })
  }
  expect(tryDecodeSerfIntent(Uint8Array.of(1, 0x07))).toEqual({ drop: 'malformed' })
})

it('an agent’s state tells its time, and the time and fate of one name', () => {
  expect(tryDecodeSerfState(hex(STATE), 'shoal')).toEqual({ time: 3, statusTime: 2, hasLeft: false })
  expect(tryDecodeSerfState(hex(STATE), 'unknown')).toEqual({ time: 3, statusTime: 0, hasLeft: false })
  const left = hex(STATE.replace('ab4c6566744d656d62657273 90', 'ab4c6566744d656d62657273 92 a161 a573686f616c'))
  expect(tryDecodeSerfState(left, 'shoal')).toEqual({ time: 3, statusTime: 2, hasLeft: true })
  expect(tryDecodeSerfState(left, 'b')).toEqual({ time: 3, statusTime: 0, hasLeft: false })
})

it('no prefix of a state is taken for a whole one', () => {
  const whole = hex(STATE)
  for (let length = 0; length < whole.length; length++) {
    const read = tryDecodeSerfState(whole.subarray(0, length), 'shoal')
    expect(read, `${length} bytes`).toEqual(length === 0 ? undefined : { drop: 'truncated' })
  }
})

it('a state with every slot full of events is read, one of endless values is not', () => {
  expect(tryDecodeSerfState(stateWith(512, 8), 'shoal')).toEqual({ time: 9, statusTime: 0, hasLeft: false })
  expect(tryDecodeSerfState(stateWith(512, 100), 'shoal')).toEqual({ drop: 'too-large' })
})

it('what is no agent’s state is left alone', () => {
  expect(tryDecodeSerfState(Uint8Array.of(0x53, 0x48, 1), 'shoal')).toBeUndefined()
  expect(tryDecodeSerfState(new Uint8Array(), 'shoal')).toBeUndefined()
})

function stateWith(slots: number, events: number): Uint8Array {
  const writer = new MsgpackWriter()
  writer.begin()
  writer.byte(2)
  writer.mapHead(2)
  writer.text('Events')
  writer.raw(Uint8Array.of(0xdc, slots >> 8, slots & 255))
  for (let slot = 0; slot < slots; slot++) {
    writer.mapHead(2)
    writer.text('Events')
    writer.raw(Uint8Array.of(0xdc, 0, events))
    for (let event = 0; event < events; event++) {
      writer.mapHead(2)
      writer.text('Name')
      writer.text('deploy')
      writer.text('Payload')
      writer.bytes(Uint8Array.of(1))
    }
    writer.text('LTime')
    writer.uint(slot)
  }
  writer.text('LTime')
  writer.uint(9)
  return writer.finish()
}
