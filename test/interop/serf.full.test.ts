/**
 * Against real serf agents, which nobody here wrote: they must take a shoal node for one of their own, and it must see
 * what happens to them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNode, type Member, type ShoalNode } from '../../src/index.js'
import { Membership } from '../../src/membership/index.js'
import { type SerfAgent, SerfCluster, type SerfMember, serfMissing } from '../support/serf.js'
import { pause, until } from '../support/until.js'

const HOSTS = ['127.0.0.11', '127.0.0.12', '127.0.0.13']
const WATCH_MS = 4_000
/** Several rounds of everybody's probes, and a push/pull of the agents. */
const LONG_WATCH_MS = 30_000
const LOOK_EVERY_MS = 250

const missing = serfMissing()
if (missing !== undefined) process.stderr.write(`\n!!! the interop tests with serf are skipped: ${missing}\n\n`)

describe.skipIf(missing !== undefined)('a membership among serf agents', () => {
  let cluster: SerfCluster
  let membership: Membership

  beforeAll(async () => {
    cluster = await SerfCluster.start(HOSTS)
    membership = await Membership.start({
      cluster: '',
      name: 'shoal-membership',
      bind: '127.0.0.1:0',
      delegateProtocol: 'serf',
      seeds: cluster.agents.map(({ address }) => address),
      tags: { role: 'shoal', colour: 'blue' },
    })
  })

  afterAll(async () => {
    await membership?.close()
    await cluster?.stop()
  })

  it('joins by each of its seeds', async () => {
    const results = await membership.joinSeeds()
    expect(results.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
  })

  it('sees the agents alive, with their tags', async () => {
    await until('the three agents alive', () => aliveAgents(membership.members(), cluster).length === 3)
    for (const agent of cluster.agents) {
      const member = membership.member(agent.name)
      expect(member).toMatchObject({ address: agent.address, tags: { of: agent.name }, rpcAddress: undefined })
    }
  })

  it(`is alive with its tags in every answer of every agent for ${WATCH_MS} ms`, async () => {
    const looks = await watch(cluster.agents, membership.name, (member) => {
      expect(member.tags).toEqual({ role: 'shoal', colour: 'blue' })
    })
    expect(looks).toBeGreaterThan(3 * cluster.agents.length)
    expect(aliveAgents(membership.members(), cluster)).toHaveLength(3)
  })

  it('shows new tags to every agent', async () => {
    membership.setTags({ role: 'shoal', colour: 'green' })
    for (const agent of cluster.agents) {
      await until(`${agent.name} shows the new tags`, async () => {
        return (await shown(agent, membership.name))?.tags['colour'] === 'green'
      })
    }
  })

  it('sees a killed agent dead', async () => {
    await seesDeath(() => membership.members(), cluster)
  })

  it('is shown as left by each agent, and never as failed', async () => {
    const { told } = await membership.leave(5_000)
    expect(told).toBe(true)
    await seesLeft(cluster.agents.slice(0, 2), membership.name)
  })

  it('gave no agent a reason to complain', () => {
    expect(complaints(cluster)).toEqual([])
  })
})

describe.skipIf(missing !== undefined)('a whole node among serf agents', () => {
  let cluster: SerfCluster
  let node: ShoalNode
  let other: ShoalNode

  beforeAll(async () => {
    cluster = await SerfCluster.start(HOSTS)
    const options = { cluster: '', bind: '127.0.0.1:0', delegateProtocol: 'serf', requireSeed: true } as const
    const seeds = cluster.agents.map(({ address }) => address)
    node = await createNode({ ...options, seeds, name: 'shoal-node', tags: { role: 'shoal' } })
    other = await createNode({ ...options, seeds: [seeds[0]!], name: 'shoal-other' })
    await node.provide('echo', { say: (text: string) => text })
  })

  afterAll(async () => {
    await Promise.all([node?.close(), other?.close()])
    await cluster?.stop()
  })

  it('finds the other node of its kind through the agents, and is called by it', async () => {
    await other.waitForServices(['echo'])
    expect(await other.callCb('echo', 'say', ['through serf'])).toBe('through serf')
  })

  it(`is alive with its tags in every answer of every agent for ${LONG_WATCH_MS} ms, while services come and go`, async () => {
    let changes = 0
    const check = async (member: SerfMember): Promise<void> => {
      expect(member.tags['role']).toBe('shoal')
      expect(member.tags['_rpc']).toBe(node.rpcAddress)
      expect(member.tags['_b']).toBeTypeOf('string')
      const registration = await node.provide(`passing-${changes++}`, { ping: () => 'pong' })
      await registration.stop()
    }
    const looks = await watch(cluster.agents, node.name, check, LONG_WATCH_MS)
    expect(looks).toBeGreaterThan(3 * cluster.agents.length)
    expect(changes).toBe(looks)
    expect(aliveAgents(node.members(), cluster)).toHaveLength(3)
    expect(node.getNodes('echo')).toEqual(['shoal-node'])
  })

  it('sees a killed agent dead', async () => {
    await seesDeath(() => node.members(), cluster)
    expect(node.members().find(({ name }) => name === 'shoal-other')?.state).toBe('alive')
  })

  it('is shown as left by each agent, and never as failed', async () => {
    await node.leave()
    await seesLeft(cluster.agents.slice(0, 2), node.name)
  })

  it('gave no agent a reason to complain', () => {
    expect(complaints(cluster)).toEqual([])
  })
})

describe.skipIf(missing !== undefined)('three serf agents among fifteen nodes', () => {
  const nodes: Membership[] = []
  let cluster: SerfCluster

  beforeAll(async () => {
    cluster = await SerfCluster.start(HOSTS)
    const seeds = [cluster.agents[0]!.address]
    for (let i = 1; i <= 15; i++) {
      const options = { cluster: '', bind: '127.0.0.1:0', delegateProtocol: 'serf', seeds } as const
      // The boot id is what tells a shoal node from an agent.
      const node = await Membership.start({ ...options, name: `many-${i}`, tags: { _b: String(i) } })
      nodes.push(node)
      await node.joinSeeds()
    }
  })

  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.close()))
    await cluster?.stop()
  })

  it('hear each other’s events and queries', async () => {
    const [first, ...others] = cluster.agents
    for (let i = 1; i <= 5; i++) {
      await first!.sendEvent(`event-${i}`)
      for (const agent of others) {
        await until(`${agent.name} hears it`, () => agent.log.includes(`messageUserEventType: event-${i}`))
      }
      expect(await first!.queryAcks(`query-${i}`)).toBe(cluster.agents.length)
    }
  })

  it('see each other leave, and not fail', async () => {
    const [leaver, ...others] = [...cluster.agents].reverse()
    await leaver!.leave()
    for (const agent of others) {
      await until(`${agent.name} has seen it go`, () => agent.eventsOf(leaver!.name).length > 1)
      expect(agent.eventsOf(leaver!.name), agent.name).toEqual(['join', 'leave'])
    }
  })

  it('have no complaints', () => {
    expect(cluster.complaints([/Serf shutdown detected, quitting/])).toEqual([])
  })
})

