/** What the callers need to know of the cluster, declared here so that rpc imports neither membership nor registry. */

/** One place where a call can be tried. */
export interface Candidate {
  readonly node: string
  readonly bootId: string
  /** `host:port` of its RPC listener. */
  readonly address: string
  /** This very process: the call does not touch the network. */
  readonly local: boolean
}

/**
 * In which order instances are tried. `random`: another order at each call. `round-robin`: each in turn. `least-pending`:
 * those with the fewest calls of this node under way first. `nearest`: by the round trip of membership's probes. `key`:
 * the same instance for the same key, as long as it runs (rendezvous hashing).
 */
export type SelectionPolicy = 'random' | 'round-robin' | 'least-pending' | 'nearest' | 'key'

/** What a filter of the caller sees of an instance. */
export interface InstanceFacts {
  readonly node: string
  readonly service: string
  readonly version: string
  readonly methods: readonly string[]
  readonly meta: Readonly<Record<string, unknown>>
  readonly address: string
  readonly local: boolean
}

/** What a caller wishes of the instances it is given. */
export interface Selection {
  /** Exactly these nodes, in this order. */
  readonly nodes?: readonly string[] | undefined
  /** A semver range. */
  readonly version?: string | undefined
  readonly where?: ((instance: InstanceFacts) => boolean) | undefined
  readonly policy?: SelectionPolicy | undefined
  readonly key?: string | undefined
  readonly localFirst?: boolean | undefined
}

export interface Directory {
  /**
   * The instances of a service to try, in order: running ones only that have the method and pass the filters, the local
   * one first unless it is wished otherwise, suspects last. When none lists the method they all are given, and the callee
   * says so. With `nodes` and no filter, exactly those nodes, whether or not they list the service (the callee decides);
   * unknown nodes are left out.
   */
  candidates(service: string, method: string | undefined, selection: Selection): readonly Candidate[]
}

/** What a connection shows of a peer's health. Never a verdict: membership only looks at once, or sees a sign of life. */
export type PeerEvidence = 'refused' | 'reset' | 'silent' | 'answered'
