import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { INCARNATION_MAX } from '../../src/membership/precedence.js'
import { SwimHarness } from '../support/swim-harness.js'

/** Probes are so rare here that only what the test says happens. */
function quiet(...names: readonly string[]): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  h.settleWith(...names)
  return h
}

const eventsOf = (h: SwimHarness): string[] => h.events.map(({ type, member }) => `${type} ${member.name}`)

it('a first alive makes a member join once, and the news is relayed', () => {
  const h = new SwimHarness()
  h.receive('a', h.alive('a'))
  h.receive('a', h.alive('a'))
  expect(eventsOf(h)).toEqual(['join a'])
  h.receive('b', h.alive('b'))
  h.receive('b', h.alive('a'))
  h.advance(300)
  expect(eventsOf(h)).toEqual(['join a', 'join b'])
  expect(h.sent('alive').some(({ to, message }) => message.node === 'a' && to === h.at('b'))).toBe(true)
})

it('an alive at incarnation 0 joins like any other', () => {
  const h = new SwimHarness()
  h.receive('a', h.alive('a', 0))
  expect(h.swim.member('a')).toMatchObject({ state: 'alive', incarnation: 0 })
})

it('a changed meta is an update, a mere higher incarnation is none', () => {
  const h = quiet('a')
  h.receive('a', h.alive('a', 2))
  expect(eventsOf(h)).toEqual([])
  h.receive('a', h.alive('a', 3, { meta: utf8Encode('web') }))
  expect(eventsOf(h)).toEqual(['update a'])
  expect(h.swim.member('a')).toMatchObject({ incarnation: 3, tags: { role: 'web' } })
  h.receive('a', h.alive('a', 3, { meta: utf8Encode('other') }))
  h.receive('a', h.alive('a', 2, { meta: utf8Encode('older') }))
  expect(h.swim.member('a')?.tags['role']).toBe('web')
})

it('a member is a frozen snapshot that later changes leave alone', () => {
  const h = quiet('a')
  const before = h.swim.member('a')!
  expect(Object.isFrozen(before) && Object.isFrozen(before.tags)).toBe(true)
  h.receive('a', h.suspect('a', 1, 'x'))
  expect(before.state).toBe('alive')
  expect(h.state('a')).toBe('suspect')
})

it('a suspicion that nobody confirms ends in death after its longest time', () => {
  const h = quiet('a', 'b', 'c', 'd') // b answers our own probes, which would confirm it otherwise
  h.receive('a', h.suspect('b', 1, 'a'))
  const start = h.now
  h.advanceUntil(() => h.state('b') === 'dead', 60_000)
  expect(h.now - start).toBe(24_000) // five members on a LAN: 4 s, times 6
  h.advance(1_000)
  expect(h.sent('dead').map(({ message }) => message)).toContainEqual(h.dead('b', 1, 'me'))
  expect(eventsOf(h)).toEqual(['suspect b', 'dead b'])
})

it('confirmations by others shorten a suspicion and are spread; repeated ones are not', () => {
  const h = quiet('a', 'b', 'c', 'd', 'e')
  h.answering.delete('b')
  const start = h.now
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advance(100)
  h.receive('c', h.suspect('b', 1, 'c'))
  h.advance(1)
  h.clear()
  h.receive('c', h.suspect('b', 1, 'c'))
  h.receive('a', h.suspect('b', 1, 'a'))
  expect(h.sent('suspect').filter(({ message }) => message.from === 'a')).toEqual([])
  h.receive('d', h.suspect('b', 1, 'd'))
  h.advance(300)
  expect(h.sent('suspect').some(({ message }) => message.from === 'd')).toBe(true)
  h.advanceUntil(() => h.state('b') === 'dead', 60_000)
  expect(h.now - start).toBe(4_000)
})

it('in a cluster of three a suspicion waits for no confirmation', () => {
  const h = quiet('a', 'b')
  h.answering.delete('b')
  const start = h.now
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advanceUntil(() => h.state('b') === 'dead', 60_000)
  expect(h.now - start).toBe(4_000)
})

