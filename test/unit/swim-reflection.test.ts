/**
 * What a stranger can make a node send, and to whom: each answer is measured against the bytes that drew it. The packets
 * of an attacker name a victim as their source; nothing about an address is believed until something came back from it.
 */
import { expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import type { Ping } from '../../src/membership/wire/messages.js'
import { SwimHarness } from '../support/swim-harness.js'
import { compressed, hex } from '../support/wire.js'

const VICTIM = { addr: Uint8Array.of(203, 0, 113, 7), port: 53 }
const AT_VICTIM = '203.0.113.7:53'
const QUIET = { pushPullIntervalMs: 1e9 }

/** A cluster with plenty of news to ride along, some of it with large metas. */
function withNews(): SwimHarness {
  const h = new SwimHarness({ config: { ...QUIET, burstPacketsPerSecond: 0 } })
  h.settleWith('a', 'b', 'c')
  for (let i = 0; i < 50; i++) h.receive('a', h.alive(`m${i}`, 1, { meta: new Uint8Array(200) }))
  h.clear()
  return h
}

function bytesTo(h: SwimHarness, address: string): number {
  return h.packets.filter(({ to }) => to === address).reduce((sum, { bytes }) => sum + bytes.length, 0)
}

const ping = (seqNo: number, source?: Ping['source']): Ping => ({ type: 'ping', seqNo, node: 'me', source })

it.each(['nobody', 'a'])('an ack to an address that a ping names, as %s, is no larger than the ping', (node) => {
  const h = withNews()
  const bytes = encodeMessage(ping(9, { ...VICTIM, node }))
  h.receiveBytes('x', bytes)
  expect(bytesTo(h, AT_VICTIM)).toBeGreaterThan(0)
  expect(bytesTo(h, AT_VICTIM) / bytes.length).toBeLessThan(0.5)
})

it('the ack to the shortest ping there is has 18 bytes, whatever is queued', () => {
  const h = withNews()
  h.receiveBytes('x', hex('00 92 01 a0')) // positional, for any name
  expect(bytesTo(h, h.at('x'))).toBe(18)
})

it('gossip rides on the ack to a member that proved its address, and to no other', () => {
  const h = withNews()
  h.receive('a', ping(1, h.source('a')))
  expect(h.packets[0]!.messages.length).toBeGreaterThan(3)
  h.clear()
  h.receive('m0', ping(1, h.source('m0')))
  expect(h.packets[0]!.messages).toHaveLength(1)
})

it('many pings in one packet draw together no more bytes than the packet had', () => {
  const h = withNews()
  const packet = encodeCompound(new Array<Uint8Array>(255).fill(hex('00 92 01 a0')))
  h.receiveBytes('x', packet)
  expect(h.packets.length).toBeLessThanOrEqual(16)
  expect(bytesTo(h, h.at('x'))).toBeLessThanOrEqual(packet.length)
  expect(h.swim.stats().drops['answers-full']).toBeGreaterThan(200)
})

it('sixteen thousand pings in a small compressed packet draw no more than its bytes', () => {
  const h = withNews()
  const inner = encodeCompound(new Array<Uint8Array>(255).fill(hex('00 90')))
  const packet = compressed(encodeCompound(new Array<Uint8Array>(63).fill(inner)))
  expect(packet.length).toBeLessThan(1_400)
  h.receiveBytes('x', packet)
  expect(bytesTo(h, h.at('x'))).toBeLessThanOrEqual(packet.length)
  expect(h.swim.stats().drops['too-large']).toBe(1)
})

it('a request to ping a victim draws one bare ping to it and one small answer to the named source', () => {
  const h = withNews()
  const source = { addr: Uint8Array.of(203, 0, 113, 8), port: 53, node: 'a' }
  const request = {
    type: 'indirectPing',
    seqNo: 1,
    target: VICTIM.addr,
    port: VICTIM.port,
    node: 'x',
    nack: true,
  } as const
  const bytes = encodeMessage({ ...request, source })
  h.receiveBytes('x', bytes)
  const toVictim = bytesTo(h, AT_VICTIM)
  h.ack('x', h.sent('ping').find(({ to }) => to === AT_VICTIM)!.message.seqNo)
  h.advance(600)
  const toSource = bytesTo(h, '203.0.113.8:53')
  expect(toVictim / bytes.length).toBeLessThan(0.8)
  expect((toVictim + toSource) / bytes.length).toBeLessThan(1)
})

it('a request that names no source draws a ping without one, which is shorter than it', () => {
  const h = withNews()
  const request = { type: 'indirectPing', seqNo: 1, target: VICTIM.addr, port: VICTIM.port, node: 'x' } as const
  const bytes = encodeMessage({ ...request, nack: false, source: undefined })
  h.receiveBytes('x', bytes)
  expect(bytesTo(h, AT_VICTIM) / bytes.length).toBeLessThan(0.5)
})

it('thousands of requests a second to ping a victim draw 128 pings a second', () => {
  const h = withNews()
  const request = {
    type: 'indirectPing',
    target: VICTIM.addr,
    port: 53,
    node: 'x',
    nack: false,
    source: undefined,
  } as const
  for (let second = 0; second < 4; second++) {
    for (let i = 0; i < 5_000; i++) h.receive('x', { ...request, seqNo: i })
    h.advance(1_000)
  }
  expect(h.packets.filter(({ to }) => to === AT_VICTIM).length).toBeLessThanOrEqual(256 + 4 * 128)
})

it('a stale accusation draws a correction larger than itself only to a proven address', () => {
  const h = withNews()
  h.receive('a', h.alive('a', 7, { meta: new Uint8Array(400) }))
  h.clear()
  h.receive('x', h.suspect('a', 1, 'x'))
  expect(bytesTo(h, h.at('x'))).toBe(0)
  h.receive('b', h.suspect('a', 1, 'x'))
  expect(bytesTo(h, h.at('b'))).toBeGreaterThan(400)
})

it('a forged member is sent 4 KiB of gossip at most, and pings until it is buried', () => {
  const h = new SwimHarness({ config: { ...QUIET, memberMax: 100 } })
  h.settleWith('a', 'b', 'c')
  const forged = encodeMessage({ ...h.alive('ghost'), addr: VICTIM.addr, port: VICTIM.port })
  h.receiveBytes('x', forged)
  h.advanceUntil(() => h.state('ghost') === 'dead', 120_000)
  const news = (i: number): void => h.receive('a', h.alive('a', 2 + i, { meta: new Uint8Array(400) }))
  for (let i = 0; i < 200; i++) {
    news(i)
    h.advance(100)
  }
  const pings = h.packets.filter(({ to, messages }) => to === AT_VICTIM && messages.some(({ type }) => type === 'ping'))
  const pingBytes = pings.reduce((sum, { bytes }) => sum + bytes.length, 0)
  expect(bytesTo(h, AT_VICTIM) - pingBytes).toBeLessThanOrEqual(4_096)
  expect(pings.length).toBeLessThanOrEqual(12)
  expect(pingBytes).toBeLessThan(1_000 + 4_096)
})

it('a newcomer under a storm of news is asked to prove its address, and hears everything then', () => {
  const h = new SwimHarness({ config: { ...QUIET, probeIntervalMs: 600_000 } }) // the round would take an hour
  h.settleWith('a', 'b', 'c')
  h.answering.add('new')
  h.receive('a', h.alive('new'))
  const heard = (): number => bytesTo(h, h.at('new'))
  for (let i = 0; i < 100; i++) {
    h.receive('a', h.alive('a', 2 + i, { meta: new Uint8Array(480) }))
    h.advance(50)
  }
  expect(heard()).toBeGreaterThan(8_192)
})

it('a member that moves has to prove its new address', () => {
  const h = new SwimHarness({ config: QUIET })
  h.settleWith('a', 'b')
  h.receive('x', h.dead('a', 1, 'a')) // left: free to return elsewhere
  h.receive('x', h.alive('a', 2, { addr: VICTIM.addr, port: VICTIM.port }))
  h.receive('b', h.alive('b', 2, { meta: new Uint8Array(300) }))
  h.clear()
  h.receive('x', ping(1, { ...VICTIM, node: 'a' }))
  expect(h.packets[0]!.messages).toHaveLength(1)
  expect(h.swim.member('a')?.udpReachable).toBeUndefined()
})

it('an ack that nobody waits for proves nothing', () => {
  const h = new SwimHarness({ config: QUIET })
  h.receive('x', h.alive('x'))
  h.receive('x', { type: 'ack', seqNo: 77, payload: EMPTY_BYTES })
  expect(h.swim.member('x')?.udpReachable).toBeUndefined()
})

it.each(['the detector', 'a user'])(
  'an ack of a ping by %s proves nothing of an address that its member moved to meanwhile',
  (by) => {
    const h = new SwimHarness({ config: { ...QUIET, burstPacketsPerSecond: 0 } })
    h.settleWith('a', 'b')
    h.answering.delete('a')
    if (by === 'a user') h.ping('a', 500)
    const { message } = by === 'a user' ? h.sent('ping').at(-1)! : h.untilProbeOf('a')
    h.receive('x', h.dead('a', 1, 'a'), h.alive('a', 2, VICTIM), h.alive('news'))
    h.clear()
    h.ack('a', message.seqNo)
    h.receive('x', ping(1, { ...VICTIM, node: 'a' }))
    expect(h.packets.filter(({ to }) => to === AT_VICTIM).map(({ messages }) => messages.length)).toEqual([1])
  },
)

it('the answer to a join proves the address of whoever names itself first, and of no other name there', () => {
  const h = new SwimHarness({ config: QUIET })
  h.swim.join(h.address('seed'))
  h.collect()
  const ghost = { ...h.pushNode('seed', 0), name: 'ghost' }
  const nodes = [h.pushNode('seed', 0), ghost, h.pushNode('a', 0)]
  h.answer(h.exchanges[0]!, { type: 'pushPull', join: false, nodes, userState: EMPTY_BYTES })
  const ridesOnAcks = ['seed', 'ghost', 'a'].map((node) => {
    h.clear()
    h.receive(node === 'a' ? 'a' : 'seed', ping(1, { ...h.source(node === 'a' ? 'a' : 'seed'), node }))
    return h.packets[0]!.messages.length > 1
  })
  expect(ridesOnAcks).toEqual([true, false, false])
})
