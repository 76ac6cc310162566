import { describe, expect, it } from 'vitest'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { PlainReader, UNREAD } from '../../src/rpc/plain-reader.js'
import { PlainWriter } from '../../src/rpc/plain-writer.js'
import { type KnownRecord, RecordCodes } from '../../src/rpc/record-code.js'

const BYTES_MAX = 1_000_000
const reference = new MsgpackCodec()
const bytesOf = (value: unknown): Buffer => Buffer.from(reference.encode(value, 'v'))

/** Makes no code, and keeps the keys that it should have been made of. */
function recorder(learnEvery?: number): { codes: RecordCodes<string>; made: string[] } {
  const made: string[] = []
  const make = ({ keys }: KnownRecord<string>): string => {
    made.push(keys.join())
    return keys.join()
  }
  return { codes: new RecordCodes(make, learnEvery), made }
}

const codeFor = (codes: RecordCodes<string>, record: object): KnownRecord<string> | undefined => {
  const keys = Object.keys(record)
  return codes.find(keys.length, keys[0]?.length ?? 0, keys[0]?.charCodeAt(0) ?? 0)
}

describe('which records are given code', () => {
  it('one of so many that have none, whoever sends how many kinds of them', () => {
    const { codes, made } = recorder()
    for (let i = 0; i < 10_000; i++) codes.noteStranger({ [`key${i}`]: i })
    expect(made.length).toBeLessThanOrEqual(10)
    expect(made.length).toBeGreaterThan(2)
  })

  it('ever fewer, where it comes and goes without being used', () => {
    const { codes, made } = recorder()
    for (let i = 0; i < 100_000; i++) codes.noteStranger({ id: 1, [`name${i}`]: i })
    expect(made.length).toBeLessThan(10)
  })

  it('one takes the place of another, unless that came often', () => {
    const { codes, made } = recorder(1)
    const first = { id: 1, name: 1 }
    const second = { is: 1, nick: 1 }
    codes.noteStranger(first)
    codes.noteStranger(second)
    expect(codeFor(codes, second)?.code).toBe('is,nick')
    for (let i = 0; i < 1_000; i++) codeFor(codes, second)?.noteHit()
    for (let i = 0; i < 2; i++) codes.noteStranger(first)
    expect(codeFor(codes, second)?.code).toBe('is,nick')
    // It came no more since.
    for (let i = 0; i < 2; i++) codes.noteStranger(first)
    expect(codeFor(codes, second)?.code).toBe('id,name')
    expect(made).toEqual(['id,name', 'is,nick', 'id,name'])
  })

  it('hits that were none do not keep a place', () => {
    const { codes } = recorder(1)
    codes.noteStranger({ id: 1, name: 1 })
    const known = codeFor(codes, { id: 1, nick: 1 })
    for (let i = 0; i < 1_000; i++) {
      known?.noteHit()
      known?.takeHitBack()
    }
    codes.noteStranger({ id: 1, nick: 1 })
    expect(codeFor(codes, { id: 1, nick: 1 })?.code).toBe('id,nick')
  })

  it.each([
    ['none', {}],
    ['an empty one', { '': 1 }],
    ['a quote', { 'a"': 1 }],
    ['a backslash', { 'a\\': 1 }],
    ['a line break', { 'a\n': 1 }],
    ['a line separator', { 'a\u2028': 1 }],
    ['other letters', { ключ: 1 }],
    ['a long one', { ['k'.repeat(32)]: 1 }],
    ['a number', { 7: 1 }],
    ['the prototype', JSON.parse('{"__proto__":1}')],
    ['very many', Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, i]))],
  ])('none for keys that could be more than text, or too much of it: %s', (_what, record) => {
    const { codes, made } = recorder(1)
    for (let i = 0; i < 3; i++) codes.noteStranger(record)
    expect(made).toEqual([])
    codes.noteStranger({ plain: 1 })
    expect(made).toEqual(['plain'])
  })

  it('not more than so many letters of keys: they are what takes memory, and peers choose them', () => {
    const { codes, made } = recorder(1)
    for (let count = 1; count <= 32; count++) {
      for (let length = 4; length <= 31; length++) {
        const keys = Array.from({ length: count }, (_, i) => `k${i}_`.padEnd(length, 'x'))
        codes.noteStranger(Object.fromEntries(keys.map((key) => [key, 0])))
      }
    }
    const tableChars = [...new Set(made)]
      .filter((keys) => codeFor(codes, Object.fromEntries(keys.split(',').map((key) => [key, 0])))?.code === keys)
      .reduce((sum, keys) => sum + keys.replaceAll(',', '').length, 0)
    expect(tableChars).toBeGreaterThan(10_000)
    expect(tableChars).toBeLessThanOrEqual(16_384)
  })

  it('none for one whose making failed, but for others', () => {
    let isFirst = true
    const codes = new RecordCodes(({ keys }: KnownRecord<string>): string => {
      if (!isFirst) return keys.join()
      isFirst = false
      throw new RangeError('Maximum call stack size exceeded')
    }, 1)
    codes.noteStranger({ a: 1 })
    codes.noteStranger({ b: 1 })
    expect([codeFor(codes, { a: 1 }), codeFor(codes, { b: 1 })?.code]).toEqual([undefined, 'b'])
  })

  it('none at all, once it was not allowed', () => {
    let asked = 0
    const codes = new RecordCodes(() => {
      asked++
      throw new EvalError('Code generation from strings disallowed for this context')
    }, 1)
    for (let i = 0; i < 100; i++) codes.noteStranger({ a: i })
    expect(asked).toBe(1)
    expect(codes.find(1, 1, 97)).toBeUndefined()
  })
})

