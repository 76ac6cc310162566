/**
 * Keeps the snapshot file in step with the cluster: one write at a time, soon after a change and not too often, none
 * when nothing changed. The disk is never waited for: what fails is told once, counted and tried again later.
 *
 * An empty list is written only by a leave. A node that loses sight of all others keeps the last addresses it knew, as
 * it will want them most of all after a restart.
 */
import type { HostPort } from '../address.js'
import type { Clock, Timer } from '../clock.js'
import { ShoalError } from '../errors.js'
import { within } from '../within.js'
import type { Notice } from './effects.js'
import type { Member } from './member.js'
import { encodeSnapshot, membersToKeep, parseSnapshot, SNAPSHOT_BYTES_MAX } from './snapshot.js'
import { SnapshotFile } from './snapshot-file.js'

export interface SnapshotSource {
  readonly members: () => readonly Member[]
  readonly onNotice: (notice: Notice) => void
}

interface Owner {
  readonly clock: Clock
  readonly cluster: string
  readonly name: string
}

/** From a change to the write, so that a burst of changes is one write. */
const DELAY_MS = 500
/** From one write to the next, however much happens. */
const INTERVAL_MS = 2_000
const RETRY_MS = 15_000
/** A start gives up on a disk that hangs, and so do a leave and a close. */
const OPEN_TIMEOUT_MS = 5_000
const LAST_WRITE_TIMEOUT_MS = 1_000

export class SnapshotKeeper {
  /** Where members of the former life of this node were. */
  readonly former: readonly HostPort[]
  readonly #file: SnapshotFile
  readonly #owner: Owner
  /** The text in the file as far as we know; undefined when it is not ours. */
  #written: string | undefined
  #ignored: string | undefined
  #source: SnapshotSource = { members: () => [], onNotice: () => {} }
  #state: 'open' | 'forgotten' | 'closed' = 'open'
  #timer: Timer | undefined
  #changed = false
  #isWriting = false
  /** Writes follow one another. */
  #last: Promise<void> = Promise.resolve()
  #nextAt = 0
  #failing = false
  #errors = 0

  private constructor(file: SnapshotFile, owner: Owner, found: Found) {
    this.#file = file
    this.#owner = owner
    this.former = found.former
    this.#written = found.text
    this.#ignored = found.ignored
  }

  /** Rejects INVALID_OPTION for a path that can never be used; a file that makes no sense is only told of. */
  static async open(path: unknown, owner: Owner): Promise<SnapshotKeeper> {
    if (typeof path !== 'string' || path === '') {
      throw new ShoalError(
        'INVALID_OPTION',
        `snapshot must be the path of a file, got ${path === '' ? "''" : typeof path}`,
      )
    }
    const opened = (async (): Promise<SnapshotKeeper> => {
      const file = await SnapshotFile.open(path)
      return new SnapshotKeeper(file, owner, await find(file, owner.cluster))
    })()
    const keeper = await within(opened, OPEN_TIMEOUT_MS, owner.clock)
    if (keeper !== undefined) return keeper
    throw new ShoalError('INVALID_OPTION', `snapshot '${path}': the disk did not answer within ${OPEN_TIMEOUT_MS} ms`)
  }

  /** Writes that failed. */
  get errors(): number {
    return this.#errors
  }

  start(source: SnapshotSource): void {
    this.#source = source
    if (this.#ignored !== undefined) this.#tell(`ignored: ${this.#ignored}`)
    this.#ignored = undefined
  }

  /** Something happened to a member; whether it matters here is seen when the time to write has come. */
  handleChange(): void {
    this.#changed = true
    this.#arm()
  }

  /** Empties the file: who has left does not come back by itself. Waits for the disk a second at most. */
  async forget(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'forgotten'
    this.#owner.clock.clearTimer(this.#timer)
    this.#enqueue(async () => {
      if (this.#written !== undefined) await this.#write(encodeSnapshot(this.#owner.cluster, []))
    })
    await within(this.#last, LAST_WRITE_TIMEOUT_MS, this.#owner.clock)
  }

  /** The node has come back after a leave: members are kept again. */
  resume(): void {
    if (this.#state !== 'forgotten') return
    this.#state = 'open'
    this.handleChange()
  }

  /** Writes what has changed since. Waits for the disk a second at most. */
  async close(): Promise<void> {
    this.#owner.clock.clearTimer(this.#timer)
    if (this.#state === 'open' && this.#changed) this.#enqueue(() => this.#writeMembers())
    this.#state = 'closed'
    await within(this.#last, LAST_WRITE_TIMEOUT_MS, this.#owner.clock)
  }

  #arm(): void {
    if (this.#state !== 'open' || this.#timer !== undefined || this.#isWriting) return
    this.#timer = this.#owner.clock.setTimeout(
      () => {
        this.#timer = undefined
        this.#enqueue(() => this.#writeMembers())
      },
      Math.max(DELAY_MS, this.#nextAt - this.#owner.clock.monotonicMs()),
    )
  }

  #enqueue(work: () => Promise<void>): void {
    this.#isWriting = true
    this.#last = this.#last.then(work).finally(() => {
      this.#isWriting = false
      if (this.#changed) this.#arm()
    })
  }

  async #writeMembers(): Promise<void> {
    this.#changed = false
    const members = membersToKeep(this.#source.members(), this.#owner.name)
    if (members.length > 0) await this.#write(encodeSnapshot(this.#owner.cluster, members))
  }

  /** Never rejects. */
  async #write(text: string): Promise<void> {
    if (text === this.#written) return
    try {
      await this.#file.write(text)
      this.#written = text
      this.#failing = false
      this.#nextAt = this.#owner.clock.monotonicMs() + INTERVAL_MS
    } catch (error) {
      this.#errors++
      this.#changed = true
      this.#nextAt = this.#owner.clock.monotonicMs() + RETRY_MS
      if (!this.#failing) this.#tell(`not written: ${reasonOf(error)}`)
      this.#failing = true
    }
  }

  #tell(reason: string): void {
    this.#source.onNotice({ kind: 'snapshot', path: this.#file.path, reason })
  }
}

interface Found {
  readonly former: readonly HostPort[]
  readonly text: string | undefined
  readonly ignored: string | undefined
}

async function find(file: SnapshotFile, cluster: string): Promise<Found> {
  const read = await file.read(SNAPSHOT_BYTES_MAX)
  if (read.kind === 'none') return { former: [], text: undefined, ignored: undefined }
  if (read.kind === 'too-large') {
    return { former: [], text: undefined, ignored: `it is larger than ${SNAPSHOT_BYTES_MAX} bytes` }
  }
  const parsed = parseSnapshot(read.text, cluster)
  if (parsed.ok) return { former: parsed.addresses, text: read.text, ignored: undefined }
  return { former: [], text: undefined, ignored: parsed.reason }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
