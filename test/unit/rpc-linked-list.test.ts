import { describe, expect, it } from 'vitest'
import { LinkedList } from '../../src/rpc/linked-list.js'

const values = (list: LinkedList<string>): string => Array.from(list, ({ value }) => value).join('')

describe('a linked list', () => {
  it('keeps the order of insertion, whatever is removed, and removes nothing twice', () => {
    const list = new LinkedList<string>()
    const [a, b, c, d] = [...'abcd'].map((value) => list.add(value))
    expect([values(list), list.size, list.first]).toEqual(['abcd', 4, a])
    expect([list.remove(b!), list.remove(b!), values(list)]).toEqual([true, false, 'acd'])
    expect([list.remove(d!), list.remove(d!), values(list)]).toEqual([true, false, 'ac'])
    expect([list.remove(a!), list.remove(a!), values(list)]).toEqual([true, false, 'c'])
    list.add('e')
    expect([values(list), list.size, list.first]).toEqual(['ce', 2, c])
    for (const place of list) list.remove(place)
    expect([values(list), list.size, list.first]).toEqual(['', 0, undefined])
    list.add('f')
    expect(values(list)).toBe('f')
  })

  it('keeps nothing of what has gone: a removed place leads to no other', () => {
    const list = new LinkedList<string>()
    const places = [...'abc'].map((value) => list.add(value))
    list.remove(places[1]!)
    expect(places[1]).toEqual({ value: 'b', before: undefined, after: undefined })
  })
})
