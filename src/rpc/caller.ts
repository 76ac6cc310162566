/**
 * The calling functions: `callCb`, `callCbAll`, `call`. Each returns a promise whatever happens: a wrong argument rejects
 * it and nothing is thrown. Where a call may be tried is asked of the directory, how is left to the failover.
 */

import { isRpcError, RpcError } from '../errors.js'
import { AbortWatch } from './abort-watch.js'
import type { Attempt } from './call.js'
import { checkName, invalidArgument, type ModuleCallOptions } from './call-options.js'
import { type CallPlan, type CallSpec, planCall } from './call-plan.js'
import type { Circuits } from './circuits.js'
import { currentCall } from './current-call.js'
import { CALL_TIMEOUT_MS } from './deadline.js'
import type { Candidate, Directory } from './directory.js'
import { Failover } from './failover.js'
import { type Hedged, type HedgeParts, runHedged } from './hedge.js'
import type { OutgoingLayers } from './outgoing-layers.js'
import type { RetryBudget } from './retry-budget.js'
import { areCallsTraced, traceCall } from './tracing.js'

/** What one node answered to `callCbAll`. */
export type NodeResult<Result = unknown> =
  | { readonly node: string; readonly ok: true; readonly value: Result }
  | { readonly node: string; readonly ok: false; readonly error: RpcError }

export interface CallerOptions {
  readonly directory: Directory
  readonly attempt: Attempt
  readonly now: () => number
  readonly circuits: Circuits
  readonly budget: RetryBudget
  readonly setTimer: HedgeParts['setTimer']
  /** Around every call; none costs nothing. */
  readonly outgoing?: OutgoingLayers | undefined
}

export class Caller {
  readonly #options: CallerOptions
  readonly #failover: Failover
  readonly #hedges = new AbortWatch<Hedged>((hedge) => hedge.abort())

  constructor(options: CallerOptions) {
    this.#options = options
    const { attempt, now, budget } = options
    this.#failover = new Failover({ attempt, now, mayBurden: () => budget.tryTake(now()) })
  }

  /** One call, on the first instance that takes it. */
  callCb(spec: CallSpec): Promise<unknown> {
    try {
      const now = this.#options.now()
      const plan = planCall(spec, now, CALL_TIMEOUT_MS)
      return this.#options.outgoing === undefined && !areCallsTraced()
        ? this.pass(plan, undefined, now)
        : this.layered(plan, (layered) => this.pass(layered))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** All instances in parallel, each with the same deadline; settled results in the order of the directory. */
  callCbAll(spec: CallSpec): Promise<NodeResult[]> {
    return promised(() => {
      const plan = this.plan(spec, CALL_TIMEOUT_MS)
      if (plan.request.input !== undefined) {
        throw invalidArgument('a stream among the arguments can be read once, not by all instances; call one of them')
      }
      return this.layered(plan, (layered) => this.#all(layered), true) as Promise<NodeResult[]>
    })
  }

  /** A function of an exposed module, on `nodes`, or where `service` runs, or where the current call's service runs. */
  call(spec: CallSpec & { readonly options: ModuleCallOptions | undefined }): Promise<unknown> {
    return promised(() => {
      const plan = this.plan(spec, CALL_TIMEOUT_MS)
      if (plan.selection.nodes !== undefined) return this.layered(plan, (layered) => this.pass(layered))
      const near = spec.options?.service ?? currentCall()?.service
      if (near === undefined) throw serviceIdMissing(plan)
      const service = checkName("service in 'service'", near)
      return this.layered(plan, (layered) => {
        return this.pass(layered, this.#options.directory.candidates(service, undefined, layered.selection))
      })
    })
  }

  /** Makes a call through the middleware of this node, when there is any, and in the sight of tracers. */
  layered(plan: CallPlan, make: (plan: CallPlan) => Promise<unknown>, all = false): Promise<unknown> {
    if (areCallsTraced()) return traceCall(plan, all, (traced) => this.#throughLayers(traced, make, all))
    return this.#throughLayers(plan, make, all)
  }

  /** A checked request, for one or more passes. Throws as `planCall`. */
  plan(spec: CallSpec, defaultTimeoutMs: number): CallPlan {
    return planCall(spec, this.#options.now(), defaultTimeoutMs)
  }

  /** One walk over the instances that are known now. */
  pass(
    { request, selection, idempotent, hedgeMs }: CallPlan,
    found?: readonly Candidate[],
    startedAt?: number,
  ): Promise<unknown> {
    const { directory, circuits, now, attempt, setTimer, budget } = this.#options
    const { service, method } = request
    const listed = found ?? directory.candidates(service, method, selection)
    const isAsListed = selection.nodes !== undefined || circuits.isClear
    const candidates = isAsListed ? listed : circuits.arrange(service, listed, now())
    budget.noteCall()
    if (hedgeMs === undefined || candidates.length < 2)
      return this.#failover.run({ candidates, request, idempotent, selection, now: startedAt })
    const mayHedge = (): boolean => budget.tryTake(now())
    return runHedged({ attempt, setTimer, mayHedge, aborts: this.#hedges }, { candidates, request, hedgeMs })
  }

  #throughLayers(plan: CallPlan, make: (plan: CallPlan) => Promise<unknown>, all: boolean): Promise<unknown> {
    const { outgoing } = this.#options
    return outgoing === undefined ? make(plan) : outgoing.run({ plan, all, make })
  }

  #all({ request, selection }: CallPlan): Promise<NodeResult[]> {
    const settled = async (candidate: Candidate): Promise<NodeResult> => {
      try {
        return { node: candidate.node, ok: true, value: await this.#options.attempt(candidate, request) }
      } catch (error) {
        if (!isRpcError(error)) throw error
        return { node: candidate.node, ok: false, error }
      }
    }
    return Promise.all(this.#options.directory.candidates(request.service, undefined, selection).map(settled))
  }
}

/** Runs `start` so that what it throws becomes a rejection. */
export function promised<T>(start: () => Promise<T>): Promise<T> {
  try {
    return start()
  } catch (error) {
    return Promise.reject(error)
  }
}

function serviceIdMissing({ request }: CallPlan): RpcError {
  return new RpcError(
    'SERVICE_ID_MISSING',
    `call('${request.service}', '${request.method}') does not say where: pass nodes, or service, ` +
      'or call it from within a handler',
    { executed: 'no' },
  )
}
