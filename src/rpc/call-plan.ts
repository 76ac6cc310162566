/**
 * From what the user wrote to one request: checks it, takes the contract's wishes where the options are silent, and
 * lets a call made inside a handler inherit the deadline and headers of the call that it serves, and its end.
 */
import { RpcError } from '../errors.js'
import type { CallRequest } from './call.js'
import { type CallOptions, checkArgs, checkName, checkSignal, invalidArgument } from './call-options.js'
import { type Contract, isContract } from './contract.js'
import { activeCall } from './current-call.js'
import { CALL_TIMEOUT_MS, deadlineFor, resolveTimeout } from './deadline.js'
import type { Selection } from './directory.js'
import { mergeHeaders } from './headers.js'
import { findInput } from './input-argument.js'
import type { Method } from './method.js'
import { checkOptionNames, type OptionOwner } from './option-names.js'
import { checkFlag, checkHedge, checkSelection } from './selection-options.js'
import type { Stream } from './stream-method.js'

/** A service by name or by contract. */
export type ServiceRef = string | Contract

const NO_OPTIONS: CallOptions = Object.freeze({})

/** What the user asked for. */
export interface CallSpec {
  readonly service: ServiceRef
  readonly method: string
  readonly args: readonly unknown[]
  readonly options: CallOptions | undefined
  /** Whose options they are; undefined when their names were checked before. */
  readonly of?: OptionOwner | undefined
  /** The result is to be a stream. */
  readonly stream?: boolean | undefined
}

/** A checked call: one request, good for any number of attempts. */
export interface CallPlan {
  readonly request: CallRequest
  readonly selection: Selection
  readonly idempotent: boolean
  /** Milliseconds after which an unanswered call is made a second time. */
  readonly hedgeMs: number | undefined
}

/** Throws INVALID_ARGUMENT; DEADLINE_EXCEEDED or CANCELLED when the surrounding call has no time left or was cancelled. */
export function planCall(spec: CallSpec, now: number, defaultTimeoutMs: number): CallPlan {
  const options = checkOptions(spec.options)
  if (spec.of !== undefined) checkOptionNames(spec.of, options)
  const service = serviceName(spec.service)
  const method = checkName('method', spec.method, service)
  const described = methodOf(spec.service, method)
  const isStream = spec.stream === true
  const timeout = resolveTimeout(options.timeout ?? described?.timeout, defaultTimeoutMs, isStream)
  const parent = activeCall()
  const cast = timeout === 0
  const args = checkArgs(spec.args)
  const input = findInput(args)
  const deadlineAt = deadlineFor(now, cast ? CALL_TIMEOUT_MS : timeout, parent?.deadlineAt())
  const request: CallRequest = {
    service,
    method,
    args: input === undefined ? args : input.others,
    deadlineAt,
    headers: mergeHeaders(parent?.headers, options.headers),
    signal: checkSignal(options.signal),
    cast,
    forceRemote: options.forceRemote ?? false,
    stream: spec.stream,
    input,
  }
  if (deadlineAt <= now) {
    throw new RpcError('DEADLINE_EXCEEDED', `the call that ${service}.${method} is made from has no time left`, {
      executed: 'no',
    })
  }
  if (parent?.isCancelled() === true) {
    const message = `the call that ${service}.${method} is made from was cancelled`
    throw new RpcError('CANCELLED', message, { executed: 'no', cause: parent.signal.reason })
  }
  checkFlag('forceRemote', options.forceRemote)
  checkFlag('idempotent', options.idempotent)
  // What was drawn of a stream among the arguments cannot be sent again.
  const idempotent = input === undefined && (options.idempotent ?? described?.idempotent ?? false)
  if (isStream || input !== undefined) checkStreamed(`${service}.${method}`, options, cast)
  const defaults = isContract(spec.service) ? spec.service.selection : undefined
  return {
    request,
    selection: checkSelection(options, defaults),
    idempotent,
    hedgeMs: options.hedge === undefined ? undefined : checkHedge(options.hedge, idempotent, `${service}.${method}`),
  }
}

/** The name of a service given by name or contract. Throws INVALID_ARGUMENT. */
export function serviceName(service: ServiceRef): string {
  return isContract(service) ? service.name : checkName('service', service)
}

function checkStreamed(what: string, { hedge }: CallOptions, cast: boolean): void {
  if (cast) throw invalidArgument(`${what} has a stream, which cannot be a cast: timeout must be above 0`)
  if (hedge !== undefined) throw invalidArgument(`${what} has a stream, which cannot be hedged: leave 'hedge' out`)
}

function methodOf(service: ServiceRef, method: string): Method | Stream | undefined {
  if (!isContract(service)) return undefined
  if (Object.hasOwn(service.methods, method)) return service.methods[method]
  const known = Object.keys(service.methods).slice(0, 20).join(', ')
  throw invalidArgument(`the contract of '${service.name}' has no method '${method}'; it has: ${known}`)
}

function checkOptions(options: unknown): CallOptions {
  if (options === undefined) return NO_OPTIONS
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw invalidArgument('the options of a call must be an object, such as { timeout: 1_000 }')
}
