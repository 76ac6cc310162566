import { expect, it } from 'vitest'
import { suspicionLimits } from '../../src/membership/suspicion.js'
import { WIRE_STATE } from '../../src/membership/wire/messages.js'
import { decodePushPull, decodeStream, SwimHarness, VSN } from '../support/swim-harness.js'

const EMPTY = new Uint8Array(0)

/** A cluster of four others in which `b` has just become silent. */
function withSilentB(config: Parameters<typeof clusterOf>[0] = {}): SwimHarness {
  const h = clusterOf(config)
  h.answering.delete('b')
  h.clear()
  return h
}

function clusterOf(config: NonNullable<ConstructorParameters<typeof SwimHarness>[0]>['config'] = {}): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9, ...config } })
  h.settleWith('a', 'b', 'c', 'd')
  return h
}

it('one member is probed in each interval, and an answer within the timeout is a round trip', () => {
  const h = clusterOf()
  h.advance(20_000)
  expect(h.sent('ping').length).toBeGreaterThanOrEqual(19)
  expect(h.sent('ping').length).toBeLessThanOrEqual(21)
  expect(h.sent('indirectPing')).toEqual([])
  expect(h.events).toEqual([])
  h.answering.delete('b')
  const probe = h.untilProbeOf('b')
  h.advance(40)
  h.ack('b', probe.message.seqNo)
  h.answering.add('b')
  expect(h.swim.member('b')?.rtt).toBeCloseTo(5) // an eighth of 40 on top of 0
})

it('a probe names its sender, so that the answer finds it', () => {
  const h = clusterOf()
  const probe = h.untilProbeOf('b')
  expect(probe.message.source).toEqual({ addr: Uint8Array.of(10, 0, 0, 1), port: 7_946, node: 'me' })
  expect(probe.to).toBe(h.at('b'))
})

it('an unanswered ping is tried through three others and over TCP when its timeout is over', () => {
  const h = withSilentB()
  const probe = h.untilProbeOf('b')
  h.advance(499)
  expect(h.sent('indirectPing')).toEqual([])
  h.advance(1)
  const requests = h.sent('indirectPing')
  expect(new Set(requests.map(({ to }) => h.nameAt(to)))).toEqual(new Set(['a', 'c', 'd']))
  for (const { message } of requests) {
    expect(message).toMatchObject({ node: 'b', nack: true, seqNo: probe.message.seqNo, port: 7_946 })
  }
  expect(h.exchanges).toMatchObject([{ to: h.address('b'), expectReply: true, timeoutMs: 500 }])
})

it('an answer that came through another clears the probe and makes no round trip', () => {
  const h = withSilentB()
  const probe = h.untilProbeOf('b')
  const before = h.swim.member('b')?.rtt
  h.advance(600)
  h.ack('a', probe.message.seqNo)
  h.advance(3_000)
  expect(h.sent('suspect')).toEqual([])
  expect(h.swim.member('b')).toMatchObject({ state: 'alive', rtt: before })
})

it('a member that answers nothing is suspected at the deadline, and the suspicion is spread', () => {
  const h = withSilentB()
  h.untilProbeOf('b')
  h.advance(999)
  expect(h.state('b')).toBe('alive')
  h.advance(1)
  expect(h.state('b')).toBe('suspect')
  expect(h.sent('suspect')[0]!.message).toEqual({ type: 'suspect', node: 'b', incarnation: 1, from: 'me' })
  expect(h.events.map(({ type, member }) => `${type} ${member.name}`)).toEqual(['suspect b'])
})

it('a member that answers over TCP only is no suspect, and the blocked UDP is noticed', () => {
  const h = withSilentB()
  const probe = h.untilProbeOf('b')
  h.advance(600)
  h.answer(h.exchanges[0]!, { type: 'ack', seqNo: probe.message.seqNo, payload: new Uint8Array(0) })
  expect(h.notices).toEqual([])
  h.advance(400)
  expect(h.notices).toEqual([{ kind: 'udp-blocked', member: 'b', address: h.at('b'), local: h.at('me') }])
  expect(h.state('b')).toBe('alive')
  expect(h.sent('suspect')).toEqual([])
})

