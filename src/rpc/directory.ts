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

export interface Directory {
  /**
   * The instances of a service to try, in order: running ones only, local first, suspects last. With `nodes`, exactly
   * those nodes in the given order, whether or not they list the service (the callee decides); unknown nodes are left out.
   */
  candidates(service: string, nodes: readonly string[] | undefined): readonly Candidate[]
}

/** What a connection shows of a peer's health. Never a verdict: membership only looks at once, or sees a sign of life. */
export type PeerEvidence = 'refused' | 'reset' | 'answered'
