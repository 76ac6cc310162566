/** What a node does for Serf's agents, which are told by nothing but a missing boot id tag. */
import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { TAG_BOOT_ID } from '../../src/membership/member.js'
import { encodeSerfIntent, type SerfIntent, tryDecodeSerfIntent } from '../../src/membership/serf-messages.js'
import { encodeTags } from '../../src/membership/tags.js'
import type { PushNodeState } from '../../src/membership/wire/messages.js'
import { MsgpackWriter } from '../../src/membership/wire/msgpack-writer.js'
import { SwimHarness, shoalBytes, TextPayload } from '../support/swim-harness.js'

const SHOAL = encodeTags({ [TAG_BOOT_ID]: '1' })
const LAN_LEAD_MS = 400

function amongAgents(...agents: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 }, amongSerf: true, payload: new TextPayload() })
  h.settleWith(...agents)
  return h
}

/** The user state of an agent whose clock is `time`. */
function stateOf(time: number, { status = 0, left = false } = {}): Uint8Array {
  const writer = new MsgpackWriter()
  writer.begin()
  writer.byte(2)
  writer.mapHead(3)
  writer.text('LTime')
  writer.uint(time)
  writer.text('LeftMembers')
  writer.byte(left ? 0x91 : 0x90)
  if (left) writer.text('me')
  writer.text('StatusLTimes')
  writer.mapHead(1)
  writer.text('me')
  writer.uint(status)
  return writer.finish()
}

function pushPull(h: SwimHarness, from: string, userState: Uint8Array, nodes: readonly PushNodeState[] = []): void {
  h.request(from, { type: 'pushPull', join: false, nodes, userState })
}

function hear(h: SwimHarness, from: string, intent: SerfIntent): void {
  h.receive(from, { type: 'user', payload: encodeSerfIntent(intent) })
}

interface SentIntent extends SerfIntent {
  readonly at: number
  readonly to: string
}

function intents(h: SwimHarness): SentIntent[] {
  return h.sent('user').flatMap(({ at, to, message }) => {
    const intent = tryDecodeSerfIntent(message.payload)
    return intent === undefined || 'drop' in intent ? [] : [{ at, to: h.nameAt(to)!, ...intent }]
  })
}

function kinds(h: SwimHarness): string[] {
  return [...new Set(intents(h).map(({ kind, time, node }) => `${kind} ${node} ${time}`))]
}

function leave(h: SwimHarness, timeoutMs?: number): void {
  h.swim.leave(h.now, timeoutMs)
  h.collect()
}

it('the leave intent reaches every agent two gossip intervals before the leave', () => {
  const h = amongAgents('a', 'b', 'c', 'd')
  pushPull(h, 'a', stateOf(7))
  h.settle()
  const startedAt = h.now
  leave(h)
  expect(h.state('me')).toBe('alive')
  h.advanceUntil(() => h.leftCount > 0, 5_000)
  expect(kinds(h)).toEqual(['leave me 8', 'leave me 9'])
  expect(new Set(intents(h).map(({ to }) => to))).toEqual(new Set(['a', 'b', 'c', 'd']))
  expect(
    Math.max(
      ...intents(h)
        .slice(0, 4)
        .map(({ at }) => at),
    ),
  ).toBeLessThan(startedAt + LAN_LEAD_MS)
  expect(h.sent('dead')[0]?.at).toBe(startedAt + LAN_LEAD_MS)
  expect(h.state('me')).toBe('left')
})

it('the leave intent is repeated half-way with a later time, for agents that took the first for old', () => {
  const h = amongAgents('a', 'b', 'c')
  const startedAt = h.now
  leave(h)
  h.advance(2_000)
  const second = intents(h).filter(({ time }) => time === 2)
  expect(second[0]?.at).toBe(startedAt + LAN_LEAD_MS / 2)
  expect(new Set(second.map(({ to }) => to))).toEqual(new Set(['a', 'b', 'c']))
})

it('the intent goes ahead by half of the time that the leave may take, if that is less', () => {
  const h = amongAgents('a', 'b')
  const startedAt = h.now
  leave(h, 100)
  h.advance(1_000)
  expect(h.sent('dead')[0]?.at).toBe(startedAt + 50)
})

it('leaving again while the intent is under way changes nothing', () => {
  const h = amongAgents('a', 'b')
  const startedAt = h.now
  leave(h)
  h.advance(100)
  leave(h)
  h.advance(5_000)
  expect(kinds(h)).toEqual(['leave me 1', 'leave me 2'])
  expect(h.sent('dead')[0]?.at).toBe(startedAt + LAN_LEAD_MS)
  expect(h.leftCount).toBe(1)
})

