/**
 * One boot of one node at one address, as a target of calls: at most one dial at a time, calls that wait for it, the
 * pause after a failed one. What happens on an open connection is the connection's business.
 */
import type { HostPort } from '../address.js'
import { backoffMs, type Random } from '../random.js'
import {
  Connection,
  type ConnectionEnd,
  type ConnectionOptions,
  type ConnectionOwner,
  type ConnectionStats,
} from './connection.js'
import type { PeerEvidence } from './directory.js'
import type { CallHolder, OutgoingCall } from './outgoing-call.js'

export interface PeerTarget {
  readonly node: string
  readonly bootId: string
  readonly address: string
}

export interface PeerOptions {
  readonly target: PeerTarget
  readonly hostPort: HostPort
  readonly connection: ConnectionOptions
  readonly random: Random
  readonly onEvidence: (evidence: PeerEvidence) => void
  /** Asked before a dial: false when the node has as many connections as it may have. */
  readonly mayDial: () => boolean
  /** A connection is gone. */
  readonly onClosed: () => void
}

export interface PeerStats extends PeerTarget {
  /** Calls given to it so far. */
  readonly calls: number
  readonly waiting: number
  /** Connects that failed since the last one that worked. */
  readonly failures: number
  readonly connections: readonly ConnectionStats[]
}

interface DialProblem {
  readonly code: 'UNREACHABLE' | 'OVERLOADED' | 'CLOSED'
  readonly message: string
}

export class Peer implements ConnectionOwner, CallHolder {
  readonly target: PeerTarget
  /** Calls that were given to it and are not over; kept by whoever gives them. */
  pending = 0
  readonly #options: PeerOptions
  readonly #waiting = new Set<OutgoingCall>()
  #waitingBytes = 0
  #calls = 0
  /** The one that new calls use, or are waiting for. */
  #current: Connection | undefined
  /** Those that only finish what they have. */
  readonly #leaving = new Set<Connection>()
  #failures = 0
  #retryAt = Number.NEGATIVE_INFINITY
  #lastFailure = ''

  constructor(options: PeerOptions) {
    this.#options = options
    this.target = options.target
  }

  get connectionCount(): number {
    return this.#leaving.size + (this.#current === undefined ? 0 : 1)
  }

  /** When its connection was last used; `undefined` unless it has one that does nothing. */
  idleSince(): number | undefined {
    const current = this.#current
    return current?.isReady && current.pendingCount === 0 ? current.lastUsedAt : undefined
  }

  /** True when forgetting it loses nothing. */
  isForgettable(now: number): boolean {
    // The number of failures decides the next pause, and must outlive the present one.
    const isForgiven = now >= this.#retryAt + 2 * this.#options.connection.limits.backoffMsMax
    return this.connectionCount === 0 && this.#waiting.size === 0 && isForgiven
  }

  stats(): PeerStats {
    const all = this.#current === undefined ? [...this.#leaving] : [this.#current, ...this.#leaving]
    return {
      ...this.target,
      calls: this.#calls,
      waiting: this.#waiting.size,
      failures: this.#failures,
      connections: all.map((connection) => connection.stats()),
    }
  }

  /** Sends the call, has it wait for the connection, or refuses it. */
  send(call: OutgoingCall, payload: Uint8Array, now: number): void {
    this.#calls++
    if (this.#current?.isReady) {
      this.#current.send(call, payload, now)
      return
    }
    const problem = this.#current === undefined ? this.#dial(now) : undefined
    if (problem !== undefined) {
      call.refuse(problem.code, 'no', problem.message)
      return
    }
    const { waitingCallsMax, unsentBytesMax } = this.#options.connection.limits
    if (this.#waiting.size >= waitingCallsMax || this.#waitingBytes + payload.length > unsentBytesMax) {
      call.refuse('OVERLOADED', 'no', `${this.#waiting.size} calls wait for a connection to ${call.node}`)
      return
    }
    call.holder = this
    call.payload = new Uint8Array(payload)
    this.#waiting.add(call)
    this.#waitingBytes += payload.length
  }