it('an alive with a higher incarnation clears a suspicion, one with the same does not', () => {
  const h = quiet('a', 'b')
  h.receive('a', h.suspect('b', 1, 'a'))
  h.receive('b', h.alive('b', 1))
  expect(h.state('b')).toBe('suspect')
  h.receive('b', h.alive('b', 2))
  expect(h.state('b')).toBe('alive')
  h.advance(30_000)
  expect(eventsOf(h)).toEqual(['suspect b', 'alive b'])
})

it('an answered ping alone does not clear a suspicion', () => {
  const h = quiet('a', 'b')
  h.receive('a', h.suspect('b', 1, 'a'))
  h.untilProbeOf('b')
  expect(h.state('b')).toBe('suspect')
})

it('suspicion of ourselves is refuted to all at once with a higher incarnation, and costs health', () => {
  const h = quiet('a', 'b', 'c')
  h.receive('a', h.suspect('me', 100, 'a'))
  const refutations = h.sent('alive')
  expect(new Set(refutations.map(({ to }) => h.nameAt(to)))).toEqual(new Set(['a', 'b', 'c']))
  for (const { message } of refutations) expect(message).toMatchObject({ node: 'me', incarnation: 101 })
  expect(h.sent('suspect')).toEqual([])
  expect(h.swim.stats().healthScore).toBe(1)
  expect(h.state('me')).toBe('alive')
})

it('a refutation goes above what was heard, also when that is far above ours', () => {
  const h = quiet('a')
  h.receive('a', h.dead('me', 5_000, 'a'))
  expect(h.swim.member('me')).toMatchObject({ state: 'alive', incarnation: 5_001 })
})

it('an accusation of a former incarnation of ours is ignored', () => {
  const h = quiet('a')
  h.receive('a', h.suspect('me', 99, 'a'), h.dead('me', 99, 'a'))
  expect(h.swim.member('me')?.incarnation).toBe(100)
  expect(h.swim.stats().healthScore).toBe(0)
})

it('our own record with other bytes at our incarnation is refuted above it and noticed', () => {
  const h = quiet('a')
  h.receive('a', h.alive('me', 100, { meta: utf8Encode('former life') }))
  expect(h.swim.member('me')?.incarnation).toBe(101)
  expect(h.notices).toMatchObject([{ kind: 'foreign-self', address: '10.0.0.1:7946' }])
})

it('our name at another address is a conflict, not refuted and not relayed', () => {
  const h = quiet('a')
  h.receive('a', h.alive('me', 500, { addr: Uint8Array.of(10, 9, 9, 9) }))
  h.advance(1_000)
  expect(h.swim.member('me')).toMatchObject({ incarnation: 100, address: '10.0.0.1:7946' })
  expect(h.notices).toMatchObject([{ kind: 'foreign-self', address: '10.9.9.9:7946' }])
  expect(eventsOf(h)).toEqual(['conflict me'])
  expect(h.sent('alive')).toEqual([])
})

it('whoever spreads an accusation that was refuted long ago is told at once what we hold', () => {
  const h = quiet('a', 'b')
  h.receive('b', h.alive('b', 5))
  h.settle('a', 'b')
  h.receive('a', h.suspect('b', 4, 'a'))
  h.receive('a', h.dead('me', 99, 'a'))
  const answers = h.sent('alive').map(({ to, message }) => [h.nameAt(to), message.node, message.incarnation])
  expect(answers).toEqual([
    ['a', 'b', 5],
    ['a', 'me', 100],
  ])
})

it('an accusation that is believed, or of one who is gone, is not corrected', () => {
  const h = quiet('a', 'b', 'c')
  h.receive('a', h.dead('c', 5, 'c'))
  h.settle('a', 'b')
  h.receive('a', h.suspect('b', 1, 'a'), h.suspect('c', 1, 'a'), h.suspect('nobody', 1, 'a'))
  expect(h.sent('alive')).toEqual([])
})

it('old accusations draw at most twenty corrections a second, whoever sends them', () => {
  const h = quiet('a')
  h.receive('a', h.alive('a', 5))
  h.settle('a')
  const accuse = (): void => {
    for (let i = 0; i < 100; i++) h.receive('a', h.suspect('a', 1, 'x'))
  }
  accuse()
  expect(h.sent('alive')).toHaveLength(20)
  h.advance(1_000)
  accuse()
  expect(h.sent('alive')).toHaveLength(40)
})

