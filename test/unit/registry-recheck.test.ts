/** Two nodes compare what they hold: nothing but a hash when it is the same, a push/pull when it is not. */
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeMessage } from '../../src/registry/codec.js'
import { revHash, setHash } from '../../src/registry/content-hash.js'
import { NodeRecords } from '../../src/registry/node-records.js'
import type { Registry } from '../../src/registry/registry.js'
import {
  BOOT_1,
  BOOT_2,
  broadcastOf,
  holdings,
  member,
  newCluster,
  newRegistry,
  news,
  pushPull,
  running,
  settle,
} from '../support/registry-cluster.js'

function sentBy(registry: Registry): { node: string; bytes: Uint8Array }[] {
  return registry.drain().flatMap((effect) => (effect.type === 'send' ? [effect] : []))
}

describe('a recheck', () => {
  test('between two that hold the same is one small message and no answer', () => {
    const [a, b] = newCluster('a', 'b') as [Registry, Registry]
    for (let i = 0; i < 100; i++) running(a, `s${i}`)
    pushPull(a, b)
    settle([a, b])
    a.recheck()
    const [sent] = sentBy(a)
    expect(sent?.bytes.length).toBeLessThan(32)
    b.handleMessage(sent!.bytes)
    expect(b.drain()).toEqual([])
  })

  test('of what was lost begins a push/pull, from either side', () => {
    for (const asks of [0, 1]) {
      const cluster = newCluster('a', 'b') as [Registry, Registry]
      running(cluster[0], 'users')
      news(cluster[0]) // lost
      const [one, other] = [cluster[asks]!, cluster[1 - asks]!]
      one.recheck()
      other.handleMessage(sentBy(one)[0]!.bytes)
      expect(other.drain()).toContainEqual({ type: 'sync', node: one.inspect().node })
      pushPull(other, one)
      expect(holdings(one)).toEqual(holdings(other))
    }
  })

  test('by which a third party brings the news makes the owner gossip it once more', () => {
    const [a, b, c] = newCluster('a', 'b', 'c') as [Registry, Registry, Registry]
    running(a, 'users')
    b.handleMessage(news(a)) // lost at c
    pushPull(c, b)
    const [missed] = sentBy(c)
    expect(decodeMessage(missed!.bytes)).toEqual({ kind: 'missed', node: 'a', bootId: BOOT_1, rev: 0 })
    a.handleMessage(missed!.bytes)
    expect(decodeMessage(broadcastOf(a.drain())!)).toMatchObject({ kind: 'change', rev: 1 })
    a.handleMessage(encodeMessage({ kind: 'missed', node: 'a', bootId: BOOT_1, rev: 1 }))
    a.handleMessage(encodeMessage({ kind: 'missed', node: 'a', bootId: BOOT_2, rev: 0 }))
    expect(a.drain()).toEqual([])
  })

  test('that brings news of many owners, as after a partition, bothers none of them', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const [a, b, ...owners] = newCluster(...names) as [Registry, Registry, ...Registry[]]
    for (const owner of owners) {
      running(owner, 'users')
      b.handleMessage(news(owner))
    }
    pushPull(a, b)
    expect(sentBy(a)).toEqual([])
  })

  test('sees whom membership shows: the records of the dead do not count', () => {
    const [a, b, c] = newCluster('a', 'b', 'c') as [Registry, Registry, Registry]
    running(c, 'users')
    a.handleMessage(news(c))
    for (const each of [a, b]) each.handleMember(member('c', { state: 'dead' }))
    a.drain()
    a.recheck()
    b.handleMessage(sentBy(a)[0]!.bytes)
    expect(b.drain()).toEqual([])
  })

  test('goes to live nodes of shoal only, and to nobody when there is none', () => {
    const a = newRegistry('a')
    a.recheck()
    expect(a.drain()).toEqual([])
    a.handleMember(member('serf', { bootId: undefined }))
    a.handleMember(member('dead', { state: 'dead' }))
    a.recheck()
    expect(a.drain()).toEqual([])
    for (const name of ['b', 'c', 'd']) a.handleMember(member(name, { state: name === 'b' ? 'suspect' : 'alive' }))
    const asked = new Set<string>()
    for (let i = 0; i < 50; i++) {
      a.recheck()
      for (const { node } of sentBy(a)) asked.add(node)
    }
    expect([...asked].sort()).toEqual(['b', 'c', 'd'])
  })

  test('of a liar costs four push/pulls a tick at most, and of a stranger nothing', () => {
    const [a] = newCluster('a', 'b') as [Registry, Registry]
    const lie = (node: string): void => {
      a.handleMessage(encodeMessage({ kind: 'recheck', node, hash: { a: 1, b: 2 } }))
    }
    for (let i = 0; i < 10; i++) lie('z')
    for (let i = 0; i < 10; i++) lie('b')
    expect(a.drain().filter((effect) => effect.type === 'sync')).toHaveLength(4)
    expect(a.inspect().drops.unwanted).toBe(16)
    a.handleTick()
    lie('b')
    expect(a.drain()).toEqual([{ type: 'sync', node: 'b' }])
  })

  test('cannot make an owner repeat itself without end', () => {
    const [a] = newCluster('a', 'b') as [Registry, Registry]
    running(a, 'users')
    a.drain()
    let repeats = 0
    for (let i = 0; i < 20; i++) {
      a.handleMessage(encodeMessage({ kind: 'missed', node: 'a', bootId: BOOT_1, rev: 0 }))
      repeats += a.drain().length
    }
    expect(repeats).toBe(4)
  })
})

test('the hash of a set does not depend on order, and tells every entry, boot and rev apart', () => {
  const entry = (node: string, rev: number, bootId = BOOT_1) => ({ hash: revHash({ node, bootId, rev }) })
  const hash = (...entries: ReturnType<typeof entry>[]): string => JSON.stringify(setHash(entries))
  expect(hash(entry('a', 1), entry('b', 2))).toBe(hash(entry('b', 2), entry('a', 1)))
  const sets = [
    [],
    [entry('a', 1)],
    [entry('a', 2)],
    [entry('a', 1, BOOT_2)],
    [entry('a', 1), entry('b', 2)],
    [entry('a', 2), entry('b', 1)],
    [entry('a', 2 ** 32 + 1)],
  ]
  expect(new Set(sets.map((entries) => hash(...entries))).size).toBe(sets.length)
  const many = new Set<string>()
  for (let i = 0; i < 2_000; i++) many.add(hash(entry(`n${i % 100}`, Math.floor(i / 100))))
  expect(many.size).toBe(2_000)
})

test('the hash of what a node said follows its rev', () => {
  const records = new NodeRecords('a', BOOT_1)
  for (const rev of [1, 2, 7]) {
    const before = records.hash
    records.applySet({ rev, records: [] })
    expect(records.hash).not.toEqual(before)
    expect(records.hash).toEqual(revHash({ node: 'a', bootId: BOOT_1, rev }))
  }
})
