/**
 * Processes that all provide the ledger and all call it, and a node in the test's own process that only calls: a service
 * under load, whose processes are restarted and killed. At the end every call is accounted for.
 */
import { createNode, type NodeInspection, type NodeOptions, type ShoalNode } from '../../src/index.js'
import { executions, Ledger, LedgerLoad, type LoadFailure, type LoadPlan, type LoadTally } from './ledger.js'
import { type NodeProcess, NodeProcesses } from './node-process.js'
import { type PeerLoss, PeerWatch } from './peer-watch.js'
import { until } from './until.js'

export interface LedgerClusterPlan {
  readonly processes: number
  /** Calls a second of each process, and of the client. */
  readonly load: { readonly ofEach: number; readonly ofClient: number }
  /** How long a handler works on each call. */
  readonly workMs: number
  readonly options?: Pick<NodeOptions, 'profile' | 'tuning' | 'recheckInterval'>
}

export interface Restart {
  readonly callsOn?: boolean
  readonly samePorts?: boolean
}

interface Addresses {
  readonly gossip: string
  readonly rpc: string
}

/** What became of all calls. */
export interface Account {
  readonly calls: number
  readonly callsPerSecond: number
  readonly failures: readonly LoadFailure[]
  /** Calls whose handlers ran more than once. */
  readonly duplicates: readonly string[]
  /** Charges whose handlers ran. */
  readonly chargesExecuted: number
  readonly charges: number
  readonly answered: Readonly<Record<string, number>>
}

const CLIENT = 'client'
/** Slow machines are slow, not wrong: how long a call took is no matter here. */
const TIMEOUT_MS = 15_000

export class LedgerCluster {
  readonly client: ShoalNode
  readonly names: readonly string[]
  readonly #processes: NodeProcesses
  readonly #plan: LedgerClusterPlan
  readonly #byName = new Map<string, NodeProcess>()
  readonly #addresses = new Map<string, Addresses>()
  readonly #tallies: LoadTally[] = []
  #clientLoad: LedgerLoad | undefined
  #startedAt = 0

  private constructor(processes: NodeProcesses, client: ShoalNode, plan: LedgerClusterPlan) {
    this.#processes = processes
    this.#plan = plan
    this.client = client
    this.names = Array.from({ length: plan.processes }, (_, index) => `p${index}`)
  }

