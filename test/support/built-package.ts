/**
 * The package as users install it: both builds, made by the project's own tsup configuration, under
 * `node_modules/shoal` of a temporary folder in which a test's programs then run.
 */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'tsup'
import config from '../../tsup.config.js'

export interface ProgramResult {
  /** `null` when it was ended by a signal, its own or that of the limit. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** From its first line `done` to its end; `undefined` when it never came so far. */
  readonly lingeredMs: number | undefined
}

export interface RunOptions {
  readonly limitMs?: number
  /** A command, with its arguments, that runs the program. */
  readonly through?: readonly string[]
}

export class BuiltPackage {
  readonly #folder: string
  #programs = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async make(): Promise<BuiltPackage> {
    const root = resolve(import.meta.dirname, '../..')
    const folder = await mkdtemp(join(tmpdir(), 'shoal-package-'))
    const home = join(folder, 'node_modules/shoal')
    await mkdir(home, { recursive: true })
    await copyFile(join(root, 'package.json'), join(home, 'package.json'))
    await symlink(join(root, 'node_modules'), join(home, 'node_modules'))
    await build({ ...config, config: false, outDir: join(home, 'dist'), dts: false, sourcemap: false, silent: true })
    return new BuiltPackage(folder)
  }

  /** Runs a program of its own until it ends by itself, or kills it after `limitMs`. */
  async run(
    extension: 'cjs' | 'mjs',
    source: string,
    { limitMs = 15_000, through = [] }: RunOptions = {},
  ): Promise<ProgramResult> {
    const file = join(this.#folder, `program-${++this.#programs}.${extension}`)
    await writeFile(file, source)
    return new Promise((done, reject) => {
      const [command = '', ...args] = [...through, process.execPath, file]
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.#folder })
      const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
      let [stdout, stderr] = ['', '']
      let doneAt: number | undefined
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk.toString()
        if (/^done$/m.test(stdout)) doneAt ??= performance.now()
      })
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString()
      })
      child.on('error', reject)
      child.on('close', (code, signal) => {
        clearTimeout(limit)
        const lingeredMs = doneAt === undefined ? undefined : performance.now() - doneAt
        done({ code, signal, stdout, stderr, lingeredMs })
      })
    })
  }

  remove(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true })
  }
}
