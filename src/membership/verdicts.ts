/**
 * Questions to the user's hooks that are not answered yet. The machine goes on meanwhile; what is asked about is held
 * back by whoever asks. Bounded in number and in time: silence is a refusal. Knows nothing of what is asked.
 */
import type { Question } from './effects.js'
import type { Outbound } from './outbound.js'

/** `refusal` says why not; undefined is a yes. */
export type Settle = (refusal: string | undefined, now: number) => void

interface Pending {
  readonly settle: Settle
  deadlineAt: number
}

/** Questions at once; what comes beyond is refused unasked. */
export const VERDICTS_MAX = 4_096

export class Verdicts {
  readonly #outbound: Outbound
  readonly #timeoutMs: number
  readonly #pending = new Map<number, Pending>()
  /** Whoever waits until all questions up to this one have their verdicts, in that order. */
  readonly #waiting: { readonly lastId: number; readonly then: (now: number) => void }[] = []
  #lastId = 0

  constructor(outbound: Outbound, timeoutMs: number) {
    this.#outbound = outbound
    this.#timeoutMs = timeoutMs
  }

  /** False when too many are open: then nothing was asked. */
  ask(question: Question, settle: Settle, now: number): boolean {
    if (this.#pending.size >= VERDICTS_MAX) return false
    const id = ++this.#lastId
    this.#pending.set(id, { settle, deadlineAt: now + this.#timeoutMs })
    this.#outbound.emit({ type: 'judge', id, question })
    return true
  }

  handleVerdict(id: number, refusal: string | undefined, now: number): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.settle(refusal, now)
    this.#wake(now)
  }

  /** Calls back once everything that was asked so far has its verdict; at once if it has. */
  afterAsked(then: (now: number) => void, now: number): void {
    this.#waiting.push({ lastId: this.#lastId, then })
    this.#wake(now)
  }

  #wake(now: number): void {
    const [oldest = Number.POSITIVE_INFINITY] = this.#pending.keys()
    for (let first = this.#waiting[0]; first !== undefined && first.lastId < oldest; first = this.#waiting[0]) {
      this.#waiting.shift()
      first.then(now)
    }
  }

  /** All are equally patient, so the first asked is the first due. */
  nextDeadline(): number | undefined {
    for (const { deadlineAt } of this.#pending.values()) return deadlineAt
    return undefined
  }

  /** The event loop stood still: a verdict may be waiting unread, or could not even be sought. */
  extend(ms: number): void {
    for (const pending of this.#pending.values()) pending.deadlineAt += ms
  }

  handleTimeout(now: number): void {
    for (const [id, { deadlineAt }] of this.#pending) {
      if (deadlineAt > now) break
      this.handleVerdict(id, `the hook gave no verdict within ${this.#timeoutMs} ms`, now)
    }
  }
}
