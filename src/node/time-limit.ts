/** A limit on time as users give it: milliseconds from 0, without end where that is wanted. */
import { ShoalError } from '../errors.js'

/** The value, if it is one. Throws INVALID_ARGUMENT: a limit that is no number would be taken for none left. */
export function checkTimeLimit(what: string, ms: unknown): number {
  if (typeof ms === 'number' && ms >= 0) return ms
  const got = typeof ms === 'number' || typeof ms === 'string' ? `'${ms}'` : typeof ms
  throw new ShoalError('INVALID_ARGUMENT', `${what} must be milliseconds from 0, or Infinity for no limit, got ${got}`)
}
