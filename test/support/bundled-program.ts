/** A program of these tests in processes of its own: bundled once, so that each starts in the time that Node needs. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { type Bundle, bundle } from './bundle.js'

/** An order by its name, and what the program answers to it. */
export interface ProgramAnswer {
  readonly ok: boolean
  readonly value: unknown
}

export class ProgramProcess {
  readonly #process: ChildProcess
  #waiting: ((answer: ProgramAnswer) => void) | undefined
  #stderr = ''

  constructor(file: string, args: readonly string[]) {
    this.#process = fork(file, args, { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString()
    })
    this.#process.on('message', (answer: ProgramAnswer) => this.#waiting?.(answer))
    this.#process.on('exit', () => this.#waiting?.({ ok: false, value: 'its process ended' }))
  }

  /** One at a time. Rejects with what the program threw, or when it ends. */
  async ask<Answer>(order: object): Promise<Answer> {
    const answered = new Promise<ProgramAnswer>((resolve) => {
      this.#waiting = resolve
    })
    this.#process.send(order)
    const { ok, value } = await answered
    if (ok) return value as Answer
    throw new Error(`${JSON.stringify(order)}: ${String(value)}\n${this.#stderr}`)
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }
}

export class BundledProgram {
  readonly #bundle: Bundle
  readonly #running: ProgramProcess[] = []

  private constructor(made: Bundle) {
    this.#bundle = made
  }

  /** `source` below the root of the project. */
  static async make(source: string): Promise<BundledProgram> {
    return new BundledProgram(await bundle(source))
  }

  start(...args: readonly string[]): ProgramProcess {
    const started = new ProgramProcess(this.#bundle.file, args)
    this.#running.push(started)
    return started
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((each) => each.kill()))
    await rm(this.#bundle.folder, { recursive: true, force: true })
  }
}
