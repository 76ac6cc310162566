/** A program of these tests in processes of its own: bundled once, so that each starts in the time that Node needs. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'tsup'

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
  readonly #folder: string
  readonly #running: ProgramProcess[] = []

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** `file` below the root of the project. */
  static async make(file: string): Promise<BundledProgram> {
    const folder = await mkdtemp(join(tmpdir(), 'shoal-program-'))
    const root = resolve(import.meta.dirname, '../..')
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    await build({
      config: false,
      entry: { program: join(root, file) },
      outDir: folder,
      format: ['esm'],
      outExtension: () => ({ js: '.mjs' }),
      target: 'node20',
      silent: true,
      clean: false,
    })
    return new BundledProgram(folder)
  }

  start(...args: readonly string[]): ProgramProcess {
    const started = new ProgramProcess(join(this.#folder, 'program.mjs'), args)
    this.#running.push(started)
    return started
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((each) => each.kill()))
    await rm(this.#folder, { recursive: true, force: true })
  }
}
