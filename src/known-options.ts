/**
 * A table of options as users give it: an object without names that nobody reads. A misspelt `healthCheck` would else be
 * a service that nobody checks. Does not know what the options mean.
 */
import { type ErrorCode, ShoalError } from './errors.js'

export interface OptionTable {
  /** Such as `'rpc option'`, for the message. */
  readonly what: string
  readonly names: ReadonlySet<string>
  readonly code: Extract<ErrorCode, 'INVALID_OPTION' | 'INVALID_ARGUMENT'>
}

/** The names of a table of options, as the compiler knows them: one that is left out, or is none, does not compile. */
export function namesOf<Options>(names: Readonly<Record<keyof Options & string, true>>): ReadonlySet<string> {
  return new Set(Object.keys(names))
}

/** The first name that is none of these; undefined when all are. What others put into all objects is not its user's. */
export function unknownName(given: object, names: ReadonlySet<string>): string | undefined {
  for (const name in given) if (!names.has(name) && Object.hasOwn(given, name)) return name
  return undefined
}

/** Throws with the table's code for what is no object, or has another name in it. */
export function checkOptionTable(given: unknown, { what, names, code }: OptionTable): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const got = given === null ? 'null' : Array.isArray(given) ? 'an array' : typeof given
    throw new ShoalError(code, `${what}s must be an object, got ${got}; there are ${[...names].join(', ')}`)
  }
  const unknown = unknownName(given, names)
  if (unknown === undefined) return
  throw new ShoalError(code, `'${unknown}' is no ${what}; there are ${[...names].join(', ')}`)
}
