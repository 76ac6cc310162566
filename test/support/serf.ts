/**
 * A cluster of real serf agents on loopback addresses. Owns their processes: each is killed by its own id when the
 * cluster is stopped, and when this process ends in whatever way it can notice.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { until } from './until.js'

const run = promisify(execFile)
/** How often a port that is free for TCP is tried for UDP too. */
const PORT_TRIES = 20
const START_TRIES = 3
const PORT_TAKEN = 'address already in use'

export interface SerfMember {
  readonly name: string
  readonly addr: string
  readonly port: number
  readonly tags: Readonly<Record<string, string>>
  readonly status: 'alive' | 'failed' | 'left' | 'leaving' | 'none'
}

/** Why there is no serf to test with; `undefined` when there is one. */
export function serfMissing(): string | undefined {
  const { error, status } = spawnSync('serf', ['version'], { stdio: 'ignore' })
  if (error === undefined && status === 0) return undefined
  return `the 'serf' binary (Debian package serf) does not run here: ${error?.message ?? `it exits with ${status}`}`
}

/** Agents are started together: one that is not up yet is tried again a second later, and has nothing to do with us. */
const OWN_RETRY = /agent: (error joining|Join failed)/
/** An agent that ends closes its socket while its prober and its gossip may be about to send. */
const OWN_END = /: write udp \S+: use of closed network connection$/

export class SerfAgent {
  readonly name: string
  /** Where it gossips. */
  readonly address: string
  readonly plan: AgentPlan
  readonly #rpcAddress: string
  readonly #process: ChildProcess
  #log = ''