it('a suspect that answers over TCP only is shown the suspicion over TCP, and its refutation is fetched', () => {
  const h = withSilentB()
  h.receive('c', h.suspect('b', 1, 'c'))
  const suspectedAt = h.now
  const probe = h.untilProbeOf('b')
  h.advance(500)
  h.answer(h.exchanges[0]!, { type: 'ack', seqNo: probe.message.seqNo, payload: new Uint8Array(0) })
  const told = h.exchanges[1]!
  expect(told).toMatchObject({ to: h.address('b'), expectReply: true })
  expect(decodePushPull(told.bytes).nodes).toContainEqual(h.pushNode('b', WIRE_STATE.suspect))

  // It answers before it takes in what it was told, as memberlist does: the second exchange brings the refutation.
  h.answer(told, { type: 'pushPull', join: false, nodes: [h.pushNode('b', WIRE_STATE.alive, 1)], userState: EMPTY })
  expect(h.state('b')).toBe('suspect')
  h.advanceUntil(() => h.exchanges.filter(({ bytes }) => decodeStream(bytes).type === 'pushPull').length === 2, 1_000)
  const again = h.exchanges.at(-1)!
  h.answer(again, { type: 'pushPull', join: false, nodes: [h.pushNode('b', WIRE_STATE.alive, 2)], userState: EMPTY })
  expect(h.state('b')).toBe('alive')
  expect(h.now - suspectedAt).toBeLessThan(suspicionLimits(h.config, 5).maxMs)
})

it('a member that is no suspect is told nothing more when it answers over TCP', () => {
  const h = withSilentB()
  const probe = h.untilProbeOf('b')
  h.advance(500)
  h.answer(h.exchanges[0]!, { type: 'ack', seqNo: probe.message.seqNo, payload: new Uint8Array(0) })
  expect(h.exchanges).toHaveLength(1)
})

it('blocked UDP is told once for each member, until a ping is answered again', () => {
  const h = withSilentB()
  const answerByTcp = (): void => {
    const probe = h.untilProbeOf('b')
    h.advance(600)
    h.answer(h.exchanges.at(-1)!, { type: 'ack', seqNo: probe.message.seqNo, payload: new Uint8Array(0) })
    h.advance(h.config.probeIntervalMs * (1 + h.swim.stats().healthScore))
  }
  expect(h.swim.member('b')?.udpReachable).toBe(true)
  for (let i = 0; i < 4; i++) answerByTcp()
  expect(h.notices).toHaveLength(1)
  expect(h.swim.member('b')?.udpReachable).toBe(false)
  h.answering.add('b')
  h.untilProbeOf('b')
  expect(h.swim.member('b')?.udpReachable).toBe(true)
  h.answering.delete('b')
  answerByTcp()
  expect(h.notices).toHaveLength(2)
})

it('helpers that answer for the target make no statement about our own way to it', () => {
  const h = withSilentB()
  h.receive('a', h.alive('e', 1))
  h.answering.add('e')
  const probe = h.untilProbeOf('b')
  h.advance(600)
  h.ack('a', probe.message.seqNo)
  h.advance(1_000)
  expect(h.notices).toEqual([])
  expect(h.swim.member('b')?.udpReachable).toBe(true)
})

it('doubts sown about many members do not keep the round from going on', () => {
  const h = clusterOf()
  h.answering.clear()
  for (const at of [0, 1, 2, 3, 4, 5, 6, 7]) {
    h.advance(at === 0 ? 0 : 1_000)
    for (const name of ['a', 'b']) h.swim.probeSoon(name, h.now)
  }
  h.advance(60_000)
  const probed = new Set(h.sent('ping').map(({ message }) => message.node))
  expect(probed).toContain('c')
  expect(probed).toContain('d')
})

