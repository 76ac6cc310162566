/**
 * A call that this process serves itself: the same admission, deadline, cancellation and errors as over the network,
 * without the network. Arguments and results are passed as they are, or copied with `local: 'clone'`. A handler that
 * answers synchronously costs neither a timer nor a listener.
 */
import { RpcError } from '../errors.js'
import { AbortWatch } from './abort-watch.js'
import type { Attempt, CallRequest, CancelReason, Dispatcher, IncomingCall, Outcome } from './call.js'
import { DeadlineSweep, type Expiring } from './deadline-sweep.js'

/** How values pass between caller and handler of one process. */
export type LocalPassing = 'reference' | 'clone'

export interface LocalAttemptOptions {
  readonly dispatcher: Dispatcher
  readonly node: string
  /** Of our own RPC listener, as handlers see it. */
  readonly address: () => string
  readonly passing: LocalPassing
  readonly now: () => number
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})

export class LocalAttempt {
  readonly #options: LocalAttemptOptions
  readonly #deadlines: DeadlineSweep<Stoppable>
  readonly #aborts = new AbortWatch<RunningCall>((running) => running.cancel())
  #closed = false

  constructor(options: LocalAttemptOptions) {
    this.#options = options
    this.#deadlines = new DeadlineSweep(options.now)
  }

  /** An `Attempt` for the candidate that is this very process. */
  readonly attempt: Attempt = (_candidate, request) => {
    const early = this.#refuse(request)
    if (early !== undefined) return Promise.reject(early)
    let call: IncomingCall
    try {
      call = this.#incoming(request)
    } catch (error) {
      return Promise.reject(this.#notCloneable(request, error))
    }
    if (request.cast) return this.#cast(call)
    return new Promise((resolve, reject) => {
      const running = new RunningCall(request, this.#options.node, (outcome) => {
        this.#release(running)
        if (!outcome.ok) return reject(outcome.error)
        this.#resolve(request, outcome.value, resolve, reject)
      })
      const stop = this.#options.dispatcher.dispatch(call, (outcome) => running.settle(outcome))
      if (stop !== undefined) this.#watch(running, stop)
    })
  }

  /** Calls that wait for their handler. */
  pending(): number {
    return this.#deadlines.size()
  }

  /** Rejects what still waits with CLOSED and takes no more. */
  close(): void {
    this.#closed = true
    for (const running of this.#deadlines.stop()) running.close()
  }

  /** From the moment it is clear that the handler takes its time. */
  #watch(running: RunningCall, stop: (reason: CancelReason) => void): void {
    running.stop = stop
    // The handler itself may have closed the node.
    if (this.#closed) {
      running.close()
      return
    }
    this.#deadlines.add(running)
    const { signal } = running.request
    if (signal === undefined) return
    // The handler itself may have aborted it before anyone listened.
    if (signal.aborted) running.cancel()
    else this.#aborts.add(signal, running)
  }

  #release(running: RunningCall): void {
    this.#deadlines.remove(running)
    const { signal } = running.request
    if (signal !== undefined) this.#aborts.remove(signal, running)
  }

  /** Sent and done, unless it was refused at once; what its handler answers is of no interest. */
  #cast(call: IncomingCall): Promise<unknown> {
    const refusals: RpcError[] = []
    let cancel: ReturnType<Dispatcher['dispatch']>
    const running: Stoppable = {
      deadlineAt: call.deadlineAt,
      expire: () => cancel?.('deadline'),
      close: () => cancel?.('caller-lost'),
    }
    cancel = this.#options.dispatcher.dispatch(call, (outcome) => {
      this.#deadlines.remove(running)
      if (!outcome.ok && outcome.error.executed === 'no') refusals.push(outcome.error)
    })
    if (refusals[0] !== undefined) return Promise.reject(refusals[0])
    if (cancel !== undefined) this.#deadlines.add(running)
    return Promise.resolve(undefined)
  }

  #incoming(request: CallRequest): IncomingCall {
    const { node, address, passing } = this.#options
    return {
      service: request.service,
      method: request.method,
      args: passing === 'clone' ? structuredClone(request.args) : request.args,
      deadlineAt: request.deadlineAt,
      headers: request.headers ?? NO_HEADERS,
      caller: { node, address: address() },
      cast: request.cast,
    }
  }

  #refuse({ service, method, signal }: CallRequest): RpcError | undefined {
    const { node } = this.#options
    if (this.#closed) {
      return new RpcError('CLOSED', `node '${node}' is closed, ${service}.${method} was not called`, {
        executed: 'no',
        node,
      })
    }
    if (signal?.aborted !== true) return undefined
    return new RpcError('CANCELLED', `${service}.${method} was cancelled before it was called`, {
      executed: 'no',
      node,
      cause: signal.reason,
    })
  }

  #resolve(
    request: CallRequest,
    value: unknown,
    resolve: (value: unknown) => void,
    reject: (e: RpcError) => void,
  ): void {
    if (this.#options.passing === 'reference') {
      resolve(value)
      return
    }
    try {
      resolve(structuredClone(value))
    } catch (error) {
      const { node } = this.#options
      const message = `the result of ${request.service}.${request.method} cannot be copied: ${textOf(error)}`
      reject(new RpcError('REMOTE', message, { executed: 'yes', node, remote: { name: 'DataCloneError', message } }))
    }
  }

  #notCloneable({ service, method }: CallRequest, error: unknown): RpcError {
    const { node } = this.#options
    const message = `the arguments of ${service}.${method} cannot be copied: ${textOf(error)}; pass plain values`
    return new RpcError('INVALID_ARGUMENT', message, { executed: 'no', node, cause: error })
  }
}

interface Stoppable extends Expiring {
  /** The node ends. */
  close(): void
}

/** A local call whose handler has not answered: ended by its answer, its deadline, its caller or the end of the node. */
class RunningCall implements Stoppable {
  readonly deadlineAt: number
  readonly request: CallRequest
  stop: ((reason: CancelReason) => void) | undefined
  readonly #node: string
  readonly #done: (outcome: Outcome) => void
  #settled = false

  constructor(request: CallRequest, node: string, done: (outcome: Outcome) => void) {
    this.deadlineAt = request.deadlineAt
    this.request = request
    this.#node = node
    this.#done = done
  }

  settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    this.#done(outcome)
  }

  cancel(): void {
    this.#end('cancelled', 'CANCELLED', 'was cancelled while it ran')
  }

  expire(): void {
    this.#end('deadline', 'DEADLINE_EXCEEDED', 'took longer than its deadline')
  }

  close(): void {
    this.#end('caller-lost', 'CLOSED', 'still ran when its node was closed')
  }

  #end(reason: CancelReason, code: RpcError['code'], what: string): void {
    const { service, method, signal } = this.request
    const fields = {
      executed: 'maybe',
      node: this.#node,
      cause: reason === 'cancelled' ? signal?.reason : undefined,
    } as const
    this.settle({ ok: false, error: new RpcError(code, `${service}.${method} on '${this.#node}' ${what}`, fields) })
    this.stop?.(reason)
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
