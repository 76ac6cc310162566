import { expect, it } from 'vitest'
import { EMPTY_BYTES, utf8Encode } from '../../src/bytes.js'
import { encodeTags } from '../../src/membership/tags.js'
import { type PushPull, WIRE_STATE } from '../../src/membership/wire/messages.js'
import { decodePushPull, decodeStream, SwimHarness, shoalBytes, TextPayload } from '../support/swim-harness.js'

const { alive, suspect, dead, left } = WIRE_STATE
const SHOAL_META = encodeTags({ _b: 'boot-1' })
const TAGS = { _b: 'boot-me' }

function pushPull(nodes: PushPull['nodes'], userState: Uint8Array = EMPTY_BYTES, join = false): PushPull {
  return { type: 'pushPull', join, nodes, userState }
}

function shoalNode(): { h: SwimHarness; payload: TextPayload } {
  const payload = new TextPayload()
  return { h: new SwimHarness({ tags: TAGS, payload }), payload }
}

function joinTo(h: SwimHarness, name: string): number {
  const id = h.swim.join(h.address(name))
  h.collect()
  return id
}

it('a join tells an unknown target only of ourselves and carries no user state', () => {
  const { h, payload } = shoalNode()
  h.receive('a', h.alive('a'))
  h.clear()
  joinTo(h, 'seed')
  const request = decodePushPull(h.exchanges[0]!.bytes)
  expect(request.join).toBe(true)
  expect(request.nodes.map(({ name, state }) => [name, state])).toEqual([['me', alive]])
  expect(request.userState).toEqual(EMPTY_BYTES)
  expect(payload.asked).toEqual([])
  expect(h.exchanges[0]).toMatchObject({ to: h.address('seed'), expectReply: true, timeoutMs: 10_000 })
})

it('the reply of a join brings its members, and the join is reported as done', () => {
  const { h } = shoalNode()
  const id = joinTo(h, 'seed')
  h.answer(
    h.exchanges[0]!,
    pushPull([h.pushNode('seed', alive, 5), h.pushNode('a', alive, 3), h.pushNode('me', alive)]),
  )
  expect(h.joined).toEqual([{ id, error: undefined }])
  expect(h.events.map(({ type, member }) => `${type} ${member.name}`)).toEqual(['join seed', 'join a'])
  expect(h.swim.member('a')?.incarnation).toBe(3)
})

it.each([
  ['no connection', undefined, 'refused'],
  ['an error of the peer', { type: 'err', error: 'no key' } as const, 'peer says: no key'],
  ['a reply of another kind', { type: 'user', payload: EMPTY_BYTES } as const, 'unexpected user as reply'],
])('a join that ends in %s says so', (_what, reply, error) => {
  const { h } = shoalNode()
  const id = joinTo(h, 'seed')
  if (reply === undefined) h.fail(h.exchanges[0]!)
  else h.answer(h.exchanges[0]!, reply)
  expect(h.joined).toEqual([{ id, error }])
})

it('an exchange ends once: what is reported later under its number is let pass', () => {
  const { h } = shoalNode()
  joinTo(h, 'seed')
  h.fail(h.exchanges[0]!)
  h.answer(h.exchanges[0]!, pushPull([h.pushNode('seed', alive)]))
  expect(h.joined).toHaveLength(1)
  expect(h.events).toEqual([])
})

it('a request is answered with all that was known before it, and then merged', () => {
  const { h } = shoalNode()
  h.receive('a', h.alive('a'), h.alive('b'), h.dead('b', 1, 'a'))
  const reply = decodePushPull(h.request('new', pushPull([h.pushNode('new', alive)], EMPTY_BYTES, true)))
  expect(reply.join).toBe(false)
  expect(reply.nodes.map(({ name, state }) => [name, state])).toEqual([
    ['me', alive],
    ['a', alive],
    ['b', dead],
  ])
  expect(h.state('new')).toBe('alive')
})

it('a merged list makes the dead of others suspects, and believes who left and who lives', () => {
  const { h } = shoalNode()
  h.receive('x', h.alive('a'), h.alive('b'), h.alive('c'), h.alive('d'), h.suspect('d', 1, 'x'))
  const nodes = [
    h.pushNode('a', dead),
    h.pushNode('b', left),
    h.pushNode('c', suspect),
    h.pushNode('d', alive, 2),
    h.pushNode('unknown-dead', dead),
    h.pushNode('unknown-left', left),
    h.pushNode('e', alive),
  ]
  h.request('x', pushPull(nodes))
  expect(['a', 'b', 'c', 'd', 'e'].map((name) => h.state(name))).toEqual([
    'suspect',
    'left',
    'suspect',
    'alive',
    'alive',
  ])
  expect([h.state('unknown-dead'), h.state('unknown-left')]).toEqual([undefined, undefined])
})