  abort(call: OutgoingCall): void {
    if (this.#drop(call)) call.refuse('CANCELLED', 'no', 'the signal was aborted before the call was sent')
  }

  /** Returns the instant by which it has to be looked at again, `Infinity` when nothing waits. */
  sweep(now: number): number {
    for (const call of this.#waiting)
      if (call.deadlineAt <= now && this.#drop(call))
        call.refuse('DEADLINE_EXCEEDED', 'no', `no connection to ${call.node} before the deadline`)
    let nextAt = this.#waiting.size > 0 ? now : Number.POSITIVE_INFINITY
    for (const connection of this.#leaving) {
      const at = connection.sweep(now)
      if (at === Number.POSITIVE_INFINITY && this.#waiting.size === 0)
        connection.end('CONNECTION_LOST', 'the connection was retired')
      nextAt = Math.min(nextAt, at)
    }
    if (this.#current !== undefined) nextAt = Math.min(nextAt, this.#current.sweep(now))
    const idleSince = this.idleSince()
    if (idleSince !== undefined && now - idleSince >= this.#options.connection.limits.idleMs) this.retire()
    return nextAt
  }

  probe(): void {
    this.#current?.probe()
    for (const connection of this.#leaving) connection.probe()
  }

  /** Takes no more calls; what runs on its connection goes on to its end. */
  retire(): void {
    const current = this.#current
    if (current === undefined) return
    this.#current = undefined
    this.#leaving.add(current)
    if (current.pendingCount === 0 && this.#waiting.size === 0)
      current.end('CONNECTION_LOST', 'the connection was idle')
  }

  close(): void {
    this.#refuseWaiting({ code: 'CLOSED', message: 'this node was closed' })
    this.#current?.end('CLOSED', 'this node was closed')
    for (const connection of this.#leaving) connection.end('CLOSED', 'this node was closed')
  }

  /** Does not wait for the other side any longer. */
  destroy(): void {
    this.#current?.destroy()
    for (const connection of this.#leaving) connection.destroy()
  }

  connectionReady(connection: Connection): void {
    this.#failures = 0
    const now = this.#options.connection.now()
    for (const call of [...this.#waiting]) {
      const payload = call.payload
      if (this.#drop(call) && payload !== undefined) connection.send(call, payload, now)
    }
  }

  connectionLeaving(connection: Connection): void {
    if (this.#current !== connection) return
    this.#current = undefined
    this.#leaving.add(connection)
  }

  connectionQuiet(): void {
    this.#options.onEvidence('silent')
  }

  connectionClosed(connection: Connection, end: ConnectionEnd): void {
    this.#leaving.delete(connection)
    if (this.#current === connection) this.#current = undefined
    if (end.errorCode === 'ECONNREFUSED') this.#options.onEvidence('refused')
    else if (end.unexpected && (end.wasReady || end.errorCode === 'ECONNRESET')) this.#options.onEvidence('reset')
    if (!end.wasReady) this.#dialFailed(end.message)
    else this.#dialForWaiting()
    this.#options.onClosed()
  }

  /** Why nothing can be dialled now; `undefined` when it is under way. */
  #dial(now: number): DialProblem | undefined {
    if (now < this.#retryAt) {
      const wait = Math.ceil(this.#retryAt - now)
      const message = `${this.target.node} is tried again in ${wait} ms; last time: ${this.#lastFailure}`
      return { code: 'UNREACHABLE', message }
    }
    if (!this.#options.mayDial())
      return { code: 'OVERLOADED', message: 'this node has as many connections as it may have' }
    try {
      this.#current = new Connection(this.#options.connection, this)
      return undefined
    } catch (error) {
      const message = error instanceof Error ? error.message : 'the address cannot be used'
      this.#dialFailed(message)
      return { code: 'UNREACHABLE', message }
    }
  }

  /** Calls that came while the former connection was given up and not gone yet. */
  #dialForWaiting(): void {
    if (this.#current !== undefined || this.#waiting.size === 0) return
    const problem = this.#dial(this.#options.connection.now())
    if (problem !== undefined) this.#refuseWaiting(problem)
  }

  #dialFailed(message: string): void {
    const { limits, now } = this.#options.connection
    this.#lastFailure = message
    this.#retryAt = now() + backoffMs(this.#failures++, limits.backoffMs, limits.backoffMsMax, this.#options.random)
    this.#refuseWaiting({ code: 'UNREACHABLE', message })
  }

  #refuseWaiting({ code, message }: DialProblem): void {
    for (const call of [...this.#waiting]) if (this.#drop(call)) call.refuse(code, 'no', message)
  }

  /** Takes a call out of the queue; false when it was not in it. */
  #drop(call: OutgoingCall): boolean {
    if (!this.#waiting.delete(call)) return false
    this.#waitingBytes -= call.payload?.length ?? 0
    return true
  }
}
