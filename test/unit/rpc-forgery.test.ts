/** A remote caller that writes whatever it likes on its connection, against the real callee: what handlers are told stays true. */
import { describe, expect, it } from 'vitest'
import type { CallContext } from '../../src/rpc/active-call.js'
import type { ByteWriter } from '../../src/rpc/byte-writer.js'
import { Counters } from '../../src/rpc/counters.js'
import { currentCall, runInCall } from '../../src/rpc/current-call.js'
import { encodeRequestHead, type RequestHead } from '../../src/rpc/envelope.js'
import { FRAME_BYTES_MAX, FrameKind } from '../../src/rpc/frame.js'
import { Handlers } from '../../src/rpc/handlers.js'
import { encodeHello, type Hello, PROTOCOL_MAX, PROTOCOL_MIN } from '../../src/rpc/hello.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { ServeSession } from '../../src/rpc/serve-session.js'

const HELLO: Hello = {
  protocolMin: PROTOCOL_MIN,
  protocolMax: PROTOCOL_MAX,
  features: 0,
  frameBytesMax: FRAME_BYTES_MAX,
  codec: 'msgpack',
  cluster: 'c',
  node: 'mallory',
  bootId: 'b1',
  expectedNode: 'n2',
  expectedBootId: 'b2',
}
const NAMES = { service: 'users', method: 'get' }

interface Seen extends Pick<CallContext, 'service' | 'method' | 'caller' | 'headers' | 'traceparent'> {
  readonly remaining: number
}

function callee(hello: Partial<Hello> = {}) {
  const seen: Seen[] = []
  const codec = new MsgpackCodec()
  const counters = new Counters()
  const handlers = new Handlers({ node: 'n2', now: () => 0, runInCall })
  const note = (): void => {
    const call = currentCall()
    if (call === undefined) return
    const { service, method, caller, headers, traceparent } = call
    seen.push({ service, method, caller, headers, traceparent, remaining: call.remaining() })
  }
  handlers.provide('users', { methods: { get: note }, admission: () => 'running', only: ['get'] })
  const session = new ServeSession({
    outbox: new Outbox(),
    codec,
    counters,
    dispatcher: handlers,
    identity: { cluster: 'c', node: 'n2', bootId: 'b2' },
    frameBytesMax: FRAME_BYTES_MAX,
    callsMax: 10,
    callerAddress: '10.0.0.66:6666',
    onWritten: () => {},
  })
  const send = (kind: number, id: number, write: (writer: ByteWriter) => void): void => {
    const outbox = new Outbox()
    const mark = outbox.openFrame(kind, id, 100_000)
    write(outbox.writer)
    outbox.closeFrame(mark)
    const bytes = outbox.take(true)
    session.handleBytes(bytes, bytes.length, 0)
  }
  const request = (head: Partial<RequestHead>, id = 1): void =>
    send(FrameKind.request, id, (writer) => {
      encodeRequestHead(writer, { cast: false, ttlMs: 1_000, methodId: 0, names: NAMES, headers: {}, ...head })
      writer.raw(codec.encode([], 'args'))
    })
  const greet = (): void => send(FrameKind.hello, 0, (writer) => encodeHello(writer, { ...HELLO, ...hello }))
  greet()
  return { session, seen, counters, request, greet }
}

/** Headers as no honest caller could write them. */
function headersOf(entries: readonly (readonly [string, string])[]): Record<string, string> {
  const headers = Object.create(null) as Record<string, string>
  for (const [name, value] of entries) headers[name] = value
  return headers
}

describe('a remote caller that forges', () => {
  it('its name in a request only writes headers: name and address are those of the connection', () => {
    const { seen, request } = callee()
    const forged = {
      caller: 'admin',
      node: 'admin',
      address: '127.0.0.1:1',
      service: 'other',
      method: 'drop',
      signal: 'x',
    }
    request({ headers: forged })
    expect(seen).toMatchObject([
      { service: 'users', method: 'get', caller: { node: 'mallory', address: '10.0.0.66:6666' }, headers: forged },
    ])
  })

  it('another name in a second hello loses its connection', () => {
    const { session, greet, counters } = callee()
    greet()
    expect([session.state, counters.get('unexpected-frame')]).toEqual(['failed', 1])
  })

  it('the name of the callee itself is refused, unless it is that very process', () => {
    expect(callee({ node: 'n2', bootId: 'b1' }).session.state).toBe('refused')
    expect(callee({ node: 'n2', bootId: 'b2' }).session.state).toBe('serving')
  })

  it.each([
    [0xffff_ffff, 2_147_483_647],
    [2_147_483_648, 2_147_483_647],
    [1_000, 1_000],
  ])('a deadline of %i ms gets no more than a call may ask for', (ttlMs, remaining) => {
    const { seen, request } = callee()
    request({ ttlMs })
    expect(seen[0]?.remaining).toBe(remaining)
  })

  it('names of headers that objects need for themselves writes text under these names, and pollutes nothing', () => {
    const { seen, request } = callee()
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'traceparent']
    request({ headers: headersOf(names.map((name) => [name, 'polluted'])) })
    const headers = seen[0]?.headers ?? {}
    expect(Object.getPrototypeOf(headers)).toBeNull()
    expect(Object.keys(headers)).toEqual(names)
    expect(Object.isFrozen(headers)).toBe(true)
    expect(seen[0]?.traceparent).toBe('polluted')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect({}.toString()).toBe('[object Object]')
  })

  it('no headers leaves none to be found by the name of a method of objects', () => {
    const { seen, request } = callee()
    request({ headers: headersOf([['a', 'b']]) })
    request({ headers: headersOf([]), names: undefined }, 2)
    expect(seen.map(({ headers, traceparent }) => [headers['constructor'], traceparent])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ])
  })

  it.each([
    ['too many headers', Array.from({ length: 65 }, (_, i) => [`h${i}`, ''] as const)],
    ['too long ones', [['h', 'x'.repeat(16_384)] as const]],
    ['too long ones together', Array.from({ length: 60 }, (_, i) => [`h${i}`, 'x'.repeat(280)] as const)],
  ])('%s loses its connection before anything runs', (_what, entries) => {
    const { session, seen, counters, request } = callee()
    request({ headers: headersOf(entries) })
    expect([session.state, counters.get('bad-request'), seen]).toEqual(['failed', 1, []])
  })

  it.each(['constructor', '__proto__', 'toString', 'valueOf', 'secret'])('the method %s finds none', (method) => {
    const { session, seen, request } = callee()
    request({ names: { service: 'users', method } })
    expect([session.state, session.runningCount, seen]).toEqual(['serving', 0, []])
  })
})
