/**
 * One accepted connection from its hello on: joins a link, an outbox and the callee's session, and decides when it is
 * given up: garbage, a caller that does not read. What the calls do is the session's and the dispatcher's business.
 */
import { concatBytes, EMPTY_BYTES } from '../bytes.js'
import type { Refusal } from './caller-identity.js'
import type { Flusher } from './flusher.js'
import { CLOSE_MS, type RpcLimits } from './limits.js'
import type { Link, LinkError, LinkHandler } from './link.js'
import { LinkWriter } from './link-writer.js'
import { Outbox } from './outbox.js'
import { ServeSession, type ServeSessionOptions } from './serve-session.js'
import type { Slabs } from './slabs.js'
import type { TurnShare } from './turn-share.js'
import type { TurnShares } from './turn-shares.js'

export interface AcceptedOptions {
  readonly open: (handler: LinkHandler) => Link
  readonly flusher: Flusher
  readonly slabs: Slabs
  readonly limits: RpcLimits
  readonly session: Omit<
    ServeSessionOptions,
    | ('outbox' | 'frameBytesMax' | 'callsMax' | 'streamsMax' | 'callerAddress')
    | ('onWritten' | 'onRefused' | 'share' | 'isBehind')
  >
  readonly onRefused: (refusal: Refusal, address: string) => void
  /** Of all connections of the node. */
  readonly shares: TurnShares
  readonly now: () => number
  /** The same without the stalls of this process: what the other side is judged by. */
  readonly steadyNow: () => number
  /** Something has a deadline now, or waits for the caller: it has to be swept by this instant. */
  readonly onBusy: (at: number) => void
  /** So much more than before waits for the caller to read it, or less. */
  readonly onUnsent: (moreBytes: number) => void
  readonly onClosed: () => void
}

export interface AcceptedStats {
  readonly caller: { readonly node: string; readonly address: string }
  readonly state: string
  readonly running: number
  readonly accepted: number
  readonly unsentBytes: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** How far past `unsentBytesMax` the replies of running calls may go before the caller is given up. */
const UNSENT_FACTOR_MAX = 2
/** Replies that a caller has not read, besides long ones that leave in pieces: above it no request is served. */
const UNREAD_BYTES_MAX = 262_144

export class Accepted implements LinkHandler {
  readonly #options: AcceptedOptions
  readonly #outbox: Outbox
  readonly #link: Link
  readonly #writer: LinkWriter
  readonly #session: ServeSession
  /** Set once the session is over; when the other side does not close by then, we do. */
  #cutAt: number | undefined
  readonly #share: TurnShare
  /** What came and waits for a later turn; the link is not read meanwhile. */
  #rest: Uint8Array | undefined
  /** Of the budget, for it. */
  #restBytes = 0
  #isGoingOn = false
  /** The caller leaves too much unread. */
  #isBehind = false
  /** Waits for the caller to read it, as it was told. */
  #unsentBytes = 0
  #closed = false
  #isCut = false

