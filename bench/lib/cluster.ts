/** The worker processes of one cluster, one node each: started and ended together, and asked all at once. */
import { machineMs } from './clock.js'
import type { BenchOptions } from './options.js'
import type { Owner } from './owner.js'
import type { Orders, Started, WorkerOptions } from './protocol.js'
import { Worker } from './worker-process.js'

export interface ClusterParts {
  /** The bundled worker. */
  readonly file: string
  readonly owner: Owner
  readonly options: Pick<BenchOptions, 'profile' | 'handicapUs'>
  readonly keys?: readonly string[]
}

/** How one process differs from the others. */
export interface Place {
  readonly servicesOf?: (name: string) => readonly string[]
  readonly expected?: number
  readonly bind?: string
  readonly enter?: readonly string[]
}

export interface Joined {
  readonly worker: Worker
  readonly started: Started
}

const QUIET_LIMIT_MS = 15_000

export class ProcessCluster {
  readonly #parts: ClusterParts
  readonly #label = `bench-${process.pid}-${Math.round(machineMs())}`
  readonly #workers = new Set<Worker>()
  #count = 0
  seeds: readonly string[] = []

  constructor(parts: ClusterParts) {
    this.#parts = parts
  }

  /** Those that run and are not stopped. */
  get workers(): Worker[] {
    return [...this.#workers].filter((worker) => worker.isAnswering)
  }

  others(worker: Worker): Worker[] {
    return this.workers.filter((other) => other !== worker)
  }

  /** Starts one more process and its node; the first one is everybody's seed. */
  async add({ servicesOf, bind = '127.0.0.1:0', enter, expected }: Place = {}): Promise<Joined> {
    const { file, owner, options, keys } = this.#parts
    const worker = new Worker({ file, owner, name: `n${this.#count++}`, ...(enter === undefined ? {} : { enter }) })
    this.#workers.add(worker)
    const start: WorkerOptions = {
      name: worker.name,
      cluster: this.#label,
      bind,
      seeds: this.seeds,
      profile: options.profile,
      handicapUs: options.handicapUs,
      services: servicesOf?.(worker.name) ?? [],
      ...(expected === undefined ? {} : { expected }),
      ...(keys === undefined ? {} : { keys }),
    }
    const started = await worker.order('start', start)
    if (this.seeds.length === 0) this.seeds = [started.address]
    return { worker, started }
  }

  forget(worker: Worker): void {
    this.#workers.delete(worker)
  }

  /** The same order for all of them; answers in their order. */
  ask<Name extends 'usage'>(name: Name, workers: readonly Worker[] = this.workers): Promise<Orders[Name]['result'][]> {
    return Promise.all(workers.map((worker) => worker.order(name)))
  }

  /** Waits until nobody has anything left to gossip; false when somebody still had after 15 s. */
  async quiet(): Promise<boolean> {
    const answers = await Promise.all(this.workers.map((worker) => worker.order('quiet', QUIET_LIMIT_MS)))
    return !answers.includes(false)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.stop()))
    this.#workers.clear()
  }
}
