/** From the times of observers to the figures of a row and its curve. */
import { expect, it } from 'vitest'
import { Spreads } from '../../bench/lib/spread.js'
import type { Bench, Value } from '../../bench/lib/suite.js'

function bench(): { readonly bench: Bench; readonly values: Value[]; readonly misses: string[] } {
  const values: Value[] = []
  const misses: string[] = []
  const given: Pick<Bench, 'record' | 'miss'> = {
    record: (value) => void values.push(value),
    miss: (what) => void misses.push(what),
  }
  return { bench: given as Bench, values, misses }
}

function columns(values: readonly Value[]): Record<string, number> {
  return Object.fromEntries(values.map(({ column, value }) => [column, value]))
}

it('gives the first, the median, 99 % and the last', () => {
  const { bench: given, values } = bench()
  new Spreads(given, 't').add(
    'join',
    Array.from({ length: 200 }, (_, i) => 200 - i),
  )
  expect(columns(values)).toEqual({ first: 1, half: 100.5, '99 %': 198, all: 200 })
})

it('leaves out what those who never knew would be needed for, and says who is missing', () => {
  const { bench: given, values, misses } = bench()
  new Spreads(given, 't').add('join', [3, undefined, 1, 2])
  expect(columns(values)).toEqual({ first: 1, half: 2.5 })
  expect(misses).toEqual(['join: 1 of 4 did not see it in time'])
})

it('takes it for a figure where packets are lost', () => {
  const { bench: given, values, misses } = bench()
  new Spreads(given, 't', true).add('join', [3, undefined, 1, 2])
  expect(columns(values)).toMatchObject({ 'in time, %': 75, first: 1 })
  expect(misses).toEqual([])
})

it('draws a curve over all repeats that ends below 100 % when somebody never knew', () => {
  const spreads = new Spreads(bench().bench, 't', true)
  spreads.add('join', [1, 2])
  spreads.add('join', [3, undefined])
  expect(spreads.curve('join').points).toEqual([
    [1, 25],
    [2, 50],
    [3, 75],
  ])
})
