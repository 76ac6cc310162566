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
  readonly turn: () => number
  /** Calls of this node under way at that one. */
  readonly pending: (node: string) => number
  /** Smoothed round trip in ms; undefined when unknown. */
  readonly rttMs: (node: string) => number | undefined
}

/** A new array of the instances that pass, best first. Throws INVALID_ARGUMENT when `where` throws. */
export function selectInstances(
  instances: Iterable<Instance>,
  wish: SelectionWish,
  context: SelectionContext,
): Instance[] {
  const policy = wish.policy ?? (wish.key === undefined ? 'random' : 'key')
  const localFirst = wish.localFirst ?? policy !== 'key'
  const local: Instance[] = []
  const trusted: Instance[] = []
  const suspected: Instance[] = []
  for (const instance of withMethod(filtered(instances, wish), wish.method)) {
    if (instance.local && localFirst) local.push(instance)
    else if (context.suspects.has(instance.node)) suspected.push(instance)
    else trusted.push(instance)
  }
  const rest = arrange(trusted, { policy, key: wish.key ?? '', context })
  if (local.length === 0 && suspected.length === 0) return rest
  return [...local, ...rest, ...arrange(suspected, { policy, key: wish.key ?? '', context })]
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

function filtered(instances: Iterable<Instance>, wish: SelectionWish): Iterable<Instance> {
  if (wish.version === undefined && wish.where === undefined) return instances
  return Array.from(instances).filter((instance) => matches(instance, wish))
}

/** In a cluster of mixed versions only some have it; when none lists it the callee is asked all the same, and says so. */
function withMethod(instances: Iterable<Instance>, method: string | undefined): Iterable<Instance> {
  if (method === undefined) return instances
  const all = Array.from(instances)
  const having = all.filter(({ methods }) => methods.includes(method))
  return having.length === 0 ? all : having
}

interface Arrangement {
  readonly policy: SelectionPolicy
  readonly key: string
  readonly context: SelectionContext
}

function arrange(instances: Instance[], { policy, key, context }: Arrangement): Instance[] {
  if (instances.length < 2) return instances
  switch (policy) {
    case 'random':
      return shuffle(instances, context.random)
    case 'round-robin':
      return rotated(instances.sort(byName), context.turn())
    case 'least-pending':
      return ranked(shuffle(instances, context.random), ({ node }) => context.pending(node))
    case 'nearest':
      return ranked(shuffle(instances, context.random), ({ node }) => context.rttMs(node) ?? Number.POSITIVE_INFINITY)
    case 'key':
      return ranked(instances.sort(byName), ({ node }) => -rendezvousWeight(key, node))
    default:
      return unreachable(policy)
  }
}

/** Lowest rank first; equals keep their order. */
function ranked(instances: readonly Instance[], rank: (instance: Instance) => number): Instance[] {
  const ranks = instances.map((instance) => ({ instance, rank: rank(instance) }))
  return ranks.sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank)).map(({ instance }) => instance)
}

function rotated(instances: readonly Instance[], turn: number): Instance[] {
  const at = turn % instances.length
  return [...instances.slice(at), ...instances.slice(0, at)]
}

function byName(a: Instance, b: Instance): number {
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
