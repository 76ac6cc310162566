/** Trouble on a host itself: sends that the kernel refuses, ICMP in place of answers, an interface that goes down. */
import { describe, expect, it } from 'vitest'
import { NetworkedNodes, nameOf, QUICK_SUSPICION_MAX_MS } from '../support/networked-nodes.js'
import { networkMissing } from '../support/switched-hosts.js'
import { holdsFor, until } from '../support/until.js'

/** A suspicion that nobody refutes ends in a death well within it. */
const HOLD_MS = QUICK_SUSPICION_MAX_MS + 4_000
const PULLED_MS = 10_000
/** Of 300 simulated returns of this kind 99 % were whole again within 9 s, the slowest after 12.9 s. */
const RETURN_LIMIT_MS = 20_000

describe.skipIf(networkMissing() !== undefined).concurrent('six nodes', () => {
  it('take sends that are refused or answered by ICMP for lost ones', () =>
    NetworkedNodes.use({ hosts: 6 }, async (nodes) => {
      const since = Date.now()
      const { network } = nodes
      network.faultAt(1, 'output', `ip daddr ${network.address(2)} meta l4proto udp drop`)
      network.faultAt(3, 'output', `ip daddr ${network.address(4)} reject with icmp type host-unreachable`)
      network.faultAt(5, 'input', `ip saddr ${network.address(6)} reject with icmp type port-unreachable`)
      await until('the refused sends are counted', async () => {
        return (await sendErrors(nodes, 1)) > 0 && (await sendErrors(nodes, 3)) > 0
      })
      await holdsFor('nobody is dead', HOLD_MS, async () => (await nodes.deathsSince(since)).length === 0)
      network.faultAt(1, 'output')
      network.faultAt(3, 'output')
      network.faultAt(5, 'input')
      await nodes.untilAgreed('all agree after it')
      await nodes.untilCallable('each can call each after it')
      expect(await nodes.deathsSince(since)).toEqual([])
    }))

  it('bury one whose interface is down, and have it back when that is up again', () =>
    NetworkedNodes.use({ hosts: 6 }, async (nodes) => {
      const pulled = 5
      const others = nodes.hosts.filter((host) => host !== pulled)
      const since = Date.now()
      nodes.network.setLink(pulled, 'down')
      const buriedMs = await nodes.untilViews('the others bury it', others, ({ members }) => {
        return members[nameOf(pulled)] === 'dead'
      })
      await until('it has failed to send', async () => (await sendErrors(nodes, pulled)) > 0)
      await holdsFor('it runs on', PULLED_MS - (Date.now() - since), () => nodes.at(pulled).isRunning)
      nodes.network.setLink(pulled, 'up')
      const equalMs = await nodes.untilAgreed('all agree when it is up again', nodes.hosts, RETURN_LIMIT_MS)
      await nodes.untilCallable('each can call each')
      const deaths = await nodes.deathsSince(since, others)
      expect(new Set(deaths.map(({ name }) => name))).toEqual(new Set([nameOf(pulled)]))
      process.stdout.write(`interface down: buried after ${buriedMs} ms, equal ${equalMs} ms after it is up\n`)
    }))
})

async function sendErrors(nodes: NetworkedNodes, host: number): Promise<number> {
  return (await nodes.at(host).order('inspect')).membership.sendErrors
}
