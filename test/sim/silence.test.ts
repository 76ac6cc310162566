/** A node that is cut off and comes back: what it thought of the others meanwhile is believed by nobody. */
import { describe, expect, it } from 'vitest'
import { ALL_FEATURES } from '../../src/membership/features.js'
import { Cluster } from './cluster.js'

/** As in the tests with network namespaces: the lan profile four times as fast. */
const QUICK = { probeIntervalMs: 250, probeTimeoutMs: 125, gossipIntervalMs: 50 }
const AFTERWARDS_MS = 10_000

type Cut = 'hears nobody, and nobody hears it' | 'hears nobody' | 'is heard by nobody'

interface Cutting {
  readonly seed: number
  readonly nodes: number
  readonly cut: Cut
  readonly silence?: boolean
  readonly lossRate?: number
}

/** One of them is cut off for 3 to 15 s at any moment of its probe cycle; views of others in which a healthy one died. */
function falseViews({ seed, nodes, cut, silence = true, lossRate = 0 }: Cutting): number {
  const cluster = new Cluster({ nodes, seed, tuning: QUICK, features: { ...ALL_FEATURES, silence } })
  cluster.startAll(500)
  cluster.run(3_000 + 1_000 * cluster.random())
  cluster.network.conditions.lossRate = lossRate
  const index = cluster.pick(cluster.running())
  const away = cluster.nameOf(index)
  let views = 0
  cluster.watch((seen) => {
    if (seen.type === 'member' && seen.event === 'dead' && ![seen.observer, seen.member].includes(away)) views++
  })
  const heal =
    cut === 'hears nobody, and nobody hears it'
      ? cluster.partition([index])
      : cluster.cutOneWay([index], cut === 'hears nobody')
  cluster.run(3_000 + 12_000 * cluster.random())
  heal()
  cluster.run(AFTERWARDS_MS)
  return views
}

function sum(seeds: number, cutting: Omit<Cutting, 'seed'>): number {
  let views = 0
  for (let seed = 1; seed <= seeds; seed++) views += falseViews({ seed, ...cutting })
  return views
}

describe.each(['hears nobody, and nobody hears it', 'hears nobody', 'is heard by nobody'] as const)(
  'a node that for some seconds %s',
  (cut) => {
    it.each([3, 6, 12])('and comes back to %i nodes has none of them buried by others', (nodes) =>
      expect(sum(40, { nodes, cut })).toBe(0),
    )
  },
)

it('with a quarter of the packets lost as well it buries hardly anybody', () => {
  expect(sum(40, { nodes: 6, cut: 'hears nobody, and nobody hears it', lossRate: 0.25 })).toBeLessThanOrEqual(4)
})

it('without the rule such returns bury healthy members in views of others', () => {
  const without = { nodes: 6, cut: 'hears nobody, and nobody hears it', silence: false } as const
  expect(sum(40, without)).toBeGreaterThan(10)
})

it('the one survivor of a mass crash buries all others, and whoever comes then learns of none of them as alive', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const cluster = new Cluster({ nodes: 7, seed, tuning: QUICK })
    for (let i = 0; i < 6; i++) cluster.start(i)
    cluster.run(3_000)
    for (let i = 1; i < 6; i++) cluster.crash(i)
    const survivor = cluster.node(0)
    const gone = [1, 2, 3, 4, 5].map((index) => cluster.nameOf(index))
    expect(cluster.runUntil(() => gone.every((name) => survivor.stateOf(name) === 'dead'), 60_000)).toBeDefined()
    cluster.start(6)
    cluster.run(30_000)
    expect(survivor.seesAlive(cluster.nameOf(6))).toBe(true)
    const alive = [survivor, cluster.node(6)].map((node) => gone.filter((name) => node.seesAlive(name)))
    expect(alive, `seed ${seed}`).toEqual([[], []])
  }
})
