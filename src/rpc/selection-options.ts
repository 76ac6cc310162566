/**
 * What a call, a stub or a contract says of the instances it wants, checked. A wrong value is an INVALID_ARGUMENT that
 * names the value, the limit and the way out.
 */
import semver from 'semver'
import { type CallOptions, checkNodes, invalidArgument } from './call-options.js'
import { TIMEOUT_MS_MAX } from './deadline.js'
import type { Selection, SelectionPolicy } from './directory.js'
import { describe } from './names.js'

const POLICIES: readonly SelectionPolicy[] = ['random', 'round-robin', 'least-pending', 'nearest', 'key']
const KEY_LENGTH_MAX = 1_024

/** Of a call that wishes nothing: one object for all. */
const ANYWHERE: Selection = Object.freeze({})

/** What the options say of the instances, checked. */
export function checkSelection(options: CallOptions, defaults: Selection | undefined): Selection {
  const nodes = checkNodes(options.nodes)
  const { version, where, policy = defaults?.policy, key, localFirst = defaults?.localFirst } = options
  const isWithin = nodes !== undefined || version !== undefined || where !== undefined
  if (!isWithin && policy === undefined && key === undefined && localFirst === undefined) return ANYWHERE
  if (version !== undefined && (typeof version !== 'string' || semver.validRange(version) === null)) {
    throw invalidArgument(`version must be a semver range such as '^1.2.0', got ${describe(version)}`)
  }
  if (where !== undefined && typeof where !== 'function') {
    throw invalidArgument(`where must be a function of an instance, got ${describe(where)}`)
  }
  if (policy !== undefined && !POLICIES.includes(policy)) {
    throw invalidArgument(`policy must be one of ${POLICIES.join(', ')}, got ${describe(policy)}`)
  }
  if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > KEY_LENGTH_MAX)) {
    throw invalidArgument(`key must be text of 1 to ${KEY_LENGTH_MAX} characters, got ${describe(key)}`)
  }
  if (policy === 'key' && key === undefined) throw invalidArgument(`policy 'key' needs a key`)
  checkFlag('localFirst', localFirst)
  return { nodes, version, where, policy: key === undefined ? policy : 'key', key, localFirst }
}

export function checkFlag(what: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return
  throw invalidArgument(`${what} must be true or false, got ${describe(value)}`)
}

/** Milliseconds until the second try, or undefined for none. */
export function checkHedge(hedge: unknown, idempotent: boolean, method: string): number | undefined {
  if (hedge === undefined) return undefined
  if (typeof hedge !== 'number' || !(hedge >= 1 && hedge <= TIMEOUT_MS_MAX)) {
    throw invalidArgument(`hedge must be a number of milliseconds from 1 to ${TIMEOUT_MS_MAX}, got ${describe(hedge)}`)
  }
  if (idempotent) return hedge
  throw invalidArgument(`hedge may run ${method} twice: declare the method idempotent, or pass idempotent: true`)
}
