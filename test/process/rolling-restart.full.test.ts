/** A rolling restart of ten processes, as a deployment does it, with a service under load all the while. */
import { afterEach, expect, it } from 'vitest'
import { LedgerCluster } from '../support/ledger-cluster.js'

let cluster: LedgerCluster | undefined

afterEach(() => cluster?.stop())

it('ten processes are restarted one after the other under load: no call fails and none is executed twice', async () => {
  cluster = await LedgerCluster.start({ processes: 10, load: { ofEach: 50, ofClient: 250 }, workMs: 250 })
  await cluster.startLoad()
  for (const [index, name] of cluster.names.entries()) {
    expect(await cluster.restart(name, { callsOn: index % 2 === 1, samePorts: index % 3 !== 0 })).toBe('SIGTERM')
    await cluster.untilAnswers([name])
  }
  const { failures, duplicates, chargesExecuted, ...account } = await cluster.settle()
  process.stdout.write(`restarted under load: ${JSON.stringify(account)}\n`)
  expect({ failures, duplicates }).toEqual({ failures: [], duplicates: [] })
  expect(chargesExecuted).toBe(account.charges)
  expect(account.callsPerSecond).toBeGreaterThanOrEqual(500)
}, 180_000)
