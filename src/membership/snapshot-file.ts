/**
 * A small file that is replaced as a whole: whoever reads it, after a crash of process or machine too, finds one of the
 * texts that were written, never a part or a mixture. Several writers do not disturb each other; the last one wins.
 */
import { open, readdir, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ShoalError } from '../errors.js'

export type FileText =
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'too-large' }

const TEMPORARY = /^\.[0-9a-f]{12}\.tmp$/
/** What passes: a node must be able to start while the disk is full. */
const TRANSIENT: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'])
/** A temporary file this old was left behind by a crash: writing one takes far less. */
const STALE_MS = 60_000

export class SnapshotFile {
  /** Absolute, and past symbolic links. */
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Rejects INVALID_OPTION if the path can never be written to: a directory, none to be in, no permission. */
  static async open(given: string): Promise<SnapshotFile> {
    const path = resolve(given)
    try {
      const file = new SnapshotFile(await realpath(path).catch(() => path))
      await file.#assertUsable()
      await file.#removeStale()
      return file
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new ShoalError(
        'INVALID_OPTION',
        `snapshot '${given}' cannot be used: ${reason}. It must be the path of a file in a directory that exists and is writable`,
        { cause },
      )
    }
  }

  /** Reads `bytesMax` at most; rejects with the system's error. */
  async read(bytesMax: number): Promise<FileText> {
    const handle = await open(this.path, 'r').catch((error: unknown) => {
      if (isMissing(error)) return undefined
      throw error
    })
    if (handle === undefined) return { kind: 'none' }
    try {
      const buffer = Buffer.alloc(bytesMax + 1)
      let length = 0
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        read = (await handle.read(buffer, length, buffer.length - length, length)).bytesRead
      }
      if (length > bytesMax) return { kind: 'too-large' }
      return { kind: 'text', text: buffer.toString('utf8', 0, length) }
    } finally {
      await handle.close()
    }
  }

  /** Replaces the text. Rejects with the system's error; the old text stands then. */
  async write(text: string): Promise<void> {
    const temporary = this.#temporaryPath()
    try {
      await this.#create(temporary, text)
      await rename(temporary, this.path)
    } catch (error) {
      await unlink(temporary).catch(() => {}) // it may not even exist; a stale one is removed at the next start
      throw error
    }
    await this.#syncDirectory()
  }

  async #create(path: string, text: string): Promise<void> {
    const handle = await open(path, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** Makes the rename itself last. Not every system can; then a crash of the machine may bring the former text back. */
  async #syncDirectory(): Promise<void> {
    const handle = await open(dirname(this.path), 'r').catch(() => undefined)
    await handle?.sync().catch(() => {})
    await handle?.close()
  }

  /** Looks at what is there, and proves by a temporary file that the directory takes one. */
  async #assertUsable(): Promise<void> {
    const found = await stat(this.path).catch((error: unknown) => {
      if (isMissing(error)) return undefined
      throw error
    })
    if (found?.isDirectory()) throw new Error('it is a directory')
    if (found !== undefined && !found.isFile()) throw new Error('it is no regular file')
    await this.#tryDirectory()
    if (found !== undefined) await (await open(this.path, 'r')).close()
  }

  async #tryDirectory(): Promise<void> {
    const temporary = this.#temporaryPath()
    try {
      await this.#create(temporary, '')
    } catch (error) {
      if (!TRANSIENT.has(codeOf(error))) throw error
    } finally {
      await unlink(temporary).catch(() => {}) // it is not there when it could not be made
    }
  }

  async #removeStale(): Promise<void> {
    const folder = dirname(this.path)
    const name = basename(this.path)
    for (const each of await readdir(folder).catch(() => [])) {
      if (!each.startsWith(name) || !TEMPORARY.test(each.slice(name.length))) continue
      const path = join(folder, each)
      const found = await stat(path).catch(() => undefined)
      if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await unlink(path).catch(() => {})
    }
  }

  #temporaryPath(): string {
    const { randomBytes } = process.getBuiltinModule('node:crypto')
    return `${this.path}.${randomBytes(6).toString('hex')}.tmp`
  }
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT'
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