  constructor(plan: AgentPlan) {
    const { name, address, rpcAddress, join, key } = plan
    this.name = name
    this.address = address
    this.plan = plan
    this.#rpcAddress = rpcAddress
    const flags = ['-node', name, '-bind', address, '-rpc-addr', rpcAddress, '-log-level', 'debug']
    const joins = join.flatMap((seed) => ['-retry-join', seed])
    if (key !== undefined) flags.push('-encrypt', key)
    this.#process = spawn('serf', ['agent', ...flags, '-tag', `of=${name}`, '-retry-interval', '1s', ...joins])
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString()
      })
    }
  }

  get log(): string {
    return this.#log
  }

  /** What `serf members` prints for this agent. */
  async members(): Promise<readonly SerfMember[]> {
    const flags = ['members', '-format', 'json', '-rpc-addr', this.#rpcAddress]
    const { stdout } = await run('serf', flags, { timeout: 10_000 })
    return (JSON.parse(stdout) as { members: readonly (Omit<SerfMember, 'addr'> & { addr: string })[] }).members
  }

  /** The status of this name in the eyes of this agent. */
  async statusOf(name: string): Promise<SerfMember['status'] | undefined> {
    return (await this.members()).find((member) => member.name === name)?.status
  }

  /** What this agent told its event handlers of `name`, in order: join, leave, failed, update, reap. */
  eventsOf(name: string): string[] {
    return [...this.#log.matchAll(/EventMember(\w+)(?: \(forced\))?: (\S+)/g)]
      .filter(([, , member]) => member === name)
      .map(([, event]) => event!.toLowerCase())
  }

  /** Its log about `name`. */
  linesOf(name: string): string[] {
    return this.#log.split('\n').filter((line) => line.includes(name))
  }

  async setTag(key: string, value: string): Promise<void> {
    await run('serf', ['tags', '-set', `${key}=${value}`, '-rpc-addr', this.#rpcAddress], { timeout: 10_000 })
  }

  async sendEvent(name: string): Promise<void> {
    await run('serf', ['event', '-rpc-addr', this.#rpcAddress, '-coalesce=false', name], { timeout: 10_000 })
  }

  /** Asks all members, waits two seconds, and gives how many said that they got it. */
  async queryAcks(name: string): Promise<number> {
    const args = ['query', '-rpc-addr', this.#rpcAddress, '-timeout', '2s', name]
    const { stdout } = await run('serf', args, { timeout: 20_000 })
    return Number(/Total Acks: (\d+)/.exec(stdout)?.[1] ?? 0)
  }

  /** Says of another member that it left. */
  async forceLeave(name: string): Promise<void> {
    await run('serf', ['force-leave', '-rpc-addr', this.#rpcAddress, name], { timeout: 20_000 })
  }

  /** Leaves gracefully and ends; resolves when it has ended. */
  async leave(): Promise<void> {
    const exited = once(this.#process, 'exit')
    await run('serf', ['leave', '-rpc-addr', this.#rpcAddress], { timeout: 20_000 })
    await exited
  }

  /**
   * `serf keys` on all agents, started here. It also fails when members that are no agents did not answer it, so its
   * output is all that tells: which it gives, whatever the exit code.
   */
  keys(action: 'install' | 'use' | 'remove', key: string): Promise<string> {
    const args = ['keys', `-${action}=${key}`, '-rpc-addr', this.#rpcAddress]
    return new Promise((resolve) => {
      execFile('serf', args, { timeout: 60_000 }, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`))
    })
  }

  /** SIGKILL, and waits for its end. Does nothing to one that has ended. */
  async kill(): Promise<void> {
    if (this.#process.pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }

  /** For the end of this process, when nothing can be waited for. */
  killNow(): void {
    this.#process.kill('SIGKILL')
  }
}

export class SerfCluster {
  /** As they were started first. */
  readonly agents: readonly SerfAgent[]
  readonly #all: SerfAgent[]
  readonly #killAll = (): void => {
    for (const agent of this.#all) agent.killNow()
  }

  private constructor(agents: readonly SerfAgent[]) {
    this.agents = agents
    this.#all = [...agents]
    process.once('exit', this.#killAll)
  }

  /** One agent per address, with this key if any; resolves when each sees all of them alive. */
  static async start(hosts: readonly string[], key?: string): Promise<SerfCluster> {
    for (let tries = 1; ; tries++) {
      try {
        return await SerfCluster.#startOnce(hosts, key)
      } catch (error) {
        // A port that was free when it was looked for may be taken by the time that an agent binds it.
        if (tries === START_TRIES || !String(error).includes(PORT_TAKEN)) throw error
      }
    }
  }

  static async #startOnce(hosts: readonly string[], key?: string): Promise<SerfCluster> {
    const plans: AgentPlan[] = []
    for (const [index, host] of hosts.entries()) {
      const address = `${host}:${await freePort(host)}`
      const join = plans.map((plan) => plan.address)
      plans.push({ name: `serf-${index + 1}`, address, rpcAddress: `${host}:${await freePort(host)}`, join, key })
    }
    const cluster = new SerfCluster(plans.map((plan) => new SerfAgent(plan)))
    try {
      await until('every serf agent sees all of them alive', () => cluster.#isWhole(), { within: 30_000, every: 200 })
      return cluster
    } catch (error) {
      const logs = cluster.agents.map((agent) => agent.log).join('\n')
      await cluster.stop()
      throw new Error(`${String(error)}\n${logs}`)
    }
  }

  /** Starts an agent that has ended anew, under its name and at its address, or at this host's. */
  async restart({ plan }: SerfAgent, host?: string): Promise<SerfAgent> {
    const address = host === undefined ? plan.address : `${host}:${await freePort(host)}`
    const rpcHost = host ?? plan.rpcAddress.slice(0, plan.rpcAddress.lastIndexOf(':'))
    const rpcAddress = `${rpcHost}:${await freePort(rpcHost)}`
    const join = this.agents.map((agent) => agent.address).filter((seed) => seed !== plan.address)
    const agent = new SerfAgent({ ...plan, address, rpcAddress, join })
    this.#all.push(agent)
    return agent
  }

  /** Warnings and errors in the logs of all agents that ever ran here, without those that are allowed for. */
  complaints(allowed: readonly RegExp[] = []): string[] {
    return this.#all.flatMap((agent) =>
      agent.log
        .split('\n')
        .filter((line) => /\[(WARN|ERR|ERROR)\]/.test(line))
        .map((line) => `${agent.name}: ${line.trim()}`)
        .filter((line) => ![OWN_RETRY, OWN_END, ...allowed].some((pattern) => pattern.test(line))),
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((agent) => agent.kill()))
    process.removeListener('exit', this.#killAll)
  }

  async #isWhole(): Promise<boolean> {
    // An agent that does not listen yet makes the command fail: not whole yet.
    const failed = this.agents.find(({ log }) => log.includes(PORT_TAKEN))
    if (failed !== undefined) throw new Error(`${failed.name}: ${PORT_TAKEN}`)
    const views = await Promise.all(this.agents.map((agent) => agent.members().catch(() => [])))
    return views.every((view) => view.filter(({ status }) => status === 'alive').length === this.agents.length)
  }
}

export interface AgentPlan {
  readonly name: string
  readonly address: string
  readonly rpcAddress: string
  readonly join: readonly string[]
  readonly key: string | undefined
}

/** A port that is free for TCP and UDP on this address just now. */
async function freePort(host: string): Promise<number> {
  for (let tries = 0; tries < PORT_TRIES; tries++) {
    const server = createServer().listen({ host, port: 0 })
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const free = await isFreeForUdp(host, port)
    server.close()
    await once(server, 'close')
    if (free) return port
  }
  throw new Error(`no port of ${host} is free for both TCP and UDP`)
}

async function isFreeForUdp(host: string, port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    socket.bind({ address: host, port })
    await once(socket, 'listening')
    return true
  } catch {
    return false // taken; the next port is tried
  } finally {
    socket.close()
  }
}
