/**
 * A process is killed under load; ten of them are in the full suite. Membership is slowed down so far that it learns
 * nothing by itself: what happens here follows from the broken connections alone.
 */
import { afterEach, expect, it } from 'vitest'
import { Ledger } from '../support/ledger.js'
import { LedgerCluster } from '../support/ledger-cluster.js'
import { PortWatch } from '../support/port-watch.js'
import { until } from '../support/until.js'

const VICTIM = 'p1'
/** By its turn the victim would be probed once in a minute or two. */
const SLOW = { probeIntervalMs: 60_000, probeTimeoutMs: 200, pushPullIntervalMs: 3_600_000 }

let cluster: LedgerCluster | undefined

afterEach(() => cluster?.stop())

it('the others call a killed process no more 100 ms after its connections broke, and membership looks after it at once', async () => {
  cluster = await LedgerCluster.start({
    processes: 3,
    load: { ofEach: 150, ofClient: 300 },
    workMs: 100,
    options: { profile: 'local', tuning: SLOW, recheckInterval: 0 },
  })
  await cluster.startLoad()
  const losses = await cluster.kill(VICTIM)
  // A probe that UDP leaves unanswered goes on over TCP after its timeout: each of the others knocks.
  const watch = await PortWatch.start(cluster.addressOf(VICTIM))
  try {
    await until('all three others have probed it', () => watch.connections >= 3, { within: 5_000 })
  } finally {
    watch.stop()
  }
  await cluster.untilAnswers(['p0', 'p2'])
  const lost = await losses()
  const { failures, duplicates } = await cluster.settle()

  expect(lost).toHaveLength(3)
  expect(lost.filter(({ lostAt, lateCalls }) => lostAt === undefined || lateCalls > 0)).toEqual([])
  expect(failures.length, 'a call was under way on the victim, so that the rule was put to the test').toBeGreaterThan(0)
  expect(failures.filter((failure) => !LedgerCluster.isLossOn(VICTIM, failure))).toEqual([])
  expect(duplicates.filter((id) => id.startsWith('charge/'))).toEqual([])
})

it('a caller that had nothing under way when the connection broke does not try the killed process either', async () => {
  cluster = await LedgerCluster.start({
    processes: 3,
    load: { ofEach: 0, ofClient: 0 },
    workMs: 0,
    options: { profile: 'local', tuning: SLOW, recheckInterval: 0 },
  })
  const { client, names } = cluster
  for (const name of names) await client.callCb(Ledger, 'charge', [`first/${name}`, 0], { nodes: [name] })
  const peer = () => client.inspect().rpc.peers.peers.filter(({ node }) => node === VICTIM)
  await cluster.process(VICTIM).kill()
  await until('the connection broke', () => peer().every(({ connections }) => connections.length === 0))
  const before = peer().length === 0 ? 0 : 1
  for (let i = 0; i < 20; i++) expect(await client.callCb(Ledger, 'charge', [`then/${i}`, 0])).not.toBe(VICTIM)
  expect(peer().reduce((calls, each) => calls + each.calls, 0)).toBeLessThanOrEqual(before)
  expect(client.getNodes(Ledger)).toContain(VICTIM)
})
