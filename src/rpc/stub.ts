/**
 * A service as an object: `await users.get('42')`. With a contract, or with `declare`, the names are known and it is a
 * plain frozen object; otherwise any name is a method, and a Proxy makes them as they are asked for, but never one that
 * `await`, JSON, string conversion or an inspector looks for. Does not know how a call is made.
 */
import { ShoalError } from '../errors.js'
import type { StreamOptions, StubOptions } from './call-options.js'
import { type ServiceRef, serviceName } from './call-plan.js'
import { type Contract, contractStreams, isContract, methodNameProblem, type ServiceClient } from './contract.js'
import { describe } from './names.js'
import { checkOptionNames } from './option-names.js'

const CACHED_METHODS_MAX = 1_000
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Options for some calls: `users.$with({ timeout: 500 }).get('42')`. */
interface WithOptions<Stub> {
  $with(options: StreamOptions): Stub
}

/** Stub of a contract. */
export type ContractStub<C extends Contract> = ServiceClient<C> & WithOptions<ContractStub<C>>

/** Stub of a service known by name, with the methods of `Api` if one is given. */
export type ApiStub<Api extends object> = WithOptions<ApiStub<Api>> & {
  readonly [Name in keyof Api]: Api[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never
}

/** Any method, any arguments. */
export interface AnyApi {
  readonly [method: string]: (...args: unknown[]) => unknown
}

/** What is behind a stub's methods; never throws. */
export interface StubInvoke {
  call(method: string, args: readonly unknown[], options: StreamOptions): Promise<unknown>
  stream(method: string, args: readonly unknown[], options: StreamOptions): AsyncGenerator<unknown, void, undefined>
}

type StubMethod = (...args: unknown[]) => unknown
type AnyStub = Readonly<Record<string | symbol, unknown>>

/** Makes a stub. Throws INVALID_ARGUMENT for a name that cannot be used. */
export function makeStub(service: ServiceRef, options: StubOptions, invoke: StubInvoke): object {
  const name = serviceName(service)
  checkOptions(name, options)
  const { declare, ...given } = options
  const declared = declare?.map((method) => checkDeclared(name, service, method))
  const known = declared ?? (isContract(service) ? Object.keys(service.methods) : undefined)
  const defaults: StreamOptions = declare === undefined ? given : { retries: { unavailable: 0 }, ...given }
  if (known === undefined) return openStub(name, defaults, invoke)
  const streams: ReadonlySet<string> = new Set(isContract(service) ? contractStreams(service) : [])
  return closedStub({ name, known, streams, defaults, invoke })
}

interface Closed {
  readonly name: string
  readonly known: readonly string[]
  readonly streams: ReadonlySet<string>
  readonly defaults: StreamOptions
  readonly invoke: StubInvoke
}

function closedStub(closed: Closed): AnyStub {
  const { name, known, streams, defaults, invoke } = closed
  const stub = bareStub(name, (options) => closedStub({ ...closed, defaults: withOptions(name, defaults, options) }))
  for (const method of known) {
    const call: StubMethod = streams.has(method)
      ? (...args) => invoke.stream(method, args, defaults)
      : (...args) => invoke.call(method, args, defaults)
    Object.defineProperty(stub, method, { value: call, enumerable: true })
  }
  return Object.freeze(stub)
}

function openStub(name: string, defaults: StreamOptions, invoke: StubInvoke): AnyStub {
  const bare = Object.freeze(bareStub(name, (options) => openStub(name, withOptions(name, defaults, options), invoke)))
  const methods = new Map<string, StubMethod>()
  return new Proxy(bare, {
    get(target, key) {
      if (typeof key === 'symbol' || key in target) return target[key]
      const cached = methods.get(key)
      if (cached !== undefined) return cached
      if (methodNameProblem(key) !== undefined) return undefined
      const call: StubMethod = (...args) => invoke.call(key, args, defaults)
      if (methods.size < CACHED_METHODS_MAX) methods.set(key, call)
      return call
    },
  })
}

/** What every stub has, none of it enumerable: JSON and comparison see only methods. */
function bareStub(name: string, $with: (options: StreamOptions) => AnyStub): Record<string | symbol, unknown> {
  const text = `[stub ${name}]`
  return Object.create(null, {
    $with: { value: $with },
    toString: { value: () => text },
    [INSPECT]: { value: () => text },
  })
}

function withOptions(name: string, defaults: StreamOptions, options: unknown): StreamOptions {
  const given = tableOf(name, options)
  checkOptionNames('$with', given)
  return { ...defaults, ...given }
}

function tableOf(name: string, options: unknown): object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw invalid(
    `the options of a stub of '${name}' must be an object such as { timeout: 1_000 }, got ${describe(options)}`,
  )
}

function checkOptions(name: string, options: unknown): void {
  checkOptionNames('stub', tableOf(name, options))
  const { declare } = options as { readonly declare?: unknown }
  if (declare === undefined || Array.isArray(declare)) return
  throw invalid(`'declare' for '${name}' must be an array of method names such as ['get'], got ${describe(declare)}`)
}

function checkDeclared(name: string, service: ServiceRef, method: unknown): string {
  const problem = methodNameProblem(method)
  if (problem !== undefined) throw invalid(`method ${describe(method)} in 'declare' for '${name}' ${problem}`)
  if (isContract(service) && !Object.hasOwn(service.methods, method as string)) {
    throw invalid(`'declare' names '${method}', which the contract of '${name}' does not have`)
  }
  return method as string
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message)
}
