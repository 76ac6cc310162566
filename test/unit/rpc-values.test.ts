import { Encoder, ExtData, encode } from '@msgpack/msgpack'
import { describe, expect, it } from 'vitest'
import { MsgpackCodec, PayloadError } from '../../src/rpc/payload-codec.js'
import { DEPTH_MAX, ValueError } from '../../src/rpc/values.js'

const codec = new MsgpackCodec()

function trip(value: unknown): unknown {
  return codec.decode(Uint8Array.from(codec.encode(value, 'args')))
}

function nested(levels: number): unknown {
  let value: unknown = 'core'
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { inner: value }
  return value
}

describe('values travel unchanged', () => {
  it.each([
    ['null', null],
    ['undefined', undefined],
    ['undefined inside', { a: undefined, b: [undefined, 1] }],
    ['minus zero', [-0, 0]],
    ['not a number', Number.NaN],
    ['infinities', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['integers at the edges', [2 ** 53, -(2 ** 53), 2 ** 31, -(2 ** 31), 2 ** 32, 1e300, 5e-324]],
    ['a date', new Date(1_700_000_000_123)],
    ['dates at the edges', [new Date(8.64e15), new Date(-8.64e15), new Date(-1), new Date(0)]],
    ['an invalid date', new Date(Number.NaN)],
    ['bigints', [0n, -1n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 64n), 2n ** 70n, -(2n ** 4000n) + 17n]],
    [
      'a map',
      new Map<unknown, unknown>([
        ['a', 1],
        [{ k: 1 }, new Map([[1, undefined]])],
      ]),
    ],
    ['a set', new Set<unknown>([1, 'x', new Set([-0])])],
    ['text in every script', ['', 'é', '日本', '😀', '\0', 'x'.repeat(70_000), '日'.repeat(3_000)]],
    ['a byte order mark', [`\ufeff${'a'.repeat(300)}`, '\ufeffa']],
    ['lone surrogates', ['\ud83d', `${'b'.repeat(300)}\udc00`]],
    ['keys like methods', { constructor: 1, toString: 'x', hasOwnProperty: null }],
    ['binary', new Uint8Array([1, 2, 3])],
    ['binary in everything', { a: [new Uint8Array([1])], m: new Map([[1, new Uint8Array([2])]]) }],
    ['typed arrays', [new Int8Array([-1]), new Uint8ClampedArray([300]), new Int16Array([-2]), new Uint16Array([3])]],
    [
      'wide typed arrays',
      [new Int32Array([-4]), new Uint32Array([5]), new Float32Array([1.5]), new Float64Array([-0])],
    ],
    ['big typed arrays', [new BigInt64Array([-6n]), new BigUint64Array([7n])]],
    ['a data view', new DataView(Uint8Array.of(1, 2, 3).buffer, 1)],
    ['an array buffer', Uint8Array.of(4, 5).buffer],
  ])('%s', (_name, value) => {
    expect(trip(value)).toStrictEqual(value instanceof DataView ? new DataView(Uint8Array.of(2, 3).buffer) : value)
  })

  it('a Buffer arrives as a Uint8Array, an object without prototype as a plain one, a hole as undefined', () => {
    expect(trip(Buffer.from('abc'))).toStrictEqual(new Uint8Array([97, 98, 99]))
    expect(trip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 })
    // biome-ignore lint/suspicious/noSparseArray: the hole is the case
    expect(trip([1, , 2])).toStrictEqual([1, undefined, 2])
  })

  it('errors with name, message, code, data and one level of cause', () => {
    const root = new Error('root')
    const middle = new TypeError('middle', { cause: root })
    const error = Object.assign(new RangeError('top', { cause: middle }), { code: 'E_TOP', data: { n: 1n }, extra: 1 })
    const read = trip(error) as RangeError & { code: string; data: unknown; extra?: unknown }
    expect(read).toBeInstanceOf(RangeError)
    expect([read.name, read.message, read.code, read.data, read.extra]).toEqual([
      'RangeError',
      'top',
      'E_TOP',
      { n: 1n },
      undefined,
    ])
    const cause = read.cause as Error
    expect(cause).toBeInstanceOf(TypeError)
    expect([cause.message, cause.cause]).toEqual(['middle', undefined])
    expect(read.stack).toBe('RangeError: top')
    class OrderError extends Error {
      override name = 'OrderError'
    }
    expect((trip(new OrderError('no stock')) as Error).name).toBe('OrderError')
    expect((trip(new Error('x', { cause: { why: 1 } })) as Error).cause).toEqual({ why: 1 })
  })

  it('without changing what the caller passed', () => {
    const value = { list: [1, undefined, -0], when: new Date(0) }
    codec.encode(value, 'args')
    expect(value).toStrictEqual({ list: [1, undefined, -0], when: new Date(0) })
  })

  it('nested as deep as the limit, and no deeper', () => {
    expect(trip(nested(DEPTH_MAX))).toEqual(nested(DEPTH_MAX))
    expect(() => codec.encode(nested(DEPTH_MAX + 1), 'args')).toThrow(ValueError)
    let maps: unknown = 1
    for (let i = 0; i < DEPTH_MAX; i++) maps = new Map([['k', maps]])
    expect(trip(maps)).toEqual(maps)
  })
})

