/**
 * Against real serf agents, in plaintext and encrypted: who comes, goes, dies, returns or moves - node or agent - must
 * be seen so on both sides. Each story has members of its own in one cluster, so that all go on side by side.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MemberEvent, Membership } from '../../src/membership/index.js'
import { type SerfAgent, SerfCluster, serfMissing } from '../support/serf.js'
import { until } from '../support/until.js'

const WORKER = fileURLToPath(new URL('../support/serf-guest-worker.ts', import.meta.url))
/** Detection, then the time for which memberlist keeps the dead and their addresses, then a round of probes. */
const MOVE_WITHIN_MS = 150_000
const DETECT_WITHIN_MS = 60_000
/** Each look starts three processes. */
const LOOK_EVERY_MS = 500

const missing = serfMissing()
if (missing !== undefined) process.stderr.write(`\n!!! the interop tests with serf are skipped: ${missing}\n\n`)

const ALLOWED = [
  // memberlist's word for a name that claims another address than the one that is held. These move, and of those that
  // died agents keep name and address until they forget them; `leaver`'s earlier rumours may come late.
  /(Conflicting address|Name conflict) for '?(leaver|mover|serf-5|serf-6)\b/,
  // A restarted agent begins at incarnation 1 again and hears of its former life, from whoever said it first.
  /^serf-[456]: .*Refuting a (suspect|dead) message/,
  // These were killed and restarted at their address: a probe over UDP met nobody, its fallback over TCP the next life.
  /Was able to connect to (restarted|serf-4) over TCP but UDP probes failed/,
  // The agents that are told to leave.
  /Serf shutdown detected, quitting/,
  // At the address of one that was killed, or has closed, nobody listens; everybody else here does.
  /dial tcp \S+: connect: connection refused/,
  // This very process, busy with starting others, stood still for the second that a probe takes.
  /Failed fallback ping: read tcp \S+->127\.0\.[34]\.100:\d+: i\/o timeout/,
]

/**
 * Whoever returns within a second has the incarnation that it left with. memberlist takes it in at another address whatever
 * its incarnation is, and then believes a late rumour that it left; but Serf knows that it is there, and calls that a
 * failure. The node hears of it, and contradicts at once.
 */
function withoutEchoes(lives: readonly string[]): string[] {
  const isEcho = (at: number): boolean =>
    lives[at - 2] === 'leave' && lives[at - 1] === 'join' && lives[at] === 'failed' && lives[at + 1] === 'join'
  return lives.filter((_, at) => !isEcho(at) && !isEcho(at - 1))
}

const KINDS = [
  { kind: 'plaintext', net: '127.0.3', key: undefined },
  { kind: 'encryption', net: '127.0.4', key: randomBytes(32).toString('base64') },
]