it('a TCP answer with another number, of another kind or none convinces nobody', () => {
  for (const reply of [
    { type: 'ack', seqNo: 999_999, payload: new Uint8Array(0) } as const,
    { type: 'err', error: 'busy' } as const,
    undefined,
  ]) {
    const h = withSilentB()
    h.untilProbeOf('b')
    h.advance(600)
    if (reply === undefined) h.fail(h.exchanges[0]!)
    else h.answer(h.exchanges[0]!, reply)
    h.advance(400)
    expect(h.state('b')).toBe('suspect')
  }
})

it('a peer of an old protocol gets no TCP ping and is asked for no nack', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  const old = { vsn: Uint8Array.of(1, 2, 2, 0, 0, 0) }
  h.receive('a', h.alive('a', 1, old))
  h.receive('b', h.alive('b', 1, old))
  h.settle('a')
  h.untilProbeOf('b')
  h.clear() // an earlier probe may have asked as well
  h.advance(600)
  expect(h.exchanges).toEqual([])
  expect(h.sent('indirectPing').map(({ message }) => message.nack)).toEqual([false])
})

it('an answer to a number that no probe has, and one that comes too late, change nothing', () => {
  const h = withSilentB()
  const probe = h.untilProbeOf('b')
  h.ack('b', probe.message.seqNo + 1_000)
  h.advance(1_000)
  expect(h.state('b')).toBe('suspect')
  h.ack('b', probe.message.seqNo)
  expect(h.state('b')).toBe('suspect')
})

it('helpers that say nack leave the health score alone, silent ones raise it by one each', () => {
  for (const nacks of [3, 2, 0]) {
    const h = withSilentB()
    const probe = h.untilProbeOf('b')
    h.advance(600)
    for (const helper of ['a', 'c', 'd'].slice(0, nacks)) {
      h.receive(helper, { type: 'nack', seqNo: probe.message.seqNo })
    }
    h.advanceUntil(() => h.state('b') === 'suspect', 400)
    expect(h.swim.stats().healthScore).toBe(3 - nacks)
  }
})

it('more nacks than were asked for do not make a node look healthier', () => {
  const h = withSilentB()
  h.receive('a', h.suspect('me', 100, 'a'))
  expect(h.swim.stats().healthScore).toBe(1)
  h.answering.clear()
  const probe = h.untilProbeOf('b')
  const before = h.swim.stats().healthScore
  h.advance(600)
  for (let i = 0; i < 9; i++) h.receive('x', { type: 'nack', seqNo: probe.message.seqNo })
  h.advanceUntil(() => h.state('b') === 'suspect', 20_000)
  expect(h.swim.stats().healthScore).toBe(before)
})

it('without helpers that nack a failed probe raises the score by one, an answered one lowers it', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith('b')
  h.answering.clear()
  h.advanceUntil(() => h.state('b') === 'suspect', 20_000)
  expect(h.swim.stats().healthScore).toBe(1)
  h.answering.add('b')
  h.untilProbeOf('b')
  expect(h.swim.stats().healthScore).toBe(0)
})

it('a higher score stretches the deadline of a probe but not its timeout', () => {
  const h = withSilentB()
  h.receive('a', h.suspect('me', 100, 'a'))
  expect(h.swim.stats().healthScore).toBe(1)
  h.swim.probeSoon('b', h.now)
  const probe = h.untilProbeOf('b', 0)
  h.advance(499)
  expect(h.sent('indirectPing')).toEqual([])
  h.advance(1)
  expect(h.sent('indirectPing')).toHaveLength(3)
  h.advanceUntil(() => h.state('b') === 'suspect', 60_000)
  expect(h.now - probe.at).toBe(1_000 * 2)
})

it('a member that raised its incarnation during the probe is not suspected for it', () => {
  const h = withSilentB()
  h.untilProbeOf('b')
  h.advance(700)
  h.receive('b', h.alive('b', 2))
  h.advance(300)
  expect(h.state('b')).toBe('alive')
  expect(h.sent('suspect')).toEqual([])
})

