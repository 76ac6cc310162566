import { expect, it } from 'vitest'
import { Cluster } from './cluster.js'
import { viewsAgree } from './snapshot-checkers.js'

const NODES = 1_000

it('1,000 nodes that start within two seconds all see each other from one seed', () => {
  const cluster = new Cluster({ nodes: NODES, seed: 1 })
  cluster.startAll(2_000)
  const isWhole = (): boolean =>
    cluster.running().length === NODES && cluster.running().every((index) => cluster.node(index).liveCount === NODES)
  expect(cluster.runUntil(isWhole, 30_000, 200)).toBeDefined()
  expect(viewsAgree(cluster.snapshot())).toEqual([])
}, 1_800_000)