/** Reads and writes with code for all that it has seen. */
function quick(): { reader: PlainReader; writer: PlainWriter } {
  return { reader: new PlainReader(BYTES_MAX, 1), writer: new PlainWriter(BYTES_MAX, 1) }
}

describe('records with code', () => {
  it('are the same as without, their keys in the same order', () => {
    const { reader, writer } = quick()
    const value = [{ id: 1, name: 'alice', tags: ['a', { b: undefined, 'c-d e': null }], n: 3.14, constructor: 2 }]
    for (let i = 0; i < 3; i++) {
      expect(Buffer.from(writer.tryWrite(value) ?? [])).toEqual(bytesOf(value))
      const read = reader.tryRead(bytesOf(value))
      expect(read).toStrictEqual(value)
      expect(bytesOf(read)).toEqual(bytesOf(value))
    }
  })

  it('are read when they go on with other keys, or fewer', () => {
    const { reader } = quick()
    const known = { a: 1, b: { c: 'x' }, d: 2 }
    reader.tryRead(bytesOf(known))
    for (const other of [
      { a: 1, b: { c: 'x' }, e: 2 },
      { a: 1, bb: 2, d: 3 },
      { a: 1, b: { cc: 'x' }, d: 2 },
    ]) {
      expect(reader.tryRead(bytesOf(other))).toStrictEqual(other)
      expect(reader.tryRead(bytesOf(known))).toStrictEqual(known)
    }
  })

  it('are refused where they break off, wherever that is', () => {
    const { reader } = quick()
    const bytes = bytesOf({ a: 1, b: { c: 'text', d: [1, 2.5] }, e: 'end' })
    reader.tryRead(bytes)
    for (let end = 0; end < bytes.length; end++) {
      expect(reader.tryRead(bytes, 0, end)).toBe(UNREAD)
      expect(reader.tryRead(bytes.subarray(0, end))).toBe(UNREAD)
    }
    expect(reader.tryRead(bytes)).not.toBe(UNREAD)
  })

  it('have no prototype of the sender', () => {
    const { reader } = quick()
    const bytes = bytesOf({ a: 1, b_proto__: { polluted: 1 } })
    bytes.write('__proto__', bytes.indexOf('b_proto__'), 'latin1')
    for (let i = 0; i < 3; i++) {
      reader.tryRead(bytesOf({ a: 1, b: 2 }))
      expect(reader.tryRead(bytes)).toBe(UNREAD)
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('are not taken for each other by the writer', () => {
    const { writer } = quick()
    const records = [
      { id: 1, name: 2 },
      { id: 1, nick: 2 },
      Object.defineProperty({ id: 1, name: 2 }, 'n', { value: 3 }),
    ]
    for (let i = 0; i < 3; i++) {
      for (const record of records) expect(Buffer.from(writer.tryWrite(record) ?? [])).toEqual(bytesOf(record))
    }
  })

  it('are written from getters, and left alone when one throws', () => {
    const { writer } = quick()
    let reads = 0
    const record = {
      a: 1,
      get b() {
        if (++reads === 3) throw new Error('not again')
        return reads
      },
    }
    expect(writer.tryWrite(record)).toEqual(new Uint8Array(bytesOf({ a: 1, b: 1 })))
    expect(writer.tryWrite(record)).toEqual(new Uint8Array(bytesOf({ a: 1, b: 2 })))
    expect(writer.tryWrite(record)).toBeUndefined()
    expect(writer.tryWrite({ a: 1, b: 4 })).toEqual(new Uint8Array(bytesOf({ a: 1, b: 4 })))
  })
})
