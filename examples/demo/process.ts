/** A process of the demo as its parent sees it: commands go in, answers and sightings come out. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { Command, Report } from './protocol.js'

const ANSWER_TIMEOUT_MS = 20_000

type ReportOf<K extends Report['kind']> = Extract<Report, { readonly kind: K }>
export type Sighting = ReportOf<'member'>

export class DemoProcess {
  readonly name: string
  readonly sightings: Sighting[] = []
  readonly #child: ChildProcess
  readonly #onReport = new Set<(report: Report) => void>()

  constructor(name: string) {
    this.name = name
    const file = join(import.meta.dirname, 'worker.ts')
    this.#child = fork(file, { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (report: Report) => {
      if (report.kind === 'member') this.sightings.push(report)
      for (const listener of [...this.#onReport]) listener(report)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  ask<K extends Report['kind']>(command: Command, answer: K): Promise<ReportOf<K>> {
    const reply = this.#next((report) => report.kind === answer, `an answer to '${command.kind}'`)
    this.#child.send(command)
    return reply as Promise<ReportOf<K>>
  }

  /** When this process saw that of that member; waits for it at most `limitMs`. */
  async saw(type: string, member: string, limitMs: number): Promise<number> {
    const matches = (report: Report): boolean =>
      report.kind === 'member' && report.type === type && report.member === member
    const seen = this.sightings.find(matches) ?? (await this.#next(matches, `${type} of ${member}`, limitMs))
    return seen.kind === 'member' ? seen.at : 0
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async close(): Promise<void> {
    if (!this.isRunning) return
    const exited = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    if (this.#child.connected) this.#child.send({ kind: 'close' } satisfies Command)
    const timer = setTimeout(() => this.kill(), 5_000)
    await exited
    clearTimeout(timer)
  }

  #next(wanted: (report: Report) => boolean, what: string, limitMs = ANSWER_TIMEOUT_MS): Promise<Report> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        this.#onReport.delete(listener)
        this.#child.removeListener('exit', onExit)
        settle()
      }
      const listener = (report: Report): void => {
        if (wanted(report)) finish(() => resolve(report))
        else if (report.kind === 'failed') finish(() => reject(new Error(`${this.name}: ${report.message}`)))
      }
      const onExit = (): void => finish(() => reject(new Error(`${this.name} ended while it owed ${what}`)))
      const timer = setTimeout(() => finish(() => reject(new Error(`${this.name}: no ${what} in time`))), limitMs)
      this.#onReport.add(listener)
      this.#child.once('exit', onExit)
    })
  }
}
