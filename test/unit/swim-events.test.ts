/** When each member event fires, when not, and in which order. */
import { describe, expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { encodeTags } from '../../src/membership/tags.js'
import { WIRE_STATE } from '../../src/membership/wire/messages.js'
import { SwimHarness } from '../support/swim-harness.js'

const ELSEWHERE = { addr: Uint8Array.of(10, 9, 9, 9) }
const meta = (boot: string) => ({ meta: encodeTags({ _b: boot }) })

function withPeers(...names: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith(...names)
  return h
}

const eventsOf = (h: SwimHarness): string[] => h.events.map(({ type, member }) => `${type} ${member.name}`)

it('join fires for the first record of a name, for a return from death and from a leave, and not again', () => {
  const h = withPeers('a')
  h.receive('b', h.alive('b'), h.alive('b', 2), h.alive('b', 1))
  h.receive('a', h.dead('b', 2, 'a'), h.alive('b', 2), h.alive('b', 3))
  h.receive('b', h.dead('b', 3, 'b'), h.alive('b', 3), h.alive('b', 4))
  expect(eventsOf(h)).toEqual(['join b', 'dead b', 'join b', 'leave b', 'join b'])
})

it('suspect fires once for any number of accusers, and alive once for its refutation', () => {
  const h = withPeers('a', 'b', 'c', 'd')
  h.receive('a', h.suspect('b', 1, 'a'), h.suspect('b', 1, 'c'), h.suspect('b', 1, 'd'), h.suspect('b', 1, 'a'))
  h.receive('b', h.alive('b', 1), h.alive('b', 2), h.alive('b', 2), h.alive('b', 3))
  expect(eventsOf(h)).toEqual(['suspect b', 'alive b'])
})

it('update fires for other tags or another address alone, after alive when it ends a suspicion', () => {
  const h = withPeers('a', 'b')
  h.receive('b', h.alive('b', 2, { vsn: Uint8Array.of(1, 5, 3, 0, 0, 0) }), h.alive('b', 3))
  expect(eventsOf(h)).toEqual([])
  h.receive('b', h.alive('b', 4, { meta: utf8Encode('web') }))
  h.receive('a', h.suspect('b', 4, 'a'))
  h.receive('b', h.alive('b', 5, { meta: utf8Encode('db') }))
  expect(eventsOf(h)).toEqual(['update b', 'suspect b', 'alive b', 'update b'])
})

it('dead and leave fire once, whatever is said of it afterwards', () => {
  const h = withPeers('a', 'b', 'c')
  h.receive('a', h.dead('b', 1, 'a'), h.dead('b', 2, 'c'), h.dead('b', 3, 'b'), h.suspect('b', 4, 'c'))
  h.receive('c', h.dead('c', 1, 'c'), h.dead('c', 2, 'a'), h.dead('c', 3, 'c'))
  expect(eventsOf(h)).toEqual(['dead b', 'leave c'])
})

it('reap fires when a member is forgotten, a return before that is a join and one after it as well', () => {
  const h = new SwimHarness({ config: { reapAfterMs: 60_000, pushPullIntervalMs: 1e9 } })
  h.settleWith('a', 'b')
  h.receive('a', h.dead('b', 1, 'a'), h.alive('b', 2), h.dead('b', 2, 'b'))
  h.advance(76_000)
  h.receive('b', h.alive('b', 2), h.alive('b', 3))
  expect(eventsOf(h)).toEqual(['dead b', 'join b', 'leave b', 'reap b', 'join b'])
})

it('conflict fires once for each newer claim of a name from elsewhere, and shows who has it', () => {
  const h = withPeers('a', 'b')
  for (let i = 0; i < 3; i++) h.receive('x', h.alive('b', 9, ELSEWHERE))
  h.receive('x', h.alive('b', 1, ELSEWHERE)) // not newer: an old rumour
  h.receive('x', h.alive('b', 10, ELSEWHERE))
  expect(eventsOf(h)).toEqual(['conflict b', 'conflict b'])
  expect(h.events[0]?.member).toMatchObject({ address: '10.0.0.3:7946', state: 'alive' })
})

it('of this node: join at the start, update by its tags, nothing by a refutation, leave and join again', () => {
  const h = withPeers('a')
  h.swim.updateMeta(utf8Encode('web'), h.now)
  h.receive('a', h.suspect('me', 101, 'a'))
  h.swim.leave(h.now)
  h.advance(5_000)
  h.swim.leave(h.now)
  h.swim.rejoin(h.now)
  h.swim.rejoin(h.now)
  h.collect()
  expect(eventsOf(h)).toEqual(['update me', 'leave me', 'join me'])
})

describe('a node that comes back after its leave', () => {
  it('is told to all with its present tags above all that it said before, and can leave again', () => {
    const h = withPeers('a', 'b')
    h.swim.leave(h.now)
    h.advance(5_000)
    expect(h.leftCount).toBe(1)
    h.clear()
    h.swim.updateMeta(utf8Encode('new role'), h.now)
    h.swim.rejoin(h.now)
    h.collect()
    h.advance(1_000)
    const told = h.sent('alive').filter(({ message }) => message.node === 'me')
    expect(new Set(told.map(({ to }) => h.nameAt(to)))).toEqual(new Set(['a', 'b']))
    for (const { message } of told) {
      expect(message).toMatchObject({ incarnation: 101, meta: utf8Encode('new role') })
    }
    expect(h.swim.stats().live).toBe(3)
    h.swim.leave(h.now)
    h.collect()
    h.advance(5_000)
    expect(h.leftCount).toBe(1)
    expect(h.sent('dead').map(({ message }) => message)).toContainEqual(h.dead('me', 101, 'me'))
  })

  it('defends itself again', () => {
    const h = withPeers('a')
    h.swim.leave(h.now)
    h.receive('a', h.dead('me', 100, 'me'))
    h.swim.rejoin(h.now)
    h.receive('a', h.dead('me', 700, 'a'))
    expect(h.swim.member('me')).toMatchObject({ state: 'alive', incarnation: 701 })
  })
})

describe('incarnation is monotone over all evidence', () => {
  it.each([
    ['a later death', (h: SwimHarness) => h.dead('b', 9, 'x')],
    ['a later leave', (h: SwimHarness) => h.dead('b', 9, 'b')],
    ['a later suspicion', (h: SwimHarness) => h.suspect('b', 9, 'x')],
  ])('%s of a dead member outdates what was said of it in between', (_what, evidence) => {
    const h = withPeers('a', 'b')
    h.receive('a', h.dead('b', 1, 'a'), evidence(h))
    h.receive('a', h.alive('b', 9), h.alive('b', 5))
    expect(h.swim.member('b')).toMatchObject({ state: 'dead', incarnation: 9 })
    h.receive('b', h.alive('b', 10))
    expect(h.state('b')).toBe('alive')
  })

  it('a later accusation by the same accuser counts for it, though it confirms nothing', () => {
    const h = withPeers('a', 'b')
    h.receive('a', h.suspect('b', 1, 'a'), h.suspect('b', 5, 'a'))
    h.receive('b', h.alive('b', 4))
    expect(h.swim.member('b')).toMatchObject({ state: 'suspect', incarnation: 5 })
  })

  it.each([
    ['dead in a list', WIRE_STATE.dead],
    ['left in a list', WIRE_STATE.left],
  ])(
    'of a name that was known only as %s an old alive raises nobody, and its owner is told what to exceed',
    (_w, state) => {
      const h = withPeers('a')
      h.request('a', { type: 'pushPull', join: false, nodes: [h.pushNode('b', state, 9)], userState: new Uint8Array() })
      h.clear()
      h.receive('a', h.alive('b', 9), h.alive('b', 3))
      expect(h.state('b')).toBeUndefined()
      expect(h.sent('suspect').map(({ to, message }) => [h.nameAt(to), message.incarnation])).toEqual([
        ['b', 9],
        ['b', 9],
      ])
      h.receive('b', h.alive('b', 10))
      expect(h.state('b')).toBe('alive')
    },
  )

  it('a name suspected at an incarnation may still join at that one', () => {
    const h = withPeers('a')
    h.receive('a', h.suspect('b', 9, 'a'), h.alive('b', 8))
    expect(h.state('b')).toBeUndefined()
    h.receive('b', h.alive('b', 9))
    expect(h.state('b')).toBe('alive')
  })

  it('a reaped member is not raised by an old alive', () => {
    const h = new SwimHarness({ config: { reapAfterMs: 60_000, pushPullIntervalMs: 1e9 } })
    h.settleWith('a', 'b')
    h.receive('a', h.dead('b', 5, 'a'))
    h.advance(76_000)
    expect(h.state('b')).toBeUndefined()
    h.receive('a', h.alive('b', 5))
    expect(h.state('b')).toBeUndefined()
  })

  it('an old record of a former address does not bring back a shoal node that left, a memberlist node may begin at 1', () => {
    const h = withPeers('a')
    h.receive('b', h.alive('b', 9, meta('1')), h.dead('b', 9, 'b'), h.alive('c', 9), h.dead('c', 9, 'c'))
    h.receive('a', h.alive('b', 4, { ...ELSEWHERE, ...meta('0') }), h.alive('c', 1, ELSEWHERE))
    expect([h.state('b'), h.state('c')]).toEqual(['left', 'alive'])
    h.receive('b', h.alive('b', 10, { ...ELSEWHERE, ...meta('2') }))
    expect(h.swim.member('b')).toMatchObject({ state: 'alive', address: '10.9.9.9:7946' })
  })
})
