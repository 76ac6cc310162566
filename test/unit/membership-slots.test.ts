import { expect, it } from 'vitest'
import { StreamSlots } from '../../src/membership/stream-slots.js'

function slotsOf(streams: number, perAddress: number, bytes = 100): StreamSlots {
  return new StreamSlots({ streams, perAddress, bytes })
}

it('without a place the oldest stream that has not sent anything gives way', () => {
  const slots = slotsOf(3, 3)
  for (const id of [1, 2, 3]) expect(slots.open(id, `h${id}`)).toEqual({ kept: true, evicted: undefined })
  slots.receive(1, 5)
  expect(slots.open(4, 'h4')).toEqual({ kept: true, evicted: 2 })
  for (const id of [3, 4]) slots.receive(id, 1)
  expect(slots.open(5, 'h5')).toEqual({ kept: false })
  slots.release(1)
  expect(slots.open(6, 'h6')).toEqual({ kept: true, evicted: undefined })
})

it('one address takes only its share, and what gives way is its own', () => {
  const slots = slotsOf(10, 2)
  slots.open(1, 'other')
  slots.open(2, 'greedy')
  slots.open(3, 'greedy')
  expect(slots.open(4, 'greedy')).toEqual({ kept: true, evicted: 2 })
  slots.receive(3, 1)
  slots.receive(4, 1)
  expect(slots.open(5, 'greedy')).toEqual({ kept: false })
  expect(slots.open(6, 'other')).toEqual({ kept: true, evicted: undefined })
})

it('all together buffer only so many bytes, which are free again with their streams', () => {
  const slots = slotsOf(10, 10)
  slots.open(1, 'a')
  slots.open(2, 'b')
  expect(slots.receive(1, 80)).toBe(true)
  expect(slots.receive(2, 21)).toBe(false)
  expect(slots.receive(2, 20)).toBe(true)
  slots.release(1)
  slots.release(1)
  expect(slots.receive(2, 80)).toBe(true)
  expect(slots.receive(2, 1)).toBe(false)
  expect(slots.receive(99, 1)).toBe(false)
})
