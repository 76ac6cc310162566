/**
 * One idempotent call at up to two instances at once: when the first has not answered after a while, the next is asked
 * as well, and the first answer counts. Instances that refuse are passed over as in any failover. The loser is cancelled.
 */
import type { RpcError } from '../errors.js'
import type { Abortable, AbortWatch } from './abort-watch.js'
import { AttemptHistory, mayTryAgain } from './attempt-history.js'
import type { Attempt, CallRequest } from './call.js'
import type { Candidate } from './directory.js'

/** A call that is made twice at most, as those see it who hear of its caller's signal. */
export interface Hedged extends Abortable {
  abort(): void
}

export interface HedgeParts {
  readonly attempt: Attempt
  /** Calls back once after so many ms; the returned function takes it back. */
  readonly setTimer: (callback: () => void, ms: number) => () => void
  /** False when no more tries may be made now. */
  readonly mayHedge: () => boolean
  /** The callers' signals. */
  readonly aborts: AbortWatch<Hedged>
}

export interface HedgedPass {
  readonly candidates: readonly Candidate[]
  readonly request: CallRequest
  readonly hedgeMs: number
}

/** Resolves with the first answer; rejects with the last failure and all attempts when none is left. */
export function runHedged(parts: HedgeParts, pass: HedgedPass): Promise<unknown> {
  return new Promise((resolve, reject) => new Hedge(parts, pass, resolve, reject).start())
}

class Hedge implements Hedged {
  readonly request: CallRequest
  readonly #parts: HedgeParts
  readonly #pass: HedgedPass
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  readonly #history = new AttemptHistory()
  /** Aborted to end whatever is still under way; the caller's own signal aborts it too. */
  readonly #controller = new AbortController()
  #next = 0
  #running = 0
  #isOver = false
  /** A failure after which nobody else is asked; what is known of the other try is still to come. */
  #verdict: RpcError | undefined
  #cancelTimer: () => void = () => {}

  constructor(
    parts: HedgeParts,
    pass: HedgedPass,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.request = pass.request
    this.#parts = parts
    this.#pass = pass
    this.#resolve = resolve
    this.#reject = reject
  }

  start(): void {
    const { signal } = this.request
    if (signal?.aborted === true) this.#controller.abort()
    else if (signal !== undefined) this.#parts.aborts.add(signal, this)
    this.#cancelTimer = this.#parts.setTimer(() => this.#hedge(), this.#pass.hedgeMs)
    this.#tryNext()
  }

  abort(): void {
    this.#controller.abort()
  }

  #hedge(): void {
    if (this.#isOver || this.#verdict !== undefined || this.#next >= this.#pass.candidates.length) return
    if (this.#parts.mayHedge()) this.#tryNext()
  }

  #tryNext(): void {
    const candidate = this.#pass.candidates[this.#next++]
    if (candidate === undefined) return
    this.#running++
    const request = { ...this.request, signal: this.#controller.signal }
    this.#parts.attempt(candidate, request).then(
      (value) => this.#end(() => this.#resolve(value)),
      (error: unknown) => this.#failed(candidate, error),
    )
  }

  #failed(candidate: Candidate, error: unknown): void {
    this.#running--
    if (this.#isOver) return
    let last: RpcError
    try {
      last = this.#history.addAttempt(candidate.node, error)
    } catch (bug) {
      this.#end(() => this.#reject(bug))
      return
    }
    if (!mayTryAgain(last, true)) this.#verdict ??= last
    const verdict = this.#verdict
    if (this.#running > 0 && verdict?.executed !== 'yes') {
      // The other one may still answer, or say as it is given up whether it may have been executed.
      if (verdict !== undefined) this.#controller.abort()
    } else if (verdict === undefined && this.#next < this.#pass.candidates.length) this.#tryNext()
    else this.#end(() => this.#reject(this.#history.conclude(verdict ?? last)))
  }

  #end(settle: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelTimer()
    const { signal } = this.request
    if (signal !== undefined) this.#parts.aborts.remove(signal, this)
    settle()
    this.#controller.abort()
  }
}
