/**
 * Node processes, one on each host of a switched network, and what the tests of broken networks ask about them all: do
 * they agree again, and since when; who was declared dead, and by whom; can each be called by each.
 */
import type { NodeOptions, SwimConfig } from '../../src/index.js'
import { type NodeProcess, NodeProcesses } from './node-process.js'
import type { View } from './node-protocol.js'
import { SwitchedHosts } from './switched-hosts.js'
import { until } from './until.js'

/** Every node provides it. */
export const SERVICE = 'everywhere'
export const GOSSIP_PORT = 7_946

/**
 * The lan profile with the detector four times as fast: a crash is known within two to six seconds rather than ten to
 * twenty. Push/pull stays as rare as there, so that it does not repair what healing and gossip ought to.
 */
export const QUICK: Partial<SwimConfig> = { probeIntervalMs: 250, probeTimeoutMs: 125, gossipIntervalMs: 50 }
/** An unconfirmed suspicion of a handful of members lasts at most so long with it. */
export const QUICK_SUSPICION_MAX_MS = 6_000

export interface NetworkedOptions {
  readonly hosts: number
  /** Hosts left without a node for later. Default 0. */
  readonly spare?: number
  readonly node?: NodeOptions
  /** Where its node lives, when that is not the host's own address. */
  readonly addressOf?: (host: number) => string
  /** Joined once and then forgotten, or permanent as a deployment has them. Default true. */
  readonly permanentSeeds?: boolean
}

export type Prepare = (network: SwitchedHosts) => Promise<void>

export interface Death {
  readonly seenBy: string
  readonly name: string
  readonly at: number
}

/** Name of the node of a host. */
export function nameOf(host: number): string {
  return `h${host}`
}

export class NetworkedNodes {
  readonly network: SwitchedHosts
  readonly #processes: NodeProcesses
  readonly #options: NetworkedOptions
  readonly #nodes = new Map<number, NodeProcess>()

  private constructor(network: SwitchedHosts, processes: NodeProcesses, options: NetworkedOptions) {
    this.network = network
    this.#processes = processes
    this.#options = options
  }

  /** All see all, and each one's service. `prepare` may change the network before there are nodes. */
  static async make(options: NetworkedOptions, prepare?: Prepare): Promise<NetworkedNodes> {
    const [network, processes] = await Promise.all([
      SwitchedHosts.make(options.hosts + (options.spare ?? 0)),
      NodeProcesses.prepare(),
    ])
    const made = new NetworkedNodes(network, processes, options)
    try {
      await prepare?.(network)
      await Promise.all(Array.from({ length: options.hosts }, (_, index) => made.start(index + 1)))
      await made.untilAgreed('all nodes see each other after their start')
      return made
    } catch (error) {
      await made.remove()
      throw error
    }
  }

  /** Such nodes for as long as `body` takes; none of their processes may end before. */
  static async use(options: NetworkedOptions, body: (nodes: NetworkedNodes) => Promise<void>): Promise<void> {
    const nodes = await NetworkedNodes.make(options)
    try {
      await body(nodes)
      if (nodes.ended().length > 0) throw new Error(`processes ended: ${nodes.ended().join('; ')}`)
    } finally {
      await nodes.remove()
    }
  }

  /** Starts a node on a host that has none; its service runs when this resolves. */
  async start(host: number): Promise<NodeProcess> {
    const { node = {}, permanentSeeds = true } = this.#options
    const seed = this.#endpoint(1)
    const bind = this.#endpoint(host)
    const seeds = permanentSeeds ? [seed] : []
    const enter = this.network.enter(host)
    const { process } = await this.#processes.start(nameOf(host), { bind, seeds, tuning: QUICK, ...node }, enter)
    this.#nodes.set(host, process)
    // The first may not listen yet: another try is made, as permanent seeds would.
    if (!permanentSeeds && host !== 1) {
      await until(`${nameOf(host)} has joined`, async () => {
        await process.order('join', [seed])
        return Object.keys((await process.order('view')).members).length > 1
      })
    }
    await process.order('provide', SERVICE)
    return process
  }

  at(host: number): NodeProcess {
    const node = this.#nodes.get(host)
    if (node === undefined) throw new Error(`there is no node on host ${host}`)
    return node
  }