describe('what cannot travel is refused with its path', () => {
  class User {
    save(): void {}
  }
  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  it.each([
    ['args[0].user.save is a function', [{ user: { save: () => {} } }]],
    ['args[1] is a symbol', [1, Symbol('x')]],
    ['args[0]["a b"][2] is an instance of User', [{ 'a b': [0, 0, new User()] }]],
    ['args[0] is an instance of Promise', [Promise.resolve()]],
    ['args[0] is an instance of RegExp', [/x/]],
    ['args[0].data.f is a function', [Object.assign(new Error('x'), { data: { f() {} } })]],
    ['args[0].key.f is a function', [new Map([['key', { f() {} }]])]],
    ['args[0].__proto__ is a key', [JSON.parse('{"__proto__":{"x":1}}')]],
    ['is nested deeper than 64 levels, or holds itself', [cyclic]],
    ['args[0] is an instance of ExtData', [new ExtData(99, new Uint8Array(1))]],
  ])('%s', (message, value) => {
    expect(() => codec.encode(value, 'args')).toThrow(ValueError)
    expect(() => codec.encode(value, 'args')).toThrow(message)
  })

  it('a getter or proxy that throws is a refusal too, and toJSON is never called', () => {
    const trap = {
      get x(): never {
        throw new TypeError('boom')
      },
    }
    expect(() => codec.encode([trap], 'args')).toThrow(/args could not be read: boom/)
    class Unreadable extends Error {
      override get message(): string {
        throw this
      }
    }
    const worse = {
      get x(): never {
        throw new Unreadable()
      },
    }
    expect(() => codec.encode([worse], 'args')).toThrow(/args could not be read: a getter threw/)
    const value = { a: 1, toJSON: 5 }
    expect(trip(value)).toEqual({ a: 1, toJSON: 5 })
  })

  it('shared references that would multiply without end are called too large', () => {
    let value: unknown = [1]
    for (let i = 0; i < 40; i++) value = [value, value]
    const small = new MsgpackCodec({ payloadBytesMax: 65_536 })
    expect(() => small.encode(value, 'args')).toThrow(/more than 65536 values/)
  })
})

describe('payloads from the network', () => {
  it('give binary that shares no memory with the input', () => {
    const bytes = Uint8Array.from(
      codec.encode([new Uint8Array([1, 2]), { b: new Uint8Array([3]) }, new Float64Array([4])], 'args'),
    )
    const before = codec.decode(bytes)
    const copy = structuredClone(before)
    bytes.fill(0xff)
    expect(before).toStrictEqual(copy)
    const [first] = before as [Uint8Array]
    expect(first.buffer.byteLength).toBe(2)
    expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype)
  })

  it('never give an object a __proto__ key, however it is spelled', () => {
    const key = new TextEncoder().encode('__proto__')
    expect(() => codec.decode(Uint8Array.of(0x81, 0xa9, ...key, 0x81, 0xa1, 120, 1))).toThrow(PayloadError)
    // '_' as an overlong two-byte sequence
    expect(() => codec.decode(Uint8Array.of(0x81, 0xaa, 0xc1, 0x9f, ...key.subarray(1), 1))).toThrow(PayloadError)
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })

  it.each([
    ['an array of 30 million in five bytes', [0xdd, 0x01, 0xc9, 0xc3, 0x80]],
    ['twenty of those nested', Array(20).fill([0xdd, 0x01, 0xc9, 0xc3, 0x80]).flat()],
    ['a map that owes its values', [0xdf, 0, 0, 1, 0, 1]],
    ['an unknown extension', [0xd4, 42, 0]],
    ['the byte that means nothing', [0xc1]],
    ['two values', [1, 2]],
    ['nothing', []],
    ['a map extension whose array ends early', [0xc7, 2, 3, 0x92, 1]],
    ['a map extension with a key too many', [0xc7, 2, 3, 0x91, 1]],
    ['a set extension that is no array', [0xc7, 1, 4, 1]],
    ['an error without a message', [0xc7, 3, 5, 0x91, 0xa1, 120]],
    ['a typed array of half an element', [0xc7, 2, 6, 5, 1]],
  ])('are refused when they hold %s', (_name, bytes) => {
    expect(() => codec.decode(Uint8Array.from(bytes as number[]))).toThrow(PayloadError)
  })

  it('are refused at a depth that a decoder should not see, also inside extensions', () => {
    const deep = new Uint8Array(100_000).fill(0x91)
    expect(() => codec.decode(deep)).toThrow(/too-deep/)
    let maps = encode([1, 1])
    for (let i = 0; i < 70; i++) maps = new Encoder().encode([1, new ExtData(3, maps)])
    expect(() => codec.decode(maps)).toThrow(/too-deep/)
  })

  it('are refused when a few bytes would become many objects', () => {
    const count = 4_000_000
    const empties = new Uint8Array(5 + count).fill(0x80)
    empties.set([0xdd, count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255])
    expect(() => codec.decode(empties)).toThrow(/too-many-values/)
  })

  it('read what any MessagePack encoder writes', () => {
    const value = { a: [1, -1, 'x', null, true, 1.5], when: new Date(1_000), bin: new Uint8Array([7]) }
    expect(codec.decode(encode(value))).toStrictEqual(value)
  })
})
