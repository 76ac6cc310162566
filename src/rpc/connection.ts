/**
 * One connection to a peer, from dialling to its end: joins a link, an outbox and the caller's session, and decides when
 * the connection is given up. The protocol is the session's, the choice of peer and the queue before the connection is
 * open are the peer's.
 */
import type { HostPort } from '../address.js'
import type { CallErrorCode } from '../errors.js'
import { ByteBudget } from './byte-budget.js'
import { CallSession, type CallSessionOptions } from './call-session.js'
import type { Dial } from './dialer.js'
import type { Flusher } from './flusher.js'
import { CLOSE_MS, type RpcLimits } from './limits.js'
import type { Link, LinkError, LinkHandler } from './link.js'
import { LinkWriter } from './link-writer.js'
import { Outbox } from './outbox.js'
import type { CallHolder, OutgoingCall } from './outgoing-call.js'
import { SilenceWatch } from './silence.js'
import type { Slabs } from './slabs.js'

export interface ConnectionOptions {
  readonly address: HostPort
  readonly dial: Dial
  readonly flusher: Flusher
  readonly limits: RpcLimits
  readonly session: Omit<
    CallSessionOptions,
    'outbox' | 'frameBytesMax' | 'callsMax' | 'streamsMax' | 'onWritten' | 'budget'
  >
  /** Of the whole node. */
  readonly budget: ByteBudget
  readonly slabs: Slabs
  readonly now: () => number
  /** The same without the stalls of this process: what the other side is judged by. */
  readonly steadyNow: () => number
  /** True when no other call of this node is in flight. */
  readonly isLoneCall: () => boolean
}

export interface ConnectionOwner {
  connectionReady(connection: Connection): void
  /** The callee goes away: no new call should use it. */
  connectionLeaving(connection: Connection): void
  /** Nothing comes from the callee, not even an answer to a ping: other instances should be preferred. */
  connectionQuiet(connection: Connection): void
  connectionClosed(connection: Connection, end: ConnectionEnd): void
}

export interface ConnectionEnd {
  readonly message: string
  readonly errorCode: string | undefined
  readonly wasReady: boolean
  /** Neither side meant it. */
  readonly unexpected: boolean
}

export interface ConnectionStats {
  readonly state: string
  readonly pending: number
  readonly unsentBytes: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

export class Connection implements LinkHandler, CallHolder {
  readonly #options: ConnectionOptions
  readonly #owner: ConnectionOwner
  readonly #outbox: Outbox
  readonly #session: CallSession
  readonly #link: Link
  readonly #writer: LinkWriter
  readonly #dialDeadlineAt: number
  #wasReady = false
  #closed = false
  /** Set once we end the connection ourselves; why, and how long the other side may take. */
  #ending: { readonly code: CallErrorCode; readonly message: string; readonly cutAt: number } | undefined
  #lastUsedAt: number
  readonly #silence: SilenceWatch
  #isSilent = false