  constructor(options: AcceptedOptions) {
    const { limits } = options
    const steadyAt = options.steadyNow()
    this.#options = options
    this.#share = options.shares.open()
    this.#outbox = new Outbox(options.session.codec, options.slabs)
    this.#link = options.open(this)
    this.#writer = new LinkWriter(
      {
        outbox: this.#outbox,
        link: this.#link,
        flusher: options.flusher,
        isOver: () => this.#closed || this.#cutAt !== undefined,
        onFlushed: (unsent) => {
          if (unsent > 0) options.onBusy(Number.MAX_VALUE)
          this.#throttle(unsent)
        },
        onDrained: (unsent) => this.#throttle(unsent),
      },
      steadyAt,
    )
    this.#session = new ServeSession({
      ...options.session,
      outbox: this.#outbox,
      frameBytesMax: limits.frameBytesMax,
      callsMax: limits.incomingCallsMax,
      streamsMax: limits.streamsMax,
      callerAddress: this.#link.remoteAddress(),
      onWritten: () => this.#wrote(),
      onRefused: (refusal) => options.onRefused(refusal, this.#link.remoteAddress()),
      share: this.#share,
      isBehind: () => this.#isBehind,
    })
  }

  /** The key that it was made with. */
  get keyId(): string | undefined {
    return this.#options.session.proof?.keyId
  }

  /** As of the last time that something was written or had gone. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  stats(): AcceptedStats {
    return {
      caller: { node: this.#session.callerNode, address: this.#link.remoteAddress() },
      state: this.#session.state,
      running: this.#session.runningCount,
      accepted: this.#session.acceptedCount,
      unsentBytes: this.#writer.unsentBytes(),
      sentBytes: this.#link.sentBytes(),
      receivedBytes: this.#link.receivedBytes(),
    }
  }

  /** Takes no more calls; the caller closes when it has its replies. One whose hello still waits is closed at once. */
  goAway(): void {
    if (this.#session.state === 'hello') this.destroy()
    else this.#session.goAway()
  }

  destroy(): void {
    this.#link.destroy()
  }

  /** Others need the memory of what it does not read. */
  giveWay(): void {
    this.#cut('unsent-replies')
  }

  /** Ends what is over by now. Returns the instant by which it has to be looked at again, `Infinity` when nothing waits. */
  sweep(now: number): number {
    if (this.#closed) return Number.POSITIVE_INFINITY
    const steadyAt = this.#options.steadyNow()
    this.#session.sweep(now)
    if (this.#cutAt !== undefined && now >= this.#cutAt) this.#link.destroy()
    else if (this.#writer.isStalled(steadyAt, this.#options.limits.stallMs)) this.#cut('caller-stalled')
    const nextAt = this.#nextDeadlineAt()
    return this.#writer.unsentBytes() > 0 ? Math.min(nextAt, Number.MAX_VALUE) : nextAt
  }

  flush(): void {
    this.#writer.flush()
  }

  handleOpen(): void {}

  handleBytes(chunk: Uint8Array, length: number): void {
    if (this.#closed || this.#cutAt !== undefined) return
    const { now, shares } = this.#options
    // A socket that is paused right after it was resumed reads once more. And in a crowd strangers wait.
    if (this.#rest !== undefined || (shares.isCrowded && this.#session.state === 'hello')) {
      this.#keepRest(chunk.subarray(0, length))
      return
    }
    const at = now()
    shares.begin(at, this.#share)
    const end = this.#serve(chunk, length, at)
    if (end < length) this.#keepRest(chunk.subarray(end, length))
    shares.end()
  }

  /** Returns how much of it was served. */
  #serve(chunk: Uint8Array, length: number, now: number): number {
    const end = this.#session.handleBytes(chunk, length, now)
    if (this.#session.state === 'failed') this.#link.destroy()
    else if (this.#session.state === 'refused') {
      this.flush()
      // Nobody reads what its calls would answer, and its streams would go on into memory.
      this.#session.callerLost()
      this.#cutAt = now + CLOSE_MS
      this.#link.end()
    }
    const nextAt = this.#nextDeadlineAt()
    if (nextAt !== Number.POSITIVE_INFINITY) this.#options.onBusy(nextAt)
    return end
  }

  /** The memory is another's. */
  #keepRest(more: Uint8Array): void {
    this.#link.pauseReading()
    const rest = concatBytes([this.#rest ?? EMPTY_BYTES, more])
    this.#dropRest()
    if (this.#options.session.budget?.tryTake(rest.length) === false) {
      this.#cut('too-many-bytes-held')
      return
    }
    this.#rest = rest
    this.#restBytes = rest.length
    if (!this.#isBehind) this.#goOnLater()
  }

  #dropRest(): void {
    this.#options.session.budget?.give(this.#restBytes)
    this.#restBytes = 0
    this.#rest = undefined
  }

  #goOnLater(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    this.#share.later(this.#goOn)
  }

  readonly #goOn = (): void => {
    this.#isGoingOn = false
    const rest = this.#rest
    if (rest === undefined || this.#isBehind || this.#cutAt !== undefined) return
    const end = this.#serve(rest, rest.length, this.#options.now())
    if (end < rest.length) this.#rest = rest.subarray(end)
    else this.#dropRest()
    if (this.#isBehind) return
    if (this.#rest !== undefined) this.#goOnLater()
    else this.#link.resumeReading()
  }

  handleDrain(): void {
    this.#writer.handleDrain(this.#options.steadyNow())
  }

  handleClose(_error: LinkError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#dropRest()
    this.#noteUnsent(0)
    this.#session.callerLost()
    this.#outbox.close()
    this.#options.onClosed()
  }

  #nextDeadlineAt(): number {
    return this.#cutAt === undefined ? this.#session.nextDeadlineAt() : 0
  }

  #wrote(): void {
    this.#writer.wrote(true)
    if (this.#outbox.bulkBytes > 0) this.#throttle(this.#writer.unsentBytes())
  }

  /** A caller that reads slowly sends slowly: its requests stay in the kernel until the replies are out. */
  #throttle(unsent: number): void {
    if (this.#closed || this.#isCut) return
    this.#noteUnsent(unsent)
    if (this.#isCut) return
    const { unsentBytesMax } = this.#options.limits
    if (unsent > unsentBytesMax * UNSENT_FACTOR_MAX) {
      this.#cut('unsent-replies')
      return
    }
    const isBehind = unsent > unsentBytesMax || this.#link.unsentBytes() > UNREAD_BYTES_MAX
    if (isBehind === this.#isBehind) return
    this.#isBehind = isBehind
    if (isBehind) this.#link.pauseReading()
    else if (this.#rest !== undefined) this.#goOnLater()
    else this.#link.resumeReading()
  }

  #noteUnsent(unsent: number): void {
    const more = unsent - this.#unsentBytes
    this.#unsentBytes = unsent
    if (more !== 0) this.#options.onUnsent(more)
  }

  #cut(reason: string): void {
    this.#isCut = true
    this.#noteUnsent(0)
    this.#options.session.counters.add(reason)
    this.#link.destroy()
  }
}
