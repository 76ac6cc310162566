/**
 * Ways that are broken in one direction or for one protocol only. The detector must neither believe the half-deaf nor
 * give up whom anybody still reaches.
 */
import { describe, expect, it } from 'vitest'
import { NetworkedNodes, nameOf, QUICK_SUSPICION_MAX_MS } from '../support/networked-nodes.js'
import type { View } from '../support/node-protocol.js'
import { between, networkMissing } from '../support/switched-hosts.js'
import { holdsFor, until } from '../support/until.js'

/** A suspicion that nobody refutes ends in a death well within it. */
const HOLD_MS = QUICK_SUSPICION_MAX_MS + 4_000
const DEAF_MS = 20_000
const UDP_CUT_MS = 30_000
const UDP = 'meta l4proto udp drop'

describe.skipIf(networkMissing() !== undefined).concurrent('six nodes', () => {
  it('live on when one way between two of them loses everything, and another all UDP', () =>
    NetworkedNodes.use({ hosts: 6 }, async (nodes) => {
      const since = Date.now()
      nodes.network.fault(between([2], [3], 'drop'), between([5], [6], UDP))
      await holdsFor('nobody is dead', HOLD_MS, async () => (await nodes.deathsSince(since)).length === 0)
      nodes.network.heal()
      await nodes.untilAgreed('all agree after the heal')
      expect(await nodes.deathsSince(since)).toEqual([])
    }))

  it('bury one of them that hears nothing, once each time, and nobody whom it accuses', () =>
    NetworkedNodes.use({ hosts: 6 }, async (nodes) => {
      for (let round = 1; round <= 2; round++) await deafen(nodes, 4, round)
    }))

  // With the profile's own times: a fourth of them leaves TCP too little time on a loaded machine.
  it('keep one whose UDP is cut from all others by TCP, and say what is wrong with it', () =>
    NetworkedNodes.use({ hosts: 6, node: { tuning: {} } }, async (nodes) => {
      const mute = 5
      const others = nodes.hosts.filter((host) => host !== mute)
      const since = Date.now()
      nodes.network.fault(between(others, [mute], UDP), between([mute], others, UDP))
      const isDiagnosed = async (): Promise<boolean> => {
        const faults = await Promise.all(
          others.map((host) => nodes.faultsAbout(host, mute, 'answers over TCP and not over UDP')),
        )
        return faults.every((about) => about.length > 0)
      }
      await until('each other node says that UDP to it is blocked', isDiagnosed, { within: UDP_CUT_MS })
      await holdsFor('nobody is dead', UDP_CUT_MS - (Date.now() - since), async () => {
        return (await nodes.deathsSince(since)).length === 0
      })
      const suspicions = await nodes.suspicionsSince(since)
      await nodes.untilCallable('each can call each with the UDP of one cut')
      nodes.network.heal()
      await nodes.untilAgreed('all agree after the heal')
      expect(await nodes.deathsSince(since)).toEqual([])
      process.stdout.write(`UDP cut: ${suspicions.length} suspicions in ${UDP_CUT_MS} ms, nobody died\n`)
    }))
})

/**
 * It is heard, but hears nothing: they bury it. It doubts itself first (Lifeguard's health score stretches its probes),
 * then suspects all others; for them its accusations are refuted before they come to anything.
 */
async function deafen(nodes: NetworkedNodes, deaf: number, round: number): Promise<void> {
  const others = nodes.hosts.filter((host) => host !== deaf)
  const since = Date.now()
  nodes.network.fault(between(others, [deaf], 'drop'))
  const [buriedMs, doubtsMs] = await Promise.all([
    nodes.untilViews('the others bury the deaf node', others, ({ members }) => members[nameOf(deaf)] === 'dead'),
    nodes.untilViews('the deaf node doubts all others', [deaf], doubtsAll(others), 2 * DEAF_MS),
  ])
  await holdsFor('no healthy node is dead for a healthy one', DEAF_MS - (Date.now() - since), async () => {
    return (await nodes.deathsSince(since, others)).every(({ name }) => name === nameOf(deaf))
  })
  nodes.network.heal()
  const equalMs = await nodes.untilAgreed('all agree after the heal', nodes.hosts, 10_000)
  const deaths = (await nodes.deathsSince(since, others)).map(({ seenBy, name }) => `${name} at ${seenBy}`)
  expect(deaths.sort()).toEqual(others.map((host) => `${nameOf(deaf)} at ${nameOf(host)}`))
  await nodes.untilCallable('each can call each after the heal')
  const times = `buried after ${buriedMs} ms, doubts all after ${doubtsMs} ms, equal ${equalMs} ms after the heal`
  process.stdout.write(`deaf, round ${round}: ${times}\n`)
}

function doubtsAll(hosts: readonly number[]): (view: View) => boolean {
  return ({ members }) => hosts.every((host) => ['suspect', 'dead'].includes(members[nameOf(host)] ?? ''))
}
