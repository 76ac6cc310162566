/** What is kept of a cluster, how it is written, and what of a file is believed. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatHostPort } from '../../src/address.js'
import type { Member, MemberState } from '../../src/membership/member.js'
import { FormerMembers } from '../../src/membership/rejoin.js'
import {
  encodeSnapshot,
  membersToKeep,
  parseSnapshot,
  SNAPSHOT_BYTES_MAX,
  SNAPSHOT_MEMBERS_MAX,
} from '../../src/membership/snapshot.js'
import { seededRandom } from '../../src/random.js'

function member(name: string, address: string, state: MemberState = 'alive'): Member {
  const rest = {
    incarnation: 1,
    meta: new Uint8Array(),
    tags: {},
    rpcAddress: undefined,
    rtt: undefined,
    udpReachable: undefined,
    since: 0,
  }
  return { name, address, state, ...rest }
}

function addressesIn(text: string, cluster = 'shop'): readonly string[] {
  const parsed = parseSnapshot(text, cluster)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.addresses.map(formatHostPort)
}

it('the live members other than the node itself are kept, suspects too, the dead and those that left not', () => {
  const members = [
    member('me', '10.0.0.1:7946'),
    member('c', '[fd00::3]:7946'),
    member('b', '10.0.0.2:7946', 'suspect'),
    member('d', '10.0.0.4:7946', 'dead'),
    member('e', '10.0.0.5:7946', 'left'),
  ]
  const kept = membersToKeep(members, 'me')
  expect(kept).toEqual([
    { name: 'b', address: '10.0.0.2:7946' },
    { name: 'c', address: '[fd00::3]:7946' },
  ])
  expect(addressesIn(encodeSnapshot('shop', kept))).toEqual(['10.0.0.2:7946', '[fd00::3]:7946'])
})

it('the same members make the same text, in whatever order they are known', () => {
  const members = ['a', 'b', 'c', 'd'].map((name, i) => member(name, `10.0.0.${i + 1}:7946`))
  const one = encodeSnapshot('shop', membersToKeep(members, 'me'))
  expect(encodeSnapshot('shop', membersToKeep([...members].reverse(), 'me'))).toBe(one)
})

it('at most 1,024 members are kept, and at most 256 KiB of them written', () => {
  const many = Array.from({ length: 5_000 }, (_, i) => member(`n${i}`, `10.1.${i >> 8}.${i & 255}:7946`))
  expect(membersToKeep(many, 'me')).toHaveLength(SNAPSHOT_MEMBERS_MAX)
  const long = many.map(({ address }, i) => member(`${i}`.padStart(255, '\u0001'), address))
  const text = encodeSnapshot('x'.repeat(255), membersToKeep(long, 'me'))
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(SNAPSHOT_BYTES_MAX)
  expect(addressesIn(text, 'x'.repeat(255)).length).toBeGreaterThan(100)
})

it('every prefix of a snapshot is ignored, and so is a snapshot of another cluster', () => {
  const text = encodeSnapshot('shop', [{ name: 'b', address: '10.0.0.2:7946' }])
  for (let length = 0; length < text.trimEnd().length; length++) {
    expect(parseSnapshot(text.slice(0, length), 'shop').ok).toBe(false)
  }
  expect(parseSnapshot(text, 'office')).toEqual({ ok: false, reason: 'it is of cluster "shop"' })
  expect(parseSnapshot(text.replace(': 1', ': 2'), 'shop')).toEqual({ ok: false, reason: 'it is not of version 1' })
})

it('addresses that are not literals with a port are passed over: a file makes a node dial, never look up a name', () => {
  const good = '"10.0.0.2:7946"'
  const bad = [
    '"evil.example:80"',
    '"[fe80::1%eth0]:7946"',
    '"10.0.0.3"',
    '"10.0.0.3:0"',
    '"10.0.0.3:70000"',
    '7',
    'null',
  ]
  const members = [...bad, good].map((address) => `["x", ${address}]`)
  const text = `{"shoalSnapshot":1,"cluster":"shop","members":[7,null,"10.0.0.9:1",{"1":"10.0.0.9:1"},[],${members.join(',')}]}`
  expect(addressesIn(text)).toEqual(['10.0.0.2:7946'])
})

it('a hostile file gives at most 1,024 different addresses, and never an exception', () => {
  const members = Array.from({ length: 9_000 }, (_, i) => `["",  "10.2.${i >> 8}.${i & 255}:1"]`).join(',')
  expect(addressesIn(`{"shoalSnapshot":1,"cluster":"shop","members":[${members}]}`).length).toBe(SNAPSHOT_MEMBERS_MAX)
  expect(parseSnapshot('['.repeat(200_000), 'shop').ok).toBe(false)
  expect(parseSnapshot(`{"members":${'['.repeat(100_000)}`, 'shop').ok).toBe(false)
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(parseSnapshot(text, 'shop').ok).toBe(false)
    }),
  )
})

it('any names and addresses come back as they were written', () => {
  const name = fc.string({ minLength: 1, maxLength: 60, unit: 'binary' })
  const address = fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `${host}:${port}`)
  fc.assert(
    fc.property(name, fc.uniqueArray(address, { maxLength: 20 }), name, (cluster, addresses, each) => {
      const text = encodeSnapshot(
        cluster,
        addresses.map((one) => ({ name: each, address: one })),
      )
      expect(addressesIn(text, cluster)).toEqual(addresses)
    }),
  )
})

const HOSTS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => ({ host, port: 1 }))

it('the members of a former life are tried in turn, all of them before one comes again', () => {
  const former = new FormerMembers(HOSTS, seededRandom(1))
  const first = [...former.take(2), ...former.take(1)].map(({ host }) => host).sort()
  expect(first).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  expect(former.take(9)).toHaveLength(3)
  expect(former.done).toBe(false)
})

it('they are done with once one answered; when a seed let the node in, after each was tried once', () => {
  const answered = new FormerMembers(HOSTS, seededRandom(1))
  answered.handleAnswer()
  expect(answered.done).toBe(true)
  const former = new FormerMembers(HOSTS, seededRandom(1))
  former.take(2)
  former.handleSeedAnswer()
  expect(former.done).toBe(false)
  former.take(1)
  former.handleSeedAnswer()
  expect(former.done).toBe(true)
  expect(new FormerMembers([], seededRandom(1)).done).toBe(true)
})
