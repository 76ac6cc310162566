/** A rolling restart as a deployment does it, with a service under load all the while; ten processes are in the full suite. */
import { afterEach, expect, it } from 'vitest'
import { LedgerCluster } from '../support/ledger-cluster.js'

/** In it a process leaves, tells its callers, waits in vain for them to hang up, and is gone. */
const STALL_MS = 1_500

let cluster: LedgerCluster | undefined

afterEach(() => cluster?.stop())

it('three processes are restarted one after the other under load: no call fails and none is executed twice', async () => {
  cluster = await LedgerCluster.start({ processes: 3, load: { ofEach: 150, ofClient: 300 }, workMs: 250 })
  await cluster.startLoad()
  for (const [index, name] of cluster.names.entries()) {
    expect(await cluster.restart(name, { callsOn: index === 1, samePorts: index === 2 })).toBe('SIGTERM')
    await cluster.untilAnswers([name])
  }
  const { failures, duplicates, charges, chargesExecuted } = await cluster.settle()
  expect({ failures, duplicates }).toEqual({ failures: [], duplicates: [] })
  expect(chargesExecuted).toBe(charges)
})

it('a caller whose event loop stands still while an instance leaves and ends loses no call', async () => {
  cluster = await LedgerCluster.start({ processes: 3, load: { ofEach: 0, ofClient: 400 }, workMs: 3 })
  await cluster.startLoad()
  for (const name of ['p0', 'p1']) {
    const ended = cluster.process(name).terminate()
    standStill(STALL_MS)
    expect(await ended).toBe('SIGTERM')
    await cluster.untilAnswers(['p2'])
  }
  const { failures, duplicates, charges, chargesExecuted } = await cluster.settle()
  expect({ failures, duplicates }).toEqual({ failures: [], duplicates: [] })
  expect(chargesExecuted).toBe(charges)
})

function standStill(ms: number): void {
  const endAt = performance.now() + ms
  while (performance.now() < endAt);
}
