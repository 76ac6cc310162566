/**
 * A way that swallows the packets of calls without a word, while gossip passes: as a firewall does that has forgotten a
 * connection. Nobody is dead, nothing is reset; only the deadline tells the caller, and it must tell the truth.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NetworkedNodes, nameOf, SERVICE } from '../support/networked-nodes.js'
import type { AttemptResult } from '../support/node-protocol.js'
import { between, networkMissing } from '../support/switched-hosts.js'
import { until } from '../support/until.js'

const TIMEOUT_MS = 1_000
/** Deadlines are looked at every 25 ms; the rest is what a loaded machine may add. */
const SLACK_MS = 1_000

type Call = readonly [method: string, args: readonly unknown[]]
const WHO: Call = ['who', []]
const WORK: Call = ['work', [60_000]]

let nodes: NetworkedNodes

describe.skipIf(networkMissing() !== undefined)('with the packets of calls between two nodes swallowed', () => {
  beforeAll(async () => {
    nodes = await NetworkedNodes.make({ hosts: 6, spare: 2 })
  })
  afterAll(() => nodes?.remove())

  it('calls on an open connection end by their deadline as maybe executed, and work again after the heal', async () => {
    const since = Date.now()
    await nodes.untilCallable('each has a connection to each')
    await swallowCalls(1, 2)

    // One that its handler holds, one that never arrives, and one that may fail over but has no time left to.
    const results = await Promise.all([attempt(1, [2], WORK), attempt(1, [2]), attempt(1, [2, 3])])
    for (const result of results) {
      expect(result).toMatchObject({ ok: false, code: 'DEADLINE_EXCEEDED', executed: 'maybe', node: nameOf(2) })
      expect(result.tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 1)
      expect(result.tookMs).toBeLessThan(TIMEOUT_MS + SLACK_MS)
    }
    expect(await attempt(1, [3])).toMatchObject({ ok: true })
    expect(await nodes.deathsSince(since)).toEqual([])

    nodes.network.heal()
    const healedAt = performance.now()
    await until('calls are answered again', async () => (await attempt(1, [2])).ok)
    process.stdout.write(`calls are answered again ${Math.round(performance.now() - healedAt)} ms after the heal\n`)
  })

  it('the connection is given up before a long call ends, and long before that others are called instead', async () => {
    const since = Date.now()
    await nodes.untilCallable('each has a connection to each')
    await swallowCalls(1, 2)
    const long = attempt(1, [2], WORK, 60_000)
    const swallowedAt = performance.now()
    await until('the silence is noticed', async () => {
      return (await nodes.at(1).order('inspect')).rpc.circuits.ejections > 0
    })
    const noticedMs = performance.now() - swallowedAt
    // Whoever may choose goes elsewhere at once, also before the connection is given up.
    for (let i = 0; i < 30; i++) {
      const options = { timeout: 10_000, localFirst: false }
      const result = await nodes.at(1).order('attempt', SERVICE, ...WHO, options)
      if (performance.now() - swallowedAt > 1_000 + noticedMs) break
      expect(result).toMatchObject({ ok: true })
      expect(result.tookMs).toBeLessThan(500)
    }
    const ended = await long
    expect(ended).toMatchObject({ ok: false, code: 'CONNECTION_LOST', executed: 'maybe', node: nameOf(2) })
    expect(ended.tookMs).toBeGreaterThan(10_000)
    expect(ended.tookMs).toBeLessThan(16_000)
    process.stdout.write(`noticed after ${Math.round(noticedMs)} ms, ended after ${Math.round(ended.tookMs)} ms\n`)
    expect(await attempt(1, [2], WHO, 10_000)).toMatchObject({ ok: false, executed: 'no' })
    expect(await nodes.deathsSince(since)).toEqual([])
    nodes.network.heal()
    await until('calls are answered again', async () => (await attempt(1, [2])).ok)
  })

  it('a call that finds no connection was not executed, and another instance takes it', async () => {
    const guest = 7
    await nodes.start(guest)
    await nodes.untilAgreed('all know the newcomer')
    await swallowCalls(guest, 2)
    const alone = await attempt(guest, [2])
    expect(alone).toMatchObject({ ok: false, executed: 'no', node: nameOf(2) })
    // The time for connecting must leave some of the call's own, or there would be no failing over.
    const shared = await attempt(guest, [2, 3], WHO, 5 * TIMEOUT_MS)
    expect(shared).toMatchObject({ ok: true, value: { node: nameOf(3) } })
    nodes.network.heal()
    await until('calls are answered again', async () => (await attempt(guest, [2])).ok)
    expect(nodes.ended()).toEqual([])
  })

  it('a call whose first SYN is lost waits for the second', async () => {
    const guest = 8
    await nodes.start(guest)
    await nodes.untilAgreed('all know the newcomer')
    await swallowCalls(guest, 2)
    const call = attempt(guest, [2], WHO, 5 * TIMEOUT_MS)
    await until('the first SYN is sent', async () => {
      return (await nodes.at(guest).order('inspect')).rpc.peers.connections > 0
    })
    nodes.network.heal()
    expect(await call).toMatchObject({ ok: true, value: { node: nameOf(2) } })
  })
})

/** Both ways of the connections that `from` has opened, or will open, to calls at `to`. */
async function swallowCalls(from: number, to: number): Promise<void> {
  const { rpcAddress } = await nodes.at(to).order('inspect')
  const port = rpcAddress.slice(rpcAddress.lastIndexOf(':') + 1)
  nodes.network.fault(between([from], [to], `tcp dport ${port} drop`), between([to], [from], `tcp sport ${port} drop`))
}

/** The first of `to` is tried first. */
function attempt(from: number, to: readonly number[], call = WHO, timeout = TIMEOUT_MS): Promise<AttemptResult> {
  return nodes.at(from).order('attempt', SERVICE, ...call, { timeout, nodes: to.map(nameOf) })
}
