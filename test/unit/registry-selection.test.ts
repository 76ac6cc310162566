import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/random.js'
import type { Instance } from '../../src/registry/record.js'
import {
  rendezvousWeight,
  type SelectionContext,
  type SelectionWish,
  selectInstances,
} from '../../src/registry/selection.js'
import { Turns } from '../../src/registry/turns.js'

function instance(node: string, changes: Partial<Instance> = {}): Instance {
  return {
    node,
    service: 'users',
    version: '1.2.0',
    status: 'running',
    statusAt: 0,
    reason: undefined,
    methods: ['get'],
    meta: {},
    metaPending: false,
    hash: '',
    address: `${node}:1`,
    local: false,
    ...changes,
  }
}

const eight = Array.from({ length: 8 }, (_, i) => instance(`n${i}`, { local: i === 3 }))

function select(
  instances: readonly Instance[],
  wish: SelectionWish = {},
  changes: Partial<SelectionContext> = {},
): string[] {
  const context: SelectionContext = {
    random: seededRandom(5),
    suspects: new Set(),
    turn: () => 0,
    pending: () => 0,
    rttMs: () => undefined,
    ...changes,
  }
  return selectInstances(instances, wish, context).map(({ node }) => node)
}

describe('the order of instances', () => {
  it('begins with the local one, ends with the suspects, and puts another of the rest ahead at each call', () => {
    const random = seededRandom(5)
    const seconds = new Set<string>()
    for (let i = 0; i < 200; i++) {
      const order = select(eight, {}, { random, suspects: new Set(['n0', 'n6']) })
      expect(order[0]).toBe('n3')
      expect(order.slice(-2).sort()).toEqual(['n0', 'n6'])
      expect([...order].sort()).toEqual(eight.map(({ node }) => node))
      seconds.add(order[1] as string)
    }
    expect(seconds.size).toBe(5)
  })

  it('keeps a suspected local instance first: we know that we live', () => {
    expect(select(eight, {}, { suspects: new Set(['n3']) })[0]).toBe('n3')
  })

  it('treats the local one as any other when localFirst is off', () => {
    const random = seededRandom(1)
    const firsts = new Set(Array.from({ length: 200 }, () => select(eight, { localFirst: false }, { random })[0]))
    expect(firsts.size).toBe(8)
  })

  it.each([0, 1, 3, 6])('random spreads calls evenly, also those that had %i failures', (failures) => {
    const random = seededRandom(9)
    const counts = new Map<string, number>()
    for (let i = 0; i < 8_000; i++) {
      const taker = select(eight, { localFirst: false }, { random })[failures] as string
      counts.set(taker, (counts.get(taker) ?? 0) + 1)
    }
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })

  it('random spreads calls evenly over those that answer, however many are passed by', () => {
    const many = Array.from({ length: 100 }, (_, i) => instance(`n${i}`))
    const random = seededRandom(4)
    const counts = new Map<string, number>()
    for (let i = 0; i < 20_000; i++) {
      const taker = select(many, {}, { random }).find((node) => Number(node.slice(1)) >= 80) as string
      counts.set(taker, (counts.get(taker) ?? 0) + 1)
    }
    expect(counts.size).toBe(20)
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })

  it('round-robin gives each its turn, by service', () => {
    const turns = new Turns()
    const others = eight.filter(({ local }) => !local)
    const round = (service: string): string =>
      select(others, { policy: 'round-robin' }, { turn: () => turns.next(service) })[0] as string
    const firsts: string[] = []
    for (let i = 0; i < 7; i++) {
      firsts.push(round('users'))
      round('other')
    }
    expect(firsts.sort()).toEqual(others.map(({ node }) => node))
  })

  it('least-pending begins with the idlest, nearest with the closest known, and equals take turns by chance', () => {
    const pending = (node: string): number => Number(node.slice(1)) % 4
    const random = seededRandom(3)
    const firsts = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const order = select(eight, { policy: 'least-pending', localFirst: false }, { pending, random })
      expect(order.map(pending)).toEqual([0, 0, 1, 1, 2, 2, 3, 3])
      firsts.add(order[0] as string)
    }
    expect([...firsts].sort()).toEqual(['n0', 'n4'])
    const rttMs = (node: string): number | undefined => ({ n5: 1, n2: 3, n7: 2 })[node]
    expect(select(eight, { policy: 'nearest', localFirst: false }, { rttMs }).slice(0, 3)).toEqual(['n5', 'n7', 'n2'])
  })
})

describe('a key', () => {
  const keys = Array.from({ length: 4_000 }, (_, i) => `user-${i}`)
  const ownerOf = (key: string, instances: readonly Instance[]): string => select(instances, { key })[0] as string

  it('is owned by the same instance for every caller, local or not', () => {
    const seen = eight.map((each) => ({ ...each, local: each.node === 'n6' }))
    for (const key of keys.slice(0, 200)) expect(ownerOf(key, seen.reverse())).toBe(ownerOf(key, eight))
  })

  it('falls to each instance about equally often', () => {
    const counts = new Map<string, number>()
    for (const key of keys) counts.set(ownerOf(key, eight), (counts.get(ownerOf(key, eight)) ?? 0) + 1)
    expect(counts.size).toBe(8)
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(100)
  })

  it('moves only when its owner goes, and then to its second', () => {
    const without = eight.filter(({ node }) => node !== 'n4')
    let moved = 0
    for (const key of keys) {
      const order = select(eight, { key })
      if (order[0] !== 'n4') expect(ownerOf(key, without)).toBe(order[0])
      else {
        moved++
        expect(ownerOf(key, without)).toBe(order[1])
      }
    }
    expect(moved).toBeGreaterThan(400)
  })

  it('has a weight that is fixed for ever: callers of all versions must agree', () => {
    expect([rendezvousWeight('user-1', 'api-1'), rendezvousWeight('', ''), rendezvousWeight('käse', 'n')]).toEqual(
      WEIGHTS,
    )
  })
})

/** Written down once; another value would send the keys of a mixed cluster to two owners. */
const WEIGHTS = [1_053_124_391, 91_794_203, 2_743_299_916]

describe('filters', () => {
  const mixed = [
    instance('v1', { version: '1.0.0', methods: ['get'], meta: { zone: 'a' } }),
    instance('v2', { version: '2.1.0', methods: ['get', 'list'], meta: { zone: 'b' } }),
    instance('beta', { version: '2.2.0-beta.1', methods: ['get', 'list'] }),
    instance('none', { version: '' }),
    instance('odd', { version: 'release-7' }),
  ]

  it.each([
    ['^1.0.0', ['v1']],
    ['>=1', ['v1', 'v2']],
    ['^2.2.0-beta.0', ['beta']],
    ['^3', []],
    ['*', ['v1', 'v2']],
  ])('version %s takes %j: no range takes an instance without a version', (version, nodes) => {
    expect(select(mixed, { version }).sort()).toEqual(nodes)
  })

  it('a method is called only where it is listed, and anywhere when it is listed nowhere: the callee then says so', () => {
    expect(select(mixed, { method: 'list' }).sort()).toEqual(['beta', 'v2'])
    expect(select(mixed, { method: 'nowhere' })).toHaveLength(5)
  })

  it('where sees the instance; one that throws is the caller’s error', () => {
    expect(select(mixed, { where: ({ meta }) => meta['zone'] === 'b' })).toEqual(['v2'])
    const where = (): boolean => {
      throw new Error('oops')
    }
    expect(() => select(mixed, { where })).toThrow(/'where' failed/)
  })
})