it('a member that died during its probe is not suspected', () => {
  const h = withSilentB()
  h.untilProbeOf('b')
  h.receive('a', h.dead('b', 1, 'a'))
  h.advance(2_000)
  expect(h.state('b')).toBe('dead')
  expect(h.events.map(({ type }) => type)).toEqual(['dead'])
})

it('only one probe is in flight at a time', () => {
  const h = withSilentB()
  for (const name of ['a', 'c', 'd']) h.receive(name, h.suspect('me', 100, name))
  h.answering.clear()
  h.advance(30_000)
  const starts = h.sent('ping').filter(({ message }) => message.source?.node === 'me')
  for (let i = 1; i < starts.length; i++) expect(starts[i]!.at - starts[i - 1]!.at).toBeGreaterThanOrEqual(1_000)
  expect(starts.length).toBeGreaterThanOrEqual(4)
})

it('evidence from outside has a member probed at once, and convicts nobody by itself', () => {
  const h = clusterOf()
  for (let i = 0; i < 5; i++) {
    h.advance(130)
    h.clear()
    h.swim.probeSoon('c', h.now)
    h.advance(0)
    expect(h.sent('ping').map(({ message }) => message.node)).toEqual(['c'])
  }
  expect(h.state('c')).toBe('alive')
})

it('evidence against an unknown name or against oneself is let pass', () => {
  const h = clusterOf()
  h.swim.probeSoon('nobody', h.now)
  h.swim.probeSoon('me', h.now)
  h.advance(5_000)
  expect(h.sent('ping').map(({ message }) => message.node)).not.toContain('me')
  expect(h.events).toEqual([])
})

it('a ping to a suspect carries the suspicion and nothing else', () => {
  const h = clusterOf()
  h.receive('a', h.suspect('b', 1, 'a'))
  h.receive('a', h.alive('new', 1))
  h.clear()
  h.answering.delete('b')
  h.untilProbeOf('b')
  const packet = h.packets.find(({ messages }) => messages.some((one) => one.type === 'ping' && one.node === 'b'))
  expect(packet?.messages.map(({ type }) => type)).toEqual(['ping', 'suspect'])
  expect(packet?.messages[1]).toEqual({ type: 'suspect', node: 'b', incarnation: 1, from: 'me' })
})

it('a stall extends the probe by its length and raises the score by one per probe timeout', () => {
  const h = withSilentB()
  const probe = h.untilProbeOf('b')
  h.advance(400)
  h.now += 1_200 // nothing ran in between
  h.swim.handleStall(1_200)
  h.swim.handleTimeout(h.now)
  h.collect()
  expect(h.swim.stats().healthScore).toBe(2)
  expect(h.sent('indirectPing')).toEqual([])
  h.advance(100)
  expect(h.sent('indirectPing')).toHaveLength(3)
  h.advance(499)
  expect(h.state('b')).toBe('alive')
  h.ack('b', probe.message.seqNo)
  h.advance(500)
  expect(h.state('b')).toBe('alive')
})

it('a stall extends the pings made for others', () => {
  const h = clusterOf()
  const start = h.now
  const target = Uint8Array.of(10, 9, 9, 9)
  h.receive('a', { type: 'indirectPing', seqNo: 5, target, port: 4, node: 'far', nack: true, source: undefined })
  h.swim.handleStall(700)
  h.advance(3_000)
  expect(h.sent('nack').map(({ at }) => at)).toEqual([start + 400 + 700])
})

it('the packets of a probe are the same for the same seed', () => {
  const run = (seed: number): string => {
    const h = new SwimHarness({ seed })
    for (const name of ['a', 'b', 'c']) h.receive(name, h.alive(name, 1, { vsn: VSN }))
    h.advance(30_000)
    return h.packets.map(({ at, to, bytes }) => `${at} ${to} ${bytes.join()}`).join('\n')
  }
  expect(run(4)).toBe(run(4))
  expect(run(4)).not.toBe(run(5))
})
