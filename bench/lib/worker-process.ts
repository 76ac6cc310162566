/** One worker process as the bench sees it: ordered about, listened to, stopped, killed. The run's owner ends it at the latest. */
import { type ChildProcess, fork } from 'node:child_process'
import { machineMs } from './clock.js'
import type { Owner } from './owner.js'
import type { Message, Order, OrderName, Orders, Sighting } from './protocol.js'

const ANSWER_TIMEOUT_MS = 60_000
const END_TIMEOUT_MS = 5_000
/** That a network of the bench is trusted goes without saying. */
const QUIET = '--disable-warning=SHOAL_INSECURE'

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export interface WorkerLaunch {
  readonly file: string
  readonly name: string
  readonly owner: Owner
  /** A command line that replaces itself by the one behind it, as `nsenter` does. */
  readonly enter?: readonly string[]
}

export class Worker {
  readonly name: string
  readonly sightings: Sighting[] = []
  readonly #process: ChildProcess
  readonly #exited: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  readonly #watchers = new Set<() => void>()
  #nextId = 1
  #isPaused = false

  constructor({ file, name, owner, enter = [] }: WorkerLaunch) {
    this.name = name
    const [execPath = process.execPath, ...execArgv] = [...enter, process.execPath, QUIET]
    this.#process = fork(file, { execPath, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    owner.adopt(this.#process)
    this.#process.on('message', (message: Message) => this.#take(message))
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`${name} has ended`))
        this.#waiting.clear()
        resolve()
      }
      this.#process.once('exit', end)
      this.#process.once('error', end)
    })
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** False also while it is stopped by SIGSTOP. */
  get isAnswering(): boolean {
    return this.isRunning && !this.#isPaused
  }

  /** Rejects with what the worker threw, when it ends, or when it says nothing for `limitMs`. */
  order<Name extends OrderName>(name: Name, ...args: Orders[Name]['args']): Promise<Orders[Name]['result']> {
    return this.orderWithin(ANSWER_TIMEOUT_MS, name, ...args)
  }

  orderWithin<Name extends OrderName>(
    limitMs: number,
    name: Name,
    ...args: Orders[Name]['args']
  ): Promise<Orders[Name]['result']> {
    const id = this.#nextId++
    return new Promise<Orders[Name]['result']>((resolve, reject) => {
      if (!this.isRunning || !this.#process.connected) {
        reject(new Error(`${this.name} has ended`))
        return
      }
      const timer = setTimeout(() => settle(() => reject(new Error(`${this.name} did not answer '${name}'`))), limitMs)
      const settle = (how: () => void): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        how()
      }
      this.#waiting.set(id, {
        resolve: (value) => settle(() => resolve(value as Orders[Name]['result'])),
        reject: (error) => settle(() => reject(error)),
      })
      this.#process.send({ id, name, args } satisfies Order)
    })
  }

  /** The time at which this worker first saw it from `since` on; waits for it at most until `untilMs`. */
  async sawAt(what: string, since: number, untilMs: number): Promise<number | undefined> {
    const find = (): Sighting | undefined => this.sightings.find((seen) => seen.what === what && seen.at >= since)
    const found = find()
    if (found !== undefined) return found.at
    return new Promise((resolve) => {
      const finish = (at: number | undefined): void => {
        clearTimeout(timer)
        this.#watchers.delete(look)
        resolve(at)
      }
      const look = (): void => {
        const seen = find()
        if (seen !== undefined) finish(seen.at)
      }
      const timer = setTimeout(() => finish(undefined), Math.max(0, untilMs - machineMs()))
      this.#watchers.add(look)
    })
  }

  /** SIGKILL; gives the time right before the signal. */
  kill(): number {
    const at = machineMs()
    this.#process.kill('SIGKILL')
    return at
  }

  /** SIGSTOP: it keeps its sockets and does nothing. */
  pause(): number {
    this.#isPaused = true
    const at = machineMs()
    this.#process.kill('SIGSTOP')
    return at
  }

  resume(): number {
    this.#isPaused = false
    const at = machineMs()
    this.#process.kill('SIGCONT')
    return at
  }

  /** Ends the process, by force if it does not within five seconds. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    this.resume()
    this.orderWithin(END_TIMEOUT_MS, 'close').catch(() => this.kill())
    await this.#exited
  }

  #take(message: Message): void {
    if (message.kind === 'saw') {
      this.sightings.push(message.sighting)
      for (const look of [...this.#watchers]) look()
      return
    }
    const waiting = this.#waiting.get(message.id)
    if (message.kind === 'done') waiting?.resolve(message.value)
    else waiting?.reject(new Error(`${this.name}: ${message.message}`))
  }
}
