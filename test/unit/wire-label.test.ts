import { describe, expect, test } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import { isShoalError } from '../../src/errors.js'
import { assertLabel, LabelStripper, labelHeader, labelOverhead, stripLabel } from '../../src/membership/wire/label.js'
import { hex, toHex } from '../support/wire.js'

const labels = ['shop', 'é', '\u{feff}x', 'x'.repeat(255)]

test('the header is f4, the length in bytes and the text, and nothing for the empty label', () => {
  expect(toHex(labelHeader('shop'))).toBe('f40473686f70')
  expect(toHex(labelHeader('é'))).toBe('f402c3a9')
  expect(labelHeader('')).toHaveLength(0)
  for (const label of ['', ...labels]) expect(labelOverhead(label)).toBe(labelHeader(label).length)
})

test('a label that the wire cannot carry is an invalid option', () => {
  for (const label of ['', ...labels]) expect(() => assertLabel(label)).not.toThrow()
  for (const label of ['x'.repeat(256), 'é'.repeat(128), 'a\ud800']) {
    let thrown: unknown
    try {
      assertLabel(label)
    } catch (error) {
      thrown = error
    }
    expect(isShoalError(thrown, 'INVALID_OPTION')).toBe(true)
  }
})

describe.each(labels)('the label %s', (label) => {
  const packet = concatBytes([labelHeader(label), hex('0080')])

  test('is taken off where it is expected', () => {
    expect(stripLabel(packet, label)).toEqual({ ok: true, rest: hex('0080') })
  })

  test('is wrong where another or none is expected, and none is wrong where it is', () => {
    for (const other of ['', 'other', `${label.slice(0, -1)}?`])
      expect(stripLabel(packet, other)).toEqual({ ok: false, drop: 'wrong-label' })
    expect(stripLabel(hex('0080'), label)).toEqual({ ok: false, drop: 'wrong-label' })
    expect(stripLabel(hex(''), label)).toEqual({ ok: false, drop: 'wrong-label' })
  })

  test('is bad when it is cut off', () => {
    for (let length = 1; length < packet.length - 2; length++)
      expect(stripLabel(packet.subarray(0, length), label)).toEqual({ ok: false, drop: 'bad-label' })
  })

  test('is taken off a stream at every split', () => {
    for (let split = 0; split <= packet.length; split++) {
      const stripper = new LabelStripper(label)
      const first = stripper.push(packet.subarray(0, split))
      const second = first ?? stripper.push(packet.subarray(split))
      const rest = split >= packet.length - 2 ? packet.subarray(packet.length - 2, split) : hex('0080')
      expect(second).toEqual({ ok: true, rest })
      expect(first === undefined).toBe(split < packet.length - 2)
    }
  })

  test('is wrong on a stream with the first byte that tells', () => {
    expect(new LabelStripper('').push(packet)).toEqual({ ok: false, drop: 'wrong-label' })
    expect(new LabelStripper(label).push(hex('06'))).toEqual({ ok: false, drop: 'wrong-label' })
  })
})

test('no label passes where none is expected', () => {
  expect(stripLabel(hex('0080'), '')).toEqual({ ok: true, rest: hex('0080') })
  expect(stripLabel(hex(''), '')).toEqual({ ok: true, rest: hex('') })
  expect(new LabelStripper('').push(hex(''))).toBeUndefined()
  expect(new LabelStripper('').push(hex('06'))).toEqual({ ok: true, rest: hex('06') })
})

test('a label of no bytes is bad', () => {
  expect(stripLabel(hex('f400 0080'), '')).toEqual({ ok: false, drop: 'bad-label' })
  expect(new LabelStripper('shop').push(hex('f400'))).toEqual({ ok: false, drop: 'bad-label' })
})
