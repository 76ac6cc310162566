/**
 * The services and exposed modules of this process, and who may call them. Every refusal is made here, before the
 * handler runs, and says `executed: 'no'`; whatever the user's code then returns or throws is a value or REMOTE, never a
 * refusal. Knows nothing of connections, of the registry, or of who keeps the deadline.
 */
import { type RemoteFailure, RpcError, ShoalError } from '../errors.js'
import { ActiveCall } from './active-call.js'
import { Authorization, type Denial } from './authorization.js'
import type { CancelReason, Dispatcher, IncomingCall, ItemSink, Outcome } from './call.js'
import { CallableMethods } from './callable-methods.js'
import { fullness } from './caller-places.js'
import { withoutStack } from './error-values.js'
import type { Admission, HandlersOptions, HandlersStats, Provided } from './handlers-options.js'
import { Load } from './load.js'
import { type AnyFunction, tryMethod } from './method-lookup.js'
import { layersProblem, type Middleware, runMiddleware } from './middleware.js'
import { describe, nameProblem } from './names.js'
import { remoteFailure } from './remote-failure.js'
import { runStream } from './run-stream.js'
import { checkItem, type MethodSchemas, runChecked } from './schema-check.js'
import { isThenable } from './thenable.js'

const IN_FLIGHT_MAX = 10_000

interface Entry {
  readonly name: string
  readonly methods: object
  readonly callable: CallableMethods
  readonly admission: () => Admission
  readonly reason: () => string | undefined
  readonly use: readonly Middleware[]
  readonly schemas: ReadonlyMap<string, MethodSchemas> | undefined
  readonly maxInFlight: number
  readonly load: Load
}

/** A call that counts as in flight. */
interface Running {
  readonly call: IncomingCall
  readonly active: ActiveCall
  readonly entry: Entry
  readonly handler: AnyFunction
  readonly settle: (outcome: Outcome) => void
}

type Cancel = (reason: CancelReason) => void

export class Handlers implements Dispatcher {
  readonly #options: HandlersOptions
  readonly #authorization: Authorization | undefined
  readonly #entries = new Map<string, Entry>()
  readonly #load = new Load()
  #cancelledRunning = 0
  #ignoredCancel = 0
  #served = 0
  #refused = 0

  constructor(options: HandlersOptions) {
    this.#options = options
    const { authorize: hook, now, onAuthorizeFailed: onFailed } = options
    this.#authorization = hook === undefined ? undefined : new Authorization({ hook, now, onFailed })
  }

  /** Makes a service callable. Throws INVALID_ARGUMENT for a name that cannot be used or is taken; nothing is changed then. */
  provide(service: string, provided: Provided): void {
    const { methods, only, streams } = provided
    this.#checkNew('service', service, methods)
    const missing = only?.find((name) => tryMethod(methods, name) === undefined)
    if (missing !== undefined) {
      throw invalid(
        `the implementation of '${service}' has no method '${missing}', which its contract names; ` +
          'add the function, or take the method out of the contract',
      )
    }
    const wrongUse = layersProblem(provided.use)
    if (wrongUse !== undefined) throw invalid(`use of '${service}' ${wrongUse}`)
    const maxInFlight = provided.maxInFlight ?? IN_FLIGHT_MAX
    if (!Number.isSafeInteger(maxInFlight) || maxInFlight < 1) {
      throw invalid(`maxInFlight of '${service}' must be an integer above 0, got ${describe(provided.maxInFlight)}`)
    }
    this.#entries.set(service, {
      name: service,
      methods,
      callable: new CallableMethods({ methods, only, streams }),
      admission: provided.admission,
      reason: provided.reason ?? (() => undefined),
      use: [...(this.#options.use ?? []), ...(provided.use ?? [])],
      schemas: provided.schemas,
      maxInFlight,
      load: new Load(),
    })
  }