  constructor(options: ConnectionOptions, owner: ConnectionOwner) {
    const { limits } = options
    this.#options = options
    this.#outbox = new Outbox(options.session.codec, options.slabs)
    this.#owner = owner
    this.#session = new CallSession({
      ...options.session,
      outbox: this.#outbox,
      frameBytesMax: limits.frameBytesMax,
      callsMax: limits.outgoingCallsMax,
      streamsMax: limits.streamsMax,
      onWritten: () => this.#wrote(),
      budget: new ByteBudget(limits.receivedBytesMax, options.budget),
    })
    this.#lastUsedAt = options.now()
    const steadyAt = options.steadyNow()
    this.#dialDeadlineAt = steadyAt + limits.connectMs
    this.#silence = new SilenceWatch(limits, steadyAt)
    this.#link = options.dial(options.address, this, options.session.target.node)
    this.#writer = new LinkWriter(
      {
        outbox: this.#outbox,
        link: this.#link,
        flusher: options.flusher,
        isOver: () => this.#closed || this.#ending !== undefined,
        onFlushed: () => this.#session.flushed(),
        // A ping behind megabytes is answered when they are through.
        onTaken: () => this.#silence.heard(),
      },
      steadyAt,
    )
  }

  get isReady(): boolean {
    return this.#session.state === 'ready' && this.#ending === undefined
  }

  get pendingCount(): number {
    return this.#session.pendingCount
  }

  get lastUsedAt(): number {
    return this.#lastUsedAt
  }

  stats(): ConnectionStats {
    return {
      state: this.#ending === undefined ? this.#session.state : 'ending',
      pending: this.#session.pendingCount,
      unsentBytes: this.#writer.unsentBytes(),
      sentBytes: this.#link.sentBytes(),
      receivedBytes: this.#link.receivedBytes(),
    }
  }

  /** Sends the request or refuses the call. The connection must be ready. */
  send(call: OutgoingCall, payload: Uint8Array, now: number): void {
    const unsent = this.#writer.unsentBytes()
    if (unsent + payload.length > this.#options.limits.unsentBytesMax && unsent > 0) {
      call.refuse('OVERLOADED', 'no', `${call.node} does not keep up: ${unsent} bytes wait to be sent to it`)
      return
    }
    this.#lastUsedAt = now
    call.holder = this
    this.#session.send(call, payload, now)
    this.#wrote()
  }

  abort(call: OutgoingCall): void {
    if (this.#session.abort(call)) this.#wrote()
  }

  /** Membership calls the peer dead: it has a second to prove otherwise. */
  probe(): void {
    this.#demandSign(this.#options.limits.probeMs)
  }

  /** Ends what is over by now. Returns the instant by which it has to be looked at again, `Infinity` when nothing waits. */
  sweep(now: number): number {
    if (this.#closed) return Number.POSITIVE_INFINITY
    const { stallMs, silenceMs } = this.#options.limits
    const steadyAt = this.#options.steadyNow()
    if (this.#session.sweep(now)) {
      // A slow handler, or a way that swallows everything without a word, on which each further call would fail too.
      this.#demandSign(silenceMs)
      this.#wrote()
    }
    if (!this.#wasReady && steadyAt >= this.#dialDeadlineAt) this.#cut('no connection within the time limit')
    else if (this.#ending !== undefined && now >= this.#ending.cutAt) this.#link.destroy()
    else if (this.#writer.isStalled(steadyAt, stallMs)) this.#cut(`the peer took no bytes for ${stallMs} ms`)
    else this.#listen(steadyAt)
    this.#endIfOver()
    const isShort = !this.#wasReady || this.#ending !== undefined || this.#silence.isAsking
    return isShort ? now : this.#session.nextDeadlineAt()
  }

  /** Sends what is written, fails the calls in flight with `code`, and ends the connection. */
  end(code: CallErrorCode, message: string): void {
    if (this.#closed || this.#ending !== undefined) return
    this.#writer.flush()
    this.#ending = { code, message, cutAt: this.#options.now() + CLOSE_MS }
    this.#session.lost(code, message)
    if (this.#wasReady) this.#link.end()
    else this.#link.destroy()
  }

  /** Ends it without waiting for the other side. */
  destroy(): void {
    this.#link.destroy()
  }

  handleOpen(): void {
    this.#session.greet()
    this.#writer.flush()
  }

  handleBytes(chunk: Uint8Array, length: number): void {
    if (this.#closed || this.#ending !== undefined) return
    this.#silence.heard()
    this.#session.handleBytes(chunk, length)
    if (this.#session.state === 'failed') {
      this.#cut(this.#session.failure ?? 'the protocol was broken')
      return
    }
    if (!this.#wasReady && this.#session.state === 'ready') {
      this.#wasReady = true
      this.#owner.connectionReady(this)
    }
    if (this.#session.state === 'leaving') this.#owner.connectionLeaving(this)
    this.#endIfOver()
    if (this.#outbox.pendingBytes > 0) this.#wrote()
  }

  handleDrain(): void {
    this.#writer.handleDrain(this.#options.steadyNow())
  }

  handleClose(error: LinkError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    const message = this.#ending?.message ?? this.#lossOf(error)
    this.#session.lost(this.#ending?.code ?? 'CONNECTION_LOST', message)
    this.#outbox.close()
    const unexpected = (this.#ending === undefined || this.#isSilent) && this.#session.state !== 'leaving'
    this.#owner.connectionClosed(this, { message, errorCode: error?.code, wasReady: this.#wasReady, unexpected })
  }

  #lossOf(error: LinkError | undefined): string {
    const { node } = this.#options.session.target
    if (this.#wasReady) return `the connection to ${node} was lost: ${error?.message ?? 'it ended'}`
    const isRefusal = error === undefined || error.code === 'ECONNRESET'
    const hint = isRefusal ? '; it was ended before the welcome: check that both nodes have the same keys, or tls' : ''
    return `no connection to ${node}: ${error?.message ?? 'it ended'}${hint}`
  }

  /** Pings the peer, which is given up unless anything comes from it within `withinMs`. */
  #demandSign(withinMs: number): void {
    if (!this.#wasReady || this.#ending !== undefined) return
    if (this.#silence.demand(this.#options.steadyNow(), withinMs)) this.#ping()
  }

  #listen(steadyAt: number): void {
    if (!this.#wasReady || this.#ending !== undefined) return
    const step = this.#silence.sweep(steadyAt, this.pendingCount > 0)
    if (step === 'ping') this.#ping()
    else if (step === 'quiet') this.#owner.connectionQuiet(this)
    else if (step === 'over') {
      this.#isSilent = true
      this.#cut('no answer to a ping')
    }
  }

  #ping(): void {
    this.#session.ping()
    this.#writer.flush()
  }

  /** Gives it up for a fault of the other side. */
  #cut(message: string): void {
    if (this.#ending === undefined) this.#ending = { code: 'CONNECTION_LOST', message, cutAt: this.#options.now() }
    this.#link.destroy()
  }

  #endIfOver(): void {
    if (this.#session.state === 'leaving' && this.pendingCount === 0) this.end('CONNECTION_LOST', 'the peer went away')
  }

  #wrote(): void {
    this.#writer.wrote(this.#options.isLoneCall())
  }
}
