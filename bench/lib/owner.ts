/**
 * The one owner of what a run starts: its processes, its folders, and whatever else has to be undone. `release` is
 * synchronous and takes no excuses, so that it can be the last thing that an interrupted run does.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FOLDER = /^shoal-bench-(\d+)-/

export class Owner {
  readonly #children = new Set<ChildProcess>()
  readonly #folders = new Set<string>()
  readonly #undo: (() => void)[] = []
  #released = false

  /** Kills it at the end, stopped by SIGSTOP or not. */
  adopt(child: ChildProcess): void {
    if (this.#released) {
      child.kill('SIGKILL')
      return
    }
    this.#children.add(child)
    const forget = (): void => void this.#children.delete(child)
    child.once('exit', forget)
    child.once('error', forget)
  }

  /** A folder that goes with the run; its name tells whose it is. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), `shoal-bench-${process.pid}-`))
    this.#folders.add(folder)
    return folder
  }

  onRelease(undo: () => void): void {
    this.#undo.push(undo)
  }

  release(): void {
    this.#released = true
    for (const undo of this.#undo.splice(0)) undo()
    for (const child of this.#children) child.kill('SIGKILL')
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true })
    this.#folders.clear()
  }
}

/** Folders of runs that were killed and could not clean up: those whose process is gone. */
export function removeStaleFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = FOLDER.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // somebody else's
  }
}
