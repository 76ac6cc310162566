/**
 * The node's say on each incoming call: the user's hook, asked after admission and before any middleware. Only a plain yes
 * lets a call through; whatever else comes, or goes wrong, refuses it. Knows nothing of where the call came from, and
 * leaves the deadline to whoever waits.
 */
import { ShoalError } from '../errors.js'
import type { ActiveCall, CallContext } from './active-call.js'
import { messageOf } from './names.js'
import { isThenable } from './thenable.js'

/** `true` lets the call through; `false`, or a text that its caller is told, refuses it. */
export type AuthorizeVerdict = boolean | string

/** Asked for each incoming call, local ones included, before anything of it runs. */
export type Authorize = (call: CallContext) => AuthorizeVerdict | PromiseLike<AuthorizeVerdict>

export interface AuthorizationOptions {
  readonly hook: Authorize
  readonly now: () => number
  readonly onFailed: ((error: ShoalError) => void) | undefined
}

/** Why a call is refused, as the end of a sentence; empty when no reason was given. */
export interface Denial {
  readonly because: string
}

/** A hook that is wrong may be so for every call. */
const FAULT_MS = 60_000

export class Authorization {
  readonly #options: AuthorizationOptions
  #denied = 0
  #failed = 0
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(options: AuthorizationOptions) {
    this.#options = options
  }

  /** Calls that were refused so far; those among them because the hook failed. */
  counts(): { readonly denied: number; readonly failed: number } {
    return { denied: this.#denied, failed: this.#failed }
  }

  /** `undefined` when the call may go on. Never throws, never rejects. */
  ask(call: ActiveCall): Denial | undefined | Promise<Denial | undefined> {
    try {
      const verdict: unknown = this.#options.hook(call)
      if (!isThenable(verdict)) return this.#judge(call, verdict)
      return Promise.resolve(verdict).then(
        (kept: unknown) => this.#judge(call, kept),
        (error: unknown) => this.#fail(call, error),
      )
    } catch (error) {
      return this.#fail(call, error)
    }
  }

  #judge(call: ActiveCall, verdict: unknown): Denial | undefined {
    if (verdict === true) return undefined
    if (verdict !== false && typeof verdict !== 'string')
      return this.#fail(call, new TypeError(`it gave ${typeof verdict}, not true, false or a reason`))
    this.#denied++
    return { because: typeof verdict === 'string' && verdict !== '' ? `: ${verdict}` : '' }
  }

  /** What went wrong is told here and is no business of the caller. */
  #fail({ service, method }: ActiveCall, cause: unknown): Denial {
    const { now, onFailed } = this.#options
    this.#denied++
    this.#failed++
    if (now() - this.#toldAt >= FAULT_MS) {
      this.#toldAt = now()
      const why = messageOf(cause, 'no reason given')
      const message = `authorize failed for ${service}.${method}, which refuses the call: ${why}`
      onFailed?.(new ShoalError('HOOK_FAILED', message, { cause }))
    }
    return { because: '' }
  }
}
