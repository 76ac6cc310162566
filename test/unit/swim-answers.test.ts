import { expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { PROFILES } from '../../src/membership/config.js'
import type { IndirectPing, Ping } from '../../src/membership/wire/messages.js'
import { decodeStream, PORT, SwimHarness } from '../support/swim-harness.js'

const ping = (node: string, seqNo: number, source?: Ping['source']): Ping => ({ type: 'ping', seqNo, node, source })

function indirectPing(seqNo: number, nack: boolean, source?: Ping['source']): IndirectPing {
  return { type: 'indirectPing', seqNo, target: Uint8Array.of(10, 9, 9, 9), port: 400, node: 'far', nack, source }
}

it('a ping is answered with its own sequence number at the address it came from', () => {
  const h = new SwimHarness()
  h.receive('a', ping('me', 77))
  expect(h.packets).toHaveLength(1)
  expect(h.sent('ack')).toEqual([
    { at: h.now, to: h.at('a'), message: { type: 'ack', seqNo: 77, payload: EMPTY_BYTES } },
  ])
})

it('a ping that names its source is answered there', () => {
  const h = new SwimHarness()
  h.receive('a', ping('me', 5, { addr: Uint8Array.of(10, 1, 2, 3), port: 99, node: 'a' }))
  expect(h.sent('ack').map(({ to }) => to)).toEqual(['10.1.2.3:99'])
})

it('a source in v4-mapped form is answered at the IPv4 address it means', () => {
  const h = new SwimHarness()
  const addr = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3)
  h.receive('a', ping('me', 5, { addr, port: 99, node: 'a' }))
  expect(h.sent('ack').map(({ to }) => to)).toEqual(['10.1.2.3:99'])
})

it('a ping for another node is not answered and counted', () => {
  const h = new SwimHarness()
  h.receive('a', ping('somebody-else', 1))
  expect(h.packets).toEqual([])
  expect(h.swim.stats().drops).toEqual({ 'wrong-name': 1 })
})

it('a ping without a name is answered', () => {
  const h = new SwimHarness()
  h.receive('a', ping('', 3))
  expect(h.sent('ack').map(({ message }) => message.seqNo)).toEqual([3])
})

it('three pings in one packet get three answers', () => {
  const h = new SwimHarness()
  h.receive('a', ping('me', 1), ping('me', 2), ping('me', 3))
  expect(h.sent('ack').map(({ message }) => message.seqNo)).toEqual([1, 2, 3])
})

it('a ping over TCP is answered on its stream, one for another node is closed without an answer', () => {
  const h = new SwimHarness()
  expect(decodeStream(h.request('a', ping('me', 9)))).toEqual({ type: 'ack', seqNo: 9, payload: EMPTY_BYTES })
  expect(h.request('a', ping('other', 9))).toBeUndefined()
  expect(h.swim.stats().drops['wrong-name']).toBe(1)
})

it('a stream that opens with an answer or an error is closed and counted', () => {
  const h = new SwimHarness()
  expect(h.request('a', { type: 'ack', seqNo: 9, payload: EMPTY_BYTES })).toBeUndefined()
  expect(h.request('a', { type: 'err', error: 'what' })).toBeUndefined()
  expect(h.swim.stats().drops['unexpected-stream']).toBe(2)
})

it('a ping made for another is relayed under a number of our own, and its answer passed on under the first', () => {
  const h = new SwimHarness()
  h.receive('a', indirectPing(500, true, h.source('a')))
  const [relayed] = h.sent('ping')
  expect(relayed).toMatchObject({ to: '10.9.9.9:400', message: { node: 'far', source: { port: PORT, node: 'me' } } })
  h.clear()
  h.ack('far', relayed!.message.seqNo)
  expect(h.sent('ack')).toMatchObject([{ to: h.at('a'), message: { seqNo: 500 } }])
  h.clear()
  h.advance(5_000)
  expect(h.sent('nack')).toEqual([])
})

it('the answer to a relayed ping goes to the source that the request named', () => {
  const h = new SwimHarness()
  h.receive('a', indirectPing(500, true, { addr: Uint8Array.of(10, 7, 7, 7), port: 1_234, node: 'a' }))
  h.ack('far', h.sent('ping')[0]!.message.seqNo)
  expect(h.sent('ack')[0]!.to).toBe('10.7.7.7:1234')
})

it.each([
  ['lan', 400],
  ['wan', 1_600],
  ['local', 160],
] as const)(
  'with %s numbers a nack leaves after %i ms, in time for the deadline of whoever asked',
  (profile, afterMs) => {
    const config = PROFILES[profile]
    const h = new SwimHarness({ config })
    const start = h.now
    h.receive('a', indirectPing(500, true))
    h.advance(config.probeIntervalMs)
    // It asked when its own timeout was over: a fifth of what it had left then is for the way there and back.
    expect(config.probeTimeoutMs + afterMs).toBeLessThan(config.probeIntervalMs)
    expect(h.sent('nack')).toEqual([{ at: start + afterMs, to: h.at('a'), message: { type: 'nack', seqNo: 500 } }])
  },
)

it('an answer that comes after the nack is still passed on until the probe timeout is over', () => {
  const h = new SwimHarness()
  h.receive('a', indirectPing(500, true))
  h.advance(450)
  expect(h.sent('nack')).toHaveLength(1)
  h.ack('far', h.sent('ping')[0]!.message.seqNo)
  expect(h.sent('ack').map(({ message }) => message.seqNo)).toEqual([500])
})

it('whoever asked for no nack gets none, and an answer after the timeout is not passed on', () => {
  const h = new SwimHarness()
  h.receive('a', indirectPing(500, false))
  const { seqNo } = h.sent('ping')[0]!.message
  h.advance(2_000)
  h.ack('far', seqNo)
  expect(h.sent('nack')).toEqual([])
  expect(h.sent('ack')).toEqual([])
})

it('a node relays only so many pings at a time and counts the rest', () => {
  const h = new SwimHarness()
  for (let i = 0; i < 1_000; i++) h.receive('a', indirectPing(i, false))
  expect(h.sent('ping')).toHaveLength(256)
  expect(h.swim.stats().drops['relays-full']).toBe(744)
  h.advance(1_000)
  h.clear()
  for (let i = 0; i < 1_000; i++) h.receive('a', indirectPing(i, false))
  expect(h.sent('ping')).toHaveLength(128)
})

it('bytes that are no message are counted by reason and change nothing', () => {
  const h = new SwimHarness()
  h.receiveBytes('a', Uint8Array.of(200, 1, 2))
  h.receiveBytes('a', EMPTY_BYTES)
  h.receiveBytes('a', Uint8Array.of(0, 0x82))
  expect(h.swim.stats().drops).toEqual({ 'unknown-type': 1, empty: 1, truncated: 1 })
  expect(h.packets).toEqual([])
  expect(h.swim.members().map(({ name }) => name)).toEqual(['me'])
})
