/** The codes of failed calls as numbers on the wire. The order is fixed for ever: new codes are added at the end. */
import type { CallErrorCode, Executed } from '../errors.js'

const CODES: readonly CallErrorCode[] = [
  'NO_INSTANCES',
  'NOT_PROVIDED',
  'NO_METHOD',
  'UNAVAILABLE',
  'DRAINING',
  'OVERLOADED',
  'UNREACHABLE',
  'CONNECTION_LOST',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'REMOTE',
  'INVALID_ARGUMENT',
  'UNAUTHORIZED',
  'SERVICE_ID_MISSING',
  'TOO_LARGE',
  'CLOSED',
]
const EXECUTED: readonly Executed[] = ['no', 'maybe', 'yes']

const numbers = new Map(CODES.map((code, index) => [code, index + 1]))

export function errorCodeToWire(code: CallErrorCode): number {
  return numbers.get(code) ?? 0
}

/** A code of a later version reads as what it means for the caller: refused, or failed. */
export function errorCodeFromWire(wire: number, executed: Executed): CallErrorCode {
  return CODES[wire - 1] ?? (executed === 'no' ? 'UNAVAILABLE' : 'REMOTE')
}

export function executedToWire(executed: Executed): number {
  return EXECUTED.indexOf(executed)
}

/** `undefined` for a number that means nothing. */
export function executedFromWire(wire: number): Executed | undefined {
  return EXECUTED[wire]
}
