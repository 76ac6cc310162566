/** Metas that do not fit a packet: announced by hash, fetched over TCP once by each node, shown when they are here. */
import { describe, expect, test } from 'vitest'
import { encodeMessage, encodeMeta } from '../../src/registry/codec.js'
import { metaHash } from '../../src/registry/meta-fetch.js'
import type { ServiceMeta } from '../../src/registry/record.js'
import type { Registry } from '../../src/registry/registry.js'
import {
  BOOT_1,
  BOOT_2,
  member,
  newCluster,
  newRegistry,
  news,
  running,
  settle,
  sha256,
  told,
} from '../support/registry-cluster.js'

const large = (mark: string, bytes = 5_000): ServiceMeta => ({ mark, text: 'x'.repeat(bytes) })

function shown(registry: Registry, service = 'big', node = 'a') {
  const instance = registry.instancesOf(node).find((each) => each.service === service)
  return instance === undefined ? undefined : [instance.meta['mark'], instance.metaPending]
}

function provideLarge(owner: Registry, meta: ServiceMeta, service = 'big'): void {
  owner.provide({ service, status: 'running', meta }, 1_000)
}

function bodyOf(meta: ServiceMeta): Uint8Array {
  return encodeMessage({ kind: 'bodies', bodies: [encodeMeta(meta)] })
}

describe('a large meta', () => {
  test('does not delay its instance, which shows {} and says so, and is updated when it is here', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one', 1_000_000))
    b.handleMessage(news(a))
    const [early] = b.getInstances('big')
    expect(early).toMatchObject({ meta: {}, metaPending: true })
    expect(settle([a, b])).toEqual(['b > a fetch', 'a > b bodies'])
    const [late] = b.getInstances('big')
    expect(late).toMatchObject({ meta: { mark: 'one' }, metaPending: false, hash: early?.hash })
    expect(Object.isFrozen(late?.meta)).toBe(true)
    expect(a.getInstances('big')[0]).toMatchObject({ meta: { mark: 'one' }, metaPending: false, hash: early?.hash })
  })

  test('is told of by an update when it comes in', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    b.handleMessage(news(a))
    expect(told(b)).toEqual(['up a/big'])
    b.handleTick()
    b.handleMessage(bodyOf(large('one')))
    expect(told(b)).toEqual(['update a/big'])
  })

  test('is never shown in the place of another version, however late and often it comes', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    b.handleMessage(news(a))
    settle([a, b])
    expect(shown(b)).toEqual(['one', false])
    a.setMeta('big', large('two'), 2_000)
    b.handleMessage(news(a))
    expect(shown(b)).toEqual([undefined, true])
    b.handleMessage(bodyOf(large('one')))
    expect(shown(b)).toEqual([undefined, true])
    a.setMeta('big', large('three'), 3_000)
    b.handleMessage(news(a))
    b.handleMessage(bodyOf(large('two'))) // it was asked for, and is past
    expect(shown(b)).toEqual([undefined, true])
    settle([a, b])
    expect(shown(b)).toEqual(['three', false])
    b.handleMessage(bodyOf(large('two')))
    expect(shown(b)).toEqual(['three', false])
  })

  test('is fetched once, whatever else changes, and not again for another instance or life with the same', () => {
    const [a, b, c] = newCluster('a', 'b', 'c') as [Registry, Registry, Registry]
    const cluster = [a, b, c]
    provideLarge(a, large('one'))
    for (const each of [b, c]) each.handleMessage(news2(a))
    settle(cluster)
    a.setStatus('big', { status: 'paused', at: 2_000 })
    a.setStatus('big', { status: 'running', at: 2_001 })
    provideLarge(a, large('one'), 'twin')
    b.handleMessage(news(a))
    provideLarge(c, large('one'))
    b.handleMessage(news(c))
    const reborn = newRegistry('a', { bootId: BOOT_2 })
    provideLarge(reborn, large('one'))
    b.handleMember(member('a', { bootId: BOOT_2 }))
    b.handleMessage(news(reborn))
    expect(settle([b])).toEqual([])
    expect(shown(b)).toEqual(['one', false])
    expect(shown(b, 'big', 'c')).toEqual(['one', false])
  })

  test('of many services is asked for in one message and comes in one', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    for (let i = 0; i < 20; i++) provideLarge(a, large(`m${i}`, 1_000), `s${i}`)
    expect(settle([a, b])).toEqual([])
    b.mergeState(a.localState(new Uint8Array(0)))
    expect(settle([a, b])).toEqual(['b > a missed', 'b > a fetch', 'a > b bodies'])
    expect(b.inspect().metas).toMatchObject({ held: 20, pending: 0 })
  })

  test('that was lost on the way is asked for again, with doubling pauses', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    b.handleMessage(news(a))
    const askedAt: number[] = []
    for (let tick = 0; tick < 70; tick++) {
      if (settle([a, b], { lost: (line) => line.endsWith('fetch') }).length > 0) askedAt.push(tick)
      for (const each of [a, b]) each.handleTick()
    }
    expect(askedAt).toEqual([0, 2, 6, 14, 30, 62])
    for (let tick = 0; tick < 32; tick++) b.handleTick()
    settle([a, b])
    expect(shown(b)).toEqual(['one', false])
  })

  test('that is past before it came is forgotten, however often that happens', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('first'))
    for (let i = 0; i < 50; i++) {
      a.setMeta('big', large(`${i}`), 2_000 + i)
      b.handleMessage(news(a))
      b.drain()
    }
    for (let tick = 0; tick < 8; tick++) {
      b.handleTick()
      settle([a, b], { lost: () => true })
    }
    expect(b.inspect().metas.pending).toBe(1)
    for (let tick = 0; tick < 32; tick++) b.handleTick()
    settle([a, b])
    expect([b.inspect().metas.pending, shown(b)]).toEqual([0, ['49', false]])
  })

  test('of a node that went away is not asked for, and again when it is back', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    b.handleMessage(news(a))
    b.handleMember(member('a', { state: 'dead' }))
    expect(settle([a, b])).toEqual([])
    expect(b.inspect().metas.pending).toBe(0)
    b.handleMember(member('a'))
    settle([a, b])
    expect(shown(b)).toEqual(['one', false])
  })

  test('is at once there again with a node that returns under the same boot', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    b.handleMessage(news(a))
    settle([a, b])
    b.handleMember(member('a', { state: 'dead' }))
    expect(b.getNodes('big')).toEqual([])
    b.handleMember(member('a'))
    expect(shown(b)).toEqual(['one', false])
    expect(settle([a, b])).toEqual([])
  })

  test('may take 1 MiB, and those of a node 16 MiB; beyond that nothing is changed', () => {
    const a = newRegistry('a')
    const full = large('one', 1_048_576 - 50)
    for (let i = 0; i < 16; i++) provideLarge(a, { ...full, i }, `s${i}`)
    expect(() => provideLarge(a, large('more'), 'more')).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    expect(() => a.setMeta('s0', large('x', 1_048_576), 2)).toThrow(/more than 1048576; offer it by a method/)
    expect(a.inspect()).toMatchObject({ rev: 16, metas: { weight: expect.any(Number) } })
    a.setMeta('s0', {}, 3)
    provideLarge(a, large('more'), 'more')
  })
})

