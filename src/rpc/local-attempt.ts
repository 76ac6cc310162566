/**
 * A call that this process serves itself: the same admission, deadline, cancellation and errors as over the network,
 * without the network. Arguments and results are passed as they are, or copied with `local: 'clone'`. A handler that
 * answers synchronously costs neither a timer nor a listener.
 */
import { type Clock, systemClock } from '../clock.js'
import { RpcError } from '../errors.js'
import { AbortWatch } from './abort-watch.js'
import type { Attempt, CallRequest, CancelReason, Dispatcher, IncomingCall, Outcome } from './call.js'
import type { CallerIdentity } from './caller-identity.js'
import { CallerPlaces } from './caller-places.js'
import { DeadlineSweep, type Expiring } from './deadline-sweep.js'
import { NO_HEADERS } from './envelope.js'
import { LocalCopy } from './local-copy.js'
import { LocalStreams } from './local-streams.js'
import type { PayloadCodec } from './payload-codec.js'
import { PlainCodec } from './plain-codec.js'

/** How values pass between caller and handler of one process. */
export type LocalPassing = 'reference' | 'clone'

export interface LocalAttemptOptions {
  readonly dispatcher: Dispatcher
  readonly node: string
  /** Of our own RPC listener, as handlers see it. */
  readonly address: () => string
  readonly passing: LocalPassing
  /** For copies. Default the one that nodes use. */
  readonly codec?: PayloadCodec | undefined
  readonly now: () => number
  /** Of the timers. Default the system's. */
  readonly clock?: Clock | undefined
}

export class LocalAttempt {
  readonly #options: LocalAttemptOptions
  readonly #places = new CallerPlaces()
  readonly #copy: LocalCopy | undefined
  readonly #deadlines: DeadlineSweep<Stoppable>
  readonly #aborts = new AbortWatch<RunningCall>((running) => running.cancel())
  #closed = false
  #self: CallerIdentity | undefined

  constructor(options: LocalAttemptOptions) {
    this.#options = options
    this.#copy =
      options.passing === 'clone' ? new LocalCopy(options.node, options.codec ?? new PlainCodec()) : undefined
    this.#deadlines = new DeadlineSweep(options.now, options.clock)
  }

  /** An `Attempt` for the candidate that is this very process. */
  readonly attempt: Attempt = (_candidate, request) => {
    const early = this.#refuse(request)
    if (early !== undefined) return Promise.reject(early)
    let call: IncomingCall
    try {
      call = this.#incoming(request)
    } catch (error) {
      return Promise.reject(error)
    }
    if (request.cast) return this.#cast(call)
    if (request.stream === true || request.input !== undefined) return this.#streamed(request, call)
    const answer = new Answer()
    const running = new RunningCall(request, this.#options.node, (settled) => {
      this.#release(running)
      answer.give(this.#copy?.outcome(request, settled) ?? settled)
    })
    this.#dispatch(running, call)
    return answer.promise()
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

  /** As any call, with streams between the two sides. */
  #streamed(request: CallRequest, call: IncomingCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const streams = new LocalStreams(request, {
        node: this.#options.node,
        copy: this.#copy,
        nextTurn: () => nextTurn(this.#options.clock ?? systemClock),
        onBegun: () => {
          running.hasBegun = true
          resolve(streams.output)
        },
        onInputFailed: (error) => running.fail(error),
      })
      const running = new RunningCall(request, this.#options.node, (settled) => {
        this.#release(running)
        const outcome = this.#copy?.outcome(request, settled) ?? settled
        streams.end(outcome.ok ? undefined : outcome.error)
        if (outcome.ok) resolve(request.stream === true ? streams.output : outcome.value)
        else reject(outcome.error)
      })
      this.#dispatch(running, { ...call, args: streams.args(call.args), output: streams.sink })
    })
  }

  #dispatch(running: RunningCall, call: IncomingCall): void {
    const stop = this.#options.dispatcher.dispatch(call, (outcome) => running.settle(outcome))
    if (stop !== undefined) this.#watch(running, stop)
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
    // It settled at once.
    if (running.stop === undefined) return
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
    // The handler itself may have closed the node.
    if (this.#closed) running.close()
    else if (cancel !== undefined) this.#deadlines.add(running)
    return Promise.resolve(undefined)
  }

  /** Throws an RpcError for arguments that cannot be copied. */
  #incoming(request: CallRequest): IncomingCall {
    return {
      service: request.service,
      method: request.method,
      args: this.#copy?.args(request) ?? request.args,
      deadlineAt: request.deadlineAt,
      headers: request.headers ?? NO_HEADERS,
      caller: this.#caller(),
      places: this.#places,
      cast: request.cast,
    }
  }

  /** Ourselves: one object as long as our address is the same. */
  #caller(): CallerIdentity {
    const { node, address } = this.#options
    const now = address()
    if (this.#self?.address !== now) {
      this.#self = Object.freeze({ node, address: now, verified: true, certificate: undefined })
    }
    return this.#self
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
}

function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.setImmediate(resolve))
}

/** What a call came to: known at once when its handler answers synchronously, which then costs one promise and no more. */
class Answer {
  #outcome: Outcome | undefined
  #resolve: ((value: unknown) => void) | undefined
  #reject: ((error: RpcError) => void) | undefined

  give(outcome: Outcome): void {
    this.#outcome = outcome
    if (outcome.ok) this.#resolve?.(outcome.value)
    else this.#reject?.(outcome.error)
  }

  promise(): Promise<unknown> {
    const outcome = this.#outcome
    if (outcome !== undefined) return outcome.ok ? Promise.resolve(outcome.value) : Promise.reject(outcome.error)
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
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
  /** Its stream has given an item. */
  hasBegun = false
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

  /** For a failure of the caller's own stream. */
  fail(error: RpcError): void {
    this.settle({ ok: false, error })
    this.stop?.('cancelled')
  }

  #end(reason: CancelReason, code: RpcError['code'], what: string): void {
    const { service, method, signal } = this.request
    const fields = {
      executed: this.hasBegun ? 'yes' : 'maybe',
      node: this.#node,
      cause: reason === 'cancelled' ? signal?.reason : undefined,
    } as const
    // First: a call that still waits for its admission knows that nothing of it ran.
    this.stop?.(reason)
    this.settle({ ok: false, error: new RpcError(code, `${service}.${method} on '${this.#node}' ${what}`, fields) })
  }
}
