import { describe, expect, it } from 'vitest'
import { Circuits } from '../../src/rpc/circuits.js'
import { RetryBudget } from '../../src/rpc/retry-budget.js'
import { candidate, failure } from '../support/rpc-fakes.js'

const [a, b, c] = [candidate('a'), candidate('b'), candidate('c')]
const dead = failure('UNREACHABLE', 'no')

function failing(node: string, times: number, now = 0): Circuits {
  const circuits = new Circuits()
  for (let i = 0; i < times; i++) circuits.note('users', candidate(node), dead, now)
  return circuits
}

const order = (circuits: Circuits, now: number, service = 'users'): string =>
  circuits
    .arrange(service, [a, b, c], now)
    .map(({ node }) => node)
    .join('')

describe('an instance', () => {
  it('that failed five times in a row comes last for a second', () => {
    expect(order(failing('a', 4), 0)).toBe('abc')
    const circuits = failing('a', 5)
    expect(order(circuits, 0)).toBe('bca')
    expect(order(circuits, 999)).toBe('bca')
    expect([circuits.ejectedCount(999), circuits.ejections]).toEqual([1, 1])
  })

  it('is given one call when its time is over; while that is open the others pass by', () => {
    const circuits = failing('a', 5)
    expect(order(circuits, 1_000)).toBe('abc')
    expect(order(circuits, 1_001)).toBe('bca')
    circuits.note('users', a, undefined, 1_002)
    expect(order(circuits, 1_003)).toBe('abc')
  })

  it('that fails again is put off for twice as long, up to half a minute', () => {
    const circuits = failing('a', 5)
    let now = 0
    for (const ms of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      expect(order(circuits, now + ms - 1)).toBe('bca')
      now += ms
      expect(order(circuits, now)).toBe('abc')
      circuits.note('users', a, dead, now)
    }
  })

  it('is never left out, so the last one is always tried, and where all fail the order stays', () => {
    const circuits = failing('a', 5)
    expect(circuits.arrange('users', [a], 0)).toEqual([a])
    for (const node of [b, c]) for (let i = 0; i < 5; i++) circuits.note('users', node, dead, 0)
    expect(order(circuits, 0)).toBe('abc')
  })

  it('is judged by service: one that hangs does not take the others of its node along', () => {
    expect(order(failing('a', 5), 0, 'orders')).toBe('abc')
  })

  it.each([
    ['UNREACHABLE', 'no', 'bca'],
    ['CONNECTION_LOST', 'maybe', 'bca'],
    ['DEADLINE_EXCEEDED', 'maybe', 'bca'],
    ['DEADLINE_EXCEEDED', 'no', 'abc'],
    ['REMOTE', 'yes', 'abc'],
    ['OVERLOADED', 'no', 'abc'],
    ['UNAVAILABLE', 'no', 'abc'],
    ['CANCELLED', 'maybe', 'abc'],
  ] as const)('that ended in %s, executed %s, five times leaves the order %s', (code, executed, expected) => {
    const circuits = new Circuits()
    for (let i = 0; i < 5; i++) circuits.note('users', a, failure(code, executed), 0)
    expect(order(circuits, 0)).toBe(expected)
  })

  it('an answer between failures begins the count anew; a cancelled call says nothing', () => {
    const circuits = failing('a', 4)
    circuits.note('users', a, failure('CANCELLED', 'maybe'), 0)
    circuits.note('users', a, failure('REMOTE', 'yes'), 0)
    circuits.note('users', a, dead, 0)
    expect(order(circuits, 0)).toBe('abc')
    for (let i = 0; i < 4; i++) circuits.note('users', a, dead, 0)
    expect(order(circuits, 0)).toBe('bca')
  })

  it('whose streams ran into their own time limit has answered: their items came', () => {
    const circuits = failing('a', 4)
    circuits.note('users', a, failure('DEADLINE_EXCEEDED', 'yes'), 0)
    expect([order(circuits, 0), circuits.isClear]).toEqual(['abc', true])
  })

  it('whose calls fail together is ejected once: what was under way then says nothing new', () => {
    const circuits = failing('a', 200)
    expect(order(circuits, 999)).toBe('bca')
    expect(order(circuits, 1_000)).toBe('abc')
  })

  it('whose time is over waits for a call that begins with it', () => {
    const circuits = failing('c', 5)
    expect([order(circuits, 0), order(circuits, 1_000), order(circuits, 1_001)]).toEqual(['abc', 'abc', 'abc'])
    const first = (now: number): string | undefined => circuits.arrange('users', [c, a], now)[0]?.node
    expect([first(1_002), first(1_003)]).toEqual(['c', 'a'])
  })

  it('that was not tried for a minute is forgotten', () => {
    const circuits = failing('a', 4)
    const failedAt = (now: number): string => {
      order(circuits, now)
      circuits.note('users', a, dead, now)
      return order(circuits, now)
    }
    expect(failedAt(60_000)).toBe('abc')
    expect([failedAt(60_001), failedAt(60_002), failedAt(60_003), failedAt(119_000)]).toEqual([
      'abc',
      'abc',
      'abc',
      'bca',
    ])
  })

  it('however many fail, so many are remembered', () => {
    const circuits = new Circuits()
    for (let i = 0; i < 10_000; i++) for (let k = 0; k < 5; k++) circuits.note('users', candidate(`n${i}`), dead, 0)
    expect(circuits.ejectedCount(0)).toBe(4_096)
  })
})

describe('a node whose connection broke', () => {
  it('comes last with all its services at once, for three seconds, then for twice as long', () => {
    const circuits = new Circuits()
    circuits.lost(a, 0)
    circuits.lost(a, 1)
    expect([order(circuits, 0), order(circuits, 2_999, 'orders')]).toEqual(['bca', 'bca'])
    expect(order(circuits, 3_000)).toBe('abc')
    expect(order(circuits, 3_001, 'orders')).toBe('bca')
    circuits.lost(a, 3_002)
    expect([order(circuits, 9_001), order(circuits, 9_002)]).toEqual(['bca', 'abc'])
    expect([circuits.ejectedCount(9_003), circuits.ejections]).toEqual([1, 1])
  })

  it('is back as soon as any of its services answers', () => {
    const circuits = new Circuits()
    circuits.lost(a, 0)
    circuits.note('orders', a, failure('REMOTE', 'yes'), 1)
    expect(order(circuits, 2)).toBe('abc')
  })

  it('that starts anew is not judged by its former life', () => {
    const circuits = failing('a', 5)
    circuits.lost(a, 0)
    const reborn = { ...a, bootId: 'later' }
    expect(circuits.arrange('users', [reborn, b], 1)).toEqual([reborn, b])
    expect(circuits.arrange('users', [a, b], 1)).toEqual([b, a])
  })
})

describe('the retry budget', () => {
  it('holds a hundred, earns a tenth of one by each call and ten a second', () => {
    const budget = new RetryBudget(0)
    const takeAll = (now: number): number => {
      let count = 0
      while (budget.tryTake(now)) count++
      return count
    }
    expect(takeAll(0)).toBe(100)
    for (let i = 0; i < 100; i++) budget.noteCall()
    expect(takeAll(0)).toBeGreaterThanOrEqual(9)
    expect(takeAll(1_000)).toBe(10)
    expect(takeAll(3_600_000)).toBe(100)
    expect(budget.denied).toBe(4)
  })
})