describe.skipIf(missing !== undefined).concurrent.each(KINDS)('with $kind', ({ net, key }) => {
  const events: MemberEvent[] = []
  const open: Membership[] = []
  const workers: ChildProcess[] = []
  let cluster: SerfCluster
  let watcher: Membership
  /** These run from beginning to end. */
  let steady: readonly SerfAgent[]

  beforeAll(async () => {
    cluster = await SerfCluster.start(
      [1, 2, 3, 4, 5, 6].map((host) => `${net}.${host}`),
      key,
    )
    steady = cluster.agents.slice(0, 3)
    watcher = await start('watcher', { onEvent: (event) => events.push(event) })
  })

  afterAll(async () => {
    for (const worker of workers) worker.kill('SIGKILL')
    await Promise.all(open.map((membership) => membership.close()))
    await cluster?.stop()
  })

  function options(name: string): Parameters<typeof Membership.start>[0] {
    const seeds = cluster.agents.slice(0, 3).map(({ address }) => address)
    const keys = key === undefined ? {} : { keys: [key] }
    return { cluster: '', name, bind: `${net}.100:0`, delegateProtocol: 'serf', seeds, tags: { of: name }, ...keys }
  }

  async function start(name: string, more: Partial<Parameters<typeof Membership.start>[0]> = {}): Promise<Membership> {
    const membership = await Membership.start({ ...options(name), ...more })
    open.push(membership)
    for (const { error } of await membership.joinSeeds()) expect(error).toBeUndefined()
    return membership
  }

  /** A node in a process of its own, at this host and port. */
  async function forkNode(name: string, bind: string): Promise<{ worker: ChildProcess; address: string }> {
    const argument = JSON.stringify({ ...options(name), bind })
    const worker = fork(WORKER, [argument], { execArgv: ['--import', 'tsx'] })
    workers.push(worker)
    const [address] = (await once(worker, 'message', { signal: AbortSignal.timeout(30_000) })) as [string]
    return { worker, address }
  }

  async function kill(worker: ChildProcess): Promise<void> {
    const exited = once(worker, 'exit')
    worker.kill('SIGKILL')
    await exited
  }

  function untilSteadyShow(name: string, status: string, within = 15_000): Promise<unknown> {
    let seen: readonly (string | undefined)[] = []
    const look = async (): Promise<boolean> => {
      seen = await Promise.all(steady.map((agent) => agent.statusOf(name)))
      return seen.every((found) => found === status)
    }
    const show = (): unknown => ({ seen, logs: steady.map((agent) => agent.linesOf(name)) })
    return until(`the agents show ${name} ${status}`, look, { within, every: LOOK_EVERY_MS, show })
  }

  const stateOf = (name: string): string | undefined => watcher.member(name)?.state
  const untilWatched = (name: string, state: string, within = 15_000): Promise<unknown> =>
    until(`${name} is ${state} to the watcher`, () => stateOf(name) === state, { within, show: () => stateOf(name) })
  const watched = (name: string): string[] =>
    events.filter(({ member }) => member.name === name).map(({ type }) => type)

  it('tags are told both ways', async () => {
    await untilSteadyShow('watcher', 'alive')
    watcher.setTags({ of: 'watcher', colour: 'green' })
    for (const agent of steady) {
      await until(`${agent.name} shows the new tags`, async () => {
        const shown = (await agent.members()).find(({ name }) => name === 'watcher')
        return shown?.tags['colour'] === 'green'
      })
      await until(`${agent.name} has its update event`, () => agent.eventsOf('watcher').at(-1) === 'update')
    }
    const [agent] = steady
    await agent!.setTag('colour', 'red')
    await until('an update event with the tags', () =>
      events.some(
        ({ type, member }) => type === 'update' && member.name === agent!.name && member.tags['colour'] === 'red',
      ),
    )
  })

  it('who leaves is shown as left and never as failed, comes back alive elsewhere, and leaves again', async () => {
    for (let life = 1; life <= 3; life++) {
      const leaver = await start('leaver')
      await untilSteadyShow('leaver', 'alive')
      expect(await leaver.leave(5_000)).toEqual({ told: true })
      await untilSteadyShow('leaver', 'left')
      await leaver.close()
      for (const agent of steady) {
        const lives = new Array(life).fill(['join', 'leave']).flat()
        expect(withoutEchoes(agent.eventsOf('leaver')), `${agent.name}: ${agent.linesOf('leaver')}`).toEqual(lives)
      }
      await untilWatched('leaver', 'left')
    }
  })

  it('who is forced to leave by an operator and stays is shown alive again', async () => {
    const forced = await start('forced')
    await untilSteadyShow('forced', 'alive')
    await steady[0]!.forceLeave('forced')
    await until('the node has contradicted', () => {
      const { log } = steady[0]!
      return log.slice(log.indexOf('Force leaving node: forced')).includes('messageJoinType: forced')
    })
    await untilSteadyShow('forced', 'alive')
    expect(await forced.leave(5_000)).toEqual({ told: true })
    await untilSteadyShow('forced', 'left')
  })

  it('an agent that leaves is left, one that is killed is dead, and both are taken back at their address', async () => {
    const agent = cluster.agents[3]!
    await agent.leave()
    await untilWatched(agent.name, 'left')
    const second = await cluster.restart(agent)
    await untilWatched(agent.name, 'alive')
    await second.kill()
    await untilWatched(agent.name, 'dead', DETECT_WITHIN_MS)
    await untilSteadyShow(agent.name, 'failed', DETECT_WITHIN_MS)
    const third = await cluster.restart(agent)
    await untilWatched(agent.name, 'alive')
    await untilSteadyShow(agent.name, 'alive')
    await until('it knows the watcher', async () => (await third.statusOf('watcher')) === 'alive')
    expect(watched(agent.name).filter((type) => type !== 'suspect')).toEqual(['join', 'leave', 'join', 'dead', 'join'])
  })

  it('an agent that is killed and comes back at another address is taken back there', async () => {
    const agent = cluster.agents[4]!
    await agent.kill()
    await untilWatched(agent.name, 'dead', DETECT_WITHIN_MS)
    const moved = await cluster.restart(agent, `${net}.7`)
    await untilWatched(agent.name, 'alive', MOVE_WITHIN_MS)
    expect(watcher.member(agent.name)?.address).toBe(moved.address)
    await untilSteadyShow(agent.name, 'alive', MOVE_WITHIN_MS)
    await until('it knows the watcher', async () => (await moved.statusOf('watcher')) === 'alive')
  })

  it('an agent that leaves and comes back at another address is taken back there at once', async () => {
    const agent = cluster.agents[5]!
    await agent.leave()
    await untilWatched(agent.name, 'left')
    const moved = await cluster.restart(agent, `${net}.8`)
    await untilWatched(agent.name, 'alive')
    expect(watcher.member(agent.name)?.address).toBe(moved.address)
    await untilSteadyShow(agent.name, 'alive')
  })

  it('a process that is killed is failed, and alive again when restarted at its address', async () => {
    const { worker, address } = await forkNode('restarted', `${net}.101:0`)
    await untilSteadyShow('restarted', 'alive')
    await kill(worker)
    await untilSteadyShow('restarted', 'failed', DETECT_WITHIN_MS)
    const again = await forkNode('restarted', address)
    await untilSteadyShow('restarted', 'alive')
    // Within the second after: nobody has noticed that it was gone.
    await kill(again.worker)
    await forkNode('restarted', address)
    await untilSteadyShow('restarted', 'alive')
  })

  it('a process that is killed and restarted at another address is alive there once the dead one is forgotten', async () => {
    const { worker } = await forkNode('mover', `${net}.102:0`)
    await untilSteadyShow('mover', 'alive')
    await kill(worker)
    const { address } = await forkNode('mover', `${net}.103:0`)
    await untilSteadyShow('mover', 'failed', DETECT_WITHIN_MS)
    await untilSteadyShow('mover', 'alive', MOVE_WITHIN_MS)
    for (const agent of steady) {
      const shown = (await agent.members()).find(({ name }) => name === 'mover')
      expect(shown?.addr).toBe(address)
    }
    await untilWatched('mover', 'alive')
    expect(watcher.member('mover')?.address).toBe(address)
  })

  it.sequential('and no agent has a complaint about any of it', () => {
    for (const agent of steady) {
      expect(agent.eventsOf('watcher'), agent.name).toEqual(['join', 'update'])
    }
    expect(watched('watcher')).toEqual(['join', 'update'])
    expect(cluster.complaints(ALLOWED)).toEqual([])
  })
})
