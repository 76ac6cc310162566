/**
 * Behaviours of memberlist with its own figures, where no other test has exactly these. Which test of ours stands for which
 * of memberlist's is told by docs/memberlist-parity.md.
 */
import { describe, expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { Suspicion } from '../../src/membership/suspicion.js'
import { versionConflict } from '../../src/membership/versions.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { type PushNodeState, WIRE_STATE } from '../../src/membership/wire/messages.js'
import { SwimHarness } from '../support/swim-harness.js'

function clusterOf(...names: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith(...names)
  return h
}

const typesOf = (h: SwimHarness, name: string): string[] =>
  h.events.filter(({ member }) => member.name === name).map(({ type }) => type)

// TestSuspicion_remainingSuspicionTime.
it.each([
  { confirmations: 0, elapsedMs: 0, remainingMs: 30_000 },
  { confirmations: 1, elapsedMs: 2_000, remainingMs: 14_000 },
  { confirmations: 2, elapsedMs: 3_000, remainingMs: 4_810 },
  { confirmations: 3, elapsedMs: 4_000, remainingMs: -2_000 },
])('of 2 to 30 s, $remainingMs ms remain with $confirmations of 3 confirmations after $elapsedMs ms', (row) => {
  const suspicion = new Suspicion('a', { confirmations: 3, minMs: 2_000, maxMs: 30_000 }, 0)
  for (let accuser = 0; accuser < row.confirmations; accuser++) suspicion.confirm(`accuser-${accuser}`, 0)
  expect(Math.round(suspicion.deadlineAt - row.elapsedMs)).toBe(row.remainingMs)
})

// TestSuspicion_Timer_ZeroK and _Immediate.
it('a confirmation that makes a suspicion overdue leaves the suspect one probe interval, and ends in one death', () => {
  const h = clusterOf('a', 'b', 'c', 'd', 'e')
  h.answering.delete('b')
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advance(10_000) // the least is 4 s, the most 24 s
  expect(h.state('b')).toBe('suspect')
  h.receive('c', h.suspect('b', 1, 'c'))
  h.receive('d', h.suspect('b', 1, 'd'))
  h.advance(999)
  expect(h.state('b')).toBe('suspect')
  h.advance(1)
  expect(h.state('b')).toBe('dead')
  h.advance(30_000)
  expect(typesOf(h, 'b')).toEqual(['suspect', 'dead'])
})

// TestMemberList_ProbeNode_Suspect_Dogpile: mult 5, at most twice the least, an interval of 100 ms.
it.each([
  { members: 2, confirmations: 0, lastsMs: 500 },
  { members: 3, confirmations: 0, lastsMs: 500 },
  { members: 4, confirmations: 0, lastsMs: 500 },
  { members: 5, confirmations: 0, lastsMs: 1_000 },
  { members: 6, confirmations: 0, lastsMs: 1_000 },
  { members: 6, confirmations: 1, lastsMs: 750 },
  { members: 6, confirmations: 2, lastsMs: 604 },
  { members: 6, confirmations: 3, lastsMs: 500 },
  { members: 6, confirmations: 4, lastsMs: 500 },
])('among $members members a suspicion with $confirmations confirmations lasts $lastsMs ms', (row) => {
  const config = { suspicionMult: 5, suspicionMaxTimeoutMult: 2, probeIntervalMs: 100, probeTimeoutMs: 50 }
  const h = new SwimHarness({ config: { ...config, pushPullIntervalMs: 1e9 } })
  const others = Array.from({ length: row.members - 1 }, (_, index) => `n${index}`)
  h.settleWith(...others)
  h.answering.delete('n0')
  h.receive('n1', h.suspect('n0', 1, 'me')) // as when our own probe of it failed
  const startedAt = h.now
  for (let accuser = 0; accuser < row.confirmations; accuser++) {
    h.receive('n1', h.suspect('n0', 1, `accuser-${accuser}`))
    h.receive('n1', h.suspect('n0', 1, `accuser-${accuser}`)) // said twice counts once
  }
  h.advanceUntil(() => h.state('n0') === 'dead', 2_000)
  expect(Math.abs(h.now - startedAt - row.lastsMs)).toBeLessThanOrEqual(1)
})

// TestVerifyProtocol: minimum, maximum and current of each node, of both sides.
describe.each(['protocol', 'delegate protocol'] as const)('of the %s', (which) => {
  type Range = readonly [min: number, max: number, current: number]
  const rows: readonly { words: string; ours: Range[]; theirs: Range[]; agree: boolean }[] = [
    { words: 'the same versions agree', ours: [[0, 0, 0]], theirs: [[0, 0, 0]], agree: true },
    {
      words: 'one that understands more but speaks the same agrees',
      ours: [[0, 0, 0]],
      theirs: [[0, 1, 0]],
      agree: true,
    },
    {
      words: 'one that speaks outside the range of the other is refused',
      ours: [[0, 0, 0]],
      theirs: [[1, 1, 1]],
      agree: false,
    },
    {
      words: 'two that understand each other are refused for what a third one speaks',
      ours: [
        [0, 1, 0],
        [0, 2, 1],
      ],
      theirs: [[1, 3, 1]],
      agree: false,
    },
    {
      words: 'many that speak within what all of them understand agree',
      ours: [
        [0, 3, 2],
        [0, 2, 0],
      ],
      theirs: [
        [0, 2, 1],
        [0, 5, 0],
      ],
      agree: true,
    },
  ]
  const still = [0, 0, 0] as const
  const conflict = (ranges: readonly Range[]): string | undefined =>
    versionConflict(
      ranges.map((range, index) => ({
        name: `n${index}`,
        vsn: Uint8Array.from(which === 'protocol' ? [...range, ...still] : [...still, ...range]),
        alive: true,
      })),
    )

  it.each(rows)('$words, whichever side asks', ({ ours, theirs, agree }) => {
    expect(conflict([...ours, ...theirs]) === undefined).toBe(agree)
    expect(conflict([...theirs, ...ours]) === undefined).toBe(agree)
  })
})

// TestMemberList_AliveNode_Refute.
it('an alive of others about us, newer and with another meta, leaves ours as it is and draws one alive above it', () => {
  const h = clusterOf('a')
  h.receive('a', h.alive('me', 110, { meta: utf8Encode('not mine') }))
  h.advance(3_000)
  expect(h.swim.member('me')).toMatchObject({ state: 'alive', incarnation: 111, tags: {} })
  const told = h.sent('alive').filter(({ message }) => message.node === 'me')
  expect(new Set(told.map(({ message }) => message.incarnation))).toEqual(new Set([111]))
  expect(told.every(({ message }) => message.meta.length === 0)).toBe(true)
})

// TestMemberList_MergeState.
it('a merged list revives with a higher incarnation, suspects for suspect and dead alike, and joins who is new', () => {
  const h = clusterOf('a', 'b', 'c')
  h.receive('c', h.suspect('a', 1, 'x'))
  h.clear()
  const { alive, suspect, dead } = WIRE_STATE
  const nodes: PushNodeState[] = [
    h.pushNode('a', alive, 2),
    h.pushNode('b', suspect, 1),
    h.pushNode('c', dead, 1),
    h.pushNode('d', alive, 2),
  ]
  h.request('d', { type: 'pushPull', join: false, nodes, userState: new Uint8Array(0) })
  expect(['a', 'b', 'c', 'd'].map((name) => h.state(name))).toEqual(['alive', 'suspect', 'suspect', 'alive'])
  expect(h.events.filter(({ type }) => type === 'join').map(({ member }) => member.name)).toEqual(['d'])
  expect(h.swim.member('a')?.incarnation).toBe(2)
})

// TestMemberList_ProbeNode_Buddy.
it('whoever is pinged together with the suspicion answers the ping and refutes in one alive', () => {
  const h = clusterOf('a')
  h.receive('a', { type: 'ping', seqNo: 5, node: 'me', source: undefined }, h.suspect('me', 100, 'a'))
  h.advance(3_000)
  expect(h.sent('ack').filter(({ message }) => message.seqNo === 5)).toHaveLength(1)
  expect(h.swim.member('me')?.incarnation).toBe(101)
  expect(new Set(h.sent('alive').map(({ message }) => message.incarnation))).toEqual(new Set([101]))
})

// TestMakeCompoundMessages, TestDecodeCompoundMessage_NumberOfPartsOverflow and _Trunc.
it('a compound of 255 parts is the largest, and what is announced beyond the end is counted', () => {
  const part = Uint8Array.of(8, 1)
  expect(decodePacket(encodeCompound(new Array(255).fill(part))).messages).toHaveLength(255)
  expect(() => encodeCompound(new Array(256).fill(part))).toThrow(RangeError)
  const cut = encodeCompound([part, part, part]).subarray(0, 8 + 3)
  const { messages, drops } = decodePacket(cut)
  expect(messages).toHaveLength(1)
  expect(drops).toEqual(['truncated', 'truncated'])
})

// TestSerf_eventsFailed, eventsLeave and Reap.
it.each([
  { words: 'fails', end: 'dead', events: ['join', 'suspect', 'dead', 'reap'] },
  { words: 'leaves', end: 'left', events: ['join', 'leave', 'reap'] },
] as const)('of a member that $words users hear each thing once, in order, and at last that it is forgotten', (row) => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9, reapAfterMs: 60_000 } })
  for (const name of ['a', 'b', 'c']) h.receive(name, h.alive(name))
  h.answering.add('a').add('c')
  if (row.end === 'left') h.receive('b', h.dead('b', 1, 'b'))
  h.advanceUntil(() => h.state('b') === row.end, 60_000)
  h.receive('a', h.dead('b', 1, 'b'), h.dead('b', 1, 'a')) // old news by then
  h.advance(120_000)
  expect(typesOf(h, 'b')).toEqual(row.events)
  expect(h.state('b')).toBeUndefined()
})

// TestSerf_joinLeaveJoin and TestSerf_leaveRejoinDifferentRole.
it('a member that left and comes back with other tags joins with those', () => {
  const h = clusterOf('a')
  h.receive('b', h.alive('b', 1, { meta: utf8Encode('web') }))
  h.receive('b', h.dead('b', 1, 'b'))
  expect(h.state('b')).toBe('left')
  h.receive('b', h.alive('b', 2, { meta: utf8Encode('database') }))
  expect(h.swim.member('b')).toMatchObject({ state: 'alive', tags: { role: 'database' } })
  expect(typesOf(h, 'b')).toEqual(['join', 'leave', 'join'])
})

// TestSerf_eventsLeave_avoidInfiniteLeaveRebroadcast.
it('a leave that is repeated, old or about nobody known is not passed on', () => {
  const h = clusterOf('a', 'b', 'c')
  h.receive('b', h.dead('b', 1, 'b'))
  h.settle('a', 'c')
  h.receive('a', h.dead('b', 1, 'b'))
  h.receive('c', h.dead('c', 0, 'c'))
  h.receive('a', h.dead('nobody', 1, 'nobody'))
  h.advance(10_000)
  expect(h.sent('dead')).toEqual([])
  expect(h.state('c')).toBe('alive')
})
