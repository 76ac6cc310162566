/**
 * Runs a method between the schemas of its contract: the arguments before it, its result after it. A problem is told by
 * path and the library's message alone, bounded, and never by the value. Does not know what becomes of a problem.
 */
import { describe } from './names.js'
import type { SchemaIssue, SchemaResult, StandardSchemaV1 } from './standard-schema.js'
import { whenSettled } from './thenable.js'
import { pathText } from './value-path.js'

const ISSUES_MAX = 5
const MESSAGE_LENGTH_MAX = 200

/** `input` describes the one argument, `args` the list of all: never both. */
export interface MethodSchemas {
  readonly input: StandardSchemaV1 | undefined
  readonly args: StandardSchemaV1 | undefined
  readonly output: StandardSchemaV1 | undefined
}

export interface CheckedMethod {
  readonly schemas: MethodSchemas
  readonly args: readonly unknown[]
  /** Gets the arguments as the schema gave them. */
  readonly run: (args: readonly unknown[]) => unknown
  /** The error for arguments that do not conform. */
  readonly refuse: (problem: string) => Error
  /** The error for a result that does not. */
  readonly disown: (problem: string) => Error
}

type Verdict = { readonly value: unknown } | { readonly problem: string }

/** The checked result, or a promise of it when the method or a schema is asynchronous. Throws, or rejects with, `refuse` or `disown`. */
export function runChecked({ schemas, args, run, refuse, disown }: CheckedMethod): unknown {
  const { output } = schemas
  return whenSettled(checkArguments(schemas, args), (given) => {
    if ('problem' in given) throw refuse(given.problem)
    const result = run(given.value as readonly unknown[])
    if (output === undefined) return result
    return whenSettled(result, (value) =>
      whenSettled(check(output, value, 'result'), (checked) => {
        if ('problem' in checked) throw disown(checked.problem)
        return checked.value
      }),
    )
  })
}

/** An item of a stream as its schema gives it, or a promise of it. Throws, or rejects with, `disown`. */
export function checkItem(schema: StandardSchemaV1, item: unknown, disown: (problem: string) => Error): unknown {
  return whenSettled(check(schema, item, 'item'), (verdict) => {
    if ('problem' in verdict) throw disown(verdict.problem)
    return verdict.value
  })
}

/** What is wrong with a value as a schema; `undefined` when it can be used as one. */
export function schemaProblem(schema: unknown): string | undefined {
  const standard: unknown =
    (typeof schema === 'object' && schema !== null) || typeof schema === 'function'
      ? (schema as { readonly '~standard'?: unknown })['~standard']
      : undefined
  const { version, validate } = (standard ?? {}) as { readonly version?: unknown; readonly validate?: unknown }
  if (version === 1 && typeof validate === 'function') return undefined
  return `must be a schema by the Standard Schema specification (zod, valibot, arktype and others), got ${describe(schema)}`
}

function checkArguments({ input, args }: MethodSchemas, given: readonly unknown[]): Verdict | Promise<Verdict> {
  if (input !== undefined) {
    if (given.length > 1) return { problem: `it takes one argument, got ${given.length}` }
    return whenSettled(check(input, given[0], 'input'), (verdict) =>
      'problem' in verdict ? verdict : { value: [verdict.value] },
    )
  }
  if (args === undefined) return { value: given }
  return whenSettled(check(args, given, 'args'), (verdict) => {
    if ('problem' in verdict || Array.isArray(verdict.value)) return verdict
    throw new TypeError(`the schema of the arguments gives ${describe(verdict.value)}, it must give an array`)
  })
}

function check(schema: StandardSchemaV1, value: unknown, root: string): Verdict | Promise<Verdict> {
  return whenSettled(schema['~standard'].validate(value), (result) => verdictOf(result, root))
}

function verdictOf(result: SchemaResult<unknown>, root: string): Verdict {
  if (result.issues === undefined) return { value: result.value }
  const texts = result.issues.slice(0, ISSUES_MAX).map((issue) => issueText(issue, root))
  const more = result.issues.length - texts.length
  return { problem: more > 0 ? `${texts.join('; ')}; and ${more} more` : texts.join('; ') }
}

function issueText({ message, path }: SchemaIssue, root: string): string {
  const steps = (path ?? []).map((step) => {
    const key = typeof step === 'object' ? step.key : step
    return typeof key === 'symbol' ? String(key) : key
  })
  const text = String(message)
  return `${pathText(root, steps)}: ${text.length > MESSAGE_LENGTH_MAX ? `${text.slice(0, MESSAGE_LENGTH_MAX)}…` : text}`
}
