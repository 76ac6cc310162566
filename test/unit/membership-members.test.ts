import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { createEntry, type MemberEntry } from '../../src/membership/member.js'
import { Members } from '../../src/membership/members.js'
import { randomInt, seededRandom } from '../../src/random.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function entry(name: string, state: MemberEntry['state'] = 'alive'): MemberEntry {
  const identity = {
    addr: Uint8Array.of(10, 0, 0, 1),
    port: 1,
    meta: EMPTY_BYTES,
    vsn: Uint8Array.of(1, 5, 2, 0, 0, 0),
  }
  const made = createEntry(name, identity, 0)
  made.state = state
  return made
}

function tableOf(count: number, seed = 7, limit = 10_000): Members {
  const members = new Members(seededRandom(seed), limit)
  for (let i = 0; i < count; i++) members.add(entry(`m${i}`))
  return members
}

function probed(members: Members, count: number): string[] {
  return Array.from({ length: count }, () => members.nextToProbe('self')!.name)
}

it('each member is probed exactly once in a round, and rounds differ in order', () => {
  const members = tableOf(20)
  const orders = Array.from({ length: 5 }, () => probed(members, 20))
  for (const order of orders) expect(new Set(order).size).toBe(20)
  expect(new Set(orders.map(String)).size).toBeGreaterThan(1)
})

it('oneself, the dead and those that left are not probed; suspects are', () => {
  const members = new Members(seededRandom(3), 100)
  for (const one of [entry('self'), entry('a'), entry('b', 'suspect'), entry('c', 'dead'), entry('d', 'left')]) {
    members.add(one)
  }
  expect(new Set(probed(members, 10))).toEqual(new Set(['a', 'b']))
})

it('a live member is found wherever it stands among the dead', () => {
  for (let seed = 0; seed < 50; seed++) {
    const members = new Members(seededRandom(seed), 100)
    members.add(entry('self'))
    members.add(entry('live'))
    for (let i = 0; i < 10; i++) members.add(entry(`dead${i}`, 'dead'))
    for (let i = 0; i < 20; i++) expect(members.nextToProbe('self')?.name, `seed ${seed}`).toBe('live')
  }
})

it('without anybody to probe there is no target', () => {
  const members = new Members(seededRandom(3), 100)
  expect(members.nextToProbe('self')).toBeUndefined()
  members.add(entry('self'))
  members.add(entry('gone', 'left'))
  expect(members.nextToProbe('self')).toBeUndefined()
})

it('a member deleted during a round costs no other its turn', () => {
  for (let seed = 0; seed < 50; seed++) {
    const members = tableOf(10, seed)
    const at = randomInt(seededRandom(seed), 10)
    const first = probed(members, at)
    members.delete('m3')
    const turns = [...first, ...probed(members, 10 - at - (first.includes('m3') ? 0 : 1))]
    const survivors = turns.filter((name) => name !== 'm3')
    expect(new Set(survivors).size, `seed ${seed}`).toBe(9)
    expect(survivors, `seed ${seed}`).toHaveLength(9)
    expect(members.get('m3')).toBeUndefined()
  }
})

it('a member added during a round costs no other its turn', () => {
  for (let seed = 0; seed < 50; seed++) {
    const members = tableOf(10, seed)
    const first = probed(members, 4)
    members.add(entry('new'))
    const round = [...first, ...probed(members, 7)]
    const missing = Array.from({ length: 10 }, (_, i) => `m${i}`).filter((name) => !round.includes(name))
    expect(missing, `seed ${seed}`).toEqual([])
  }
})

it('a full table takes no further name', () => {
  const members = tableOf(3, 1, 3)
  expect(members.add(entry('more'))).toBe(false)
  expect(members.size).toBe(3)
  members.delete('m0')
  expect(members.add(entry('more'))).toBe(true)
})

it('picked members are distinct, pass the filter and are as many as there are', () => {
  const members = tableOf(10)
  for (let i = 0; i < 200; i++) {
    const names = members.pick(3, ({ name }) => name !== 'm0').map(({ name }) => name)
    expect(new Set(names).size).toBe(3)
    expect(names).not.toContain('m0')
  }
  expect(members.pick(3, ({ name }) => name < 'm2')).toHaveLength(2)
  expect(members.pick(0, () => true)).toEqual([])
  expect(members.pick(3, () => false)).toEqual([])
})

it('each member is picked about equally often', () => {
  const members = tableOf(20)
  const counts = new Map<string, number>()
  const draws = 8_000
  for (let i = 0; i < draws; i++) {
    for (const { name } of members.pick(3, () => true)) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const expected = (draws * 3) / 20
  for (const count of counts.values()) expect(Math.abs(count - expected) / expected).toBeLessThan(0.15)
  expect(counts.size).toBe(20)
})

it('the only live member of a large table of dead ones is found each time', () => {
  const members = new Members(seededRandom(5), 1_000)
  for (let i = 0; i < 500; i++) members.add(entry(`dead${i}`, 'dead'))
  members.add(entry('live'))
  for (let i = 0; i < 100; i++) {
    expect(members.pick(3, ({ state }) => state === 'alive').map(({ name }) => name)).toEqual(['live'])
  }
})

it('a member that was forgotten, or moved, leaves nothing behind at its address', async () => {
  const members = new Members(seededRandom(1), 100)
  const forgotten = Array.from({ length: 50 }, (_, i) => {
    const gone = entry(`m${i}`)
    members.add(gone)
    members.verify(gone, gone)
    members.adopt(gone, { ...gone, addr: Uint8Array.of(10, 0, 1, i) })
    members.verify(gone, gone)
    members.delete(gone.name)
    return new WeakRef(gone)
  })
  await new Promise((resolve) => setImmediate(resolve)) // a WeakRef holds on until the end of the turn
  collect()
  expect(forgotten.filter((ref) => ref.deref() !== undefined).length).toBeLessThanOrEqual(1)
})
