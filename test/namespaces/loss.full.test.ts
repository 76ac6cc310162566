/** A fifth of the packets lost for a minute: who lives must not die, and news must still get through. */
import { describe, expect, it } from 'vitest'
import { NetworkedNodes, nameOf } from '../support/networked-nodes.js'
import { networkMissing } from '../support/switched-hosts.js'

const LOSS_MS = 60_000
const NEWS_LIMIT_MS = 15_000
const SPARE = 7

interface News {
  readonly join: number[]
  readonly service: number[]
  readonly leave: number[]
}

describe.skipIf(networkMissing() !== undefined).concurrent('for a minute of random loss, six nodes', () => {
  it('hold nobody for dead and take in all news with 20 % of UDP lost', () =>
    NetworkedNodes.use({ hosts: 6, spare: 1 }, async (nodes) => {
      const since = Date.now()
      nodes.network.fault('meta l4proto udp numgen random mod 100 < 20 drop')
      await passNewsUntil(nodes, since + LOSS_MS, '20 % of UDP lost')
      expect(await nodes.deathsSince(since)).toEqual([])
    }))

  it('take in all news with 20 % of all packets lost, and agree when that is over', () =>
    NetworkedNodes.use({ hosts: 6, spare: 1 }, async (nodes) => {
      const since = Date.now()
      nodes.network.fault('numgen random mod 100 < 20 drop')
      await passNewsUntil(nodes, since + LOSS_MS, '20 % of all lost')
      const deaths = await nodes.deathsSince(since)
      process.stdout.write(`20 % of all lost: ${JSON.stringify(deaths)} declared dead\n`)
      nodes.network.heal()
      await nodes.untilAgreed('all agree after the loss', nodes.hosts, 10_000)
      await nodes.untilCallable('each can call each after the loss')
    }))
})

/** A node joins, a service appears, the node leaves, again and again: how long each takes to be known everywhere. */
async function passNewsUntil(nodes: NetworkedNodes, endAt: number, label: string): Promise<void> {
  const settled = nodes.hosts
  const news: News = { join: [], service: [], leave: [] }
  while (Date.now() < endAt) {
    const guest = await nodes.start(SPARE)
    news.join.push(await nodes.untilAgreed('all know the newcomer and its service', nodes.hosts, NEWS_LIMIT_MS))
    const service = `news-${news.service.length}`
    const owner = settled[news.service.length % settled.length] as number
    await nodes.at(owner).order('provide', service)
    news.service.push(
      await nodes.untilViews(`all list ${service}`, nodes.hosts, listsOnly(service, owner), NEWS_LIMIT_MS),
    )
    await guest.order('leave')
    nodes.forget(SPARE)
    const left = await nodes.untilViews('all know that it left', settled, hasLeft, NEWS_LIMIT_MS)
    news.leave.push(left)
    await guest.kill()
  }
  const suspicions = await nodes.suspicionsSince(endAt - LOSS_MS)
  process.stdout.write(`${label}: ${show(news)}; ${suspicions.length} suspicions\n`)
}

type Holds = Parameters<NetworkedNodes['untilViews']>[2]

function listsOnly(service: string, owner: number): Holds {
  return ({ services }) => services[service]?.join() === nameOf(owner)
}

const hasLeft: Holds = ({ members }) => members[nameOf(SPARE)] === 'left'

function show(news: News): string {
  const all = Object.entries(news).map(([kind, times]: [string, number[]]) => {
    const sorted = [...times].sort((a, b) => a - b)
    return `${kind} p50 ${sorted[Math.floor((sorted.length - 1) / 2)]} ms, max ${sorted.at(-1)} ms of ${sorted.length}`
  })
  return all.join('; ')
}
