import { describe, expect, it } from 'vitest'
import { Cluster } from './cluster.js'
import { simulate } from './simulate.js'
import { sweep } from './sweep.js'

const held = (scenario: string, nodes: number, seeds: number = 5): void =>
  expect(sweep({ scenario, nodes, loss: 0.2, firstSeed: 1, seeds }).failures).toEqual([])

describe('one seed is one history', () => {
  it('the same seed replays to the same trace, another one does not', () => {
    const run = (seed: number) => simulate({ scenario: 'chaos', nodes: 12, seed, loss: 0.2 })
    const first = run(7)
    expect(run(7)).toEqual(first)
    expect(run(8).hash).not.toBe(first.hash)
  })

  it('a node alone runs for an hour and sends nothing', () => {
    const cluster = new Cluster({ nodes: 1, seed: 1 })
    cluster.provide(0, 'lonely')
    cluster.startAll(0)
    cluster.run(3_600_000)
    expect(cluster.counts.packets).toBe(0)
    expect(cluster.node(0).members()).toHaveLength(1)
    expect(cluster.node(0).lists('lonely', cluster.nameOf(0))).toBe(true)
  })
})

describe.each([3, 5, 10])('%i nodes', (nodes) => {
  it('in a calm network nobody is suspected, through a leave, a return and changes of services', () =>
    held('calm', nodes))
  it('a crash is known everywhere within the bound of the suspicion formulas', () => held('crash', nodes))
  it('a short partition heals', () => held('partition', nodes))
  it('two halves that buried each other are brought together again', () => held('long-partition', nodes))
  it('a stalled node convicts nobody and is not convicted', () => held('stall', nodes))
  it('a link that is open one way only kills neither end', () => held('one-way', nodes))
  it('all of them restart under the same names and agree', () => held('mass-restart', nodes))
  it('who leaves is left, at once, for everybody', () => held('leave', nodes))
})

describe('two halves of 30 nodes that were apart for five minutes', () => {
  it('agree again within 10 s, for three seeds', () => held('split', 30, 3), 120_000)
})

describe('10 nodes in chaos', () => {
  it('agree again when it is over, for twenty seeds', () => held('chaos', 10, 20))
})
