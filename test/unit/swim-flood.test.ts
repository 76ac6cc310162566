/** Forged records in any number: what they may cost, and what not. */
import { expect, it } from 'vitest'
import { encodeTags } from '../../src/membership/tags.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import { SwimHarness } from '../support/swim-harness.js'

const REAL = ['a', 'b', 'c', 'd']

function cluster(memberMax?: number): SwimHarness {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9, ...(memberMax === undefined ? {} : { memberMax }) } })
  h.settleWith(...REAL)
  h.advance(8_000) // each was probed, and has answered
  h.clear()
  return h
}

/** Alive records of names that never were, in packets of twenty. */
function flood(h: SwimHarness, count: number, first: number = 0): void {
  for (let i = first; i < first + count; i += 20) {
    const names = Array.from({ length: Math.min(20, first + count - i) }, (_, j) => i + j)
    const records = names.map((n) =>
      encodeMessage({
        ...h.alive('a'),
        node: `phantom-${n}`,
        addr: Uint8Array.of(10, 99, n >> 8, n),
        port: 1 + (n >> 16),
      }),
    )
    h.receiveBytes('x', encodeCompound(records))
    if (i % 2_000 === 0 && i > 0) h.clear() // what it sent and told is not the test's to keep
  }
}

it('a hundred thousand forged names fill the table to its limit, and cost no real member its place', () => {
  const h = cluster()
  flood(h, 100_000)
  expect(h.swim.members()).toHaveLength(h.config.memberMax)
  expect(REAL.map((name) => h.state(name))).toEqual(REAL.map(() => 'alive'))
  expect(h.swim.stats().queued.rumours).toBeLessThanOrEqual(h.config.queueMax)
})

it('names that nobody answers to give way to new ones, and say so', () => {
  const h = cluster(10)
  flood(h, 5)
  h.clear()
  flood(h, 2, 5)
  expect(h.events.map(({ type, member }) => `${type} ${member.name.split('-')[0]}`)).toEqual([
    'reap phantom',
    'join phantom',
    'reap phantom',
    'join phantom',
  ])
  expect(h.swim.stats().live).toBe(10)
})

it('an honest node joins during a flood, and keeps its place once it was heard', () => {
  const h = cluster(100)
  flood(h, 1_000)
  h.receive('new', h.alive('new'))
  expect(h.state('new')).toBe('alive')
  h.receive('new', { type: 'ping', seqNo: 1, node: 'me', source: { ...h.alive('new'), node: 'new' } })
  flood(h, 1_000, 1_000)
  expect(h.state('new')).toBe('alive')
})

it('a ping that names another address than it comes from makes nobody real', () => {
  const h = cluster(10)
  flood(h, 5)
  const forged = { ...h.alive('a'), node: 'phantom-0' }
  h.receive('x', { type: 'ping', seqNo: 1, node: 'me', source: forged })
  flood(h, 200, 5)
  expect(h.state('phantom-0')).toBeUndefined()
})

it('in a flood every other probe is for a real member, and rumours about forged names are not passed on', () => {
  const h = cluster(100)
  flood(h, 1_000)
  h.advance(1_000)
  h.clear()
  flood(h, 20, 1_000)
  h.advance(20_000)
  const probed = h.sent('ping').map(({ message }) => message.node)
  expect(probed.filter((name) => REAL.includes(name)).length).toBeGreaterThanOrEqual(8)
  const names = h.sent('alive').map(({ message }) => message.node)
  expect(names.filter((name) => name >= 'phantom-1000')).toEqual([])
})

it('a forged name dies of its silence and is forgotten within minutes, a real one is kept for a day', () => {
  const h = cluster()
  flood(h, 3)
  h.receive('a', h.dead('d', 1, 'a'))
  h.answering.delete('d')
  h.advance(600_000)
  expect(
    h.swim
      .members()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['a', 'b', 'c', 'd', 'me'])
  expect(h.state('d')).toBe('dead')
  expect(h.events.filter(({ member }) => member.name === 'phantom-1').map(({ type }) => type)).toEqual([
    'join',
    'suspect',
    'dead',
    'reap',
  ])
})

it('a table of real members turns new names away until one of them is forgotten', () => {
  const h = cluster(5)
  flood(h, 3)
  expect(h.swim.stats().drops['members-full']).toBe(3)
  expect(h.swim.members()).toHaveLength(5)
})

