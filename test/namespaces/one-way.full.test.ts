/**
 * Ways that are broken in one direction or for one protocol only. The detector must neither believe the half-deaf nor
 * give up whom anybody still reaches.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NetworkedNodes, nameOf, QUICK_SUSPICION_MAX_MS } from '../support/networked-nodes.js'
import { between, networkMissing } from '../support/switched-hosts.js'
import { holdsFor, until } from '../support/until.js'

/** A suspicion that nobody refutes ends in a death well within it. */
const HOLD_MS = QUICK_SUSPICION_MAX_MS + 4_000
const DEAF_MS = 20_000
const UDP_CUT_MS = 30_000

let nodes: NetworkedNodes

describe.skipIf(networkMissing() !== undefined)('six nodes on a network that', () => {
  beforeAll(async () => {
    nodes = await NetworkedNodes.make({ hosts: 6 })
  })
  afterAll(() => nodes?.remove())
  afterEach(() => expect(nodes.ended()).toEqual([]))

  it.each([
    { what: 'everything', rule: between([2], [3], 'drop') },
    { what: 'UDP', rule: between([2], [3], 'meta l4proto udp drop') },
  ])('loses $what from one node to another keeps both', async ({ rule }) => {
    const since = Date.now()
    nodes.network.fault(rule)
    await holdsFor('nobody is dead', HOLD_MS, async () => (await nodes.deathsSince(since)).length === 0)
    nodes.network.heal()
    await nodes.untilAgreed('all agree after the heal')
    expect(await nodes.deathsSince(since)).toEqual([])
  })

  it('loses all that goes to one node, off and on, buries that node and no other', async () => {
    const deaf = 4
    const others = nodes.hosts.filter((host) => host !== deaf)
    for (let round = 1; round <= 2; round++) {
      const since = Date.now()
      nodes.network.fault(between(others, [deaf], 'drop'))
      const isBuried = nodes.untilViews('the others bury the deaf node', others, ({ members }) => {
        return members[nameOf(deaf)] === 'dead'
      })
      const buriesAll = nodes.untilViews('the deaf node buries all others', [deaf], ({ members }) => {
        return others.every((host) => members[nameOf(host)] === 'dead')
      })
      const [buriedMs, buriesMs] = await Promise.all([isBuried, buriesAll])
      await holdsFor('no healthy node is dead for a healthy one', DEAF_MS - (Date.now() - since), async () => {
        return (await nodes.deathsSince(since, others)).every(({ name }) => name === nameOf(deaf))
      })
      nodes.network.heal()
      const equalMs = await nodes.untilAgreed('all agree after the heal', nodes.hosts, 10_000)
      const deaths = await nodes.deathsSince(since, others)
      // Once each: it does not come back before it can hear, to be buried again.
      expect(deaths.map(({ seenBy, name }) => `${name} at ${seenBy}`).sort()).toEqual(
        others.map((host) => `${nameOf(deaf)} at ${nameOf(host)}`),
      )
      await nodes.untilCallable('each can call each after the heal')
      process.stdout.write(`deaf, round ${round}: buried after ${buriedMs} ms, buries all after ${buriesMs} ms, `)
      process.stdout.write(`equal ${equalMs} ms after the heal\n`)
    }
  })

  it('loses all UDP of one node keeps it by TCP, and says what is wrong', async () => {
    const mute = 5
    const others = nodes.hosts.filter((host) => host !== mute)
    const since = Date.now()
    nodes.network.fault(
      between(others, [mute], 'meta l4proto udp drop'),
      between([mute], others, 'meta l4proto udp drop'),
    )
    const told = await until('each other node says that UDP to it is blocked', async () => {
      const faults = await Promise.all(others.map((host) => nodes.faultsAbout(host, mute, 'udp-blocked')))
      return faults.every((about) => about.length > 0) && faults.length
    })
    expect(told).toBe(others.length)
    if (process.env.DBG) setTimeout(async()=>{const t=(l:any[])=>l.map(e=>`${e.seenBy}:${e.name}+${e.at-since}`).sort((a,b)=>+a.split('+')[1]-+b.split('+')[1]).join(' '); console.log('sus',t(await nodes.suspicionsSince(since) as any[]));console.log('dead',t(await nodes.deathsSince(since) as any[])); for (const h of nodes.hosts) console.log(h, JSON.stringify((await nodes.at(h).order('heard')).members.filter(e=>e.at>since&&e.type!=='suspect').map(e=>`${e.type}:${e.name}+${e.at-since}`)))}, 12000)
    if (process.env.DBG) await new Promise(r=>setTimeout(r,14000))
    await holdsFor('it is alive for all', UDP_CUT_MS - (Date.now() - since), async () => {
      return (await nodes.deathsSince(since)).length === 0
    })
    expect(await nodes.failedCalls()).toEqual([])
    const suspicions = await nodes.suspicionsSince(since)
    nodes.network.heal()
    await nodes.untilAgreed('all agree after the heal')
    expect(await nodes.deathsSince(since)).toEqual([])
    process.stdout.write(`UDP cut for ${UDP_CUT_MS} ms: ${suspicions.length} suspicions, nobody died\n`)
  })
})
