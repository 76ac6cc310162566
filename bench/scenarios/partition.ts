/**
 * A cluster of real processes on two hosts of a switched network, which is cut between them until each half has buried
 * the other, and healed. The hosts are network namespaces, so it takes root.
 */
import { SwitchedHosts } from '../../test/support/switched-hosts.js'
import { machineMs } from '../lib/clock.js'
import { type ClusterParts, ProcessCluster } from '../lib/cluster.js'
import type { Times } from '../lib/spread.js'
import type { Worker } from '../lib/worker-process.js'
import { type ConvergenceSink, during, type Limits, observe, since } from './convergence.js'

const LIMIT_MS = 120_000

export async function runPartition(parts: ClusterParts, nodes: number, sink: ConvergenceSink): Promise<void> {
  sink.step(`two halves of ${nodes} processes`)
  const network = await SwitchedHosts.make(2)
  const cluster = new ProcessCluster(parts)
  try {
    const add = async (i: number): Promise<Worker> => {
      const host = 1 + (i % 2)
      const bind = `${network.address(host)}:0`
      return (await cluster.add({ bind, enter: network.enter(host), expected: nodes })).worker
    }
    const seed = await add(0)
    const workers = [seed, ...(await Promise.all(Array.from({ length: nodes - 1 }, (_, i) => add(i + 1))))]
    await observe(workers, 'complete', { since: 0, limitMs: LIMIT_MS })
    if (!(await cluster.quiet())) sink.miss('the halves did not become quiet before the cut')
    const halves = [workers.filter((_worker, i) => i % 2 === 0), workers.filter((_worker, i) => i % 2 === 1)] as const
    await during(cluster, 'partition', sink, async () => {
      const at = machineMs()
      network.cut([1], [2])
      sink.spread(
        'partition: other half dead',
        since(at, await seeOther(halves, 'dead', { since: at, limitMs: LIMIT_MS })),
      )
    })
    await during(cluster, 'heal', sink, async () => {
      const at = machineMs()
      network.heal()
      sink.spread('heal: other half alive', since(at, await seeOther(halves, 'join', { since: at, limitMs: LIMIT_MS })))
    })
  } finally {
    await cluster.stop()
    await network.remove()
  }
}

/** For each observer the time at which it had seen it of all in the other half. */
async function seeOther(
  halves: readonly [readonly Worker[], readonly Worker[]],
  what: string,
  limits: Limits,
): Promise<Times> {
  const views = ([own, other]: readonly [readonly Worker[], readonly Worker[]]): Promise<Times>[] =>
    own.map(async (observer) => {
      const each = await Promise.all(other.map(({ name }) => observe([observer], `${what} ${name}`, limits)))
      const times = each.map(([time]) => time)
      return times.includes(undefined) ? [undefined] : [Math.max(...(times as number[]))]
    })
  const [left, right] = halves
  return (await Promise.all([...views([left, right]), ...views([right, left])])).flat()
}
