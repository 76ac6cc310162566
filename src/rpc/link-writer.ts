/**
 * When an outbox goes to its link: at once when it holds much, else at the end of the tick or after this round of events;
 * pieces of long messages only while the link takes them. Also sees whether the other side takes anything at all.
 */
import type { Flushable, Flusher } from './flusher.js'
import { FLUSH_BYTES } from './limits.js'
import type { Link } from './link.js'
import type { Outbox } from './outbox.js'

export interface LinkWriterOptions {
  readonly outbox: Outbox
  readonly link: Link
  readonly flusher: Flusher
  /** Of a link on which nothing more is to be written. */
  readonly isOver: () => boolean
  /** What the outbox held has gone to the link. */
  readonly onFlushed: (unsentBytes: number) => void
  /** The other side took some of what waited. */
  readonly onTaken?: () => void
  /** The link has room again. */
  readonly onDrained?: (unsentBytes: number) => void
}

/** A write of less never makes a link ask for a pause. */
const HOLD_BYTES = 16_384

export class LinkWriter implements Flushable {
  readonly #options: LinkWriterOptions
  #scheduled = false
  #stall: { sentBytes: number; since: number }

  constructor(options: LinkWriterOptions, now: number) {
    this.#options = options
    this.#stall = { sentBytes: 0, since: now }
  }

  /** Written here and not taken by the kernel. */
  unsentBytes(): number {
    const { link, outbox } = this.#options
    return link.unsentBytes() + outbox.pendingBytes + outbox.bulkBytes
  }

  /** Something was written; `soon` says whether it leaves with this tick or with this round of events. */
  wrote(soon: boolean): void {
    const { outbox, link, flusher } = this.#options
    if (outbox.pendingBytes >= FLUSH_BYTES) this.flush()
    if (this.#scheduled) return
    if (outbox.pendingBytes === 0 && (!outbox.hasBulk || link.needsDrain())) return
    this.#scheduled = true
    if (soon) flusher.soon(this)
    else flusher.later(this)
  }

  flush(): void {
    this.#scheduled = false
    const { outbox, link, isOver, onFlushed } = this.#options
    if (isOver()) return
    if (outbox.hasBulk && !link.needsDrain()) outbox.fillSlab()
    if (outbox.pendingBytes === 0) return
    const isBacklogged = link.unsentBytes() > 0
    // A link that takes its time over each write, as TLS does, tells only of the long ones that it is done.
    if (!isBacklogged) outbox.drained()
    const bytes = outbox.take(isBacklogged)
    link.write(bytes)
    const unsent = link.unsentBytes()
    outbox.slabReturned(isBacklogged || unsent === 0)
    if (outbox.holdsItems || bytes.length >= HOLD_BYTES) outbox.holdsItems = link.needsDrain()
    onFlushed(unsent + outbox.bulkBytes)
    outbox.tellItemRoom()
    // One slab of pieces a round: what others have to say comes in between.
    if (outbox.hasBulk) this.wrote(false)
  }

  /** The link has taken everything. */
  handleDrain(now: number): void {
    this.#stall.since = now
    const { outbox, isOver, onDrained } = this.#options
    outbox.holdsItems = false
    outbox.drained()
    if (isOver()) return
    outbox.tellItemRoom()
    if (outbox.hasBulk) this.wrote(false)
    onDrained?.(outbox.bulkBytes)
  }

  /** Whether the other side has taken nothing for so long. */
  isStalled(now: number, stallMs: number): boolean {
    const { link, outbox, onTaken } = this.#options
    const sentBytes = link.sentBytes()
    if (link.unsentBytes() === 0) outbox.drained()
    if (link.unsentBytes() > 0 && sentBytes !== this.#stall.sentBytes) onTaken?.()
    if (link.unsentBytes() === 0 || sentBytes !== this.#stall.sentBytes) this.#stall = { sentBytes, since: now }
    return now - this.#stall.since > stallMs
  }
}
