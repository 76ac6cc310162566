/**
 * One method of a contract: what it takes and gives, as types or as schemas, and how it may be called. Schemas of any
 * library by the Standard Schema specification also give the types; a method without one has no check and costs none.
 */
import { ShoalError } from '../errors.js'
import { checkOptionTable, namesOf } from '../known-options.js'
import { REMOTE_TIMEOUT_MS, resolveTimeout } from './deadline.js'
import { describe } from './names.js'
import { type MethodSchemas, schemaProblem } from './schema-check.js'
import type { SchemaInput, SchemaOutput, StandardSchemaV1 } from './standard-schema.js'

export interface MethodOptions {
  /** The work may be done twice without harm. Default false. */
  readonly idempotent?: boolean | undefined
  /** Milliseconds for a call of this method, unless the call says otherwise. */
  readonly timeout?: number | undefined
}

/**
 * One method of a contract. What callers give and get may differ from what the handler gets and gives: a schema may
 * transform. `'~types'` never exists at run time.
 */
export interface Method<
  Args extends readonly unknown[] = readonly unknown[],
  Result = unknown,
  HandlerArgs extends readonly unknown[] = Args,
  HandlerResult = Result,
> {
  readonly kind: 'method'
  readonly idempotent: boolean
  readonly timeout: number | undefined
  readonly schemas?: MethodSchemas | undefined
  readonly '~types'?: {
    readonly args: Args
    readonly result: Result
    readonly handlerArgs: HandlerArgs
    readonly handlerResult: HandlerResult
  }
}

export type Schema = StandardSchemaV1 | undefined
export type ListSchema = StandardSchemaV1<readonly unknown[], readonly unknown[]> | undefined

/** `input` is the schema of the only argument, `args` that of the list of all arguments, `output` that of the result. */
export interface SchemaOptions<Input, Args, Output> extends MethodOptions {
  readonly input?: Input
  readonly args?: Args
  readonly output?: Output
}

/** With both types and schemas, the schemas have to agree with the types. */
export type TypedOptions<Args extends readonly unknown[], Result> = SchemaOptions<
  StandardSchemaV1<Args[0]> | undefined,
  StandardSchemaV1<Args> | undefined,
  StandardSchemaV1<Result> | undefined
>

type One<Value> = undefined extends Value ? [input?: Value] : [input: Value]
export type GivenArgs<Input, Args> = Input extends StandardSchemaV1
  ? One<SchemaInput<Input>>
  : Args extends StandardSchemaV1<infer List extends readonly unknown[], readonly unknown[]>
    ? List
    : []
export type HandledArgs<Input, Args> = Input extends StandardSchemaV1
  ? [input: SchemaOutput<Input>]
  : Args extends StandardSchemaV1<readonly unknown[], infer List extends readonly unknown[]>
    ? List
    : []
export type GivenResult<Output, None = void> = Output extends StandardSchemaV1 ? SchemaOutput<Output> : None
export type HandledResult<Output, None = void> = Output extends StandardSchemaV1 ? SchemaInput<Output> : None

const NAMES = namesOf<SchemaOptions<Schema, Schema, Schema>>({
  idempotent: true,
  timeout: true,
  input: true,
  args: true,
  output: true,
})

/**
 * Describes a method: `method<[id: string], User | null>({ idempotent: true, timeout: 2_000 })`, or by schemas
 * `method({ input: Id, output: User })`. `input` describes the only argument; a method of several has `args`, the schema
 * of their list. The callee checks both ways. Throws INVALID_ARGUMENT.
 */
// The plain form comes first: the table around a bare method() would otherwise be read as asking for any arguments.
export function method(options?: SchemaOptions<undefined, undefined, undefined>): Method<[], void>
export function method<
  Input extends Schema = undefined,
  Args extends ListSchema = undefined,
  Output extends Schema = undefined,
>(
  options: SchemaOptions<Input, Args, Output>,
): Method<GivenArgs<Input, Args>, GivenResult<Output>, HandledArgs<Input, Args>, HandledResult<Output>>
export function method<Args extends readonly unknown[], Result = void>(
  options?: TypedOptions<Args, Result>,
): Method<Args, Result>
export function method(options: SchemaOptions<Schema, Schema, Schema> = {}): Method {
  checkOptionTable(options, { what: 'option of method()', names: NAMES, code: 'INVALID_ARGUMENT' })
  const { idempotent = false, timeout } = options
  if (typeof idempotent !== 'boolean') throw invalid(`idempotent must be true or false, got ${describe(idempotent)}`)
  if (timeout !== undefined) resolveTimeout(timeout, REMOTE_TIMEOUT_MS)
  const schemas = resolveSchemas(options)
  return Object.freeze({ kind: 'method', idempotent, timeout, ...(schemas === undefined ? {} : { schemas }) })
}

/** Throws INVALID_ARGUMENT. */
export function resolveSchemas({
  input,
  args,
  output,
}: SchemaOptions<Schema, Schema, Schema>): MethodSchemas | undefined {
  if (input === undefined && args === undefined && output === undefined) return undefined
  for (const [name, schema] of Object.entries({ input, args, output })) {
    const problem = schema === undefined ? undefined : schemaProblem(schema)
    if (problem !== undefined) throw invalid(`${name} of a method ${problem}`)
  }
  if (input !== undefined && args !== undefined) {
    throw invalid('a method has input, the schema of its only argument, or args, the schema of the list: not both')
  }
  return Object.freeze({ input, args, output })
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message)
}