it('a dead member is not raised by its old incarnation but by a higher one', () => {
  const h = quiet('a', 'b')
  h.receive('a', h.dead('b', 1, 'a'))
  expect(h.state('b')).toBe('dead')
  h.receive('b', h.alive('b', 1))
  expect(h.state('b')).toBe('dead')
  h.receive('b', h.alive('b', 2))
  expect(eventsOf(h)).toEqual(['dead b', 'join b'])
})

it('who declares itself dead has left; nothing turns dead into left or left into dead', () => {
  const h = quiet('a', 'b')
  h.receive('a', h.dead('a', 1, 'a'))
  h.receive('b', h.dead('b', 1, 'a'))
  expect([h.state('a'), h.state('b')]).toEqual(['left', 'dead'])
  h.receive('b', h.dead('b', 1, 'b'), h.dead('b', 7, 'b'), h.dead('a', 7, 'b'), h.suspect('a', 7, 'b'))
  expect([h.state('a'), h.state('b')]).toEqual(['left', 'dead'])
  expect(eventsOf(h)).toEqual(['leave a', 'dead b'])
})

it('a suspect may still leave', () => {
  const h = quiet('a', 'b')
  h.receive('a', h.suspect('b', 1, 'a'), h.dead('b', 1, 'b'))
  expect(h.state('b')).toBe('left')
  h.advance(60_000)
  expect(eventsOf(h)).toEqual(['suspect b', 'leave b'])
})

it('a member that left returns at another address at once', () => {
  const h = quiet('a', 'b')
  h.receive('b', h.dead('b', 1, 'b'))
  h.receive('b', h.alive('b', 2, { port: 9_999 }))
  expect(h.swim.member('b')).toMatchObject({ state: 'alive', address: '10.0.0.3:9999' })
  expect(eventsOf(h)).toEqual(['leave b', 'join b'])
})

it('a dead member returns at another address only after the reclaim time', () => {
  const h = quiet('a', 'b')
  h.receive('a', h.dead('b', 1, 'a'))
  h.advance(29_999)
  h.receive('b', h.alive('b', 2, { port: 9_999 }))
  expect(h.state('b')).toBe('dead')
  expect(h.swim.stats().drops['address-conflict']).toBe(1)
  h.advance(1)
  h.receive('b', h.alive('b', 2, { port: 9_999 }))
  expect(h.swim.member('b')).toMatchObject({ state: 'alive', address: '10.0.0.3:9999' })
})

it.each(['alive', 'suspect'])('a member that is %s cannot be moved by a claim from elsewhere', (state) => {
  const h = quiet('a', 'b')
  if (state === 'suspect') h.receive('a', h.suspect('b', 1, 'a'))
  h.clear()
  h.receive('x', h.alive('b', 9, { addr: Uint8Array.of(10, 9, 9, 9) }))
  expect(h.swim.member('b')).toMatchObject({ state, incarnation: 1, address: '10.0.0.3:7946' })
  expect(eventsOf(h)).toEqual(['conflict b'])
})

it('rumours below the known incarnation, and rumours about nobody known, are ignored', () => {
  const h = quiet('a', 'b')
  h.receive('b', h.alive('b', 5))
  h.settle('a', 'b')
  h.receive('a', h.alive('b', 4), h.suspect('b', 4, 'a'), h.dead('b', 4, 'a'), h.dead('b', 4, 'b'))
  h.receive('a', h.suspect('nobody', 1, 'a'), h.dead('nobody', 1, 'a'))
  expect(h.state('b')).toBe('alive')
  expect(h.events).toEqual([])
  expect(h.swim.member('nobody')).toBeUndefined()
  expect(h.swim.stats().queued.rumours).toBe(0)
})

it('an incarnation near the end of its range is neither applied nor relayed nor refuted', () => {
  const h = quiet('a', 'b')
  const mad = 0xf000_0001
  h.receive('a', h.alive('b', mad), h.alive('new', mad), h.suspect('b', mad, 'a'), h.dead('b', mad, 'a'))
  h.receive('a', h.suspect('me', mad, 'a'), h.dead('me', mad, 'a'), h.alive('me', mad))
  expect(h.swim.member('b')).toMatchObject({ state: 'alive', incarnation: 1 })
  expect(h.swim.member('me')?.incarnation).toBe(100)
  expect(h.swim.member('new')).toBeUndefined()
  expect(h.swim.stats()).toMatchObject({ drops: { 'bad-incarnation': 7 }, queued: { rumours: 0 } })
  h.receive('a', h.alive('b', mad - 1))
  expect(h.swim.member('b')?.incarnation).toBe(mad - 1)
})

