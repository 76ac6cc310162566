import { describe, expect, it } from 'vitest'
import { hexEncode } from '../../src/bytes.js'
import type { CallErrorCode } from '../../src/errors.js'
import { ByteWriter } from '../../src/rpc/byte-writer.js'
import {
  decodeErrorHead,
  decodeGoingAway,
  decodeRequestHead,
  encodeErrorHead,
  encodeGoingAway,
  encodeRequestHead,
  HEADER_COUNT_MAX,
  NO_HEADERS,
  type RequestHead,
  voidRequest,
} from '../../src/rpc/envelope.js'
import { errorCodeFromWire, errorCodeToWire } from '../../src/rpc/error-codes.js'
import {
  decodeHello,
  decodeWelcome,
  encodeHello,
  encodeWelcome,
  type Hello,
  helloMismatch,
} from '../../src/rpc/hello.js'
import {
  INLINE_METHOD,
  IncomingMethods,
  METHOD_TABLE_ENTRIES_MAX,
  OutgoingMethods,
} from '../../src/rpc/method-table.js'

const hello: Hello = {
  protocolMin: 1,
  protocolMax: 2,
  features: 5,
  frameBytesMax: 1024,
  codec: 'msgpack',
  cluster: 'shop',
  node: 'api-1',
  bootId: 'b1',
  expectedNode: 'käse',
  expectedBootId: '',
}
const welcome = { protocol: 1, features: 0, frameBytesMax: 77, node: 'api-2', bootId: 'b2' }
const request: RequestHead = {
  cast: true,
  ttlMs: 30_000,
  methodId: 3,
  names: { service: 'users', method: 'get' },
  headers: { traceparent: '00-ab', x: '' },
}

const cases = {
  hello: { bytes: written((w) => encodeHello(w, hello)), decode: decodeHello, value: hello },
  welcome: { bytes: written((w) => encodeWelcome(w, welcome)), decode: decodeWelcome, value: welcome },
  request: {
    bytes: written((w) => encodeRequestHead(w, request)),
    decode: (body: Body) => decodeRequestHead(body)?.head,
    value: request,
  },
  error: {
    bytes: written((w) => encodeErrorHead(w, { code: 'DRAINING', executed: 'no', message: 'höher' })),
    decode: (body: Body) => decodeErrorHead(body)?.head,
    value: { code: 'DRAINING', executed: 'no', message: 'höher' },
  },
  goingAway: { bytes: written((w) => encodeGoingAway(w, 0xfedc_ba98)), decode: decodeGoingAway, value: 0xfedc_ba98 },
}

type Body = Parameters<typeof decodeHello>[0]

describe.each(Object.entries(cases))('the %s body', (_name, { bytes, decode, value }) => {
  it('reads back what was written, also from the middle of a buffer', () => {
    const around = new Uint8Array(bytes.length + 20).fill(0xee)
    around.set(bytes, 7)
    expect(decode({ bytes: around, start: 7, end: 7 + bytes.length })).toEqual(value)
  })

  it('refuses every prefix of itself, even when more bytes follow in the buffer', () => {
    for (let end = 0; end < bytes.length; end++) expect(decode({ bytes, start: 0, end })).toBeUndefined()
  })

  it('survives every flipped bit', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes)
      flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
      expect(() => decode({ bytes: flipped, start: 0, end: flipped.length })).not.toThrow()
    }
  })
})

