import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { SwimHarness } from '../support/swim-harness.js'

function withPeers(...names: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith(...names)
  return h
}

function leave(h: SwimHarness): void {
  h.swim.leave(h.now)
  h.collect()
}

it('a leave is told as often as the limit says, and reported once after the last time', () => {
  const h = withPeers('a', 'b', 'c', 'd')
  leave(h)
  expect(h.sent('dead').length).toBe(4) // everybody
  expect(h.leftCount).toBe(0)
  h.advanceUntil(() => h.leftCount > 0, 5_000)
  expect(h.sent('dead').map(({ message }) => message)).toEqual(new Array(1 + 9).fill(h.dead('me', 100, 'me')))
  h.advance(5_000)
  expect(h.leftCount).toBe(1)
  expect(h.state('me')).toBe('left')
  expect(h.events.map(({ type, member }) => `${type} ${member.name}`)).toEqual(['leave me'])
})

it('alone, a leave is done at once', () => {
  const h = withPeers()
  leave(h)
  expect(h.leftCount).toBe(1)
  expect(h.packets).toEqual([])
})

it('with only dead members around, a leave is done at once', () => {
  const h = withPeers('a')
  h.receive('a', h.dead('a', 1, 'x'))
  leave(h)
  h.advance(2_000)
  expect(h.leftCount).toBe(1)
})

it('a leave is done when the last member that could be told has left as well', () => {
  const h = withPeers('a')
  leave(h)
  h.receive('a', h.dead('a', 1, 'a'))
  h.advance(1_000)
  expect(h.leftCount).toBe(1)
})

it('after leaving nothing is refuted, and the node still answers', () => {
  const h = withPeers('a', 'b')
  leave(h)
  h.advance(1_000)
  h.clear()
  h.receive('a', h.suspect('me', 100, 'a'), h.dead('me', 200, 'a'), h.alive('me', 300, { meta: utf8Encode('x') }))
  h.advance(1_000)
  expect(h.swim.member('me')).toMatchObject({ state: 'left', incarnation: 100 })
  expect(h.sent('alive')).toEqual([])
  h.receive('a', { type: 'ping', seqNo: 8, node: 'me', source: undefined })
  expect(h.sent('ack').map(({ message }) => message.seqNo)).toEqual([8])
})

it('a change of tags after leaving does not bring the node back', () => {
  const h = withPeers('a', 'b')
  leave(h)
  h.advance(1_000)
  h.clear()
  h.swim.updateMeta(utf8Encode('new'), h.now)
  h.collect()
  h.advance(1_000)
  expect(h.state('me')).toBe('left')
  expect(h.sent('alive')).toEqual([])
})

it('leaving again while it is under way changes nothing, and afterwards is done at once', () => {
  const h = withPeers('a', 'b', 'c', 'd')
  leave(h)
  leave(h)
  expect(h.leftCount).toBe(0)
  h.advance(1_000)
  expect(h.leftCount).toBe(1)
  leave(h)
  expect(h.leftCount).toBe(2)
  expect(h.sent('dead').length).toBe(1 + 9)
})

it('one that has left judges nobody and spreads no more of what it knows', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1_000 } })
  h.settleWith('a', 'b')
  leave(h)
  h.advanceUntil(() => h.leftCount > 0, 5_000)
  h.answering.clear() // nobody need answer it any more
  h.advance(20)
  h.clear()
  h.advance(120_000)
  expect(h.packets).toEqual([])
  expect(h.exchanges).toEqual([])
  expect(h.events).toEqual([])
})

it('back before its leave was told to all, a node has not left, and goes on probing', () => {
  const h = withPeers('a', 'b', 'c', 'd')
  leave(h)
  h.swim.rejoin(h.now)
  h.advance(5_000)
  expect([h.leftCount, h.state('me')]).toEqual([0, 'alive'])
  h.clear()
  h.advance(5_000)
  expect(h.sent('ping').length).toBeGreaterThan(2)
})

it('while it is away a node buries nobody, and when it is back its old suspicions have as long to go as before', () => {
  const h = withPeers('a', 'b', 'c')
  h.receive('b', h.suspect('a', 1, 'b'))
  leave(h)
  h.advanceUntil(() => h.leftCount > 0, 5_000)
  h.clear()
  h.advance(600_000)
  expect([h.events, h.sent('dead'), h.sent('suspect')]).toEqual([[], [], []])
  h.swim.rejoin(h.now)
  h.advance(3_000)
  expect(h.state('a')).toBe('suspect')
  h.answering.clear()
  h.advance(30_000)
  expect(h.state('a')).toBe('dead')
})

it('a probe that was under way at a leave convicts nobody after the return', () => {
  const h = withPeers('a', 'b', 'c')
  h.answering.delete('a')
  h.untilProbeOf('a')
  leave(h)
  h.advanceUntil(() => h.leftCount > 0, 900)
  h.answering.add('a')
  h.advance(60_000)
  h.clear()
  h.swim.rejoin(h.now)
  h.advance(2_000)
  expect(h.events.map(({ type, member }) => `${type} ${member.name}`)).toEqual(['join me'])
  expect(h.swim.stats().healthScore).toBe(0)
})