it('a list that calls ourselves dead or suspect is refuted', () => {
  for (const state of [suspect, dead, left] as const) {
    const { h } = shoalNode()
    h.receive('a', h.alive('a'))
    h.request('a', pushPull([h.pushNode('me', state, 300)]))
    expect(h.swim.member('me')).toMatchObject({ state: 'alive', incarnation: 301 })
  }
})

it('user state of ours is sent to a request that carries our magic', () => {
  const { h, payload } = shoalNode()
  const reply = decodePushPull(h.request('a', pushPull([h.pushNode('a', alive)], shoalBytes('their digest'))))
  expect(payload.asked).toEqual(['their digest'])
  expect(TextPayload.text(reply.userState)).toBe('full')
  expect(payload.merged).toEqual(['their digest'])
})

it('a joiner that shows itself as a shoal node by its single record gets all our user state', () => {
  const { h } = shoalNode()
  const reply = decodePushPull(h.request('a', pushPull([h.pushNode('a', alive, 1, SHOAL_META)], EMPTY_BYTES, true)))
  expect(TextPayload.text(reply.userState)).toBe('full')
})

it.each([
  ['a single record without our tag', 1, EMPTY_BYTES, EMPTY_BYTES],
  ['a list of several records, ours among them', 2, SHOAL_META, EMPTY_BYTES],
  ['no record at all', 0, SHOAL_META, EMPTY_BYTES],
  ['user state of another kind', 2, SHOAL_META, utf8Encode('\u0002serf')],
])('a request with %s gets no user state', (_what, count, meta, userState) => {
  const { h, payload } = shoalNode()
  const nodes = ['a', 'b'].slice(0, count).map((name) => h.pushNode(name, alive, 1, meta))
  expect(decodePushPull(h.request('a', pushPull(nodes, userState))).userState).toEqual(EMPTY_BYTES)
  expect(payload.asked).toEqual([])
  expect(payload.merged).toEqual([])
})

it('the periodic exchange tells a member everything, and a shoal node our digest as well', () => {
  for (const meta of [SHOAL_META, EMPTY_BYTES]) {
    const payload = new TextPayload()
    const h = new SwimHarness({ tags: TAGS, payload })
    h.receive('a', h.alive('a', 1, { meta }))
    h.settle('a')
    h.advance(30_000)
    const request = decodePushPull(h.exchanges[0]!.bytes)
    expect(request.join).toBe(false)
    expect(request.nodes.map(({ name }) => name)).toEqual(['me', 'a'])
    expect(request.userState).toEqual(meta === SHOAL_META ? shoalBytes('digest') : EMPTY_BYTES)
  }
})

it('exchanges come once an interval, and more rarely in a large cluster', () => {
  const count = (members: number): number => {
    const h = new SwimHarness({ config: { probeIntervalMs: 1e6, pushPullIntervalMs: 10_000 } })
    for (let i = 0; i < members; i++) h.receive('x', h.alive(`m${i}`))
    h.advance(5_000)
    h.clear()
    for (let i = 0; i < 120; i++) {
      h.advance(1_000)
      for (const exchange of h.exchanges.splice(0)) {
        h.fail(exchange)
        h.replies.push({ stream: -1, bytes: undefined })
      }
    }
    return h.replies.length
  }
  expect(count(31)).toBe(12)
  expect(count(32)).toBe(6)
  expect(count(64)).toBe(4)
})

it('a failed periodic exchange is a notice and no join report', () => {
  const h = new SwimHarness()
  h.settleWith('a')
  h.advance(30_000)
  h.fail(h.exchanges[0]!, 'refused')
  expect(h.notices).toEqual([{ kind: 'peer-error', peer: h.at('a'), reason: 'refused' }])
  expect(h.joined).toEqual([])
})

it('a sync that was asked for starts once while one is under way, and never with the dead', () => {
  const { h } = shoalNode()
  h.settleWith('a', 'b')
  h.receive('a', h.dead('b', 1, 'a'))
  for (const name of ['a', 'a', 'b', 'me', 'nobody']) h.swim.syncWith(name)
  h.collect()
  expect(h.exchanges.map(({ to }) => to)).toEqual([h.address('a')])
  h.fail(h.exchanges[0]!)
  h.swim.syncWith('a')
  h.collect()
  expect(h.exchanges).toHaveLength(2)
})

