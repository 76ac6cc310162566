/**
 * One method of a contract that answers with a stream: what it takes, as `method()` says it, and what each item is. Its
 * implementation is an async generator; its callers iterate.
 */
import { checkOptionTable, namesOf } from '../known-options.js'
import { checkItemTimeout, invalidArgument } from './call-options.js'
import { CALL_TIMEOUT_MS, resolveTimeout } from './deadline.js'
import {
  type GivenArgs,
  type GivenResult,
  type HandledArgs,
  type HandledResult,
  type ListSchema,
  type MethodOptions,
  resolveSchemas,
  type Schema,
  type SchemaOptions,
  type TypedOptions,
} from './method.js'
import { describe } from './names.js'
import type { MethodSchemas } from './schema-check.js'

export interface StreamMethodOptions extends MethodOptions {
  /** The work may be begun twice without harm, as long as no item has come. Default false. */
  readonly idempotent?: boolean | undefined
  /** Milliseconds for a whole stream, unless the call says otherwise; `Infinity` for one that has no end. */
  readonly timeout?: number | undefined
  /** Milliseconds that the reader waits for one item, unless the call says otherwise. */
  readonly itemTimeout?: number | undefined
}

/** As `Method`, with items where that has a result. */
export interface Stream<
  Args extends readonly unknown[] = readonly unknown[],
  Item = unknown,
  HandlerArgs extends readonly unknown[] = Args,
  HandlerItem = Item,
> {
  readonly kind: 'stream'
  readonly idempotent: boolean
  readonly timeout: number | undefined
  readonly itemTimeout: number | undefined
  readonly schemas?: MethodSchemas | undefined
  readonly '~types'?: {
    readonly args: Args
    readonly item: Item
    readonly handlerArgs: HandlerArgs
    readonly handlerItem: HandlerItem
  }
}

type WithItemTimeout = Pick<StreamMethodOptions, 'itemTimeout'>

const NAMES = namesOf<SchemaOptions<Schema, Schema, Schema> & WithItemTimeout>({
  idempotent: true,
  timeout: true,
  itemTimeout: true,
  input: true,
  args: true,
  output: true,
})

/**
 * Describes a method that answers with a stream: `stream<[since: number], UserEvent>({ timeout: Infinity })`, or by
 * schemas `stream({ input: Since, output: UserEvent })`, where `output` describes one item and every item is checked by
 * the callee. Throws INVALID_ARGUMENT.
 */
export function stream(options?: SchemaOptions<undefined, undefined, undefined> & WithItemTimeout): Stream<[], unknown>
export function stream<
  Input extends Schema = undefined,
  Args extends ListSchema = undefined,
  Output extends Schema = undefined,
>(
  options: SchemaOptions<Input, Args, Output> & WithItemTimeout,
): Stream<
  GivenArgs<Input, Args>,
  GivenResult<Output, unknown>,
  HandledArgs<Input, Args>,
  HandledResult<Output, unknown>
>
export function stream<Args extends readonly unknown[], Item>(
  options?: TypedOptions<Args, Item> & WithItemTimeout,
): Stream<Args, Item>
export function stream(options: SchemaOptions<Schema, Schema, Schema> & WithItemTimeout = {}): Stream {
  checkOptionTable(options, { what: 'option of stream()', names: NAMES, code: 'INVALID_ARGUMENT' })
  const { idempotent = false, timeout, itemTimeout } = options
  if (typeof idempotent !== 'boolean') {
    throw invalidArgument(`idempotent must be true or false, got ${describe(idempotent)}`)
  }
  if (timeout !== undefined && resolveTimeout(timeout, CALL_TIMEOUT_MS, true) === 0) {
    throw invalidArgument('the timeout of a stream must be above 0: there is no cast of one')
  }
  checkItemTimeout(itemTimeout)
  const schemas = resolveSchemas(options)
  return Object.freeze({
    kind: 'stream',
    idempotent,
    timeout,
    itemTimeout,
    ...(schemas === undefined ? {} : { schemas }),
  })
}
