/** One of ten processes is killed while all call all: who may notice, and how soon nobody does any more. */
import { afterEach, expect, it } from 'vitest'
import { LedgerCluster } from '../support/ledger-cluster.js'
import { PortWatch } from '../support/port-watch.js'
import { until } from '../support/until.js'

const VICTIM = 'p4'

let cluster: LedgerCluster | undefined

afterEach(() => cluster?.stop())

it('of ten processes one is killed: only charges under way on it fail, as maybe executed, and it gets no call 100 ms later', async () => {
  cluster = await LedgerCluster.start({ processes: 10, load: { ofEach: 50, ofClient: 250 }, workMs: 250 })
  const others = cluster.names.filter((name) => name !== VICTIM)
  await cluster.startLoad()
  const losses = await cluster.kill(VICTIM)
  const killedAt = Date.now()
  const watch = await PortWatch.start(cluster.addressOf(VICTIM))
  try {
    // By its turn each would come to it once in ten seconds.
    await until('all ten others have probed it', () => watch.connections >= 10, { within: 4_000 })
  } finally {
    watch.stop()
  }
  await cluster.untilDead(VICTIM)
  await cluster.untilAnswers(others)
  const lost = await losses()
  const heard = await Promise.all(cluster.running.map((process) => process.order('heard')))
  const { failures, duplicates, ...account } = await cluster.settle()
  const suspectedAt = heard.map(
    ({ members }) => members.find(({ type, name }) => type === 'suspect' && name === VICTIM)?.at,
  )
  const figures = {
    failed: failures.length,
    suspectedAfterMs: suspectedAt.map((at) => (at ?? 0) - killedAt),
    ...account,
  }
  process.stdout.write(`killed under load: ${JSON.stringify(figures)}\n`)

  expect(lost).toHaveLength(10)
  expect(lost.filter(({ lostAt, lateCalls }) => lostAt === undefined || lateCalls > 0)).toEqual([])
  expect(failures.length, 'a call was under way on the victim, so that the rule was put to the test').toBeGreaterThan(0)
  expect(failures.filter((failure) => !LedgerCluster.isLossOn(VICTIM, failure))).toEqual([])
  expect(duplicates.filter((id) => id.startsWith('charge/'))).toEqual([])
  expect(account.callsPerSecond).toBeGreaterThanOrEqual(500)
}, 180_000)
