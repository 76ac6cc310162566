import { describe, expect, test } from 'vitest'
import { randomInt, seededRandom, shuffle } from '../../src/random.js'
import { decodeMessage, encodeMessage } from '../../src/registry/codec.js'
import type { Registry } from '../../src/registry/registry.js'
import {
  BOOT_1,
  BOOT_2,
  BOOT_3,
  broadcastOf,
  holdings,
  member,
  methodsOf,
  newCluster,
  newRegistry,
  news,
  pushPull,
  running,
  told,
} from '../support/registry-cluster.js'

const FRESH_A = { fresh: true, key: 'registry/a' }
const NOT_FRESH = { fresh: false }

/** The rev and the services that a registry would hand on of a node. */
function held(registry: Registry, node: string): string[] {
  const set = holdings(registry).find((each) => each.node === node)
  return set === undefined ? [] : [`rev ${set.rev}`, ...set.records.map((record) => record.service)]
}

describe('a change', () => {
  test('reaches a receiver at once, is spread further once, and repeated is stale', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'users')
    const bytes = news(a)
    expect(b.handleMessage(bytes)).toEqual(FRESH_A)
    expect(told(b)).toEqual(['up a/users'])
    expect(b.handleMessage(bytes)).toEqual(NOT_FRESH)
    expect(told(b)).toEqual([])
    expect(b.inspect().drops.stale).toBe(1)
  })

  test('goes out under the key that relays use too, so that a newer one replaces it everywhere', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'users')
    const [effect] = a.drain()
    expect(effect).toMatchObject({ type: 'broadcast', broadcast: { key: 'registry/a' } })
    expect(b.handleMessage(broadcastOf([effect!])!)).toMatchObject({ key: 'registry/a' })
  })

  test('of five services provided in a row needs no sync, whichever of the messages are lost', () => {
    for (let lost = 0; lost < 16; lost++) {
      const [a, b] = newCluster('a', 'b') as [Registry, Registry]
      for (let i = 0; i < 5; i++) {
        running(a, `s${i}`, 1_000 + i)
        const bytes = news(a)
        if (i === 4 || (lost & (1 << i)) === 0) b.handleMessage(bytes)
      }
      expect(told(b).filter((line) => line.startsWith('sync'))).toEqual([])
      expect(held(b, 'a')).toEqual(['rev 5', 's0', 's1', 's2', 's3', 's4'])
    }
  })

  test('of several services between two drains is one message', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    for (let i = 0; i < 5; i++) running(a, `s${i}`)
    expect(a.drain().filter((effect) => effect.type === 'broadcast')).toHaveLength(1)
    a.setStatus('s0', { status: 'paused', at: 1 })
    a.setStatus('s0', { status: 'running', at: 2 })
    b.handleMessage(news(a))
    expect(held(b, 'a')[0]).toBe('rev 7')
  })

  test('carries removals, and a lost removal is made up by a later change', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'old')
    running(a, 'kept')
    b.handleMessage(news(a))
    a.withdraw('old', 1_001)
    news(a) // lost
    running(a, 'new')
    b.handleMessage(news(a))
    expect(told(b).sort()).toEqual(['down a/old', 'up a/kept', 'up a/new', 'up a/old'])
    expect(held(b, 'a')).toEqual(['rev 4', 'kept', 'new'])
  })

  test('repeats only what is recent: an old change stays behind, and a receiver that lacks it asks for a sync', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'old', 1_000)
    news(a) // lost
    running(a, 'new', 1_000 + 60_000)
    const bytes = news(a)
    expect(decodeMessage(bytes)).toMatchObject({ kind: 'change', base: 1, rev: 2, records: [{ service: 'new' }] })
    expect(b.handleMessage(bytes)).toEqual(FRESH_A) // of use to others
    expect(told(b)).toEqual(['sync a'])
    expect(b.behind()).toEqual(['a'])
    expect(b.handleMessage(bytes)).toEqual(NOT_FRESH)
    expect(told(b)).toEqual([])
    pushPull(b, a)
    expect(b.behind()).toEqual([])
    expect(held(b, 'a')).toEqual(['rev 2', 'new', 'old'])
  })

  test('never grows past the packet, whatever the number of services', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    for (let i = 0; i < 100; i++) {
      running(a, `service-${i}`)
      const bytes = news(a)
      expect(bytes.length).toBeLessThanOrEqual(1_200)
      if (i % 5 === 4) b.handleMessage(bytes) // four of five are lost
    }
    expect(told(b).filter((line) => line.startsWith('sync'))).toEqual([])
    expect(held(b, 'a')).toHaveLength(101)
  })

  test('too large for a packet is only announced, and fetched by push/pull', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    a.provide({ service: 'big', status: 'running', methods: methodsOf(5_000) }, 1)
    const bytes = news(a)
    expect(decodeMessage(bytes)?.kind).toBe('announce')
    expect(b.handleMessage(bytes)).toEqual(FRESH_A)
    expect(b.handleMessage(bytes)).toEqual(NOT_FRESH)
    expect(told(b)).toEqual(['sync a'])
    pushPull(b, a)
    expect(told(b)).toEqual(['up a/big'])
  })

  test('that rests on removals no longer remembered begins after them', () => {
    const a = newRegistry('a', { packetBytesMax: 60_000 })
    for (let i = 0; i < 300; i++) {
      running(a, `s${i}`)
      a.withdraw(`s${i}`, 1_000)
    }
    const change = decodeMessage(news(a))
    expect(change).toMatchObject({ kind: 'change', base: 2 * (300 - 256), rev: 600 })
  })

  test('about our own services is ignored and counted', () => {
    const [a] = newCluster('a', 'b') as [Registry]
    const twin = newRegistry('a', { bootId: BOOT_2 })
    running(twin, 'users')
    expect(a.handleMessage(news(twin))).toEqual(NOT_FRESH)
    expect(a.getNodes('users')).toEqual([])
    expect(a.inspect().drops.own).toBe(1)
    expect(a.rivalBootId()).toBe(BOOT_2)
  })

  test('that breaks the limits of a node is dropped and counted, and nothing is changed', () => {
    const [, b] = newCluster('a', 'b') as [Registry, Registry]
    const records = (count: number, base: number) =>
      Array.from({ length: count }, (_, i) => ({
        ...{ node: 'a', bootId: BOOT_1, service: `s${base + i}`, version: '', status: 'running' as const, statusAt: 1 },
        ...{ reason: undefined, methods: [], meta: {}, rev: base + i + 1, weight: 0 },
      }))
    const change = { kind: 'change', node: 'a', bootId: BOOT_1, removed: [] } as const
    expect(b.handleMessage(encodeMessage({ ...change, base: 0, rev: 1_024, records: records(1_024, 0) })).fresh).toBe(
      true,
    )
    const over = encodeMessage({ ...change, base: 1_024, rev: 1_025, records: records(1, 1_024) })
    expect(b.handleMessage(over)).toEqual(NOT_FRESH)
    expect(b.inspect().drops.tooLarge).toBe(1)
    expect(held(b, 'a')).toHaveLength(1_025)
  })

  test('foreign and malformed bytes are told apart in the counts', () => {
    const a = newRegistry('a')
    expect(a.handleMessage(Uint8Array.of(1, 2, 3))).toEqual(NOT_FRESH)
    expect(a.handleMessage(Uint8Array.of(0x53, 0x48, 1, 1, 0xc1))).toEqual(NOT_FRESH)
    expect(a.handleMessage(a.localState(undefined))).toEqual(NOT_FRESH)
    expect(a.inspect().drops).toMatchObject({ foreign: 1, malformed: 1, misplaced: 1 })
  })
})

