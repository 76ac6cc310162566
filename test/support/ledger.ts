/**
 * A service whose handlers write down every call that they execute, in a file that outlives a killed process, and a
 * steady load of such calls, each with an id of its own. Runs in workers and in the test's own process alike.
 */
import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Contract,
  defineService,
  type FailedAttempt,
  isRpcError,
  type Method,
  method,
  type ShoalNode,
} from '../../src/index.js'
import { pause } from './until.js'

type Entry = [id: string, workMs: number]

/** Both answer the name of the node that executed the call; only `read` may be executed twice. */
export const Ledger: Contract<{ charge: Method<Entry, string>; read: Method<Entry, string> }> = defineService(
  'ledger',
  { version: '1.0.0' },
  { charge: method<Entry, string>(), read: method<Entry, string>({ idempotent: true }) },
)

/** Provides it; what is executed is appended to a file of this process in `folder`. */
export async function provideLedger(node: ShoalNode, folder: string): Promise<void> {
  const file = openSync(join(folder, `${node.name}-${process.pid}.ledger`), 'a')
  const execute = async (...[id, workMs]: Entry): Promise<string> => {
    writeSync(file, `${id}\n`)
    await pause(workMs)
    return node.name
  }
  await node.provide(Ledger, { charge: execute, read: execute })
}

/** How often each call was executed, over all processes that ever wrote into the folder. */
export function executions(folder: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.ledger'))) {
    for (const id of readFileSync(join(folder, name), 'utf8').split('\n')) {
      if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1)
    }
  }
  return counts
}

export interface LoadPlan {
  readonly callsPerSecond: number
  /** How long a handler works on each call. */
  readonly workMs: number
  readonly timeoutMs: number
}

export interface LoadFailure {
  readonly id: string
  readonly code: string
  readonly message: string
  readonly executed: string
  readonly node: string | undefined
  readonly attempts: readonly FailedAttempt[]
}

/** Half of the calls are charges. */
export interface LoadTally {
  readonly charges: number
  readonly reads: number
  /** Answers by the node that gave them. */
  readonly answered: Readonly<Record<string, number>>
  readonly failures: readonly LoadFailure[]
}

const TICK_MS = 5
let loads = 0

/** Calls at a rate, whatever the answers take. Every call goes to any instance, the local one is not preferred. */
export class LedgerLoad {
  readonly #node: ShoalNode
  readonly #plan: LoadPlan
  readonly #label: string
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout
  readonly #underWay = new Set<Promise<void>>()
  readonly #answered: Record<string, number> = {}
  readonly #failures: LoadFailure[] = []
  #made = 0

  constructor(node: ShoalNode, plan: LoadPlan) {
    this.#node = node
    this.#plan = plan
    this.#label = `${node.name}/${process.pid}.${++loads}`
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** Makes no more calls, and waits for those under way. */
  async stop(): Promise<LoadTally> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    return this.tally()
  }

  tally(): LoadTally {
    const charges = Math.ceil(this.#made / 2)
    return { charges, reads: this.#made - charges, answered: this.#answered, failures: this.#failures }
  }

  #tick(): void {
    const due = Math.floor(((performance.now() - this.#startedAt) * this.#plan.callsPerSecond) / 1_000)
    while (this.#made < due) {
      const call = this.#call(this.#made++)
      this.#underWay.add(call)
      void call.then(() => this.#underWay.delete(call))
    }
  }

  async #call(index: number): Promise<void> {
    const name = index % 2 === 0 ? 'charge' : 'read'
    const id = `${name}/${this.#label}/${index}`
    const { workMs, timeoutMs: timeout } = this.#plan
    try {
      const by = await this.#node.callCb<string>(Ledger, name, [id, workMs], { timeout, localFirst: false })
      this.#answered[by] = (this.#answered[by] ?? 0) + 1
    } catch (error) {
      if (!isRpcError(error)) throw error
      const { code, message, executed, node, attempts } = error
      this.#failures.push({ id, code, message, executed, node, attempts })
    }
  }
}
