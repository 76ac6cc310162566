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
  readonly now: () => number
  /** True when no other call of this node is in flight. */
  readonly isLoneCall: () => boolean
}

export interface ConnectionOwner {
  connectionReady(connection: Connection): void
  /** The callee goes away: no new call should use it. */
  connectionLeaving(connection: Connection): void
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
  readonly #outbox = new Outbox()
  readonly #session: CallSession
  readonly #link: Link
  readonly #writer: LinkWriter
  readonly #dialDeadlineAt: number
  #wasReady = false
  #closed = false
  /** Set once we end the connection ourselves; why, and how long the other side may take. */
  #ending: { readonly code: CallErrorCode; readonly message: string; readonly cutAt: number } | undefined
  #lastUsedAt: number
  #probeDeadlineAt: number | undefined

  constructor(options: ConnectionOptions, owner: ConnectionOwner) {
    const { limits } = options
    this.#options = options
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
    this.#dialDeadlineAt = this.#lastUsedAt + limits.connectMs
    this.#link = options.dial(options.address, this)
    this.#writer = new LinkWriter(
      {
        outbox: this.#outbox,
        link: this.#link,
        flusher: options.flusher,
        isOver: () => this.#closed || this.#ending !== undefined,
        onFlushed: () => this.#session.flushed(),
      },
      this.#lastUsedAt,
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
  probe(now: number): void {
    this.#expectSign(now + this.#options.limits.probeMs)
  }

  /** Ends what is over by now. Returns whether there is something to look at again soon. */
  sweep(now: number): boolean {
    if (this.#closed) return false
    const { stallMs } = this.#options.limits
    if (this.#session.sweep(now)) {
      // A slow handler, or a way that swallows everything without a word, on which each further call would fail too.
      this.#expectSign(now + stallMs)
      this.#wrote()
    }
    if (!this.#wasReady && now >= this.#dialDeadlineAt) this.#cut('no connection within the time limit')
    else if (this.#ending !== undefined && now >= this.#ending.cutAt) this.#link.destroy()
    else if (this.#probeDeadlineAt !== undefined && now >= this.#probeDeadlineAt) this.#cut('no answer to a ping')
    else if (this.#writer.isStalled(now, stallMs)) this.#cut(`the peer took no bytes for ${stallMs} ms`)
    this.#endIfOver()
    return !this.#wasReady || this.pendingCount > 0 || this.#ending !== undefined || this.#probeDeadlineAt !== undefined
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
    this.#probeDeadlineAt = undefined
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
    this.#writer.handleDrain(this.#options.now())
  }

  handleClose(error: LinkError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    const { target } = this.#options.session
    const message =
      this.#ending?.message ?? `the connection to ${target.node} was lost: ${error?.message ?? 'it ended'}`
    this.#session.lost(this.#ending?.code ?? 'CONNECTION_LOST', message)
    const unexpected = this.#ending === undefined && this.#session.state !== 'leaving'
    this.#owner.connectionClosed(this, { message, errorCode: error?.code, wasReady: this.#wasReady, unexpected })
  }

  /** Pings the peer, which is given up unless anything comes from it by then. */
  #expectSign(deadlineAt: number): void {
    if (!this.#wasReady || this.#ending !== undefined) return
    const isAsked = this.#probeDeadlineAt !== undefined
    this.#probeDeadlineAt = Math.min(deadlineAt, this.#probeDeadlineAt ?? deadlineAt)
    if (isAsked) return
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