/** Asks every agent over and over; each answer must show the node alive and pass `check`. Gives the number of answers. */
async function watch(
  agents: readonly SerfAgent[],
  name: string,
  check: (member: SerfMember) => void | Promise<void>,
  watchMs: number = WATCH_MS,
): Promise<number> {
  const endAt = performance.now() + watchMs
  let looks = 0
  while (performance.now() < endAt) {
    for (const agent of agents) {
      const member = await shown(agent, name)
      expect(member?.status, `at ${agent.name} after ${looks} answers`).toBe('alive')
      await check(member!)
      looks++
    }
    await pause(LOOK_EVERY_MS)
  }
  return looks
}

async function shown(agent: SerfAgent, name: string): Promise<SerfMember | undefined> {
  return (await agent.members()).find((member) => member.name === name)
}

async function seesLeft(agents: readonly SerfAgent[], name: string): Promise<void> {
  for (const agent of agents) {
    await until(`${agent.name} shows it left`, async () => (await shown(agent, name))?.status === 'left')
    expect(agent.eventsOf(name).at(-1)).toBe('leave')
    expect(agent.eventsOf(name)).not.toContain('failed')
  }
}

function aliveAgents(members: readonly Member[], cluster: SerfCluster): readonly Member[] {
  return members.filter(({ name, state }) => state === 'alive' && cluster.agents.some((agent) => agent.name === name))
}

/** Kills the last agent; the two others must stay alive in our eyes all the while. */
async function seesDeath(members: () => readonly Member[], cluster: SerfCluster): Promise<void> {
  const victim = cluster.agents.at(-1)!
  const stateOf = (name: string) => members().find((member) => member.name === name)?.state
  await victim.kill()
  const wronged = new Set<string>()
  await until(
    `${victim.name} is seen dead`,
    () => {
      for (const { name } of cluster.agents) if (name !== victim.name && stateOf(name) !== 'alive') wronged.add(name)
      return stateOf(victim.name) === 'dead'
    },
    { within: 60_000, show: members },
  )
  expect([...wronged]).toEqual([])
}

/** Of the killed agent the others say that their connection to it broke; of us they say nothing. */
function complaints(cluster: SerfCluster): string[] {
  const victim = cluster.agents.at(-1)!
  return cluster.complaints().filter((line) => !line.includes(victim.name) && !line.includes(victim.address))
}