it('without agents in view the leave is told at once and no intent is made', () => {
  const h = amongAgents()
  h.receive('s', h.alive('s', 1, { meta: SHOAL }))
  h.settle('s')
  leave(h)
  expect(h.sent('dead')).toHaveLength(1)
  h.advance(5_000)
  pushPull(h, 'a', stateOf(7), [h.pushNode('a', 0)])
  h.advance(5_000)
  expect(intents(h)).toEqual([])
})

it('a node that is not among serf’s agents sends no intents', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith('a', 'b')
  pushPull(h, 'a', stateOf(7))
  hear(h, 'a', { kind: 'leave', time: 9, node: 'me' })
  h.advance(1_000)
  leave(h)
  expect(h.sent('dead').length).toBeGreaterThan(0)
  h.advance(5_000)
  expect(h.sent('user')).toEqual([])
  expect(h.swim.stats().drops).toEqual({ 'foreign-user-message': 1 })
})

it('the join is announced with the first time that an agent tells, and once', () => {
  const h = amongAgents('a', 'b', 'c')
  pushPull(h, 'a', stateOf(7, { status: 5 }))
  h.advance(2_000)
  pushPull(h, 'b', stateOf(8, { status: 7 }))
  h.advance(2_000)
  expect(kinds(h)).toEqual(['join me 7'])
  expect(new Set(intents(h).map(({ to }) => to))).toEqual(new Set(['a', 'b', 'c']))
  leave(h)
  h.advance(2_000)
  expect(kinds(h)).toEqual(['join me 7', 'leave me 8', 'leave me 9'])
})

it('every intent that is heard moves the clock on', () => {
  const h = amongAgents('a', 'b')
  pushPull(h, 'a', stateOf(7))
  h.settle()
  hear(h, 'a', { kind: 'leave', time: 40, node: 'b' })
  hear(h, 'b', { kind: 'join', time: 30, node: 'a' })
  h.settle()
  leave(h)
  h.advance(2_000)
  expect(kinds(h)).toEqual(['leave me 41', 'leave me 42'])
})

it('a leave intent about a node that stays is contradicted with a later join, an old one is not', () => {
  const h = amongAgents('a', 'b')
  pushPull(h, 'a', stateOf(7))
  h.settle()
  hear(h, 'a', { kind: 'leave', time: 7, node: 'me' })
  h.advance(2_000)
  expect(intents(h)).toEqual([])
  hear(h, 'a', { kind: 'leave', time: 12, node: 'me' })
  h.advance(2_000)
  expect(kinds(h)).toEqual(['join me 13'])
})

it('an agent that counts the node among those that left is contradicted', () => {
  const h = amongAgents('a', 'b')
  pushPull(h, 'a', stateOf(7))
  h.settle()
  pushPull(h, 'b', stateOf(9, { status: 8, left: true }))
  h.advance(2_000)
  expect(kinds(h)).toEqual(['join me 9'])
})

it('its own leave intent coming back is not contradicted', () => {
  const h = amongAgents('a', 'b')
  leave(h)
  h.advance(20)
  hear(h, 'a', { kind: 'leave', time: 1, node: 'me' })
  hear(h, 'a', { kind: 'leave', time: 50, node: 'me' })
  h.advance(2_000)
  expect(kinds(h)).toEqual(['leave me 1', 'leave me 51'])
})

it('whoever joined through other guests asks an agent for the time, one a second', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 }, amongSerf: true })
  h.receive('s', h.alive('s', 1, { meta: SHOAL }), h.alive('a'), h.alive('b'))
  expect(h.exchanges.map(({ to }) => to.host)).toEqual([h.address('a').host])
  h.receive('s', h.alive('c'))
  expect(h.exchanges).toHaveLength(1)
  h.answer(h.exchanges[0]!, { type: 'pushPull', join: false, nodes: [h.pushNode('a', 0)], userState: stateOf(5) })
  h.settle('a', 'b', 'c', 's')
  h.receive('s', h.alive('d'))
  expect(h.exchanges).toEqual([])
})

it('nobody is asked who is met in the answer that tells the time', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 }, amongSerf: true })
  h.swim.join(h.address('a'))
  h.collect()
  const nodes = [h.pushNode('a', 0), h.pushNode('b', 0)]
  h.answer(h.exchanges[0]!, { type: 'pushPull', join: false, nodes, userState: stateOf(5) })
  expect(h.exchanges).toHaveLength(1)
  h.advanceUntil(() => intents(h).length > 1, 1_000)
  expect(kinds(h)).toEqual(['join me 5'])
})

