/** The program of a node process: carries out what `node-process.ts` orders. Ends with its IPC channel, or by SIGTERM in order. */
import { closeOnSignal, createNode, isRpcError, type NodeOptions, type ShoalNode } from '../../src/index.js'
import { LedgerLoad, provideLedger } from './ledger.js'
import type { Answer, Heard, LoopFailure, LoopPlan, Order, OrderName, Orders, Tally, View } from './node-protocol.js'
import { PeerWatch } from './peer-watch.js'

let node: ShoalNode | undefined
let loop: Loop | undefined
let load: LedgerLoad | undefined
let watch: PeerWatch | undefined
const heard = { members: [] as Heard['members'][number][], faults: [] as string[] }

type Worker = { [Name in OrderName]: (...args: Orders[Name]['args']) => Promise<Orders[Name]['result']> }

const worker: Worker = {
  async start(options: NodeOptions) {
    node = await createNode(options)
    node.on('member', ({ type, member }) => heard.members.push({ type, name: member.name, at: Date.now() }))
    node.on('fault', ({ message }) => heard.faults.push(message))
    closeOnSignal(node, ['SIGTERM'])
    return { address: node.address, rpcAddress: node.rpcAddress }
  },
  async provide(service) {
    const { name } = started()
    const work = async (ms: number): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, ms))
      return name
    }
    await started().provide(service, { work, who: () => ({ node: name, pid: process.pid }) })
    return undefined
  },
  call: (service, method, args) => started().callCb(service, method, args),
  async attempt(service, method, args, options) {
    const startedAt = performance.now()
    try {
      const value = await started().callCb(service, method, args, options)
      return { ok: true, value, tookMs: performance.now() - startedAt }
    } catch (error) {
      return { ok: false, ...failureOf(error, performance.now() - startedAt) }
    }
  },
  async startLoop(plan) {
    loop = new Loop(started(), plan)
    return undefined
  },
  tally: async () => running(loop).tally(),
  async stopLoop() {
    await running(loop).stop()
    return running(loop).tally()
  },
  async provideLedger(folder) {
    await provideLedger(started(), folder)
    return undefined
  },
  async startLoad(plan) {
    load = new LedgerLoad(started(), plan)
    return undefined
  },
  stopLoad: () => running(load).stop(),
  async watchPeer(name) {
    watch = new PeerWatch(started(), name)
    return undefined
  },
  peerLoss: async () => running(watch).stop(),
  view: async () => viewOf(started()),
  heard: async () => heard,
  async join(seeds) {
    await started().join(seeds)
    return undefined
  },
  inspect: async () => started().inspect(),
  async memory() {
    globalThis.gc?.()
    return process.memoryUsage.rss()
  },
  async leave() {
    await started().leave()
    return undefined
  },
  async close() {
    await started().close()
    return undefined
  },
}

class Loop {
  readonly #node: ShoalNode
  readonly #plan: LoopPlan
  readonly #lanes: Promise<void>[]
  readonly #answered = new Map<string, number>()
  readonly #failures: LoopFailure[] = []
  #started = 0
  #failedOver = 0
  #stopped = false

  constructor(node: ShoalNode, plan: LoopPlan) {
    this.#node = node
    this.#plan = plan
    this.#lanes = Array.from({ length: plan.lanes }, (_, index) => this.#run(index))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#lanes)
  }

  tally(): Tally {
    const answered = Object.fromEntries(this.#answered)
    return { started: this.#started, answered, failedOver: this.#failedOver, failures: this.#failures }
  }

  /** Even lanes let the node choose; odd ones fix the same candidates beforehand, so that a failover can be seen. */
  async #run(index: number): Promise<void> {
    while (!this.#stopped) await this.#callOnce(index % 2 === 1)
  }

  async #callOnce(fixed: boolean): Promise<void> {
    const { service, workMs, timeoutMs } = this.#plan
    const nodes = fixed ? this.#node.getNodes(service) : undefined
    const startedAt = performance.now()
    this.#started++
    try {
      const by = await this.#node.callCb<string>(service, 'work', [workMs], {
        timeout: timeoutMs,
        ...(nodes === undefined ? {} : { nodes }),
      })
      this.#answered.set(by, (this.#answered.get(by) ?? 0) + 1)
      if (nodes !== undefined && by !== nodes[0]) this.#failedOver++
    } catch (error) {
      this.#failures.push(failureOf(error, performance.now() - startedAt))
    }
  }
}

function failureOf(error: unknown, tookMs: number): LoopFailure {
  if (!isRpcError(error)) {
    return { code: '', message: String(error), executed: '', node: undefined, attempts: [], tookMs }
  }
  const { code, message, executed, node: at, attempts } = error
  return { code, message, executed, node: at, attempts, tookMs }
}

function viewOf(shown: ShoalNode): View {
  const members = Object.fromEntries(shown.members().map(({ name, state }) => [name, state]))
  const { running: services } = shown.getServices()
  const nodes = [...services].map(([service, list]) => [service, list.map((instance) => instance.node).sort()])
  return { members, services: Object.fromEntries(nodes) }
}

function started(): ShoalNode {
  if (node === undefined) throw new Error('no node was started')
  return node
}

function running<T>(what: T | undefined): T {
  if (what === undefined) throw new Error('it was not started')
  return what
}

async function carryOut({ id, name, args }: Order): Promise<Answer> {
  try {
    const order = worker[name] as (...given: readonly unknown[]) => Promise<unknown>
    return { id, ok: true, value: await order(...args) }
  } catch (error) {
    return { id, ok: false, message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

process.on('message', (order: Order) => {
  void carryOut(order).then((answer) => process.send?.(answer))
})
process.on('disconnect', () => process.exit(0))
