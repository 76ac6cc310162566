import { expect, it } from 'vitest'
import { PINGS_MAX } from '../../src/membership/pinger.js'
import { SwimHarness } from '../support/swim-harness.js'

function quiet(...names: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith(...names)
  return h
}

it('a ping that a user asks for ends with its round trip, which members show', () => {
  const h = quiet('a', 'b')
  h.answering.clear()
  const id = h.ping('a', 400)
  const [sent] = h.sent('ping')
  expect(sent).toMatchObject({ to: h.at('a'), message: { node: 'a' } })
  h.advance(80)
  h.ack('a', sent!.message.seqNo)
  expect(h.pinged).toEqual([{ id, rttMs: 80 }])
  expect(h.swim.member('a')?.rtt).toBeCloseTo(10)
  h.advance(1_000)
  expect(h.pinged).toHaveLength(1)
})

it('silence ends it at its deadline, and has the member probed at once', () => {
  const h = quiet('a', 'b', 'c')
  h.untilProbeOf('b')
  h.answering.delete('a')
  h.clear()
  const id = h.ping('a', 300)
  h.advance(299)
  expect(h.pinged).toEqual([])
  h.advance(1)
  expect(h.pinged).toEqual([{ id, rttMs: undefined }])
  expect(h.sent('ping').filter(({ message }) => message.node === 'a')).toHaveLength(2)
})

it('an answer is a sign of life: the probe under way is content with it', () => {
  const h = quiet('a', 'b')
  h.answering.clear()
  h.untilProbeOf('a')
  h.advance(700)
  h.ping('a', 400)
  h.ack('a', h.sent('ping').at(-1)!.message.seqNo)
  h.advance(900)
  expect(h.state('a')).toBe('alive')
})

it('a suspect is told of the suspicion with the ping, so that it can refute', () => {
  const h = quiet('a', 'b')
  h.receive('b', h.suspect('a', 1, 'b'))
  h.clear()
  h.ping('a', 400)
  expect(h.packets[0]!.messages.map(({ type }) => type)).toEqual(['ping', 'suspect'])
})

it('one thought dead that answers is brought back by a push/pull', () => {
  const h = quiet('a', 'b')
  h.receive('b', h.dead('a', 1, 'b'))
  h.exchanges = []
  h.ping('a', 400)
  expect(h.pinged).toHaveLength(1)
  expect(h.exchanges.map(({ to }) => to)).toEqual([h.address('a')])
})

it('nobody unknown is pinged, and only so many at a time', () => {
  const h = quiet('a')
  h.answering.clear()
  expect(h.ping('nobody', 100)).toBeUndefined()
  for (let i = 0; i < PINGS_MAX; i++) expect(h.ping('a', 100)).toBeDefined()
  expect(h.ping('a', 100)).toBeUndefined()
  h.advance(100)
  expect(h.pinged).toHaveLength(PINGS_MAX)
  expect(h.ping('a', 100)).toBeDefined()
})

it('a stall extends it', () => {
  const h = quiet('a')
  h.answering.clear()
  h.ping('a', 100)
  h.swim.handleStall(500)
  h.advance(599)
  expect(h.pinged).toEqual([])
  h.advance(1)
  expect(h.pinged).toHaveLength(1)
})

it('a node whose ping to itself is lost does not probe itself', () => {
  const h = quiet('a')
  h.ping('me', 100)
  h.clear()
  h.advance(5_000)
  expect(h.pinged).toEqual([{ id: expect.any(Number), rttMs: undefined }])
  expect(h.sent('ping').filter(({ message }) => message.node === 'me')).toEqual([])
  expect(h.swim.member('me')?.incarnation).toBe(100)
})