it('agents get intents and nothing of the payload, shoal nodes the payload and no intents', () => {
  const h = amongAgents('a', 'b', 'c')
  h.receive('s', h.alive('s', 1, { meta: SHOAL }), h.alive('t', 1, { meta: SHOAL }))
  h.settle('s', 't')
  h.swim.broadcast({ key: 'k', bytes: shoalBytes('k:1') }, h.now)
  pushPull(h, 'a', stateOf(7))
  h.advance(3_000)
  leave(h)
  h.advance(3_000)
  const users = h.sent('user').map(({ to, message }) => ({ to: h.nameAt(to)!, shoal: message.payload[0] === 0x53 }))
  expect(users.filter(({ shoal }) => shoal).length).toBeGreaterThan(1)
  expect(new Set(users.map(({ to, shoal }) => `${shoal} ${to}`))).toEqual(
    new Set(['true s', 'true t', 'false a', 'false b', 'false c']),
  )
})

it('what cannot be read is counted, by its reason, and other messages of agents as foreign', () => {
  const h = amongAgents('a')
  h.receive('a', { type: 'user', payload: Uint8Array.of(1, 0x82) })
  h.receive('a', { type: 'user', payload: Uint8Array.of(5, 0x80) })
  h.receive('a', { type: 'user', payload: utf8Encode('anything') })
  pushPull(h, 'a', Uint8Array.of(2, 0x81))
  expect(h.swim.stats().drops).toEqual({ truncated: 2, 'foreign-user-message': 2 })
})

/** A query as serf's agents send it, with these flags. */
function query(flags: number): Uint8Array {
  const writer = new MsgpackWriter()
  writer.begin()
  writer.byte(4)
  writer.mapHead(3)
  writer.text('Flags')
  writer.uint(flags)
  writer.text('LTime')
  writer.uint(3)
  writer.text('Name')
  writer.text('uptime')
  return writer.finish()
}

const EVENT = Uint8Array.from(
  Buffer.from('0384a24343c2a54c54696d6501a44e616d65a66465706c6f79a75061796c6f6164a178', 'hex'),
)

const relayed = (h: SwimHarness): { to: string; bytes: string }[] =>
  h.sent('user').map(({ to, message }) => ({ to: h.nameAt(to)!, bytes: Buffer.from(message.payload).toString('hex') }))

it.each([
  ['a leave', encodeSerfIntent({ kind: 'leave', time: 4, node: 'b' })],
  ['a join', encodeSerfIntent({ kind: 'join', time: 4, node: 'b' })],
  ['a user event', EVENT],
  ['a query', query(1)],
])('%s of an agent is passed on once, byte for byte, to agents alone', (_what, payload) => {
  const h = amongAgents('a', 'b', 'c')
  h.receive('s', h.alive('s', 1, { meta: SHOAL }))
  h.settle('s')
  h.receive('a', { type: 'user', payload })
  h.advance(5_000)
  const sent = relayed(h)
  expect(new Set(sent.map(({ bytes }) => bytes))).toEqual(new Set([Buffer.from(payload).toString('hex')]))
  expect(new Set(sent.map(({ to }) => to))).toEqual(new Set(['a', 'b', 'c']))
  h.clear()
  h.receive('b', { type: 'user', payload })
  h.advance(5_000)
  expect(relayed(h)).toEqual([])
  expect(h.swim.stats().drops).toEqual({})
})

it('what agents would not pass on is not passed on: answers, broken or padded messages, a query for one, what is about us', () => {
  const h = amongAgents('a', 'b')
  const payloads = [
    Uint8Array.of(5, 0x80),
    Uint8Array.of(8, 0x80),
    EVENT.subarray(0, EVENT.length - 1),
    Uint8Array.from([...EVENT, 0]),
    query(2),
    query(3),
  ]
  for (const payload of payloads) h.receive('a', { type: 'user', payload })
  hear(h, 'a', { kind: 'join', time: 9, node: 'me' })
  h.advance(5_000)
  expect(relayed(h)).toEqual([])
  expect(h.swim.stats().drops).toEqual({ 'foreign-user-message': payloads.length })
})

it('a storm of events is bounded, and what is left of it goes out', () => {
  const h = amongAgents('a', 'b')
  for (let i = 0; i < 3_000; i++) {
    const payload = encodeSerfIntent({ kind: 'join', time: i + 1, node: 'b' })
    h.swim.handlePacket(Uint8Array.from([8, ...payload]), h.address('a'), h.now)
  }
  const { userMessages, dropped } = h.swim.stats().queued
  expect(userMessages).toBeLessThanOrEqual(1_024)
  expect(dropped).toBeGreaterThan(3_000 - 1_024 - 100)
  h.settle()
  expect(h.swim.stats().queued.userMessages).toBe(0)
})
