/**
 * The calls of one connection whose handlers have not answered yet, and the ends that come from outside: cancelled,
 * expired, or their caller lost. Many of these are told a few at a time, since each sets off what its handler does then.
 */
import type { CancelReason } from './call.js'
import type { TurnShare } from './turn-share.js'

/** A call that did not settle at once. */
export interface RunningCall {
  readonly id: number
  readonly deadlineAt: number
  readonly cast: boolean
  /** Nothing is answered any more. */
  abandoned: boolean
  cancel: ((reason: CancelReason) => void) | undefined
}

/** Told without a break. */
const TOLD_AT_ONCE = 16

export class RunningCalls {
  readonly #calls = new Map<number, RunningCall>()
  /** No deadline is earlier. */
  #nextDeadlineAt = Number.POSITIVE_INFINITY
  readonly #share: TurnShare
  readonly #onAbandoned: (id: number, reason: CancelReason) => void

  constructor(share: TurnShare, onAbandoned: (id: number, reason: CancelReason) => void) {
    this.#share = share
    this.#onAbandoned = onAbandoned
  }

  get size(): number {
    return this.#calls.size
  }

  has(id: number): boolean {
    return this.#calls.has(id)
  }

  add(call: RunningCall): void {
    this.#calls.set(call.id, call)
    if (call.deadlineAt < this.#nextDeadlineAt) this.#nextDeadlineAt = call.deadlineAt
  }

  /** It has settled. */
  remove(call: RunningCall): void {
    if (this.#calls.get(call.id) === call) this.#calls.delete(call.id)
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

  /** The connection is gone. Casts go on: their caller never meant to wait. */
  callerLost(): void {
    const lost: RunningCall[] = []
    for (const call of this.#calls.values()) if (!call.abandoned && !call.cast) lost.push(call)
    this.#abandonAll(lost, 'caller-lost')
  }

  #abandonAll(calls: RunningCall[], reason: CancelReason): void {
    for (const call of calls.splice(0, TOLD_AT_ONCE))
      if (!call.abandoned && this.#calls.get(call.id) === call) this.#abandon(call, reason)
    if (calls.length > 0) this.#share.later(() => this.#abandonAll(calls, reason))
  }

  #abandon(call: RunningCall, reason: CancelReason): void {
    call.abandoned = true
    this.#onAbandoned(call.id, reason)
    call.cancel?.(reason)
  }
}
