/**
 * The calls of one connection whose handlers have not answered yet, and the ends that come from outside: cancelled,
 * expired, or their caller lost. Many of these are told a few at a time, since each sets off what its handler does then.
 */
import type { CancelReason } from './call.js'
import type { OrphanedCast, OrphanedCasts } from './orphaned-casts.js'
import type { TurnShare } from './turn-share.js'

/** A call that did not settle at once. */
export interface RunningCall {
  readonly id: number
  readonly deadlineAt: number
  readonly cast: boolean
  /** Nothing is answered any more. */
  abandoned: boolean
  cancel: ((reason: CancelReason) => void) | undefined
  orphan?: OrphanedCast | undefined
}

export interface RunningCallsOptions {
  readonly share: TurnShare
  /** Keeps the deadlines of casts whose connection is gone. */
  readonly orphans: OrphanedCasts | undefined
  readonly onAbandoned: (id: number, reason: CancelReason) => void
}

/** Told without a break. */
const TOLD_AT_ONCE = 16

export class RunningCalls {
  readonly #calls = new Map<number, RunningCall>()
  /** No deadline is earlier. */
  #nextDeadlineAt = Number.POSITIVE_INFINITY
  readonly #options: RunningCallsOptions

  constructor(options: RunningCallsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#calls.size
  }

  /** No running call has to end earlier, and `Infinity` without any; it may be too early. */
  nextDeadlineAt(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : Math.min(this.#nextDeadlineAt, Number.MAX_VALUE)
  }

  has(id: number): boolean {
    return this.#calls.size > 0 && this.#calls.has(id)
  }

  add(call: RunningCall): void {
    this.#calls.set(call.id, call)
    if (call.deadlineAt < this.#nextDeadlineAt) this.#nextDeadlineAt = call.deadlineAt
  }

  /** It has settled. */
  remove(call: RunningCall): void {
    if (this.#calls.size > 0 && this.#calls.get(call.id) === call) this.#calls.delete(call.id)
    call.orphan?.release()
  }

  cancel(id: number): void {
    const call = this.#calls.get(id)
    if (call !== undefined && !call.abandoned) this.#abandon(call, 'cancelled')
  }

  /** Those whose deadline is over. */
  expire(now: number): void {
    if (now < this.#nextDeadlineAt) return
    const over: RunningCall[] = []
    this.#nextDeadlineAt = Number.POSITIVE_INFINITY
    for (const call of this.#calls.values()) {
      if (call.abandoned) continue
      if (call.deadlineAt <= now) over.push(call)
      else if (call.deadlineAt < this.#nextDeadlineAt) this.#nextDeadlineAt = call.deadlineAt
    }
    this.#abandonAll(over, 'deadline')
  }

  /** The connection is gone, or given up. Casts go on to their deadlines: their caller never meant to wait. May be told twice. */
  callerLost(): void {
    const lost: RunningCall[] = []
    for (const call of this.#calls.values()) {
      if (call.abandoned || call.orphan !== undefined) continue
      if (call.cast)
        call.orphan = this.#options.orphans?.adopt(call.deadlineAt, (reason) => this.#abandon(call, reason))
      else lost.push(call)
    }
    this.#abandonAll(lost, 'caller-lost')
  }

  #abandonAll(calls: RunningCall[], reason: CancelReason): void {
    for (const call of calls.splice(0, TOLD_AT_ONCE))
      if (!call.abandoned && this.#calls.get(call.id) === call) this.#abandon(call, reason)
    if (calls.length > 0) this.#options.share.later(() => this.#abandonAll(calls, reason))
  }

  #abandon(call: RunningCall, reason: CancelReason): void {
    call.abandoned = true
    this.#options.onAbandoned(call.id, reason)
    call.cancel?.(reason)
  }
}
