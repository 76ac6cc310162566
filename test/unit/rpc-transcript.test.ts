/** The wire of rpc as it is on file: what a node of this version writes, and what it must still read in later ones. */
import { describe, expect, it } from 'vitest'
import { RpcError } from '../../src/errors.js'
import { FrameKind, isKnownKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { findInput } from '../../src/rpc/input-argument.js'
import type { OutgoingCall } from '../../src/rpc/outgoing-call.js'
import type { ReceivedItems } from '../../src/rpc/received-items.js'
import { readTranscript, Transcript, unpacked } from '../support/rpc-transcript.js'
import { outcomeOf, rawFrame, SessionPair } from '../support/session-pair.js'

/** One of each type that travels. */
const VALUES = [
  [null, true, 0, -1, 127, 1.5, 2 ** 40, 'text', 'ä'.repeat(40), { list: [1, [2]] }, new Uint8Array([1, 2, 255])],
  [undefined, 12n ** 30n, -1n, new Date(1_700_000_000_123), new Map([['a', 1]]), new Set([2]), new Float64Array([0.5])],
]
const ERROR = Object.assign(new TypeError('no'), { code: 'E1' })

/** Promises of the two sides have settled. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

async function* three(): AsyncGenerator<string> {
  yield* ['one', 'two', 'three']
}

it('a conversation with every kind of frame is what it was, byte for byte, and means what it meant', async () => {
  const talk = new Transcript()
  const { pair } = talk
  pair.caller.greet()
  talk.call('hello')
  talk.answer('welcome')
  expect([pair.caller.state, pair.callee.state, pair.callee.callerNode]).toEqual(['ready', 'serving', 'n1'])

  const named = pair.start({ args: VALUES, headers: { traceparent: '00-abc', tenant: 't1' } })
  talk.call('a request that names its method, with headers')
  const { call, settle: answer } = pair.arrived[0]!
  expect({ ...call, headers: { ...call.headers } }).toMatchObject({
    service: 'users',
    method: 'get',
    args: VALUES,
    deadlineAt: 1_000,
    headers: { traceparent: '00-abc', tenant: 't1' },
    caller: { node: 'n1', verified: false },
    cast: false,
  })
  answer({ ok: true, value: [...VALUES, ERROR] })
  talk.answer('a reply')
  expect(named.outcome).toMatchObject({
    value: [...VALUES, expect.objectContaining({ name: 'TypeError', code: 'E1' })],
  })

  const failing = pair.start()
  talk.call('a request by the number of its method')
  const remote = { name: 'TypeError', message: 'no', code: 'E1', data: { at: 7 } }
  pair.arrived[1]?.settle({ ok: false, error: new RpcError('REMOTE', 'failed', { executed: 'yes', remote }) })
  talk.answer('an error with what the handler threw')
  expect(failing.outcome).toMatchObject({ error: { code: 'REMOTE', executed: 'yes', message: 'failed', remote } })

  const refused = pair.start({ method: 'put' })
  talk.call('a request of another method')
  pair.arrived[2]?.settle({ ok: false, error: new RpcError('DRAINING', 'later', { executed: 'no' }) })
  talk.answer('a refusal')
  expect(refused.outcome).toMatchObject({ error: { code: 'DRAINING', executed: 'no', remote: undefined } })

  const cast = pair.start({ cast: true })
  talk.call('a cast')
  expect([outcomeOf(cast), pair.arrived[3]?.call.cast]).toEqual(['ok', true])

  const cancelled = pair.start()
  talk.call('a request')
  pair.caller.abort(cancelled.call)
  talk.call('its cancel')
  expect([outcomeOf(cancelled), pair.arrived[4]?.cancelled]).toEqual(['CANCELLED maybe', ['cancelled']])
  await streams(talk)
  pair.caller.ping()
  talk.call('a ping')
  talk.answer('a pong')

  const long = pair.start({ args: ['x'.repeat(140_000)] })
  talk.call('a piece')
  talk.call('another piece of it')
  talk.call('the rest of a long request')
  expect(pair.arrived.at(-1)?.call.args).toEqual(['x'.repeat(140_000)])
  pair.callee.goAway()
  talk.answer('going away')
  expect([pair.caller.state, outcomeOf(long)]).toEqual(['leaving', 'pending'])
  pair.arrived.at(-1)?.settle({ ok: true, value: 'y'.repeat(140_000) })
  talk.answer('a piece of a long reply')
  talk.answer('another piece of the reply')
  talk.answer('the rest of it')
  expect(long.outcome).toEqual({ value: 'y'.repeat(140_000) })
  talk.end()
})

async function streams(talk: Transcript): Promise<void> {
  const { pair } = talk
  const read = pair.start({ stream: true })
  talk.call('a request for a stream, with credit')
  const down = pair.arrived.at(-1)!
  down.call.output?.send({ item: 1 })
  talk.answer('an item')
  const { items } = read.call as OutgoingCall
  expect((await items?.next())?.value).toEqual({ item: 1 })
  // Half a window.
  for (let i = 0; i < 127; i++) down.call.output?.send(0)
  talk.answer('items')
  for (let i = 0; i < 127; i++) await items?.next()
  talk.call('credit')
  down.settle({ ok: true, value: undefined })
  talk.answer('the end of the stream')
  expect((await items?.next())?.done).toBe(true)

  const input = findInput([1, three()])
  const up = pair.start({ args: input?.others ?? [], input })
  talk.call('a request with a stream among its arguments')
  const taker = pair.arrived.at(-1)!
  const received = taker.call.args[1] as ReceivedItems
  const first = received.next()
  talk.answer('credit for it')
  await settle()
  talk.call('its items and its end')
  expect((await first).value).toBe('one')
  void received.return()
  taker.settle({ ok: true, value: 'read one' })
  talk.answer('the reply')
  expect(up.outcome).toEqual({ value: 'read one' })

  const more = findInput([three()])
  const stopped = pair.start({ args: more?.others ?? [], input: more })
  talk.call('another')
  const stopper = pair.arrived.at(-1)!
  void (stopper.call.args[0] as ReceivedItems).return()
  talk.answer('the cancel of a stream that the callee does not read')
  stopper.settle({ ok: true, value: 'none' })
  talk.answer('the reply to it')
  expect(stopped.outcome).toEqual({ value: 'none' })
}

it('the conversation on file has every kind of frame, both ways of a piece included', () => {
  const kinds = new Set<number>()
  for (const { bytes } of readTranscript()) {
    const all = unpacked(bytes)
    const view = new DataView(all.buffer, all.byteOffset, all.length)
    for (let at = 0; at < all.length; at += 4 + view.getUint32(at, true)) kinds.add(all[at + 4] ?? 0)
  }
  const pieces = [FrameKind.request | MORE_FLAG, FrameKind.reply | MORE_FLAG]
  expect([...kinds].sort((a, b) => a - b)).toEqual([...Object.values(FrameKind), ...pieces].sort((a, b) => a - b))
})

describe('what a later version may add', () => {
  const golden = (name: string): Uint8Array =>
    unpacked(readTranscript().find((step) => step.name === name)?.bytes ?? '')
  /** The same frame with more at its end. */
  const longer = (frame: Uint8Array): Uint8Array =>
    rawFrame(frame[4] ?? 0, 0, Buffer.concat([frame.subarray(9), Buffer.from('what nobody knows yet')]))

  it('fields after those of the hello and of the welcome are passed over', () => {
    const pair = new SessionPair()
    const hello = longer(golden('hello'))
    pair.callee.handleBytes(hello, hello.length, 0)
    expect([pair.callee.state, pair.callee.callerNode]).toEqual(['serving', 'n1'])
    pair.caller.greet()
    const welcome = longer(golden('welcome'))
    pair.caller.handleBytes(welcome, welcome.length)
    expect(pair.caller.state).toBe('ready')
  })

  it('abilities and versions that nobody knows are not used', () => {
    const pair = new SessionPair()
    const hello = golden('hello').slice()
    hello[14] = 9 // the latest version that the caller speaks
    hello.fill(0xff, 15, 19) // all abilities
    pair.callee.handleBytes(hello, hello.length, 0)
    expect(pair.callee.state).toBe('serving')
    pair.caller.greet()
    pair.answer()
    expect(pair.caller.state).toBe('ready')
  })

  it('frames of every other kind are skipped and counted, whole or in pieces, on both sides', () => {
    const pair = new SessionPair()
    pair.greet()
    let count = 0
    for (let kind = 0; kind < 256; kind++) {
      if (isKnownKind(kind)) continue
      count += 2
      pair.forge(kind, kind, new Uint8Array(2_000))
      pair.forgeAnswer(kind, kind, new Uint8Array(2_000))
    }
    expect([pair.caller.state, pair.callee.state]).toEqual(['ready', 'serving'])
    expect(pair.counters.snapshot()).toEqual({ 'unknown-frame': count })
    const started = pair.start()
    pair.deliver()
    pair.arrived[0]?.settle({ ok: true, value: 1 })
    pair.answer()
    expect(started.outcome).toEqual({ value: 1 })
  })
})