it('a message for one member goes over TCP, to live shoal nodes only', () => {
  const payload = new TextPayload()
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 }, tags: { _b: 'me' }, payload })
  for (const name of ['a', 'dead']) h.receive(name, h.alive(name, 1, { meta: encodeTags({ _b: 'x' }) }))
  h.receive('foreign', h.alive('foreign', 1))
  h.settle('a', 'dead', 'foreign')
  h.receive('a', h.dead('dead', 1, 'a'))
  for (const name of ['a', 'dead', 'foreign', 'me', 'nobody']) h.swim.send(name, shoalBytes('k:1'))
  h.collect()
  expect(h.exchanges).toMatchObject([{ to: h.address('a'), expectReply: false }])
})

it('what the peer lacks after a merge is sent back as a user message over TCP', () => {
  const { h, payload } = shoalNode()
  payload.rest = 'what you lack'
  joinTo(h, 'seed')
  h.answer(h.exchanges[0]!, pushPull([h.pushNode('seed', alive, 1, SHOAL_META)], shoalBytes('theirs')))
  expect(payload.merged).toEqual(['theirs'])
  expect(h.exchanges[1]).toMatchObject({ to: h.address('seed'), expectReply: false })
  expect(decodeStream(h.exchanges[1]!.bytes)).toEqual({ type: 'user', payload: shoalBytes('what you lack') })
})

it('user state that is not ours is not merged', () => {
  const { h, payload } = shoalNode()
  joinTo(h, 'seed')
  h.answer(h.exchanges[0]!, pushPull([h.pushNode('seed', alive)], utf8Encode('\u0002serf state')))
  expect(payload.merged).toEqual([])
  expect(h.joined[0]?.error).toBeUndefined()
})

it('a reply with other versions refuses the whole merge and says so to the joiner', () => {
  const { h, payload } = shoalNode()
  const id = joinTo(h, 'seed')
  const serf = { ...h.pushNode('seed', alive), vsn: Uint8Array.of(1, 5, 2, 2, 5, 5) }
  h.answer(h.exchanges[0]!, pushPull([serf, h.pushNode('a', alive)], shoalBytes('theirs')))
  expect(h.joined).toMatchObject([{ id, error: expect.stringContaining('delegate protocol version') }])
  expect(h.notices).toMatchObject([{ kind: 'version-conflict', peer: h.at('seed') }])
  expect(h.swim.members().map(({ name }) => name)).toEqual(['me'])
  expect(payload.merged).toEqual([])
})

it('a request with other versions is answered but not merged', () => {
  const { h } = shoalNode()
  const serf = { ...h.pushNode('s', alive), vsn: Uint8Array.of(1, 5, 2, 2, 5, 5) }
  expect(decodePushPull(h.request('s', pushPull([serf]))).nodes.map(({ name }) => name)).toEqual(['me'])
  expect(h.state('s')).toBeUndefined()
  expect(h.notices).toMatchObject([{ kind: 'version-conflict' }])
})

it('another node keeps the very bytes of its address when we tell of it', () => {
  const { h } = shoalNode()
  const addr = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3)
  h.receive('a', h.alive('mapped', 1, { addr }))
  const reply = decodePushPull(h.request('a', pushPull([])))
  expect(reply.nodes.find(({ name }) => name === 'mapped')?.addr).toEqual(addr)
  expect(h.swim.member('mapped')?.address).toBe('10.1.2.3:7946')
})

it('a v4-mapped address is passed on byte for byte, and dialled as the IPv4 that it means', () => {
  const { h } = shoalNode()
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 9, 9)
  h.receive('a', h.alive('a'), h.alive('b'), h.alive('go', 1, { addr: mapped, port: 7_000 }))
  h.answering.add('a').add('b')
  h.advance(1_000)
  const relayed = h.sent('alive').filter(({ message }) => message.node === 'go')
  expect(relayed.length).toBeGreaterThan(0)
  for (const { message } of relayed) expect(message.addr).toEqual(mapped)
  const reply = decodePushPull(h.request('new', pushPull([h.pushNode('new', alive)], EMPTY_BYTES, true)))
  expect(reply.nodes.find(({ name }) => name === 'go')?.addr).toEqual(mapped)
  expect(h.swim.member('go')?.address).toBe('10.0.9.9:7000')
  h.swim.syncWith('go')
  h.collect()
  expect(h.exchanges.at(-1)?.to).toEqual({ host: '10.0.9.9', port: 7_000 })
})
