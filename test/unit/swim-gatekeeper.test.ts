/** Hooks and lists that keep nodes out: the machine asks, goes on, and holds back only what it asked about. */
import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { VERDICTS_MAX } from '../../src/membership/verdicts.js'
import { decodePushPull, decodeStream, type HarnessOptions, SwimHarness } from '../support/swim-harness.js'

const CONFIG = { pushPullIntervalMs: 1e9 }

function asking(asks: Partial<NonNullable<HarnessOptions['asks']>> = {}): SwimHarness {
  return new SwimHarness({ config: CONFIG, asks: { members: false, merges: false, ...asks } })
}

function asked(h: SwimHarness): string[] {
  return h.questions.map(({ question }) => (question.kind === 'member' ? question.member.name : question.merge.address))
}

const join = (h: SwimHarness, ...names: readonly string[]) =>
  ({
    type: 'pushPull',
    join: true,
    nodes: names.map((name) => h.pushNode(name, 0)),
    userState: new Uint8Array(),
  }) as const

it('an unknown member waits for the verdict, unknown to us and to those we tell, and is in with a yes', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 3))
  expect(asked(h)).toEqual(['a'])
  expect(h.questions[0]!.question).toMatchObject({
    member: { name: 'a', address: h.at('a'), state: 'alive', incarnation: 3 },
  })
  expect(h.state('a')).toBeUndefined()
  expect(h.swim.stats().queued.rumours).toBe(0)
  h.judge()
  expect(h.state('a')).toBe('alive')
  expect(h.events.map(({ type }) => type)).toEqual(['join'])
})

it('of a name that has ended the hook is asked only once somebody says that it began again', () => {
  const h = asking({ members: true })
  h.receive('b', h.dead('a', 7, 'b'))
  h.receive('b', h.alive('a', 7))
  expect(asked(h)).toEqual([])
  h.receive('b', h.alive('a', 8))
  expect(asked(h)).toEqual(['a'])
})

it('a refused one stays out whoever gossips it, is not asked about for 30 s, and is told once', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 3))
  h.judge('not one of ours')
  h.receive('b', h.alive('a', 4))
  h.request('b', { type: 'pushPull', join: false, nodes: [h.pushNode('a', 0, 5)], userState: new Uint8Array() })
  expect(h.state('a')).toBeUndefined()
  expect(h.questions).toEqual([])
  expect(h.notices).toEqual([{ kind: 'member-refused', member: 'a', address: h.at('a'), reason: 'not one of ours' }])
  expect(h.swim.stats().drops.refused).toBe(3)
  h.advance(30_001)
  h.receive('b', h.alive('a', 6))
  expect(asked(h)).toEqual(['a'])
})

it('the machine goes on while a verdict is out, and takes the latest record of the same identity', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 3))
  h.receive('a', h.alive('a', 8))
  h.receive('b', h.alive('b', 1))
  expect(asked(h)).toEqual(['a', 'b'])
  h.judge()
  expect(h.swim.member('a')).toMatchObject({ state: 'alive', incarnation: 8 })
})

it('another identity that came in meanwhile is judged for itself', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 3))
  h.receive('a', h.alive('a', 4, { meta: utf8Encode('changed') }))
  h.judge()
  expect(h.swim.member('a')?.incarnation).toBe(3)
  expect(asked(h)).toEqual(['a'])
  h.judge('no')
  expect(h.swim.member('a')?.incarnation).toBe(3)
})

it('refutations of a known member are never held up, changes of its tags are', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 1))
  h.judge()
  h.receive('b', h.suspect('a', 1, 'b'))
  h.receive('a', h.alive('a', 2))
  expect(h.questions).toEqual([])
  expect(h.state('a')).toBe('alive')
  h.receive('a', h.alive('a', 3, { meta: utf8Encode('x') }))
  expect(asked(h)).toEqual(['a'])
})

it('a member that had gone is asked about again when it returns', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 1))
  h.judge()
  h.receive('b', h.dead('a', 1, 'a'))
  h.receive('a', h.alive('a', 2))
  expect(h.state('a')).toBe('left')
  expect(asked(h)).toEqual(['a'])
  h.judge()
  expect(h.state('a')).toBe('alive')
})

it('silence refuses after 5 s, and a verdict after that is let pass', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 1))
  const { id } = h.questions[0]!
  h.advance(5_000)
  expect(h.notices).toMatchObject([{ kind: 'member-refused', reason: 'the hook gave no verdict within 5000 ms' }])
  h.swim.handleVerdict(id, undefined, h.now)
  h.collect()
  expect(h.state('a')).toBeUndefined()
})

it('only so many records wait, and the rest is counted', () => {
  const h = new SwimHarness({ config: CONFIG, asks: { members: true, merges: false } })
  for (let i = 0; i < VERDICTS_MAX + 10; i++) h.receive('x', h.alive(`m${i}`))
  expect(h.questions).toHaveLength(VERDICTS_MAX)
  expect(h.swim.stats().drops['verdicts-full']).toBe(10)
})

