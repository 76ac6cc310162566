/**
 * Which instances of a service a call is given, and in which order: filters first, then the local one, then the others
 * as the policy says, those on suspected nodes last. Decides nothing about which instances exist. What it names in its
 * wish is declared by rpc's directory as well: the two modules are strangers.
 */
import semver from 'semver'
import { RpcError, unreachable } from '../errors.js'
import { type Random, shuffle } from '../random.js'
import type { Instance } from './record.js'

export type SelectionPolicy = 'random' | 'round-robin' | 'least-pending' | 'nearest' | 'key'

/** What a caller wishes. */
export interface SelectionWish {
  readonly policy?: SelectionPolicy | undefined
  /** Default true, but not with a key: its owner is the same for everybody. */
  readonly localFirst?: boolean | undefined
  readonly key?: string | undefined
  /** A semver range; instances without a version match none. */
  readonly version?: string | undefined
  readonly method?: string | undefined
  readonly where?: ((instance: Instance) => boolean) | undefined
}

/** What the policies go by. */
export interface SelectionContext {
  readonly random: Random
  /** Nodes that membership suspects. */
  readonly suspects: ReadonlySet<string>
  /** Counts the calls that go round, from 0. */
  readonly turn: (service: string) => number
  /** Calls of this node under way at that one. */
  readonly pending: (node: string) => number
  /** Smoothed round trip in ms; undefined when unknown. */
  readonly rttMs: (node: string) => number | undefined
}

/** What can be said of an instance without asking the policy. */
export interface Shortlist<T extends { readonly node: string }> {
  readonly service: string
  /** Of this process; empty when it is to have no preference. */
  readonly local: readonly T[]
  readonly trusted: readonly T[]
  /** On nodes that membership suspects. */
  readonly suspected: readonly T[]
}

/** A new array of the instances that pass, best first. Throws INVALID_ARGUMENT when `where` throws. */
export function selectInstances(
  instances: Iterable<Instance>,
  wish: SelectionWish,
  context: SelectionContext,
): Instance[] {
  const listed = Array.from(instances)
  return [...inOrder(shortlist(listed, wish, context.suspects), wish, context)]
}

/** The instances that pass the filters, by how they are preferred. Throws INVALID_ARGUMENT when `where` throws. */
export function shortlist(
  instances: readonly Instance[],
  wish: SelectionWish,
  suspects: ReadonlySet<string>,
): Shortlist<Instance> {
  const isLocalFirst = prefersLocal(wish)
  const local: Instance[] = []
  const trusted: Instance[] = []
  const suspected: Instance[] = []
  for (const instance of withMethod(filtered(instances, wish), wish.method)) {
    if (instance.local && isLocalFirst) local.push(instance)
    else if (suspects.has(instance.node)) suspected.push(instance)
    else trusted.push(instance)
  }
  return { service: instances[0]?.service ?? '', local, trusted, suspected }
}

/** A shortlist in the order in which it is tried. May be one of its own arrays. */
export function inOrder<T extends { readonly node: string }>(
  { service, local, trusted, suspected }: Shortlist<T>,
  wish: SelectionWish,
  context: SelectionContext,
): readonly T[] {
  const parts = { policy: policyOf(wish), key: wish.key ?? '', service, context }
  const rest = trusted.length < 2 ? trusted : arrange(trusted, parts)
  if (suspected.length > 0) return [...local, ...rest, ...arrange(suspected, parts)]
  if (local.length === 0) return rest
  return rest.length === 0 ? local : [...local, ...rest]
}

/** Whether the instance of this process comes first. */
export function prefersLocal(wish: SelectionWish): boolean {
  return wish.localFirst ?? policyOf(wish) !== 'key'
}

function policyOf({ policy, key }: SelectionWish): SelectionPolicy {
  return policy ?? (key === undefined ? 'random' : 'key')
}

/** True if the instance passes the filters of the wish, the method apart. */
export function matches(instance: Instance, { version, where }: SelectionWish): boolean {
  if (version !== undefined && !semver.satisfies(instance.version, version)) return false
  if (where === undefined) return true
  try {
    return where(instance)
  } catch (cause) {
    throw new RpcError('INVALID_ARGUMENT', `the filter 'where' failed on ${instance.node}`, { executed: 'no', cause })
  }
}

function filtered(instances: readonly Instance[], wish: SelectionWish): readonly Instance[] {
  if (wish.version === undefined && wish.where === undefined) return instances
  return instances.filter((instance) => matches(instance, wish))
}

/** In a cluster of mixed versions only some have it; when none lists it the callee is asked all the same, and says so. */
function withMethod(instances: readonly Instance[], method: string | undefined): readonly Instance[] {
  if (method === undefined) return instances
  const having = instances.filter(({ methods }) => methods.includes(method))
  return having.length === 0 ? instances : having
}

interface Arrangement {
  readonly policy: SelectionPolicy
  readonly key: string
  readonly service: string
  readonly context: SelectionContext
}

interface Named {
  readonly node: string
}

/** A new array. */
function arrange<T extends Named>(listed: readonly T[], { policy, key, service, context }: Arrangement): T[] {
  const { random, turn, pending, rttMs } = context
  const instances = listed.slice()
  if (instances.length < 2) return instances
  switch (policy) {
    case 'random':
      return shuffle(instances, random)
    case 'round-robin':
      return rotated(instances.sort(byName), turn(service))
    case 'least-pending':
      return ranked(shuffle(instances, random), ({ node }) => pending(node))
    case 'nearest':
      return ranked(shuffle(instances, random), ({ node }) => rttMs(node) ?? Number.POSITIVE_INFINITY)
    case 'key':
      return ranked(instances.sort(byName), ({ node }) => -rendezvousWeight(key, node))
    default:
      return unreachable(policy)
  }
}

/** Lowest rank first; equals keep their order. */
function ranked<T>(instances: readonly T[], rank: (instance: T) => number): T[] {
  const ranks = instances.map((instance) => ({ instance, rank: rank(instance) }))
  return ranks.sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank)).map(({ instance }) => instance)
}

function rotated<T>(instances: readonly T[], turn: number): T[] {
  const at = turn % instances.length
  return [...instances.slice(at), ...instances.slice(0, at)]
}

function byName(a: Named, b: Named): number {
  return a.node < b.node ? -1 : 1
}

/**
 * How much a node wants a key, the same in every process: the highest has it, and when that node goes only its own keys
 * move (rendezvous hashing). FNV-1a over both, then a finalizer, since FNV alone leaves the last letters' bits together.
 */
export function rendezvousWeight(key: string, node: string): number {
  let hash = 0x811c9dc5
  for (const text of [key, '\0', node]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
