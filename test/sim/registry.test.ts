/** The registry on virtual time: a thousand services, lost gossip, large metas, and what rechecks cost. */
import { describe, expect, it } from 'vitest'
import { Cluster } from './cluster.js'
import { lostUpdate, quietCost, statusSpread } from './registry-figures.js'

/** A busy machine may take long for little. */
const LIMIT_MS = 120_000

describe('1,000 services on 50 nodes', { timeout: LIMIT_MS }, () => {
  it('a change of status reaches every node within a second, at 99 of 100', () => {
    const times = statusSpread({ nodes: 50, servicesPerNode: 20, changes: 50, lossRate: 0, seed: 1 })
    expect(times).toHaveLength(50 * 49)
    expect(times[Math.ceil(0.99 * times.length) - 1]).toBeLessThanOrEqual(1_000)
    expect(times.at(-1)).toBeLessThan(11_000)
  })
})

describe('an update of which all gossip was lost', { timeout: LIMIT_MS }, () => {
  it.each([
    [1, 2],
    [2, 2],
    [15, 1],
    [29, 3],
  ])('at %i of 30 nodes is everywhere within the recheck interval and a second', (deaf, seeds) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const tookMs = lostUpdate({ nodes: 30, deaf, recheckIntervalMs: 10_000, seed })
      expect(tookMs, `seed ${seed}`).toBeLessThanOrEqual(11_000)
    }
  })

  it('stays lost for a minute where nobody compares', () => {
    expect(lostUpdate({ nodes: 10, deaf: 9, recheckIntervalMs: 0, seed: 1 })).toBeUndefined()
  })
})

describe('rechecks in the quiet', () => {
  it('cost a node under ten bytes a second, whatever the number of services', () => {
    for (const servicesPerNode of [2, 20]) {
      const { streams, streamBytes } = quietCost({ nodes: 10, servicesPerNode, seed: 1 })
      expect(streams).toBeCloseTo(0.11, 1)
      expect(streamBytes).toBeLessThan(10)
    }
  })
})

describe('a large meta', () => {
  it('is everywhere soon, and with a node that returns to a partition at once', () => {
    const cluster = new Cluster({ nodes: 10, seed: 3, conditions: { lossRate: 0.05 } })
    cluster.provide(0, 'big')
    cluster.startAll(500)
    cluster.run(20_000)
    const node = cluster.nameOf(0)
    cluster.node(0).setMeta('big', { version: 1, text: 'x'.repeat(1_000_000) })
    const hasAll = (): boolean =>
      cluster.running().every((index) => cluster.node(index).instance('big', node)?.meta['version'] === 1)
    expect(cluster.runUntil(hasAll, 11_000)).toBeDefined()
    const heal = cluster.partition([0])
    const isGone = (): boolean =>
      cluster.running().every((index) => index === 0 || !cluster.node(index).lists('big', node))
    expect(cluster.runUntil(isGone, 60_000)).toBeDefined()
    heal()
    const before = cluster.counts.streamBytes
    expect(cluster.runUntil(hasAll, 60_000)).toBeDefined()
    expect(cluster.counts.streamBytes - before).toBeLessThan(1_000_000) // nobody fetched it anew
  })
})
