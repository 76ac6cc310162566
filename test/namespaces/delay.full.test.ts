/** A far network, and one that is stuck for a moment: slow is not dead. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DelayedNetwork } from '../support/delayed-network.js'
import { NetworkedNodes, nameOf, SERVICE } from '../support/networked-nodes.js'
import { networkMissing } from '../support/switched-hosts.js'
import { holdsFor, until } from '../support/until.js'

const FAR = { delayMs: 50, jitterMs: 10 }
const STUCK = { delayMs: 2_000, jitterMs: 10 }
const STUCK_FOR_MS = 3_000
/** Longer than the suspicions that the stuck network raises, were they not refuted. */
const AFTER_MS = 12_000
/** What a loaded machine may add to a round trip. */
const SLACK_MS = 150

let delayed: DelayedNetwork
let nodes: NetworkedNodes

describe.skipIf(networkMissing('socat', 'setpriv') !== undefined)('six nodes 50 ms apart', () => {
  beforeAll(async () => {
    // The profile's own times: a fourth of them would not cover the round trip.
    const options = { hosts: 6, node: { tuning: {} }, addressOf: DelayedNetwork.address }
    nodes = await NetworkedNodes.make(options, async (network) => {
      delayed = await DelayedNetwork.over(network)
      delayed.set(FAR)
    })
  })
  afterAll(async () => {
    await delayed?.remove()
    await nodes?.remove()
  })

  it('know how far each other is, suspect nobody, and call at the cost of the round trip', async () => {
    const since = Date.now()
    const rtts = await until('each has measured each', async () => {
      const measured = await Promise.all(nodes.hosts.map((host) => rttsAt(host)))
      return measured.every((list) => list.length === nodes.hosts.length - 1) && measured.flat()
    })
    for (const rtt of rtts) expect(rtt).toBeGreaterThan(2 * (FAR.delayMs - FAR.jitterMs))
    const median = rtts.toSorted((a, b) => a - b)[Math.floor(rtts.length / 2)] as number
    expect(median).toBeLessThan(2 * (FAR.delayMs + FAR.jitterMs) + SLACK_MS)

    const first = await callMs(1, 2)
    const calls: number[] = []
    for (let call = 0; call < 10; call++) calls.push(await callMs(1, 2))
    const typical = calls.toSorted((a, b) => a - b)[5] as number
    expect(typical).toBeGreaterThan(2 * (FAR.delayMs - FAR.jitterMs))
    expect(typical).toBeLessThan(2 * (FAR.delayMs + FAR.jitterMs) + SLACK_MS)
    expect(await nodes.suspicionsSince(since)).toEqual([])
    const shown = [median, first, typical].map((ms) => Math.round(ms))
    process.stdout.write(`50 +- 10 ms each way: rtt ${shown[0]} ms, first call ${shown[1]} ms, later ${shown[2]} ms\n`)
  })

  it(`outlive ${STUCK_FOR_MS} ms in which each packet takes two seconds`, async () => {
    const since = Date.now()
    delayed.set(STUCK)
    await holdsFor('nobody is dead', STUCK_FOR_MS, async () => (await nodes.deathsSince(since)).length === 0)
    delayed.set(FAR)
    await holdsFor('nobody is dead', AFTER_MS, async () => (await nodes.deathsSince(since)).length === 0)
    await nodes.untilAgreed('all agree after it')
    expect(await nodes.deathsSince(since)).toEqual([])
    await nodes.untilCallable('each can call each after it')
    process.stdout.write(`stuck: ${(await nodes.suspicionsSince(since)).length} suspicions, nobody died\n`)
    expect(nodes.ended()).toEqual([])
  })
})

async function rttsAt(host: number): Promise<readonly number[]> {
  const { members } = await nodes.at(host).order('inspect')
  return members.flatMap(({ rtt }) => (rtt === undefined ? [] : [rtt]))
}

async function callMs(from: number, to: number): Promise<number> {
  const result = await nodes.at(from).order('attempt', SERVICE, 'who', [], { timeout: 5_000, nodes: [nameOf(to)] })
  if (!result.ok) throw new Error(`${nameOf(from)} cannot call ${nameOf(to)}: ${result.message}`)
  return result.tookMs
}