describe('a boot', () => {
  test('that is newer replaces everything of the older one; the older is stale', () => {
    const b = newRegistry('b')
    const first = newRegistry('a', { bootId: BOOT_1 })
    const second = newRegistry('a', { bootId: BOOT_2 })
    running(first, 'old')
    running(first, 'both')
    running(second, 'both')
    const [older, newer] = [news(first), news(second)]
    b.handleMember(member('a'))
    b.handleMessage(older)
    told(b)
    expect(b.handleMessage(newer)).toEqual(FRESH_A)
    expect(told(b)).toEqual([]) // until membership shows it
    b.handleMember(member('a', { bootId: BOOT_2, rpcAddress: 'a:2' }))
    const events = told(b)
    expect(events.slice(0, 2).sort()).toEqual(['down a/both', 'down a/old'])
    expect(events.slice(2)).toEqual(['up a/both'])
    expect(b.handleMessage(older)).toEqual(NOT_FRESH)
    expect(b.getInstances('both')[0]?.address).toBe('a:2')
  })

  test('that membership falls back to is believed again, as when two nodes with one name meet', () => {
    const b = newRegistry('b')
    const newer = newRegistry('a', { bootId: BOOT_2 })
    running(newer, 'users')
    b.handleMember(member('a', { bootId: BOOT_2 }))
    b.handleMessage(news(newer))
    b.handleMember(member('a', { bootId: BOOT_1 }))
    expect(b.getNodes('users')).toEqual([])
    const older = newRegistry('a', { bootId: BOOT_1 })
    running(older, 'billing')
    b.handleMessage(news(older))
    expect(b.getNodes('billing')).toEqual(['a'])
    b.handleMember(member('a', { bootId: BOOT_2 }))
    expect([b.getNodes('users'), b.getNodes('billing')]).toEqual([['a'], []])
  })

  test('that is newer than the one before and the one after a fall back is still kept', () => {
    const b = newRegistry('b')
    for (const bootId of [BOOT_3, BOOT_2]) {
      const owner = newRegistry('a', { bootId })
      running(owner, `of ${bootId}`)
      b.handleMember(member('a', { bootId: BOOT_2 }))
      b.handleMessage(news(owner))
    }
    b.handleMember(member('a', { bootId: BOOT_1 }))
    b.handleMember(member('a', { bootId: BOOT_3 }))
    expect(b.getNodes(`of ${BOOT_3}`)).toEqual(['a'])
  })

  test('does not inherit the address of the one before', () => {
    const [, b] = newCluster('a', 'b') as [Registry, Registry]
    const second = newRegistry('a', { bootId: BOOT_2 })
    running(second, 'users')
    b.handleMember(member('a', { bootId: BOOT_2, rpcAddress: undefined }))
    b.handleMessage(news(second))
    expect(b.getNodes('users')).toEqual([])
  })

  test('taken up by a running node carries all its services to the others', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'users')
    running(a, 'gone')
    a.withdraw('gone', 2)
    b.handleMessage(news(a))
    a.adoptBootId(BOOT_3)
    b.handleMember(member('a', { bootId: BOOT_3 }))
    expect(b.getNodes('users')).toEqual([])
    b.handleMessage(news(a))
    expect(b.getNodes('users')).toEqual(['a'])
    expect(held(b, 'a')).toEqual(['rev 3', 'users'])
    expect(told(a).filter((line) => line.startsWith('down'))).toEqual([])
  })
})

