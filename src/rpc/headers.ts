/**
 * The headers of a call on its way out: those of the call that it is made from, its own over them, within the wire's
 * limits. Local and remote calls are held to the same. Objects made here are frozen and have no prototype.
 */
import { invalidArgument } from './call-options.js'
import { HEADER_COUNT_MAX, HEADERS_BYTES_MAX } from './envelope.js'
import { describe, nameProblem } from './names.js'

export type Headers = Readonly<Record<string, string>>

export const HEADERS_LIMIT: string = `headers are at most ${HEADER_COUNT_MAX} strings of ${HEADERS_BYTES_MAX} bytes together`

/** The headers of the surrounding call with the own ones over them; `undefined` when there are none. Throws INVALID_ARGUMENT. */
export function mergeHeaders(inherited: Headers | undefined, own: unknown): Headers | undefined {
  const base = inherited !== undefined && Object.keys(inherited).length > 0 ? inherited : undefined
  if (own === undefined) return base
  if (typeof own !== 'object' || own === null || Array.isArray(own)) {
    throw invalidArgument(`headers must be an object of strings, got ${describe(own)}`)
  }
  const entries = Object.entries(own)
  for (const [name, value] of entries) checkHeader(name, value)
  if (entries.length === 0) return base
  const merged = overlaid(base, own as Headers)
  if (tryHeadersBytes(merged) !== undefined) return Object.freeze(merged)
  throw invalidArgument(`${HEADERS_LIMIT}, those of the call that this one is made from included`)
}

/** The headers with one more, or another in its place; `undefined` when it is none that can be sent. */
export function tryAddHeader(headers: Headers, name: unknown, value: unknown): Headers | undefined {
  if (typeof value !== 'string' || headerNameProblem(name) !== undefined) return undefined
  const merged = overlaid(headers, { [name as string]: value })
  return tryHeadersBytes(merged) === undefined ? undefined : Object.freeze(merged)
}

/** Their bytes on the wire; `undefined` when they are too many, too long, or no strings. */
export function tryHeadersBytes(headers: Headers): number | undefined {
  let bytes = 0
  let count = 0
  for (const key of Object.keys(headers)) {
    const value: unknown = headers[key]
    if (typeof value !== 'string' || ++count > HEADER_COUNT_MAX) return undefined
    bytes += 4 + utf8Length(key) + utf8Length(value)
    if (bytes > HEADERS_BYTES_MAX) return undefined
  }
  return bytes
}

/** An unpaired surrogate counts as the replacement character it is sent as. */
export function utf8Length(text: string): number {
  let bytes = 0
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}

/** Without a prototype no name is special, also none that came from a remote caller. */
function overlaid(base: Headers | undefined, own: Headers): Record<string, string> {
  const merged = Object.assign(Object.create(null) as Record<string, string>, base, own)
  // What the vendors say of a trace does not go with another one.
  if (own['tracestate'] === undefined && traceIdOf(own) !== undefined && traceIdOf(own) !== traceIdOf(base))
    delete merged['tracestate']
  return merged
}

/** Of `version-traceid-parentid-flags`. */
function traceIdOf(headers: Headers | undefined): string | undefined {
  return headers?.['traceparent']?.slice(3, 35)
}

function headerNameProblem(name: unknown): string | undefined {
  return name === '__proto__' ? 'must not be __proto__' : nameProblem(name)
}

function checkHeader(name: string, value: unknown): void {
  const problem = headerNameProblem(name)
  if (problem !== undefined) throw invalidArgument(`the name of the header ${problem}`)
  if (typeof value === 'string') return
  throw invalidArgument(`header '${name}' must be a string, got ${describe(value)}; convert it with String(value)`)
}
