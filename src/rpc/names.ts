/**
 * What a service, module or method may be called. The limit is the wire's (one length byte) and is checked where a name
 * enters the library, so that nothing behind it has to. Knows nothing of what is provided.
 */
import { utf8Encode } from '../bytes.js'

export const NAME_BYTES_MAX = 255

/** What is wrong with a name, as the middle of a sentence; `undefined` when it can be used. */
export function nameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string') return `must be a string, got ${describe(name)}`
  if (name === '') return 'must not be empty'
  // A UTF-16 unit takes at most three bytes: short names need no encoding.
  if (name.length * 3 <= NAME_BYTES_MAX) return undefined
  const bytes = utf8Encode(name).length
  return bytes <= NAME_BYTES_MAX ? undefined : `must be at most ${NAME_BYTES_MAX} bytes of UTF-8, got ${bytes}`
}

/** A value as it is shown in an error message: short, and never able to throw. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 40 ? `'${value.slice(0, 40)}…'` : `'${value}'`
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'undefined':
    case 'symbol':
      return String(value)
    case 'function':
      return 'a function'
    case 'object':
      if (value === null) return 'null'
      return isArray(value) ? 'an array' : 'an object'
  }
}

/** The message of whatever was thrown, or `otherwise`; never able to throw itself. */
export function messageOf(thrown: unknown, otherwise: string): string {
  try {
    const message: unknown = thrown instanceof Error ? thrown.message : otherwise
    return typeof message === 'string' ? message : otherwise
  } catch {
    return otherwise // a getter that throws, or a revoked proxy
  }
}

function isArray(value: object): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false // a revoked proxy
  }
}