  /** Makes functions callable by address, with no status and no announcement. Throws as `provide`. */
  expose(module: string, functions: object): void {
    this.#checkNew('module', module, functions)
    this.provide(module, { methods: functions, admission: () => 'running' })
  }

  /** Calls that run already run on. False when there was nothing of that name. */
  remove(name: string): boolean {
    return this.#entries.delete(name)
  }

  /** Resolves when no call of that service, or without a name of any, runs in this process. Never rejects. */
  idle(name?: string): Promise<void> {
    if (name === undefined) return this.#load.idle()
    return this.#entries.get(name)?.load.idle() ?? Promise.resolve()
  }

  running(name: string): number {
    return this.#entries.get(name)?.load.count ?? 0
  }

  stats(): HandlersStats {
    const inFlightByService: Record<string, number> = Object.create(null)
    for (const { name, load } of this.#entries.values()) inFlightByService[name] = load.count
    return {
      inFlight: this.#load.count,
      inFlightByService,
      cancelledRunning: this.#cancelledRunning,
      ignoredCancel: this.#ignoredCancel,
      served: this.#served,
      refused: this.#refused,
      unauthorized: this.#authorization?.counts().denied ?? 0,
      authorizeFailed: this.#authorization?.counts().failed ?? 0,
    }
  }

  dispatch(call: IncomingCall, settle: (outcome: Outcome) => void): ((reason: CancelReason) => void) | undefined {
    const entry = this.#entries.get(call.service)
    const admitted = entry === undefined ? this.#notProvided(call) : this.#admit(entry, call)
    if (entry === undefined || admitted instanceof RpcError) {
      this.#refused++
      settle({ ok: false, error: admitted as RpcError })
      return undefined
    }
    const active = new ActiveCall(call, this.#options.now)
    entry.load.add(call.places)
    this.#load.add()
    const running: Running = { call, active, entry, handler: admitted, settle }
    return this.#authorization === undefined ? this.#run(running) : this.#authorize(this.#authorization, running)
  }

  #authorize(authorization: Authorization, running: Running): Cancel | undefined {
    const { active } = running
    const answer = this.#options.runInCall(active, () => authorization.ask(active))
    if (!(answer instanceof Promise)) return this.#answered(running, answer)
    let cancel: Cancel | undefined
    let isAsking = true
    answer.then((denial) => {
      if (!isAsking) return
      isAsking = false
      cancel = this.#answered(running, denial)
    })
    return (reason) => {
      if (isAsking) {
        // Nothing of the call has run, and what the hook still does is no part of it.
        isAsking = false
        this.#cancel(active, reason)
        this.#refuse(running, this.#refusal(codeOf(reason), `was still asked whether ${whatOf(active)} is allowed`))
      } else cancel?.(reason)
    }
  }

  #answered(running: Running, denial: Denial | undefined): Cancel | undefined {
    const { call, active, entry } = running
    if (denial === undefined) {
      // The hook may have taken its time.
      const admission = entry.admission()
      const refusal =
        admission === 'running' ? this.#expired(call, this.#options.now()) : this.#closedFor(entry, admission)
      if (refusal === undefined) return this.#run(running)
      this.#refuse(running, refusal)
      return undefined
    }
    const what = `does not allow ${whatOf(active)} to '${call.caller.node}'${denial.because}`
    this.#refuse(running, this.#refusal('UNAUTHORIZED', what))
    return undefined
  }

