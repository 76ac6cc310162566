/**
 * What of a thrown value travels to the caller: name, message, code, data. Anything can be thrown, also values whose
 * properties throw; the result is always plain and bounded. Decides nothing about execution.
 */
import type { RemoteFailure } from '../errors.js'
import { describe } from './names.js'

const TEXT_LENGTH_MAX = 8_192

/** The plain description of whatever a handler threw. The stack goes along only when asked for. */
export function remoteFailure(thrown: unknown, withStack: boolean): RemoteFailure {
  if (typeof thrown !== 'object' || thrown === null) return ofNonError(thrown)
  const name = tryText(thrown, 'name') ?? 'Error'
  const message = tryText(thrown, 'message') ?? `a handler threw ${describe(thrown)}`
  const code = tryRead(thrown, 'code')
  const data = tryRead(thrown, 'data')
  const stack = withStack ? tryText(thrown, 'stack') : undefined
  return {
    name,
    message,
    ...(typeof code === 'number' ? { code } : typeof code === 'string' ? { code: clip(code) } : undefined),
    ...(data === undefined ? undefined : { data }),
    ...(stack === undefined ? undefined : { stack }),
  }
}

function ofNonError(thrown: unknown): RemoteFailure {
  const message = typeof thrown === 'string' ? clip(thrown) : `a handler threw ${describe(thrown)}`
  if (thrown === undefined || typeof thrown === 'function' || typeof thrown === 'symbol') {
    return { name: 'Error', message }
  }
  return { name: 'Error', message, data: typeof thrown === 'string' ? message : thrown }
}

function tryRead(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key]
  } catch {
    return undefined // a getter or proxy that throws has nothing to tell
  }
}

function tryText(from: object, key: string): string | undefined {
  const value = tryRead(from, key)
  return typeof value === 'string' ? clip(value) : undefined
}

function clip(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
}
