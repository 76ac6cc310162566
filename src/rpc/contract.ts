/**
 * A service described once for both sides: its name, its methods, their types. The types exist at compile time only; at
 * run time a contract is a frozen table of names with what each method says of its calls and its schemas.
 */
import { ShoalError } from '../errors.js'
import { checkOptionTable, namesOf } from '../known-options.js'
import type { SelectionPolicy } from './directory.js'
import type { Method } from './method.js'
import { describe, nameProblem } from './names.js'
import type { MethodSchemas } from './schema-check.js'
import { checkSelection } from './selection-options.js'
import type { Stream } from './stream-method.js'

const CONTRACT = Symbol.for('shoal.contract')

/** Names that an object has to keep free to behave like one: `await`, JSON, string conversion, test runners look for them. */
const RESERVED: ReadonlySet<string> = new Set([
  'then',
  'toJSON',
  'constructor',
  '__proto__',
  'prototype',
  'inspect',
  'asymmetricMatch',
])

export type Methods = Readonly<Record<string, Method | Stream>>

/** How callers of a service choose among its instances, unless a call says otherwise. */
export interface ContractInfo {
  /** The provider's version, for callers that ask for a range. */
  readonly version: string
  readonly policy?: Exclude<SelectionPolicy, 'key'> | undefined
  readonly localFirst?: boolean | undefined
}

export interface Contract<Table extends Methods = Methods> {
  readonly name: string
  readonly version: string
  readonly selection: Pick<ContractInfo, 'policy' | 'localFirst'>
  readonly methods: Table
}

type AnyArgs = readonly unknown[]
type ArgsOf<M> =
  M extends Method<infer Args, unknown, AnyArgs, unknown>
    ? Args
    : M extends Stream<infer Args, unknown, AnyArgs, unknown>
      ? Args
      : never
type HandlerArgsOf<M> =
  M extends Method<AnyArgs, unknown, infer Args, unknown>
    ? Args
    : M extends Stream<AnyArgs, unknown, infer Args, unknown>
      ? Args
      : never
type AnswerOf<M> =
  M extends Method<AnyArgs, infer Result, AnyArgs, unknown>
    ? Promise<Result>
    : M extends Stream<AnyArgs, infer Item, AnyArgs, unknown>
      ? AsyncGenerator<Item, void, undefined>
      : never
type HandlerAnswerOf<M> =
  M extends Method<AnyArgs, unknown, AnyArgs, infer Result>
    ? Result | Promise<Result>
    : M extends Stream<AnyArgs, unknown, AnyArgs, infer Item>
      ? AsyncIterable<Item>
      : never

/** What a caller of the service gets: every method answers a promise, every stream an async generator. */
export type ServiceClient<C extends Contract> = {
  readonly [Name in keyof C['methods']]: (...args: ArgsOf<C['methods'][Name]>) => AnswerOf<C['methods'][Name]>
}

/** What a provider of the service has to implement: every method, synchronous or not, and streams as async generators. */
export type ServiceImpl<C extends Contract> = {
  [Name in keyof C['methods']]: (...args: HandlerArgsOf<C['methods'][Name]>) => HandlerAnswerOf<C['methods'][Name]>
}

const INFO_NAMES = namesOf<ContractInfo>({ version: true, policy: true, localFirst: true })

/** Describes a service. The result is frozen and can be shared between processes as source. Throws INVALID_ARGUMENT. */
export function defineService<const Table extends Methods>(
  name: string,
  info: ContractInfo,
  methods: Table,
): Contract<Table> {
  const problem = nameProblem(name)
  if (problem !== undefined) throw invalid(`the name of a service ${problem}`)
  const what = `option of service '${name}'`
  checkOptionTable(info, { what, names: INFO_NAMES, code: 'INVALID_ARGUMENT' })
  const version: unknown = (info as { version?: unknown } | undefined)?.version
  if (typeof version !== 'string') throw invalid(`service '${name}' needs a version string, got ${describe(version)}`)
  if (typeof methods !== 'object' || methods === null) throw invalid(`service '${name}' needs a table of methods`)
  const table: Record<string, Method | Stream> = Object.create(null)
  for (const [key, entry] of Object.entries(methods)) {
    const wrong = methodNameProblem(key)
    if (wrong !== undefined) throw invalid(`method ${describe(key)} of service '${name}' ${wrong}`)
    if (entry?.kind !== 'method' && entry?.kind !== 'stream') {
      throw invalid(`'${key}' of service '${name}' must be made with method() or stream()`)
    }
    table[key] = entry
  }
  const { policy, localFirst } = info
  checkSelection({ policy, localFirst }, undefined)
  const selection = Object.freeze({ policy, localFirst })
  const contract = { name, version, selection, methods: Object.freeze(table) as Table }
  Object.defineProperty(contract, CONTRACT, { value: true })
  return Object.freeze(contract)
}

/** True for a contract, also one made by another copy or build of the package. */
export function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[CONTRACT] === true
}

/** The schemas of its methods by name; `undefined` when none has any. */
export function contractSchemas({ methods }: Contract): ReadonlyMap<string, MethodSchemas> | undefined {
  const schemas = new Map<string, MethodSchemas>()
  for (const [name, entry] of Object.entries(methods)) {
    if (entry.schemas !== undefined) schemas.set(name, entry.schemas)
  }
  return schemas.size === 0 ? undefined : schemas
}

/** The names of its streams. */
export function contractStreams({ methods }: Contract): readonly string[] {
  return Object.keys(methods).filter((name) => methods[name]?.kind === 'stream')
}

/** What is wrong with a name as a method of a contract or stub; `undefined` when it can be used. */
export function methodNameProblem(name: unknown): string | undefined {
  const problem = nameProblem(name)
  if (problem !== undefined) return problem
  const text = name as string
  if (text.startsWith('$')) return 'must not begin with $, which stubs keep for themselves'
  if (RESERVED.has(text) || text in Object.prototype) return 'has a name that every object needs for itself; rename it'
  return undefined
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message)
}