it('a table full of verified members takes no new names, counts them and still hears of known ones', () => {
  const h = new SwimHarness({ config: { memberMax: 3, pushPullIntervalMs: 1e9 } })
  h.settleWith('a', 'b')
  h.advance(3_000) // both are probed
  h.receive('c', h.alive('c'))
  expect(h.swim.member('c')).toBeUndefined()
  expect(h.swim.stats().drops['members-full']).toBe(1)
  h.receive('a', h.dead('a', 1, 'b'))
  expect(h.state('a')).toBe('dead')
})

it('dead members are forgotten when their time is over, and said so', () => {
  const h = new SwimHarness({ config: { reapAfterMs: 60_000, pushPullIntervalMs: 1e9 } })
  h.settleWith('a', 'b', 'c')
  h.receive('a', h.dead('b', 1, 'a'), h.dead('c', 1, 'c'))
  h.advance(59_000)
  expect(h.state('b')).toBe('dead')
  h.advance(17_000)
  expect(h.swim.members().map(({ name }) => name)).toEqual(['me', 'a'])
  expect(eventsOf(h)).toEqual(['dead b', 'leave c', 'reap b', 'reap c'])
})

it('a stall extends a suspicion by its length', () => {
  const h = quiet('a', 'b')
  h.answering.delete('b')
  const start = h.now
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advance(1_000)
  h.swim.handleStall(2_500)
  h.advanceUntil(() => h.state('b') === 'dead', 60_000)
  expect(h.now - start).toBe(6_500)
})

it('a change of our tags is told with a higher incarnation', () => {
  const h = quiet('a', 'b')
  h.swim.updateMeta(utf8Encode('db'), h.now)
  h.collect()
  expect(h.sent('alive').map(({ message }) => [message.node, message.incarnation])).toContainEqual(['me', 101])
  expect(eventsOf(h)).toEqual(['update me'])
})

it('an accusation at the end of the number space is dropped; one below it can still be refuted', () => {
  const h = new SwimHarness()
  h.settleWith('a')
  h.clear()
  for (const message of [h.suspect('a', INCARNATION_MAX, 'x'), h.dead('a', INCARNATION_MAX, 'x')])
    h.receive('x', message)
  expect([h.state('a'), h.swim.stats().drops['bad-incarnation']]).toEqual(['alive', 2])
  h.receive('x', h.suspect('a', INCARNATION_MAX - 1, 'x'))
  expect(h.state('a')).toBe('suspect')
  h.receive('a', h.alive('a', INCARNATION_MAX))
  expect(h.state('a')).toBe('alive')
  h.receive('x', h.suspect('me', INCARNATION_MAX - 1, 'x'))
  expect(h.swim.member('me')).toMatchObject({ state: 'alive', incarnation: INCARNATION_MAX })
})

it('nor does a list that calls a name dead at the end of the number space close it', () => {
  const h = quiet('a')
  const nodes = [h.pushNode('new', 2, INCARNATION_MAX)]
  h.request('a', { type: 'pushPull', join: false, nodes, userState: new Uint8Array() })
  h.receive('new', h.alive('new', 7))
  expect(h.state('new')).toBe('alive')
})

it('a full table forgets a dead name that never showed itself before one that did, however long that is dead', () => {
  const h = new SwimHarness({ config: { memberMax: 4, pushPullIntervalMs: 1e9 } })
  h.receive('spoke', h.alive('spoke'), { type: 'ping', seqNo: 1, node: 'me', source: h.source('spoke') })
  h.receive('x', h.dead('spoke', 1, 'x'))
  h.advance(10)
  h.receive('x', h.alive('silent'), h.dead('silent', 1, 'x'), h.alive('b'))
  h.clear()
  h.receive('x', h.alive('new'))
  expect(eventsOf(h)).toEqual(['reap silent', 'join new'])
})
