/**
 * One call, several instances: tries them in order until one answers, under the one deadline of the request. Whether the
 * next may be tried follows from what is known of the execution alone, and no instance is tried twice. Makes no
 * connection itself: it composes `Attempt`s.
 */
import { RpcError } from '../errors.js'
import { AttemptHistory, mayTryAgain } from './attempt-history.js'
import type { Attempt, CallRequest } from './call.js'
import type { Candidate, Selection } from './directory.js'
import { noInstances } from './no-instances.js'

/** One walk over the instances of a service. */
export interface Pass {
  readonly candidates: readonly Candidate[]
  readonly request: CallRequest
  readonly idempotent: boolean
  /** What was asked of the candidates, for whoever is told that there are none. */
  readonly selection?: Selection | undefined
  /** When it begins, if somebody has just looked at the clock. */
  readonly now?: number | undefined
}

export interface FailoverParts {
  readonly attempt: Attempt
  readonly now: () => number
  /** Asked before another instance is tried because one is overloaded: false when this would only spread the load. */
  readonly mayBurden: () => boolean
}

export class Failover {
  readonly #attempt: Attempt
  readonly #now: () => number
  readonly #mayBurden: () => boolean

  constructor({ attempt, now, mayBurden }: FailoverParts) {
    this.#attempt = attempt
    this.#now = now
    this.#mayBurden = mayBurden
  }

  /** Resolves with the first answer, rejects with the last failure and all `attempts`; NO_INSTANCES without candidates. */
  run(pass: Pass): Promise<unknown> {
    const first = pass.candidates[0]
    if (first === undefined) return Promise.reject(noInstances(pass.request, pass.selection))
    const tried = this.#attempt(first, pass.request, pass.now)
    // With nowhere else to go the attempt's own promise is the answer, as it is.
    if (pass.candidates.length === 1) return tried
    return tried.then(undefined, (error: unknown) => this.#continue(pass, first, error))
  }

  async #continue(pass: Pass, first: Candidate, firstError: unknown): Promise<unknown> {
    const history = new AttemptHistory()
    const tried = new Set([first.node])
    let last = history.addAttempt(first.node, firstError)
    for (const candidate of pass.candidates) {
      if (tried.has(candidate.node)) continue
      tried.add(candidate.node)
      if (!mayTryAgain(last, pass.idempotent)) break
      if (last.code === 'OVERLOADED' && !this.#mayBurden()) break
      const stop = this.#stopOf(pass.request, last)
      if (stop !== undefined) throw history.conclude(stop)
      try {
        return await this.#attempt(candidate, pass.request)
      } catch (error) {
        last = history.addAttempt(candidate.node, error)
      }
    }
    throw history.conclude(last)
  }

  /** A call that is stopped between two attempts failed by that, not by what the instance before said. */
  #stopOf({ service, method, signal, deadlineAt }: CallRequest, last: RpcError): RpcError | undefined {
    const fields = { executed: last.executed, node: last.node, cause: last }
    if (signal?.aborted === true) {
      return new RpcError('CANCELLED', `${service}.${method} was cancelled between two attempts`, fields)
    }
    if (this.#now() < deadlineAt) return undefined
    if (last.code === 'DEADLINE_EXCEEDED') return last
    return new RpcError('DEADLINE_EXCEEDED', `no time is left to call ${service}.${method} on another node`, fields)
  }
}