describe('a hostile peer', () => {
  function withheld(): Registry {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    b.handleMessage(news(a))
    b.drain()
    return b
  }

  test('cannot place a meta that nobody announced, or another under an announced length', () => {
    const b = withheld()
    for (const mark of ['two', 'three']) b.handleMessage(bodyOf(large(mark)))
    b.handleMessage(bodyOf(large('longer', 6_000)))
    expect(b.inspect()).toMatchObject({ metas: { held: 0, weight: 0, pending: 1 }, drops: { unwanted: 3 } })
    expect(shown(b)).toEqual([undefined, true])
  })

  test('that announces what is no meta is asked once, and its instance stays without', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    const junk = new Uint8Array(700).fill(0xc1)
    const head = { node: 'a', bootId: BOOT_1, service: 'big', version: '', status: 'running', statusAt: 1 } as const
    const metaRef = { hash: metaHash(sha256, junk), bytes: junk.length }
    const record = { ...head, reason: undefined, methods: [], meta: {}, metaRef, rev: 1, weight: 0 }
    b.handleMessage(
      encodeMessage({ kind: 'change', node: 'a', bootId: BOOT_1, base: 0, rev: 1, records: [record], removed: [] }),
    )
    expect(settle([a, b])).toEqual(['b > a fetch'])
    b.handleMessage(encodeMessage({ kind: 'bodies', bodies: [junk] }))
    expect(b.inspect().drops.malformed).toBe(1)
    for (let tick = 0; tick < 100; tick++) {
      b.handleTick()
      expect(settle([a, b])).toEqual([])
    }
    expect([shown(b), b.inspect().metas.pending]).toEqual([[undefined, true], 1])
    b.handleMember(member('a', { state: 'dead' }))
    b.handleTick()
    expect(b.inspect().metas.pending).toBe(0)
  })

  test('cannot make us hold more than the bound: what is in use stays, the rest waits for room', () => {
    const b = newRegistry('b', { metaBytesMax: 12_000 })
    const owners = ['a', 'c', 'd'].map((name) => newRegistry(name))
    for (const each of owners) {
      const { node } = each.inspect()
      b.handleMember(member(node))
      each.handleMember(member('b'))
      provideLarge(each, large(node))
      b.handleMessage(news(each))
    }
    settle([...owners, b])
    expect(['a', 'c', 'd'].map((node) => shown(b, 'big', node)?.[1])).toEqual([false, false, true])
    expect(b.inspect().metas.weight).toBeLessThanOrEqual(12_000)
    owners[0]?.withdraw('big', 2_000)
    b.handleMessage(news(owners[0] as Registry))
    b.handleTick()
    settle([...owners, b])
    expect([shown(b, 'big', 'c'), shown(b, 'big', 'd')]).toEqual([
      ['c', false],
      ['d', false],
    ])
    expect(b.inspect().metas).toMatchObject({ held: 2, pending: 0 })
  })

  test('gets each meta once in a tick, and nothing in the name of a node that is not there', () => {
    const [a] = newCluster('a', 'b') as [Registry, Registry]
    provideLarge(a, large('one'))
    a.drain()
    const hashes = [metaHash(sha256, encodeMeta(large('one')))]
    const ask = (node: string): number => {
      a.handleMessage(encodeMessage({ kind: 'fetch', node, hashes }))
      return a.drain().filter((effect) => effect.type === 'send').length
    }
    expect([ask('b'), ask('b'), ask('z'), ask('a')]).toEqual([1, 0, 0, 0])
    a.handleTick()
    expect(ask('b')).toBe(1)
    expect(a.inspect().drops.unwanted).toBe(3)
  })

  test('cannot have more than 8 MiB under way to us at once', () => {
    const b = newRegistry('b')
    const a = newRegistry('a')
    b.handleMember(member('a'))
    for (let i = 0; i < 16; i++) provideLarge(a, large(`${i}`, 1_000_000), `s${i}`)
    b.mergeState(a.localState(new Uint8Array(0)))
    const asked = b.drain().filter((effect) => effect.type === 'send')
    expect(asked).toHaveLength(2) // that it missed the news, and one question
    for (let i = 0; i < 16; i++) b.handleMessage(bodyOf(large(`${i}`, 1_000_000)))
    expect(b.inspect().metas.held).toBe(16)
  })
})