  get hosts(): readonly number[] {
    return [...this.#nodes.keys()].sort((a, b) => a - b)
  }

  /** Nothing is asked of it any more. */
  forget(host: number): void {
    this.#nodes.delete(host)
  }

  /** Waits until each of these nodes sees what it should; how long that took, in ms. */
  async untilViews(
    what: string,
    hosts: readonly number[],
    holds: (view: View) => boolean,
    within = 20_000,
  ): Promise<number> {
    const startedAt = performance.now()
    await this.#processes.untilAll(
      what,
      hosts.map((host) => this.at(host)),
      holds,
      within,
    )
    return Math.round(performance.now() - startedAt)
  }

  /** Waits until all these nodes see each other alive, and list each other's service. */
  untilAgreed(what: string, hosts: readonly number[] = this.hosts, within?: number): Promise<number> {
    const names = hosts.map(nameOf)
    const agreed = ({ members, services }: View): boolean =>
      names.every((name) => members[name] === 'alive' && services[SERVICE]?.includes(name))
    return this.untilViews(what, hosts, agreed, within)
  }

  /** Which calls from each of these nodes to each of them fail: none, when all is well. One at a time from each. */
  async failedCalls(hosts: readonly number[] = this.hosts): Promise<readonly string[]> {
    const failed: string[] = []
    for (let step = 0; step < hosts.length; step++) {
      const calls = hosts.map((from, index) => this.#failedCall(from, hosts[(index + step) % hosts.length] as number))
      failed.push(...(await Promise.all(calls)).filter((failure) => failure !== undefined))
    }
    return failed
  }

  /** Waits until each of these nodes can call each of them; shows what failed before. */
  async untilCallable(what: string, hosts: readonly number[] = this.hosts): Promise<number> {
    const startedAt = performance.now()
    let failed: readonly string[] = []
    const look = async (): Promise<boolean> => {
      failed = await this.failedCalls(hosts)
      if (failed.length > 0) process.stdout.write(`${what}, not yet: ${failed.join('; ')}\n`)
      return failed.length === 0
    }
    await until(what, look, { every: 250, within: 15_000, show: () => failed })
    return Math.round(performance.now() - startedAt)
  }

  /** Who was declared dead at these nodes since then, on the wall clock. */
  async deathsSince(at: number, hosts: readonly number[] = this.hosts): Promise<readonly Death[]> {
    return this.#heardOf('dead', at, hosts)
  }

  /** The same for suspicions, which may come and go without harm. */
  async suspicionsSince(at: number, hosts: readonly number[] = this.hosts): Promise<readonly Death[]> {
    return this.#heardOf('suspect', at, hosts)
  }

  /** Faults told to the listeners of this node that name another. */
  async faultsAbout(host: number, about: number, kind: string): Promise<readonly string[]> {
    const { faults } = await this.at(host).order('heard')
    return faults.filter((fault) => fault.includes(kind) && fault.includes(nameOf(about)))
  }

  /** Names of the processes that ended, which none should. */
  ended(): readonly string[] {
    return [...this.#nodes.values()].filter((node) => !node.isRunning).map(({ name, stderr }) => `${name}: ${stderr}`)
  }

  async remove(): Promise<void> {
    await this.#processes.stop()
    await this.network.remove()
  }

  async #failedCall(from: number, to: number): Promise<string | undefined> {
    const options = { timeout: 5_000, nodes: [nameOf(to)] }
    const result = await this.at(from).order('attempt', SERVICE, 'who', [], options)
    return result.ok
      ? undefined
      : `${nameOf(from)} to ${nameOf(to)} after ${Math.round(result.tookMs)} ms: ${result.message}`
  }

  #endpoint(host: number): string {
    return `${this.#options.addressOf?.(host) ?? this.network.address(host)}:${GOSSIP_PORT}`
  }

  async #heardOf(type: 'dead' | 'suspect', since: number, hosts: readonly number[]): Promise<readonly Death[]> {
    const heard = await Promise.all(hosts.map((host) => this.at(host).order('heard')))
    return heard.flatMap(({ members }, index) =>
      members
        .filter((event) => event.type === type && event.at >= since)
        .map(({ name, at }) => ({ seenBy: nameOf(hosts[index] as number), name, at })),
    )
  }
}
