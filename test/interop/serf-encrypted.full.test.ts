/**
 * Against real serf agents that encrypt: a shoal node with their key must be one of them, stay so while the keys are
 * replaced on both sides, and a node without it must not get in.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MemberEvent, Membership } from '../../src/membership/index.js'
import { SerfCluster, type SerfMember, serfMissing } from '../support/serf.js'
import { pause, until } from '../support/until.js'

const HOSTS = ['127.0.0.21', '127.0.0.22', '127.0.0.23']
const WATCH_MS = 4_000
const LOOK_EVERY_MS = 250

const missing = serfMissing()
if (missing !== undefined) process.stderr.write(`\n!!! the interop tests with serf are skipped: ${missing}\n\n`)

describe.skipIf(missing !== undefined).each([16, 32])(
  'a membership among serf agents with a key of %d bytes',
  (size) => {
    const oldKey = randomBytes(size).toString('base64')
    const newKey = randomBytes(32).toString('base64')
    const events: MemberEvent[] = []
    let cluster: SerfCluster
    let membership: Membership

    beforeAll(async () => {
      cluster = await SerfCluster.start(HOSTS, oldKey)
      membership = await Membership.start({
        ...options('shoal'),
        keys: [oldKey],
        onEvent: (event) => events.push(event),
      })
    })

    afterAll(async () => {
      await membership?.close()
      await cluster?.stop()
    })

    function options(name: string): Parameters<typeof Membership.start>[0] {
      const seeds = cluster.agents.map(({ address }) => address)
      return { cluster: '', name, bind: '127.0.0.1:0', delegateProtocol: 'serf', seeds, tags: { role: 'shoal' } }
    }

    async function shown(index: number): Promise<SerfMember | undefined> {
      return (await cluster.agents[index]!.members()).find(({ name }) => name === membership.name)
    }

    /** Each agent must show the node alive, and the node each agent, in every look. Gives the number of looks. */
    async function watch(forMs: number): Promise<number> {
      const endAt = performance.now() + forMs
      let looks = 0
      do {
        for (const [index, agent] of cluster.agents.entries()) {
          expect((await shown(index))?.status, `at ${agent.name} after ${looks} looks`).toBe('alive')
          expect(membership.member(agent.name)?.state, agent.name).toBe('alive')
          looks++
        }
        await pause(LOOK_EVERY_MS)
      } while (performance.now() < endAt)
      return looks
    }

    it('joins by each of its seeds and sees the agents alive, with their tags', async () => {
      const results = await membership.joinSeeds()
      expect(results.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
      for (const { name, address } of cluster.agents) {
        await until(`${name} is alive`, () => membership.member(name)?.state === 'alive')
        expect(membership.member(name)).toMatchObject({ address, tags: { of: name } })
      }
    })

    it(`is alive with its tags in every answer of every agent for ${WATCH_MS} ms`, async () => {
      for (const index of HOSTS.keys()) {
        await until('the agent shows it', async () => (await shown(index))?.status === 'alive')
        expect((await shown(index))?.tags).toEqual({ role: 'shoal' })
      }
      expect(await watch(WATCH_MS)).toBeGreaterThan(3 * HOSTS.length)
      expect(events.filter(({ type }) => type !== 'join')).toEqual([])
    })

    it('hears new tags and is heard', async () => {
      membership.setTags({ role: 'shoal', colour: 'green' })
      for (const index of HOSTS.keys()) {
        await until('the agent shows the new tags', async () => (await shown(index))?.tags['colour'] === 'green')
      }
    })

    it('keeps its place while the key is replaced on the agents and here', async () => {
      const before = events.length
      const commands: Promise<string>[] = []
      const [agent] = cluster.agents
      const onAllAgents = async (action: 'install' | 'use' | 'remove', key: string): Promise<void> => {
        // The command itself waits for an answer of every member, which we are and do not give.
        commands.push(agent!.keys(action, key))
        const received = `Received ${action}-key query`
        await until(`every agent: ${received}`, () => cluster.agents.every(({ log }) => log.includes(received)))
      }
      membership.keyring.add(newKey)
      await onAllAgents('install', newKey)
      await watch(1_000)
      membership.keyring.use(newKey)
      await watch(1_000)
      await onAllAgents('use', newKey)
      await watch(1_000)
      await onAllAgents('remove', oldKey)
      membership.keyring.remove(oldKey)
      expect(membership.keyring.list()).toEqual([newKey])
      await watch(WATCH_MS)
      membership.setTags({ role: 'shoal', colour: 'red' })
      for (const index of HOSTS.keys()) {
        await until('the agent shows the tags', async () => (await shown(index))?.tags['colour'] === 'red')
      }
      await Promise.all(commands)
      const types = events.slice(before).map(({ type }) => type)
      expect(types.filter((type) => type !== 'update')).toEqual([])
    })

    it('gave no agent a reason to complain so far', () => {
      expect(cluster.complaints()).toEqual([])
    })

    it('has left the old key behind with the agents: who has only that no longer gets in', async () => {
      const late = await Membership.start({ ...options('late'), keys: [oldKey] })
      for (const { error } of await late.joinSeeds()) expect(error).toContain('none of the keys')
      expect(late.members().map(({ name }) => name)).toEqual(['late'])
      await late.close()
    })

    it('gets to know nobody with another key or with none, and is told why', async () => {
      for (const [keys, words] of [
        [[randomBytes(size)], 'none of the keys'],
        [undefined, 'this node has no keys'],
      ] as const) {
        const stranger = await Membership.start({ ...options('stranger'), ...(keys === undefined ? {} : { keys }) })
        const results = await stranger.joinSeeds()
        expect(results).toHaveLength(HOSTS.length)
        for (const { error } of results) expect(error).toContain(words)
        expect(stranger.members().map(({ name }) => name)).toEqual(['stranger'])
        await stranger.close()
      }
      expect(membership.member('stranger')).toBeUndefined()
    })
  },
)