  #refuse({ active, entry, settle }: Running, error: RpcError): void {
    this.#refused++
    this.#end(entry, active, false)
    settle({ ok: false, error })
  }

  #run(running: Running): Cancel | undefined {
    const { call, active, entry, settle } = running
    this.#served++
    let result: unknown
    let pending: Promise<unknown> | undefined
    try {
      result = this.#options.runInCall(active, () => this.#invoke(running))
      if (isThenable(result)) pending = Promise.resolve(result)
    } catch (thrown) {
      this.#end(entry, active, false)
      settle(this.#failure(call, active, thrown))
      return undefined
    }
    if (pending === undefined) {
      this.#end(entry, active, true)
      settle({ ok: true, value: result })
      return undefined
    }
    pending.then(
      (value) => {
        // A stream that was cancelled has stopped by it.
        this.#end(entry, active, active.output === undefined)
        settle({ ok: true, value })
      },
      (thrown: unknown) => {
        this.#end(entry, active, false)
        settle(this.#failure(call, active, thrown))
      },
    )
    return (reason) => this.#cancel(active, reason)
  }

  #notProvided({ service }: IncomingCall): RpcError {
    return this.#refusal('NOT_PROVIDED', `does not provide '${service}'`)
  }

  /** The handler, for a call that may run now. */
  #admit(entry: Entry, call: IncomingCall): AnyFunction | RpcError {
    const admission = entry.admission()
    if (admission !== 'running') return this.#closedFor(entry, admission)
    const { callable } = entry
    const method = callable.find(call.method)
    if (method === undefined) {
      return this.#refusal('NO_METHOD', `has no method ${describe(call.method)} in '${call.service}'`)
    }
    const { handler, isStream } = method
    if (isStream !== (call.output !== undefined) && (isStream || callable.saysStreams)) {
      return this.#refusal('NO_METHOD', kindProblem(call, isStream))
    }
    const late = this.#expired(call, call.lookedAt ?? this.#options.now())
    if (late !== undefined) return late
    const full = fullness(entry.load, entry.maxInFlight, call.places)
    return full === undefined ? handler : this.#refusal('OVERLOADED', `${full} of '${call.service}'`)
  }

  #expired({ service, method, deadlineAt }: IncomingCall, now: number): RpcError | undefined {
    if (deadlineAt > now) return undefined
    return this.#refusal('DEADLINE_EXCEEDED', `got ${service}.${method} after its deadline`)
  }

  #closedFor(entry: Entry, admission: 'draining' | 'unavailable'): RpcError {
    const reason = entry.reason()
    const because = reason === undefined || reason === '' ? '' : `: ${reason}`
    if (admission === 'draining') return this.#refusal('DRAINING', `is draining '${entry.name}'${because}`)
    return this.#refusal('UNAVAILABLE', `does not run '${entry.name}' now${because}`)
  }

  #refusal(code: RpcError['code'], what: string): RpcError {
    const { node } = this.#options
    return new RpcError(code, `node '${node}' ${what}`, { executed: 'no', node })
  }

  #invoke({ entry, handler, active }: Running): unknown {
    const schemas = entry.schemas?.get(active.method)
    const { output } = active
    if (schemas === undefined && output === undefined && entry.use.length === 0) {
      return Reflect.apply(handler, entry.methods, active.args)
    }
    const run = (args: readonly unknown[]): unknown => Reflect.apply(handler, entry.methods, args)
    const answer =
      output === undefined ? run : (args: readonly unknown[]) => this.#stream(active, output, run(args), schemas)
    const inner = schemas === undefined ? () => answer(active.args) : () => this.#runChecked(schemas, active, answer)
    if (entry.use.length === 0) return inner()
    if (output === undefined) return runMiddleware(entry.use, active, inner)
    let isAnswered = false
    const answered = (): unknown => {
      isAnswered = true
      return inner()
    }
    // A layer may answer in the place of the handler, with a stream as that would.
    return runMiddleware(entry.use, active, answered).then((given) =>
      isAnswered ? undefined : this.#stream(active, output, given, schemas),
    )
  }

  /** Draws what the handler gave until it ends or the call does: the call lasts as long as its stream. */
  #stream(
    active: ActiveCall,
    output: ItemSink,
    given: unknown,
    schemas: MethodSchemas | undefined,
  ): Promise<undefined> {
    const item = schemas?.output
    return runStream(active, output, given, {
      check:
        item === undefined
          ? undefined
          : (value) => checkItem(item, value, (problem) => this.#disown(active, 'an item', problem)),
      notStream: (what) => {
        const message = `${active.service}.${active.method} on '${this.#options.node}' gave ${what}, not a stream`
        return new RpcError('REMOTE', message, { executed: 'yes', node: this.#options.node })
      },
    })
  }

  #runChecked(schemas: MethodSchemas, active: ActiveCall, run: (args: readonly unknown[]) => unknown): unknown {
    const what = `${active.service}.${active.method}`
    return runChecked({
      // The items of a stream are checked one by one.
      schemas: active.output === undefined ? schemas : { ...schemas, output: undefined },
      args: active.args,
      run: (args) => {
        // A schema may have taken its time.
        if (active.isCancelled()) throw active.signal.reason
        return run(args)
      },
      refuse: (problem) => {
        active.verdict = this.#refusal('INVALID_ARGUMENT', `refuses the arguments of ${what}: ${problem}`)
        return active.verdict
      },
      disown: (problem) => this.#disown(active, 'the result', problem),
    })
  }

  /** The handler's fault, whoever called. */
  #disown(active: ActiveCall, what: string, problem: string): RpcError {
    const { node, onResultRefused } = this.#options
    const method = `${active.service}.${active.method}`
    const message = `${what} of ${method} on '${node}' does not conform to its contract: ${problem}`
    const remote = { name: 'ContractError', message }
    active.verdict = new RpcError('REMOTE', message, { executed: 'yes', node, remote })
    onResultRefused?.(active.verdict)
    return active.verdict
  }

  #failure(call: IncomingCall, active: ActiveCall, thrown: unknown): Outcome {
    // Only the very error that was made for this call: no handler can throw one that passes for it.
    if (thrown !== undefined && thrown === active.verdict) return { ok: false, error: active.verdict }
    const { node, exposeStacks, onCastFailed } = this.#options
    const remote: RemoteFailure = remoteFailure(thrown, exposeStacks === true)
    const message = `${call.service}.${call.method} on '${node}' failed: ${remote.message}`
    const make = (): RpcError => new RpcError('REMOTE', message, { executed: 'yes', node, remote })
    // Of a call that was given up nobody reads it.
    const error = active.isCancelled() ? withoutStack(make) : make()
    if (call.cast) onCastFailed?.(error)
    return { ok: false, error }
  }

  #end(entry: Entry, active: ActiveCall, hasResult: boolean): void {
    active.finish()
    if (active.isCancelled()) {
      this.#cancelledRunning--
      if (hasResult) this.#ignoredCancel++
    }
    entry.load.remove(active.places)
    this.#load.remove()
  }

  #cancel(active: ActiveCall, reason: CancelReason): void {
    if (active.isFinished() || active.isCancelled()) return
    this.#cancelledRunning++
    active.cancel(reason)
  }

  #checkNew(kind: 'service' | 'module', name: string, functions: unknown): void {
    const problem = nameProblem(name)
    if (problem !== undefined) throw invalid(`the name of a ${kind} ${problem}`)
    if (typeof functions !== 'object' || functions === null || Array.isArray(functions)) {
      throw invalid(`${kind} '${name}' needs an object with functions, got ${describe(functions)}`)
    }
    if (this.#entries.has(name)) {
      throw invalid(
        `'${name}' is already provided or exposed by node '${this.#options.node}'; stop it first if it is a service, ` +
          'or choose another name (services and modules share one set of names)',
      )
    }
  }
}

/** What is wrong with calling a method as what it is not, as the middle of a sentence. */
function kindProblem({ service, method }: IncomingCall, isStream: boolean): string {
  if (isStream) return `answers ${service}.${method} with a stream: call it with streamCb`
  return `answers ${service}.${method} with a value, its contract says: it is no stream`
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message)
}

function codeOf(reason: CancelReason): RpcError['code'] {
  return reason === 'deadline' ? 'DEADLINE_EXCEEDED' : 'CANCELLED'
}

function whatOf({ service, method }: ActiveCall): string {
  return `${service}.${method}`
}
