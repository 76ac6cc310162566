/**
 * In which order the instances of a service are tried: the local one, then the others as the policy says, those on
 * suspected nodes last. Decides nothing about which instances exist.
 */
import { unreachable } from '../errors.js'
import { type Random, shuffle } from '../random.js'

/** `random`: another order at each call. */
export type SelectionPolicy = 'random'

export interface SelectionOptions {
  readonly policy: SelectionPolicy
  readonly random: Random
  /** Nodes that membership suspects. */
  readonly suspects: ReadonlySet<string>
}

/** A new array of the same candidates, best first. */
export function orderCandidates<T extends { readonly node: string; readonly local: boolean }>(
  candidates: Iterable<T>,
  options: SelectionOptions,
): T[] {
  const local: T[] = []
  const trusted: T[] = []
  const suspected: T[] = []
  for (const candidate of candidates) {
    if (candidate.local) local.push(candidate)
    else if (options.suspects.size > 0 && options.suspects.has(candidate.node)) suspected.push(candidate)
    else trusted.push(candidate)
  }
  const rest = arrange(trusted, options)
  if (local.length === 0 && suspected.length === 0) return rest
  return [...local, ...rest, ...arrange(suspected, options)]
}

function arrange<T>(candidates: T[], { policy, random }: SelectionOptions): T[] {
  switch (policy) {
    case 'random':
      return shuffle(candidates, random)
    default:
      return unreachable(policy)
  }
}
