/**
 * As many nodes as serf agents in one cluster, for two minutes of everyday life: nobody may suspect anybody to death,
 * no agent may be told of changes that were none, and what the nodes tell each other must stay among them. Whole nodes
 * in plaintext, and at the same time a smaller cluster of memberships with a key.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNode, type ShoalNode } from '../../src/index.js'
import { Membership } from '../../src/membership/index.js'
import { SerfCluster, serfMissing } from '../support/serf.js'
import { pause, until } from '../support/until.js'

const WATCH_MS = 120_000
const CHANGE_EVERY_MS = 2_000

const missing = serfMissing()
if (missing !== undefined) process.stderr.write(`\n!!! the interop tests with serf are skipped: ${missing}\n\n`)

const hosts = (net: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${net}.${i + 1}`)

/** Every agent must have seen each of these names join and nothing else, and have no complaint. */
function expectCalm(cluster: SerfCluster, names: readonly string[]): void {
  for (const agent of cluster.agents) {
    for (const name of names) expect(agent.eventsOf(name), `${name} at ${agent.name}`).toEqual(['join'])
  }
  expect(cluster.complaints()).toEqual([])
}

/** All that nodes tell agents in user messages: serf's own join intents. */
function userMessageTypes(cluster: SerfCluster): string[] {
  const types = cluster.agents.flatMap(({ log }) =>
    [...log.matchAll(/serf: message(\w+?)Type/g)].map(([, type]) => type!),
  )
  return [...new Set(types)]
}

describe.skipIf(missing !== undefined).concurrent('two minutes of nodes among serf agents', () => {
  const heard: string[] = []
  const nodes: ShoalNode[] = []
  let cluster: SerfCluster

  beforeAll(async () => {
    cluster = await SerfCluster.start(hosts('127.0.5', 10))
    const seeds = cluster.agents.slice(0, 3).map(({ address }) => address)
    for (let i = 1; i <= 10; i++) {
      const name = `node-${i}`
      const options = {
        cluster: '',
        bind: `127.0.5.${100 + i}:0`,
        delegateProtocol: 'serf',
        requireSeed: true,
      } as const
      const node = await createNode({ ...options, name, seeds, tags: { of: name } })
      node.on('member', ({ type, member }) => heard.push(`${type} ${member.name} at ${name}`))
      nodes.push(node)
      await node.provide(`service-${i}`, { who: () => name })
    }
  })

  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.close()))
    await cluster?.stop()
  })

  it('ten whole nodes and ten agents see each other alive all the while, and services change unseen by agents', async () => {
    const names = [...nodes, ...cluster.agents].map(({ name }) => name)
    await until('all see all', () => nodes.every((node) => aliveAt(node).length === names.length), { within: 30_000 })
    await until('all agents see all', () =>
      cluster.agents.every((agent) => names.every((name) => agent.eventsOf(name).length > 0)),
    )
    const endAt = performance.now() + WATCH_MS
    for (let change = 0; performance.now() < endAt; change++) {
      const node = nodes[change % nodes.length]!
      const registration = await node.provide('passing', { ping: () => 'pong' })
      await pause(CHANGE_EVERY_MS)
      await registration.stop()
    }
    expect(heard.filter((line) => !/^(join|suspect|alive) /.test(line))).toEqual([])
    for (const node of nodes) {
      expect(aliveAt(node).sort(), node.name).toEqual([...names].sort())
      const running = [...node.getServices().running.keys()].filter((service) => service.startsWith('service-'))
      expect(running, node.name).toHaveLength(nodes.length)
    }
    expectCalm(cluster, names)
    expect(userMessageTypes(cluster)).toEqual(['Join'])
  })

  it.sequential('then all nodes leave, and every agent has seen each of them leave and none fail', async () => {
    await Promise.all(nodes.map((node) => node.leave()))
    for (const agent of cluster.agents) {
      for (const { name } of nodes) {
        await until(`${agent.name} has seen ${name} go`, () => agent.eventsOf(name).length > 1)
        expect(agent.eventsOf(name), `${name} at ${agent.name}`).toEqual(['join', 'leave'])
      }
      const states = (await agent.members()).map(({ name, status }) => `${name} ${status}`)
      expect(states.filter((state) => state.endsWith(' left'))).toHaveLength(nodes.length)
    }
    expect(cluster.complaints()).toEqual([])
  })

  function aliveAt(node: ShoalNode): string[] {
    return node.members().flatMap(({ name, state }) => (state === 'alive' ? [name] : []))
  }
})

describe.skipIf(missing !== undefined).concurrent('two minutes of memberships among serf agents with a key', () => {
  const key = randomBytes(32).toString('base64')
  const heard: string[] = []
  const open: Membership[] = []
  let cluster: SerfCluster

  beforeAll(async () => {
    cluster = await SerfCluster.start(hosts('127.0.6', 4), key)
    for (let i = 1; i <= 4; i++) {
      const name = `sealed-${i}`
      const membership = await Membership.start({
        cluster: '',
        name,
        bind: `127.0.6.${100 + i}:0`,
        delegateProtocol: 'serf',
        keys: [key],
        seeds: [cluster.agents[0]!.address],
        tags: { of: name },
        onEvent: ({ type, member }) => heard.push(`${type} ${member.name} at ${name}`),
      })
      open.push(membership)
      for (const { error } of await membership.joinSeeds()) expect(error).toBeUndefined()
    }
  })

  afterAll(async () => {
    await Promise.all(open.map((membership) => membership.close()))
    await cluster?.stop()
  })

  it('four and four see each other alive all the while', async () => {
    const names = [...open, ...cluster.agents].map(({ name }) => name)
    await until('all agents see all', () =>
      cluster.agents.every((agent) => names.every((name) => agent.eventsOf(name).length > 0)),
    )
    await pause(WATCH_MS)
    expect(heard.filter((line) => !/^(join|suspect|alive) /.test(line))).toEqual([])
    for (const membership of open) {
      expect(membership.members().map(({ state }) => state)).toEqual(names.map(() => 'alive'))
      expect(membership.stats().drops).toEqual({})
    }
    expectCalm(cluster, names)
  })

  it.sequential('then all memberships leave, and every agent has seen each of them leave and none fail', async () => {
    const results = await Promise.all(open.map((membership) => membership.leave(5_000)))
    expect(results).toEqual(open.map(() => ({ told: true })))
    for (const agent of cluster.agents) {
      for (const { name } of open) {
        await until(`${agent.name} has seen ${name} go`, () => agent.eventsOf(name).length > 1)
        expect(agent.eventsOf(name), `${name} at ${agent.name}`).toEqual(['join', 'leave'])
      }
    }
    expect(cluster.complaints()).toEqual([])
  })
})
