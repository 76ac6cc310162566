/**
 * Programs that speak the protocol of `bench/peers/program.mjs`: one JSON object a line. Their owner ends them; a program
 * also ends by itself when its stdin does, so that none outlives a bench that was killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { machineMs } from './clock.js'

export type Report = Readonly<Record<string, string | number>>

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** For a program of others, which speaks no protocol: its lines of output as reports. */
  readonly translate?: (line: string, at: number) => Report | undefined
}

export interface Seen {
  readonly what: string
  readonly name: string
  readonly at: number
}

interface Asked {
  readonly answer: string
  readonly resolve: (report: Report) => void
  readonly reject: (error: Error) => void
}

const ANSWER_TIMEOUT_MS = 60_000
const END_TIMEOUT_MS = 3_000
const OUTPUT_KEPT = 2_000

export class LineProcess {
  readonly seen: Seen[] = []
  readonly #process: ChildProcess
  readonly #exited: Promise<void>
  readonly #watchers = new Set<() => void>()
  readonly #early: Report[] = []
  #asked: Asked | undefined
  #errors = ''

  constructor({ command, args, env, translate }: Launch) {
    const read = translate ?? ((line: string) => JSON.parse(line) as Report)
    this.#process = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'pipe' })
    this.#process.stdin?.on('error', () => {}) // a program that ended reads no more; its end is told below
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.#fail(`ended with ${signal ?? code}`)
        resolve()
      })
      this.#process.once('error', (error) => {
        this.#fail(String(error))
        resolve()
      })
    })
    const lines = createInterface({ input: this.#process.stdout as NodeJS.ReadableStream })
    lines.on('line', (line) => {
      const report = read(line, machineMs())
      if (report !== undefined) this.#take(report)
      if (translate !== undefined) this.#keep(line)
    })
    this.#process.stderr?.on('data', (text: Buffer) => this.#keep(text.toString()))
  }

  get isRunning(): boolean {
    const { pid, exitCode, signalCode } = this.#process
    return pid !== undefined && exitCode === null && signalCode === null
  }

  /** Gives an order and waits for its report, one at a time. */
  ask(order: Report, answer: string): Promise<Report> {
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`)
    return this.waitFor(answer)
  }

  waitFor(answer: string, limitMs: number = ANSWER_TIMEOUT_MS): Promise<Report> {
    const early = this.#early.findIndex(({ event }) => event === answer)
    if (early >= 0) return Promise.resolve(this.#early.splice(early, 1)[0] as Report)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(`no '${answer}' within ${limitMs} ms`), limitMs)
      const settle = <T>(done: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          clearTimeout(timer)
          this.#asked = undefined
          done(value)
        }
      }
      this.#asked = { answer, resolve: settle(resolve), reject: settle(reject) }
      if (!this.isRunning) this.#fail('is not running')
    })
  }

  /** When this program first saw it from `since` on; `undefined` when it did not until `untilMs`. */
  sawAt({ what, name, at: since }: Seen, untilMs: number): Promise<number | undefined> {
    const find = (): Seen | undefined => this.seen.find((s) => s.what === what && s.name === name && s.at >= since)
    const found = find()
    if (found !== undefined) return Promise.resolve(found.at)
    return new Promise((resolve) => {
      const look = (): void => {
        const seen = find()
        if (seen !== undefined) finish(seen.at)
      }
      const finish = (at: number | undefined): void => {
        clearTimeout(timer)
        this.#watchers.delete(look)
        resolve(at)
      }
      const timer = setTimeout(() => finish(undefined), Math.max(0, untilMs - machineMs()))
      this.#watchers.add(look)
    })
  }

  /** Gives the time right before the signal. */
  signal(name: NodeJS.Signals): number {
    const at = machineMs()
    this.#process.kill(name)
    return at
  }

  /** By the end of its input; by force when `patient` is false or it does not end in time. */
  async end(patient = true): Promise<void> {
    if (!this.isRunning) return
    this.#process.stdin?.end()
    if (!patient) this.#process.kill('SIGKILL')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_TIMEOUT_MS)
    await this.#exited
    clearTimeout(timer)
  }

  #take(report: Report): void {
    const { event, what, name, at } = report
    if (event === 'saw') {
      this.seen.push({ what: String(what), name: String(name), at: Number(at) })
      for (const look of [...this.#watchers]) look()
    } else if (event === 'failed') this.#fail(String(report['message']))
    else if (this.#asked?.answer === event) this.#asked?.resolve(report)
    else this.#early.push(report)
  }

  #fail(reason: string): void {
    const output = this.#errors.trim()
    this.#asked?.reject(new Error(output === '' ? reason : `${reason}; it said: ${output}`))
  }

  #keep(text: string): void {
    this.#errors = `${this.#errors}${text}`.slice(-OUTPUT_KEPT)
  }
}

/** All programs of a run; whoever stops the run stops them here. */
export class ProcessOwner {
  readonly #processes = new Set<LineProcess>()

  start(launch: Launch): LineProcess {
    const started = new LineProcess(launch)
    this.#processes.add(started)
    return started
  }

  async endAll(patient = true): Promise<void> {
    await Promise.all([...this.#processes].map((process) => process.end(patient)))
    this.#processes.clear()
  }

  /** For the end of this process, when nothing can be waited for. */
  killAll(): void {
    for (const process of this.#processes) if (process.isRunning) process.signal('SIGKILL')
  }
}