  static async start(plan: LedgerClusterPlan): Promise<LedgerCluster> {
    const processes = await NodeProcesses.prepare()
    const { cluster } = processes
    const client = await createNode({ cluster, name: CLIENT, bind: '127.0.0.1:0', ...plan.options })
    const self = new LedgerCluster(processes, client, plan)
    await Promise.all(self.names.map((name) => self.#startOne(name)))
    await processes.untilAll('all know all instances', processes.running, ({ services }) => {
      return services[Ledger.name]?.length === plan.processes
    })
    await client.waitForServices([Ledger], { min: plan.processes })
    return self
  }

  get running(): readonly NodeProcess[] {
    return this.#processes.running
  }

  /** Of its gossip. */
  addressOf(name: string): string {
    return this.#addresses.get(name)!.gossip
  }

  process(name: string): NodeProcess {
    return this.#byName.get(name)!
  }

  /** All begin to call, and until each process has executed calls nothing is done to any. */
  async startLoad(): Promise<void> {
    this.#startedAt = performance.now()
    this.#clientLoad = new LedgerLoad(this.client, this.#loadOf(this.#plan.load.ofClient))
    await Promise.all(this.running.map((process) => this.#startLoadOf(process)))
    await this.untilAnswers(this.names)
  }

  /** Until the client has got ten more answers of each of these. */
  async untilAnswers(names: readonly string[]): Promise<void> {
    const answered = (name: string): number => this.#clientLoad?.tally().answered[name] ?? 0
    const wanted = names.map((name) => ({ name, count: answered(name) + 10 }))
    await until('each gives answers', () => wanted.every(({ name, count }) => answered(name) >= count), {
      within: 20_000,
      show: () => this.#clientLoad?.tally().answered,
    })
  }

  /**
   * SIGTERM, the end of the process, and a new one under its name, which calls and is called. With `callsOn` it goes on
   * calling while it leaves, and stops only when it has left; with `samePorts` the new one listens where it did.
   */
  async restart(name: string, { callsOn = false, samePorts = false }: Restart = {}): Promise<NodeJS.Signals | null> {
    const process = this.process(name)
    if (callsOn) await process.order('leave')
    this.#tallies.push(await process.order('stopLoad'))
    const signal = await process.terminate()
    await this.#startLoadOf(await this.#startOne(name, samePorts ? this.#addresses.get(name) : undefined))
    return signal
  }

  /**
   * SIGKILL, with all others watching what they do with it until the returned function is called. What it called itself
   * is not accounted for.
   */
  async kill(name: string): Promise<() => Promise<readonly PeerLoss[]>> {
    const others = this.running.filter((process) => process.name !== name)
    await until('all others are connected to it', async () => {
      const inspections = await Promise.all(others.map((process) => process.order('inspect')))
      return [this.client.inspect(), ...inspections].every((each) => isConnectedTo(name, each))
    })
    const watch = new PeerWatch(this.client, name)
    await Promise.all(others.map((process) => process.order('watchPeer', name)))
    await this.process(name).kill()
    return async () => [watch.stop(), ...(await Promise.all(others.map((process) => process.order('peerLoss'))))]
  }

  /** The call was a charge under way on the victim, and says that it may have run; what was tried before did not run it. */
  static isLossOn(victim: string, { id, executed, node, attempts }: LoadFailure): boolean {
    const before = attempts.slice(0, -1)
    const isCharge = id.startsWith('charge/')
    return isCharge && executed === 'maybe' && node === victim && before.every((attempt) => attempt.executed === 'no')
  }

  /** To all, the client too. */
  async untilDead(name: string): Promise<void> {
    await this.#processes.untilAll(`${name} is dead to all`, this.running, ({ members, services }) => {
      return members[name] === 'dead' && services[Ledger.name]?.includes(name) === false
    })
    await until(`${name} is not listed here`, () => !this.client.getNodes(Ledger).includes(name))
  }

  /** Ends the load and settles the account. */
  async settle(): Promise<Account> {
    const tallies = await Promise.all(this.running.map((process) => process.order('stopLoad')))
    const client = await this.#clientLoad?.stop()
    const seconds = (performance.now() - this.#startedAt) / 1_000
    const all = [...this.#tallies, ...tallies, ...(client === undefined ? [] : [client])]
    const calls = sum(all.map(({ charges, reads }) => charges + reads))
    const counts = [...executions(this.#processes.folder)]
    const answered: Record<string, number> = {}
    for (const tally of all) {
      for (const [node, count] of Object.entries(tally.answered)) answered[node] = (answered[node] ?? 0) + count
    }
    return {
      calls,
      callsPerSecond: calls / seconds,
      failures: all.flatMap(({ failures }) => failures),
      duplicates: counts.filter(([, count]) => count > 1).map(([id]) => id),
      chargesExecuted: counts.filter(([id]) => id.startsWith('charge/')).length,
      charges: sum(all.map(({ charges }) => charges)),
      answered,
    }
  }

  async stop(): Promise<void> {
    await this.client.close()
    await this.#processes.stop()
  }

  async #startOne(name: string, at?: Addresses): Promise<NodeProcess> {
    const where = at === undefined ? {} : { bind: at.gossip, rpc: { bind: at.rpc } }
    const options = { seeds: [this.client.address], ...this.#plan.options, ...where }
    const { process, address, rpcAddress } = await this.#processes.start(name, options)
    this.#byName.set(name, process)
    this.#addresses.set(name, { gossip: address, rpc: rpcAddress })
    await process.order('provideLedger', this.#processes.folder)
    return process
  }

  async #startLoadOf(process: NodeProcess): Promise<void> {
    await process.order('startLoad', this.#loadOf(this.#plan.load.ofEach))
  }

  #loadOf(callsPerSecond: number): LoadPlan {
    return { callsPerSecond, workMs: this.#plan.workMs, timeoutMs: TIMEOUT_MS }
  }
}

function isConnectedTo(name: string, { rpc }: NodeInspection): boolean {
  return rpc.peers.peers.some(({ node, connections }) => node === name && connections.length > 0)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
