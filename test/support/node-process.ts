/**
 * Nodes in processes of their own: bundled once, forked, ordered about over IPC, stopped and killed by their own ids.
 * `NodeProcesses` owns every one of them; none outlives it, nor the test's process (they end with their IPC channel).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import type { NodeOptions } from '../../src/index.js'
import { type Bundle, bundle } from './bundle.js'
import type { Answer, Order, OrderName, Orders, View } from './node-protocol.js'
import { until } from './until.js'

const ANSWER_TIMEOUT_MS = 20_000
/** Many processes that start at once share a small machine. */
const START_TIMEOUT_MS = 60_000

export class NodeProcess {
  readonly name: string
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #nextId = 1
  #stderr = ''

  /** `enter` is a command line that replaces itself by the one behind it, as `nsenter` does. */
  constructor(file: string, name: string, enter: readonly string[] = []) {
    this.name = name
    const [execPath = process.execPath, ...execArgv] = [...enter, process.execPath, '--expose-gc']
    this.#process = fork(file, { execPath, execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString()
    })
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.#process.on('exit', () => this.#failAll('its process ended'))
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** What it wrote to stderr: nothing, unless something went wrong. */
  get stderr(): string {
    return this.#stderr
  }

  /** Rejects with what the worker threw, or when it ends or says nothing for 20 s (a minute when it starts). */
  async order<Name extends OrderName>(name: Name, ...args: Orders[Name]['args']): Promise<Orders[Name]['result']> {
    const id = this.#nextId++
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve))
    const timer = setTimeout(
      () => this.#waiting.get(id)?.({ id, ok: false, message: 'no answer in time' }),
      name === 'start' ? START_TIMEOUT_MS : ANSWER_TIMEOUT_MS,
    )
    this.#process.send({ id, name, args } satisfies Order)
    const answer = await answered
    clearTimeout(timer)
    if (!answer.ok) throw new Error(`${this.name} could not ${name}: ${answer.message}\n${this.#stderr}`)
    return answer.value as Orders[Name]['result']
  }

  /** SIGSTOP: it keeps its sockets and does nothing. */
  pause(): void {
    this.#process.kill('SIGSTOP')
  }

  continue(): void {
    this.#process.kill('SIGCONT')
  }

  /** SIGKILL, and waits for its end; a stopped process dies of it too. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }

  /** SIGTERM, at which it leaves in order, and waits for its end; resolves with the signal that ended it. */
  async terminate(): Promise<NodeJS.Signals | null> {
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    const [, signal] = (await exited) as [number | null, NodeJS.Signals | null]
    return signal
  }

  #failAll(message: string): void {
    for (const [id, settle] of this.#waiting) settle({ id, ok: false, message })
    this.#waiting.clear()
  }
}

/** The processes of one test file. */
export class NodeProcesses {
  readonly #bundle: Bundle
  readonly #all = new Set<NodeProcess>()
  readonly #cluster = `test-${process.pid}`

  private constructor(made: Bundle) {
    this.#bundle = made
  }

  /** Bundles the worker, so that a process starts in the time that Node needs and no more. */
  static async prepare(): Promise<NodeProcesses> {
    return new NodeProcesses(await bundle('test/support/node-worker.ts'))
  }

  /** Forks a process and starts its node on loopback, on a free port unless `options.bind` says otherwise; `enter` as for the process. */
  async start(
    name: string,
    options: NodeOptions = {},
    enter: readonly string[] = [],
  ): Promise<{ process: NodeProcess; address: string; rpcAddress: string }> {
    const process = new NodeProcess(this.#bundle.file, name, enter)
    this.#all.add(process)
    const started = await process.order('start', { cluster: this.#cluster, name, bind: '127.0.0.1:0', ...options })
    return { process, ...started }
  }

  /** Goes with the processes; also for files of theirs. */
  get folder(): string {
    return this.#bundle.folder
  }

  /** Of the nodes, unless a test gives them another. */
  get cluster(): string {
    return this.#cluster
  }

  get running(): readonly NodeProcess[] {
    return [...this.#all].filter((process) => process.isRunning)
  }

  /** Waits until each of these processes has a view that holds. */
  async untilAll(
    what: string,
    processes: readonly NodeProcess[],
    holds: (view: View) => boolean,
    within = 15_000,
  ): Promise<void> {
    let views: readonly View[] = []
    const look = async (): Promise<boolean> => {
      views = await Promise.all(processes.map((process) => process.order('view')))
      return views.every(holds)
    }
    await until(what, look, { within, show: () => views })
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#all].map((process) => process.kill()))
    this.#all.clear()
    await rm(this.#bundle.folder, { recursive: true, force: true })
  }
}