describe('the envelope', () => {
  it('keeps its bytes from release to release', () => {
    expect(hexEncode(cases.hello.bytes)).toBe(
      '5348525001020500000000040000' + '07006d73677061636b040073686f7005006170692d310200623105006bc3a473650000',
    )
    expect(hexEncode(cases.request.bytes)).toBe(
      '0730750000030005007573657273030067657402' + '0b007472616365706172656e74050030302d6162' + '010078' + '0000',
    )
    expect(hexEncode(cases.error.bytes)).toBe('050006' + '0068c3b6686572')
    expect(hexEncode(cases.welcome.bytes)).toBe('01000000004d00000005006170692d3202006232')
    expect(hexEncode(cases.goingAway.bytes)).toBe('98badcfe')
  })

  it('costs a request 7 bytes once its method has a number', () => {
    const head = { cast: false, ttlMs: 1, methodId: 0, names: undefined, headers: NO_HEADERS }
    expect(written((w) => encodeRequestHead(w, head))).toHaveLength(7)
  })

  it('says where the payload begins', () => {
    const bytes = written((w) => {
      encodeRequestHead(w, request)
      w.raw(Uint8Array.of(0x90))
    })
    expect(decodeRequestHead(span(bytes))?.payloadAt).toBe(bytes.length - 1)
  })

  it('turns a request in the slab into one that never runs and is never answered', () => {
    const writer = new ByteWriter(16)
    encodeRequestHead(writer, { ...request, cast: false })
    voidRequest(writer, 0)
    const head = decodeRequestHead(span(writer.bytes.subarray(0, writer.length)))?.head
    expect(head).toEqual({ ...request, cast: true, ttlMs: 0 })
  })

  it('refuses unknown flags, too many headers, names that are too long or not UTF-8', () => {
    const good = { cast: false, ttlMs: 1, methodId: 0, names: undefined, headers: NO_HEADERS }
    const flags = written((w) => encodeRequestHead(w, good))
    flags[0] = 8
    expect(decodeRequestHead(span(flags))).toBeUndefined()
    const headers = Object.fromEntries(Array.from({ length: HEADER_COUNT_MAX + 1 }, (_, i) => [`h${i}`, '']))
    expect(decodeRequestHead(span(written((w) => encodeRequestHead(w, { ...good, headers }))))).toBeUndefined()
    const names = { service: 'a'.repeat(256), method: 'm' }
    expect(decodeRequestHead(span(written((w) => encodeRequestHead(w, { ...good, names }))))).toBeUndefined()
    const invalid = written((w) => encodeRequestHead(w, { ...good, names: { service: 'ab', method: 'm' } }))
    invalid[9] = 0xff
    expect(decodeRequestHead(span(invalid))).toBeUndefined()
  })

  it('lets no header reach a prototype', () => {
    const headers = JSON.parse('{"__proto__":"x","a":"b"}') as Record<string, string>
    const decoded = decodeRequestHead(span(written((w) => encodeRequestHead(w, { ...request, headers }))))?.head.headers
    expect(Object.getPrototypeOf(decoded)).toBeNull()
    expect(Object.entries(decoded!)).toEqual([
      ['__proto__', 'x'],
      ['a', 'b'],
    ])
  })

  it('keeps the number of every error code', () => {
    const numbers: Record<CallErrorCode, number> = {
      NO_INSTANCES: 1,
      NOT_PROVIDED: 2,
      NO_METHOD: 3,
      UNAVAILABLE: 4,
      DRAINING: 5,
      OVERLOADED: 6,
      UNREACHABLE: 7,
      CONNECTION_LOST: 8,
      DEADLINE_EXCEEDED: 9,
      CANCELLED: 10,
      REMOTE: 11,
      INVALID_ARGUMENT: 12,
      UNAUTHORIZED: 13,
      SERVICE_ID_MISSING: 14,
      TOO_LARGE: 15,
      CLOSED: 16,
    }
    for (const [code, number] of Object.entries(numbers) as [CallErrorCode, number][]) {
      expect(errorCodeToWire(code)).toBe(number)
      expect(errorCodeFromWire(number, 'no')).toBe(code)
    }
    expect(errorCodeFromWire(200, 'no')).toBe('UNAVAILABLE')
    expect(errorCodeFromWire(200, 'yes')).toBe('REMOTE')
  })

  it('ignores what later versions add to a hello', () => {
    expect(decodeHello(span(Uint8Array.from([...cases.hello.bytes, 1, 2, 3])))).toEqual(hello)
  })

  it('cuts a long error message instead of failing', () => {
    const bytes = written((w) => encodeErrorHead(w, { code: 'REMOTE', executed: 'yes', message: '€'.repeat(100_000) }))
    expect(decodeErrorHead(span(bytes))?.head.message).toBe(`${'€'.repeat(8_192)}…`)
  })
})

describe('a hello', () => {
  const self = { cluster: 'shop', node: 'api-2', bootId: 'b7' }
  const fitting = { ...hello, expectedNode: 'api-2', expectedBootId: 'b7' }

  it.each([
    [{ cluster: 'other' }, 'cluster'],
    [{ protocolMin: 2, protocolMax: 3 }, 'protocol version'],
    [{ expectedNode: 'api-3' }, 'node name'],
    [{ expectedBootId: 'b8' }, 'boot id'],
    [{ codec: 'cbor' }, 'codec'],
  ])('with %j is refused for its %s', (change, what) => {
    expect(helloMismatch({ ...fitting, ...change }, self, 'msgpack')?.message).toMatch(new RegExp(`^${what}: `))
  })

  it('that fits is taken, with or without the boot id', () => {
    expect(helloMismatch(fitting, self, 'msgpack')).toBeUndefined()
    expect(helloMismatch({ ...fitting, expectedBootId: '' }, self, 'msgpack')).toBeUndefined()
  })
})

describe('the method tables', () => {
  it('give each method one number, in order, on both sides', () => {
    const out = new OutgoingMethods()
    const names = [
      { service: 'a', method: 'x' },
      { service: 'a', method: 'y' },
      { service: 'b', method: 'x' },
    ]
    expect(names.map((name) => out.tryGet(name))).toEqual([undefined, undefined, undefined])
    expect(names.map((name) => out.define(name))).toEqual([0, 1, 2])
    expect(names.map((name) => out.tryGet(name))).toEqual([0, 1, 2])
    const incoming = new IncomingMethods()
    expect(names.map((name, id) => incoming.define(id, name))).toEqual([true, true, true])
    expect(incoming.tryGet(2)).toEqual({ service: 'b', method: 'x' })
    expect(incoming.tryGet(3)).toBeUndefined()
  })

  it('stop growing at their bound and go on with inline names', () => {
    const out = new OutgoingMethods()
    const incoming = new IncomingMethods()
    for (let i = 0; i < METHOD_TABLE_ENTRIES_MAX; i++) {
      const name = { service: 's', method: `m${i}` }
      expect(incoming.define(out.define(name), name)).toBe(true)
    }
    const late = { service: 's', method: 'late' }
    expect(out.define(late)).toBe(INLINE_METHOD)
    expect(out.tryGet(late)).toBeUndefined()
    expect(incoming.define(INLINE_METHOD, late)).toBe(true)
    expect(incoming.tryGet(INLINE_METHOD)).toBeUndefined()
    expect(incoming.define(METHOD_TABLE_ENTRIES_MAX, late)).toBe(false)
  })

  it('refuse a number that is given twice or out of order', () => {
    const incoming = new IncomingMethods()
    const name = { service: 's', method: 'm' }
    expect(incoming.define(1, name)).toBe(false)
    expect(incoming.define(0, name)).toBe(true)
    expect(incoming.define(0, name)).toBe(false)
  })
})

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(4)
  write(writer)
  return writer.bytes.slice(0, writer.length)
}

function span(bytes: Uint8Array): Body {
  return { bytes, start: 0, end: bytes.length }
}
