/**
 * Worker processes, one node each: started, told what to do, listened to, and ended. Every process has this object as
 * its owner; `stop` leaves none behind, and neither does the death of the bench (the workers end with their IPC channel).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'tsup'
import { machineMs } from './clock.js'
import type { Command, Report, Sighting, WorkerOptions } from './protocol.js'

const ANSWER_TIMEOUT_MS = 60_000

type Kind = Report['kind']
type ReportOf<K extends Kind> = Extract<Report, { readonly kind: K }>

/** A worker, or the library for programs without a build: one file, which starts in the time that Node needs. */
export interface WorkerProgram {
  readonly file: string
  readonly remove: () => Promise<void>
}

export async function buildProgram(entry: 'worker' | 'sim-worker' | 'library'): Promise<WorkerProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-'))
  const root = resolve(import.meta.dirname, '../..')
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await build({
    config: false,
    entry: { [entry]: join(root, entry === 'library' ? 'src/index.ts' : `bench/${entry}.ts`) },
    outDir: folder,
    format: ['esm'],
    outExtension: () => ({ js: '.mjs' }),
    target: 'node20',
    silent: true,
    clean: false,
  })
  return { file: join(folder, `${entry}.mjs`), remove: () => rm(folder, { recursive: true, force: true }) }
}

export class Worker {
  readonly name: string
  readonly sightings: Sighting[] = []
  readonly failures: string[] = []
  readonly #process: ChildProcess
  readonly #waiting = new Map<Kind, ((report: never) => void)[]>()
  readonly #watchers = new Set<() => void>()

  constructor(file: string, name: string) {
    this.name = name
    this.#process = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#process.on('message', (report: Report) => this.#take(report))
    this.#process.on('error', (error) => this.failures.push(String(error)))
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Sends a command and waits for its report, at most a minute. */
  async ask<K extends Kind>(command: Command, answer: K): Promise<ReportOf<K>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.name} did not answer '${command.kind}': ${this.failures.join('; ')}`)),
        ANSWER_TIMEOUT_MS,
      )
      const waiting = this.#waiting.get(answer) ?? []
      waiting.push((report: ReportOf<K>) => {
        clearTimeout(timer)
        resolve(report)
      })
      this.#waiting.set(answer, waiting)
      this.#process.send(command)
    })
  }

  start(options: WorkerOptions): Promise<ReportOf<'started'>> {
    return this.ask({ kind: 'start', options }, 'started')
  }

  /** The time at which this worker first saw something from `since` on; waits for it at most until `untilMs`. */
  async sawAt(what: Sighting['what'], detail: string, since: number, untilMs: number): Promise<number | undefined> {
    const find = (): Sighting | undefined =>
      this.sightings.find((seen) => seen.what === what && seen.detail === detail && seen.at >= since)
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

  /** Ends the process, by force if it does not within five seconds. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    const exited = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()))
    if (this.#process.connected) this.#process.send({ kind: 'stop' } satisfies Command)
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(timer)
  }

  #take(report: Report): void {
    if (report.kind === 'saw') {
      this.sightings.push(report.sighting)
      for (const look of [...this.#watchers]) look()
      return
    }
    if (report.kind === 'failed') {
      this.failures.push(report.message)
      return
    }
    const resolve = this.#waiting.get(report.kind)?.shift()
    resolve?.(report as never)
  }
}

/** The running workers of one cluster. */
export class ProcessCluster {
  readonly #file: string
  readonly #label: string
  readonly #profile: WorkerOptions['profile']
  readonly #workers = new Set<Worker>()
  #count = 0
  seeds: readonly string[] = []

  constructor(program: WorkerProgram, profile: WorkerOptions['profile']) {
    this.#file = program.file
    this.#profile = profile
    this.#label = `bench-${process.pid}-${Math.round(machineMs())}`
  }

  get workers(): Worker[] {
    return [...this.#workers].filter((worker) => worker.isRunning)
  }

  /** Starts one more process and its node. */
  async add(services: readonly string[] = []): Promise<{ worker: Worker; started: ReportOf<'started'> }> {
    const worker = new Worker(this.#file, `n${this.#count++}`)
    this.#workers.add(worker)
    const { seeds } = this
    const started = await worker.start({
      name: worker.name,
      cluster: this.#label,
      seeds,
      profile: this.#profile,
      services,
    })
    if (seeds.length === 0) this.seeds = [started.address]
    return { worker, started }
  }

  forget(worker: Worker): void {
    this.#workers.delete(worker)
  }

  failures(): string[] {
    return [...this.#workers].flatMap((worker) => worker.failures.map((failure) => `${worker.name}: ${failure}`))
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.stop()))
    this.#workers.clear()
  }
}