describe('the hash of an instance', () => {
  function hashOf(change: (a: Registry) => void, node = 'a'): string | undefined {
    const a = newRegistry(node)
    running(a, 'users', 1)
    change(a)
    return a.instancesOf(node)[0]?.hash
  }
  const none = hashOf(() => {})

  test('is another for another status, reason, meta, and the first again when all is as before', () => {
    const changes: ((a: Registry) => void)[] = [
      (a) => a.setStatus('users', { status: 'paused', at: 2 }),
      (a) => a.setStatus('users', { status: 'paused', reason: 'why', at: 2 }),
      (a) => a.setMeta('users', { a: 1 }, 2),
      (a) => a.setMeta('users', { a: '1' }, 2),
      (a) => a.setMeta('users', { a: [1] }, 2),
      (a) => a.setMeta('users', large('one'), 2),
      (a) => a.setMeta('users', large('two'), 2),
    ]
    expect(new Set([none, ...changes.map((change) => hashOf(change))]).size).toBe(changes.length + 1)
    const back = (a: Registry): void => {
      for (const change of changes) change(a)
      a.setMeta('users', {}, 3)
      a.setStatus('users', { status: 'running', at: 9 })
    }
    expect(hashOf(back)).toBe(none)
  })

  test('does not depend on the node, nor on the order in which keys were written', () => {
    expect(hashOf(() => {}, 'other')).toBe(none)
    for (const text of ['x', 'x'.repeat(2_000)]) {
      const one = hashOf((a) => a.setMeta('users', { text, b: { c: 1, d: 2 } }, 2))
      const two = hashOf((a) => a.setMeta('users', { b: { d: 2, c: 1 }, text }, 2))
      expect(one).toBe(two)
    }
  })
})

/** The same news for several receivers. */
function news2(registry: Registry): Uint8Array {
  const { node, bootId } = registry.inspect()
  const twin = newRegistry(node, { bootId })
  provideLarge(twin, large('one'))
  return news(twin)
}
