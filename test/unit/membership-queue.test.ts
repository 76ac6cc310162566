import { expect, it } from 'vitest'
import { TransmitQueue } from '../../src/membership/dissemination.js'
import { randomInt, seededRandom } from '../../src/random.js'

const bytes = (length: number, fill = 1): Uint8Array => new Uint8Array(length).fill(fill)
const relayed = (key: string, news: Uint8Array) => ({ key, bytes: news, own: false })
const fills = (taken: readonly Uint8Array[]): number[] => taken.map((part) => part[0]!)

it('a newer rumour about the same subject takes the place of the older and starts anew', () => {
  const queue = new TransmitQueue(10)
  queue.add(relayed('a', bytes(10, 1)))
  expect(fills(queue.take(100, 2, 3))).toEqual([1])
  queue.add(relayed('a', bytes(10, 2)))
  expect(queue.size).toBe(1)
  for (let i = 0; i < 3; i++) expect(fills(queue.take(100, 2, 3))).toEqual([2])
  expect(queue.take(100, 2, 3)).toEqual([])
})

it('the least sent rumour goes first', () => {
  const queue = new TransmitQueue(10)
  queue.add(relayed('old', bytes(10, 1)))
  queue.take(12, 2, 5)
  queue.add(relayed('new', bytes(10, 2)))
  expect(fills(queue.take(12, 2, 5))).toEqual([2])
  expect(fills(queue.take(24, 2, 5)).sort()).toEqual([1, 2])
})

it('of what was sent equally often our own goes first, each in the order in which it came', () => {
  const queue = new TransmitQueue(10)
  for (const fill of [1, 2]) queue.add(relayed(`r${fill}`, bytes(10, fill)))
  for (const fill of [3, 4]) queue.add({ key: `o${fill}`, bytes: bytes(10, fill), own: true })
  expect(fills(queue.take(48, 2, 5))).toEqual([3, 4, 1, 2])
  expect(fills(queue.take(48, 2, 5))).toEqual([3, 4, 1, 2])
})

it('a rumour leaves after as many packets as the limit says', () => {
  const queue = new TransmitQueue(10)
  queue.add(relayed('a', bytes(10)))
  for (let i = 0; i < 4; i++) expect(queue.take(100, 2, 4)).toHaveLength(1)
  expect(queue.size).toBe(0)
  expect(queue.has('a')).toBe(false)
})

it('a full queue drops the rumour that was sent most often', () => {
  const queue = new TransmitQueue(2)
  queue.add(relayed('often', bytes(10, 1)))
  queue.take(12, 2, 9)
  queue.add(relayed('once', bytes(10, 2)))
  queue.add(relayed('never', bytes(10, 3)))
  expect([queue.has('often'), queue.has('once'), queue.has('never')]).toEqual([false, true, true])
  expect(queue.size).toBe(2)
  expect(queue.dropped).toBe(1)
})

it('a replaced rumour makes room for itself and drops nobody', () => {
  const queue = new TransmitQueue(2)
  queue.add(relayed('a', bytes(1)))
  queue.add(relayed('b', bytes(1)))
  queue.add(relayed('a', bytes(2)))
  expect(queue.size).toBe(2)
  expect(queue.dropped).toBe(0)
})

it('a packet is never overfilled, and a small rumour passes a large one that does not fit', () => {
  const queue = new TransmitQueue(10)
  queue.add(relayed('large', bytes(60, 1)))
  queue.add(relayed('huge', bytes(90, 2)))
  queue.add(relayed('small', bytes(20, 3)))
  expect(fills(queue.take(90, 2, 4))).toEqual([1, 3])
  expect(fills(queue.take(91, 2, 4))).not.toContain(2)
  expect(fills(queue.take(92, 2, 4))).toEqual([2])
})

it('whatever the sizes, a packet stays within its budget and every rumour is sent exactly its limit', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const queue = new TransmitQueue(500)
  const sent = new Map<number, number>()
  for (let id = 0; id < 200; id++) {
    const rumour = bytes(2 + randomInt(random, 80), id & 255)
    queue.add(relayed(`r${id}`, rumour))
    sent.set(id, 0)
  }
  for (let round = 0; queue.size > 0; round++) {
    expect(round, `seed ${seed}`).toBeLessThan(2_000)
    const budget = 90 + randomInt(random, 400)
    const taken = queue.take(budget, 2, 3)
    const used = taken.reduce((sum, part) => sum + part.length + 2, 0)
    expect(used, `seed ${seed}`).toBeLessThanOrEqual(budget)
    for (const part of taken) sent.set(part[0]!, sent.get(part[0]!)! + 1)
  }
  expect([...sent.values()], `seed ${seed}`).toEqual(new Array(200).fill(3))
})

it('the end of a rumour is told once when it is sent out or gives way, and not when it was replaced', () => {
  const told: string[] = []
  const queue = new TransmitQueue(2)
  queue.add(relayed('replaced', bytes(5)), () => told.push('replaced, first'))
  queue.add(relayed('replaced', bytes(5)), () => told.push('replaced, second'))
  queue.take(100, 2, 9)
  queue.add(relayed('b', bytes(5)), () => told.push('b'))
  queue.add(relayed('c', bytes(5)), () => told.push('c'))
  for (let i = 0; i < 5; i++) queue.take(100, 2, 2)
  expect(told.sort()).toEqual(['b', 'c', 'replaced, second'])
})

it('a rumour that gives way in a full queue is told as often as it will be', () => {
  let told = 0
  const queue = new TransmitQueue(2)
  queue.add(relayed('gives way', bytes(5)), () => told++)
  queue.take(100, 2, 9)
  queue.add(relayed('b', bytes(5)))
  queue.add(relayed('c', bytes(5)))
  expect(queue.has('gives way')).toBe(false)
  expect(told).toBe(1)
})

it('with nobody left to tell, what is queued counts as told once', () => {
  let told = 0
  const queue = new TransmitQueue(2)
  queue.add(relayed('a', bytes(5)), () => told++)
  queue.clear()
  queue.clear()
  expect(told).toBe(1)
  expect(queue.size).toBe(0)
})

it('one queue fills at most half of the parts that a compound can hold', () => {
  const queue = new TransmitQueue(1_000)
  for (let i = 0; i < 400; i++) queue.add(relayed(`r${i}`, bytes(1)))
  expect(queue.take(60_000, 2, 4)).toHaveLength(127)
})
