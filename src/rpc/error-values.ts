/**
 * Errors as values of a payload: name, message, code, data and one level of cause, in a fixed order. The stack does not
 * travel; an error read here shows its name and message as its stack.
 */

const NATIVE: ReadonlyMap<string, ErrorConstructor> = new Map(
  [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map((Kind) => [Kind.name, Kind]),
)

/** Runs `make` without the cost of capturing a stack, which would show nothing but this library's own frames. */
export function withoutStack<T>(make: () => T): T {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** Throws a plain Error when the parts are not those of an error. */
export function errorFromParts([name, message, code, data, cause]: readonly unknown[]): Error {
  if (typeof name !== 'string' || typeof message !== 'string') throw new Error('malformed error')
  const Kind = NATIVE.get(name) ?? Error
  const error = withoutStack(() => new Kind(message))
  if (error.name !== name) hide(error, 'name', name)
  if (code !== undefined) Object.assign(error, { code })
  if (data !== undefined) Object.assign(error, { data })
  if (cause !== undefined) hide(error, 'cause', cause)
  hide(error, 'stack', message === '' ? name : `${name}: ${message}`)
  return error
}

function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, enumerable: false, configurable: true, writable: true })
}
