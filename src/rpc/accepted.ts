/**
 * One accepted connection: joins a link, an outbox and the callee's session, and decides when it is given up: no hello
 * in time, garbage, a caller that does not read. What the calls do is the session's and the dispatcher's business.
 */
import type { Refusal } from './caller-identity.js'
import type { Flushable, Flusher } from './flusher.js'
import { CLOSE_MS, FLUSH_BYTES, type RpcLimits } from './limits.js'
import type { Link, LinkError, LinkHandler } from './link.js'
import { Outbox } from './outbox.js'
import { ServeSession, type ServeSessionOptions } from './serve-session.js'

export interface AcceptedOptions {
  readonly open: (handler: LinkHandler) => Link
  readonly flusher: Flusher
  readonly limits: RpcLimits
  readonly session: Omit<
    ServeSessionOptions,
    'outbox' | 'frameBytesMax' | 'callsMax' | 'callerAddress' | 'onWritten' | 'onRefused'
  >
  readonly onRefused: (refusal: Refusal, address: string) => void
  readonly now: () => number
  /** The same without the stalls of this process: what the other side is judged by. */
  readonly steadyNow: () => number
  readonly onClosed: (connection: Accepted) => void
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
const UNSENT_FACTOR_MAX = 8

export class Accepted implements LinkHandler, Flushable {
  readonly #options: AcceptedOptions
  readonly #outbox = new Outbox()
  readonly #link: Link
  readonly #session: ServeSession
  readonly #helloDeadlineAt: number
  /** Set once the session is over; when the other side does not close by then, we do. */
  #cutAt: number | undefined
  #flushScheduled = false
  #paused = false
  #closed = false
  #isCut = false
  #stall: { sentBytes: number; since: number }

  constructor(options: AcceptedOptions) {
    const { limits } = options
    const steadyAt = options.steadyNow()
    this.#options = options
    this.#helloDeadlineAt = steadyAt + limits.helloMs
    this.#stall = { sentBytes: 0, since: steadyAt }
    this.#link = options.open(this)
    this.#session = new ServeSession({
      ...options.session,
      outbox: this.#outbox,
      frameBytesMax: limits.frameBytesMax,
      callsMax: limits.incomingCallsMax,
      callerAddress: this.#link.remoteAddress(),
      onWritten: () => this.#wrote(),
      onRefused: (refusal) => options.onRefused(refusal, this.#link.remoteAddress()),
    })
  }

  get isAnonymous(): boolean {
    return this.#session.state === 'hello'
  }

  /** The key that it was made with. */
  get keyId(): string | undefined {
    return this.#options.session.proof?.keyId
  }

  get runningCount(): number {
    return this.#session.runningCount
  }

  stats(): AcceptedStats {
    return {
      caller: { node: this.#session.callerNode, address: this.#link.remoteAddress() },
      state: this.#session.state,
      running: this.#session.runningCount,
      accepted: this.#session.acceptedCount,
      unsentBytes: this.#link.unsentBytes() + this.#outbox.pendingBytes,
      sentBytes: this.#link.sentBytes(),
      receivedBytes: this.#link.receivedBytes(),
    }
  }

  /** Takes no more calls; the caller closes when it has its replies. One that said nothing yet is closed at once. */
  goAway(): void {
    if (this.isAnonymous) this.destroy()
    else this.#session.goAway()
  }

  destroy(): void {
    this.#link.destroy()
  }

  sweep(now: number): void {
    if (this.#closed) return
    const steadyAt = this.#options.steadyNow()
    this.#session.sweep(now)
    if (this.isAnonymous && steadyAt >= this.#helloDeadlineAt) this.#cut('hello-timeout')
    else if (this.#cutAt !== undefined && now >= this.#cutAt) this.#link.destroy()
    else if (this.#isStalled(steadyAt)) this.#cut('caller-stalled')
  }

  flush(): void {
    this.#flushScheduled = false
    if (this.#closed || this.#outbox.pendingBytes === 0) return
    const isBacklogged = this.#link.unsentBytes() > 0
    this.#link.write(this.#outbox.take(isBacklogged))
    const unsent = this.#link.unsentBytes()
    this.#outbox.slabReturned(isBacklogged || unsent === 0)
    this.#throttle(unsent)
  }

  handleOpen(): void {}

  handleBytes(chunk: Uint8Array, length: number): void {
    if (this.#closed || this.#cutAt !== undefined) return
    const { now } = this.#options
    this.#session.handleBytes(chunk, length, now())
    if (this.#session.state === 'failed') this.#link.destroy()
    else if (this.#session.state === 'refused') {
      this.flush()
      this.#cutAt = now() + CLOSE_MS
      this.#link.end()
    }
  }

  handleDrain(): void {
    this.#stall.since = this.#options.steadyNow()
    if (!this.#paused || this.#closed) return
    this.#paused = false
    this.#link.resumeReading()
  }

  handleClose(_error: LinkError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    if (this.isAnonymous && !this.#isCut) this.#options.session.counters.add('closed-before-hello')
    this.#session.callerLost()
    this.#options.onClosed(this)
  }

  #wrote(): void {
    if (this.#outbox.pendingBytes >= FLUSH_BYTES) this.flush()
    if (this.#flushScheduled || this.#outbox.pendingBytes === 0) return
    this.#flushScheduled = true
    this.#options.flusher.soon(this)
  }

  /** A caller that reads slowly sends slowly: its requests stay in the kernel until the replies are out. */
  #throttle(unsent: number): void {
    const { unsentBytesMax } = this.#options.limits
    if (unsent > unsentBytesMax * UNSENT_FACTOR_MAX) this.#cut('unsent-replies')
    else if (unsent > unsentBytesMax && !this.#paused) {
      this.#paused = true
      this.#link.pauseReading()
    }
  }

  #isStalled(now: number): boolean {
    const sentBytes = this.#link.sentBytes()
    if (this.#link.unsentBytes() === 0 || sentBytes !== this.#stall.sentBytes) this.#stall = { sentBytes, since: now }
    return now - this.#stall.since > this.#options.limits.stallMs
  }

  #cut(reason: string): void {
    this.#isCut = true
    this.#options.session.counters.add(reason)
    this.#link.destroy()
  }
}