describe('push/pull', () => {
  test('brings a late joiner every service in its first exchange, and the others its own', () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`)
    const cluster = newCluster(...names)
    const seed = cluster[0]!
    for (const each of cluster) {
      running(each, 'users')
      if (each !== seed) seed.handleMessage(news(each))
    }
    const joiner = newRegistry('joiner')
    running(joiner, 'users')
    for (const name of names) joiner.handleMember(member(name))
    seed.handleMember(member('joiner'))
    pushPull(joiner, seed)
    expect(joiner.getNodes('users')).toHaveLength(21)
    expect(seed.getNodes('users')).toHaveLength(21)
    expect(holdings(joiner)).toEqual(holdings(seed))
  })

  test('answers a request without state, or with one that it cannot read, with everything', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'users')
    for (const asked of [new Uint8Array(0), Uint8Array.of(0xff, 1)]) b.mergeState(a.localState(asked))
    expect(b.getNodes('users')).toEqual(['a'])
  })

  test('between two that agree carries digests only', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'users')
    running(b, 'users')
    pushPull(a, b)
    const answer = decodeMessage(b.localState(a.localState(undefined)))
    expect(answer).toMatchObject({ kind: 'state', sets: [] })
    expect(a.mergeState(b.localState(a.localState(undefined)))).toBeUndefined()
  })

  test('keeps to its budget and brings the rest next time', () => {
    const small = { syncBytesMax: 10_000 }
    const a = newRegistry('a', small)
    const b = newRegistry('b', small)
    const owners = Array.from({ length: 10 }, (_, i) => newRegistry(`n${i}`))
    for (const owner of owners) {
      owner.provide({ service: 'users', status: 'running', methods: methodsOf(4_000) }, 1)
      const { node } = owner.inspect()
      for (const each of [a, b]) each.handleMember(member(node))
      pushPull(a, owner)
    }
    const counts: number[] = []
    while (b.getNodes('users').length < 10) {
      expect(b.localState(undefined).length).toBeLessThan(1_000)
      pushPull(b, a)
      counts.push(b.getNodes('users').length)
    }
    expect(counts).toEqual([2, 4, 6, 8, 10])
  })

  test('does not carry the records of the dead', () => {
    const [a, b, c] = newCluster('a', 'b', 'c') as [Registry, Registry, Registry]
    running(a, 'users')
    b.handleMessage(news(a))
    b.handleMember(member('a', { state: 'dead' }))
    pushPull(c, b)
    expect(c.getNodes('users')).toEqual([])
  })
})

test('gossip with heavy loss and reordering ends equal after the syncs that it asked for', () => {
  const seed = 20_261_123
  const random = seededRandom(seed)
  const names = ['a', 'b', 'c', 'd', 'e']
  const cluster = newCluster(...names)
  const mail: { to: Registry; bytes: Uint8Array }[] = []
  const post = (from: Registry, bytes: Uint8Array): void => {
    for (const to of cluster) if (to !== from && random() > 0.5) mail.push({ to, bytes })
  }
  let syncs = 0
  let relays = 0
  for (let round = 0; round < 300; round++) {
    const owner = cluster[randomInt(random, 5)]!
    const service = `s${randomInt(random, 8)}`
    const { node } = owner.inspect()
    if (!owner.instancesOf(node).some((each) => each.service === service)) running(owner, service, round * 500)
    else if (random() < 0.5) owner.withdraw(service, round * 500)
    else owner.setMeta(service, { round }, round * 500)
    for (const registry of cluster) {
      for (const effect of registry.drain()) {
        if (effect.type === 'broadcast') post(registry, effect.broadcast.bytes)
        if (effect.type !== 'sync') continue
        syncs++
        pushPull(registry, cluster[names.indexOf(effect.node)]!)
      }
    }
    for (const { to, bytes } of shuffle(mail, random).splice(0, 6)) {
      if (!to.handleMessage(bytes).fresh) continue
      relays++
      post(to, bytes)
    }
  }
  for (const each of cluster) for (const other of cluster) if (each !== other) pushPull(each, other)
  for (const each of cluster) {
    expect(holdings(each), `seed ${seed}`).toEqual(holdings(cluster[0]!))
    expect(each.behind()).toEqual([])
  }
  expect(syncs).toBeLessThan(100)
  expect(relays).toBeGreaterThan(100)
})