it('in a flood what is said of forged names is not passed on', () => {
  const h = cluster(100)
  flood(h, 1_000)
  h.advance(1_000)
  h.clear()
  const known = h.swim.members().flatMap(({ name }) => (name.startsWith('phantom') ? [name] : []))
  for (const name of known.slice(0, 20)) h.receive('x', h.suspect(name, 1, 'y'))
  for (const name of known.slice(20, 40)) h.receive('x', h.dead(name, 1, 'y'))
  h.receive('x', h.suspect('d', 1, 'y'))
  h.advance(1_000)
  const told = [...h.sent('suspect'), ...h.sent('dead')].filter(({ message }) => message.from === 'y')
  expect(new Set(told.map(({ message }) => message.node))).toEqual(new Set(['d']))
})

it('in a flood the dead that are told and tried again are real ones', () => {
  const h = cluster(100)
  flood(h, 1_000)
  for (const { name } of h.swim.members()) if (name.startsWith('phantom')) h.receive('x', h.dead(name, 1, 'y'))
  h.answering.delete('d')
  h.receive('a', h.dead('d', 1, 'a'))
  flood(h, 20, 1_000)
  h.clear()
  h.receive('a', h.alive('a', 2)) // news
  h.advance(2_000)
  const toPhantoms = h.packets.filter(({ to }) => to.startsWith('10.99.'))
  expect(toPhantoms.filter(({ messages }) => messages[0]!.type !== 'ping')).toEqual([])
  h.advance(120_000)
  expect(new Set(h.exchanges.filter(({ bytes }) => bytes[0] !== 0).map(({ to }) => to.host))).toEqual(
    new Set([h.address('d').host]),
  )
})

it('a member that moved and showed itself there is heeded there in a flood, and its former address is not', () => {
  const h = cluster(100)
  h.receive('b', h.dead('a', 1, 'a'), { ...h.alive('moved'), node: 'a', incarnation: 2 })
  h.receive('moved', { type: 'ping', seqNo: 1, node: 'me', source: { ...h.source('moved'), node: 'a' } })
  flood(h, 200)
  h.receive('moved', h.alive('told'))
  h.receive('a', h.alive('doubted'))
  flood(h, 2_000, 200)
  expect([h.state('told'), h.state('doubted')]).toEqual(['alive', undefined])
})

it('in a flood real members are asked about a rival for our name', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9, memberMax: 100 }, tags: { _b: '9' } })
  h.settleWith(...REAL)
  h.advance(8_000)
  flood(h, 1_000)
  h.clear()
  h.receive('x', h.alive('me', 200, { addr: Uint8Array.of(10, 0, 7, 7), meta: encodeTags({ _b: '1' }) }))
  h.advance(2_000)
  const helpers = h.sent('indirectPing').filter(({ message }) => message.node === 'me')
  expect(helpers.length).toBeGreaterThan(0)
  expect(helpers.filter(({ to }) => h.nameAt(to) === undefined)).toEqual([])
})

/** A table of 4,000 in which a flood is far off: only more forged names than real members. */
function outnumbered(forged: number = 400): SwimHarness {
  const h = cluster()
  h.advance(20_000)
  flood(h, forged)
  h.advance(1_000)
  h.clear()
  return h
}

it('news of our own goes at once to all that showed themselves, however many forged names there are', () => {
  const h = outnumbered()
  h.swim.updateMeta(encodeTags({ colour: 'red' }), h.now)
  h.collect()
  h.advance(0)
  const told = h.sent('alive').filter(({ message }) => message.node === 'me')
  expect(new Set(told.map(({ to }) => h.nameAt(to)).filter((name) => name !== undefined))).toEqual(new Set(REAL))
})

it('what is said of real members goes ahead of what is said of forged names', () => {
  const h = cluster()
  h.advance(20_000)
  flood(h, 400)
  h.receive('a', h.suspect('b', 1, 'a'))
  h.advance(h.config.gossipIntervalMs)
  const [first] = h.packets.filter(({ messages }) => messages.some(({ type }) => type === 'suspect'))
  expect(first?.messages[0]).toMatchObject({ type: 'suspect', node: 'b' })
})

it('real members that forged names outnumber are probed, told and asked for help as long as they are some', () => {
  const h = outnumbered()
  h.advance(40_000)
  const probed = h.sent('ping').filter(({ message }) => REAL.includes(message.node)).length
  expect(probed).toBeGreaterThanOrEqual(15)
  const helpers = h.sent('indirectPing').map(({ to }) => h.nameAt(to))
  expect(helpers.filter((name) => name !== undefined).length).toBeGreaterThanOrEqual(15)
})

it('whoever knows but a few does not load these with all that it does', () => {
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 } })
  const crowd = Array.from({ length: 200 }, (_, i) => `n${i}`)
  h.settleWith('seed')
  h.advance(2_000)
  for (const name of crowd) h.receive('seed', h.alive(name))
  h.clear()
  h.advance(1_000)
  const toSeed = h.packets.filter(({ to }) => to === h.at('seed')).length
  expect(toSeed).toBeLessThan(h.packets.length / 8)
})