it('a join is answered after the verdict: with a yes it is merged, else the joiner gets the reason and nothing else', () => {
  const h = asking({ merges: true })
  const stream = (id: number) => h.replies.find((reply) => reply.stream === id)
  h.swim.handleStream(1, join(h, 'new', 'other'), h.address('new'), h.now)
  h.swim.handleStream(2, join(h, 'bad'), h.address('bad'), h.now)
  h.collect()
  expect(h.replies).toEqual([])
  const merge = { address: h.at('new'), initiator: false, members: [{ name: 'new' }, { name: 'other' }] }
  expect(h.questions[0]!.question).toMatchObject({ kind: 'merge', merge })
  h.judge()
  h.judge('wrong datacenter')
  expect(decodePushPull(stream(1)!.bytes).nodes.map(({ name }) => name)).toEqual(['me'])
  expect(decodeStream(stream(2)!.bytes)).toEqual({ type: 'err', error: 'merge refused: wrong datacenter' })
  expect([h.state('new'), h.state('other'), h.state('bad')]).toEqual(['alive', 'alive', undefined])
  expect(h.notices).toEqual([{ kind: 'merge-refused', peer: h.at('bad'), reason: 'wrong datacenter' }])
})

it('whoever joins looks first, tells nobody of itself, and joins when its own hook says yes', () => {
  const h = asking({ merges: true })
  const id = h.swim.join(h.address('seed'))
  h.collect()
  const [look] = h.exchanges
  expect(decodePushPull(look!.bytes)).toMatchObject({ join: false, nodes: [] })
  h.answer(look!, { ...join(h, 'seed', 'x'), join: false })
  expect(h.questions[0]!.question).toMatchObject({
    merge: { initiator: true, members: [{ name: 'seed' }, { name: 'x' }] },
  })
  expect(h.state('seed')).toBeUndefined()
  h.judge()
  const real = h.exchanges.at(-1)!
  expect(decodePushPull(real.bytes)).toMatchObject({ join: true, nodes: [{ name: 'me' }] })
  h.answer(real, { ...join(h, 'seed', 'x'), join: false })
  expect(h.joined).toEqual([{ id, error: undefined }])
  expect(h.state('x')).toBe('alive')
})

it('a joiner that is refused by its own hook leaves the other side as it was', () => {
  const h = asking({ merges: true })
  const id = h.swim.join(h.address('seed'))
  h.collect()
  h.answer(h.exchanges[0]!, { ...join(h, 'seed'), join: false })
  h.judge('too many of them')
  expect(h.exchanges).toHaveLength(1)
  expect(h.joined).toEqual([{ id, error: 'merge refused on this side: too many of them' }])
  expect(h.state('seed')).toBeUndefined()
})

it('only so many joins are under way', () => {
  const h = new SwimHarness({ config: CONFIG })
  const ids = Array.from({ length: 300 }, () => h.swim.join(h.address('seed')))
  h.collect()
  expect(new Set(ids).size).toBe(300)
  expect(h.exchanges).toHaveLength(256)
  expect(h.joined).toHaveLength(44)
  expect(h.joined[0]!.error).toContain('256 exchanges are under way')
})

it('an address outside the allow list is not taken in, not told on, and counted', () => {
  const h = new SwimHarness({ config: CONFIG, isAllowed: (host) => host.startsWith('10.') })
  h.receive('a', h.alive('a'), h.alive('far', 1, { addr: Uint8Array.of(192, 168, 0, 1) }))
  expect([h.state('a'), h.state('far')]).toEqual(['alive', undefined])
  expect(h.swim.stats().drops).toEqual({ 'not-allowed': 1 })
})

it('a full table forgets the dead that never showed themselves first, then others that never did, a known member never', () => {
  const h = new SwimHarness({ config: { ...CONFIG, memberMax: 10 } })
  h.settleWith('proven')
  h.receive('x', h.dead('proven', 1, 'x'))
  for (let i = 0; i < 8; i++) h.receive('x', h.alive(`m${i}`))
  h.receive('x', h.dead('m3', 1, 'x'), h.dead('m5', 1, 'x'))
  h.clear()
  for (const name of ['n1', 'n2', 'n3', 'n4']) h.receive('x', h.alive(name))
  const reaped = h.events.filter(({ type }) => type === 'reap').map(({ member }) => member.name)
  expect(reaped.slice(0, 2).sort()).toEqual(['m3', 'm5'])
  expect(reaped).toHaveLength(4)
  expect(h.state('proven')).toBe('dead')
  expect(h.swim.members()).toHaveLength(10)
})

it('a stall extends the time for a verdict', () => {
  const h = asking({ members: true })
  h.receive('a', h.alive('a', 3))
  h.now += 6_000
  h.swim.handleStall(6_000)
  h.swim.handleTimeout(h.now)
  h.judge()
  expect(h.state('a')).toBe('alive')
})

it('a join has ended when whoever it brought has been judged', () => {
  const h = asking({ members: true })
  const id = h.swim.join(h.address('seed'))
  h.collect()
  h.answer(h.exchanges[0]!, join(h, 'seed', 'a'))
  expect(asked(h)).toEqual(['seed', 'a'])
  h.receive('b', h.alive('b'))
  h.judge()
  expect(h.joined).toEqual([])
  h.judge('no')
  expect(h.joined).toEqual([{ id, error: undefined }])
  expect([h.state('seed'), h.state('a'), h.state('b')]).toEqual(['alive', undefined, undefined])
})
