/** One JSON-ready snapshot of a node: what a bug report needs. */
import type { Member, Membership, MembershipStats } from '../membership/index.js'
import type { Instance, Registry, RegistryInspection } from '../registry/index.js'
import type { Rpc, RpcStats } from '../rpc/index.js'

export interface NodeInspection {
  readonly name: string
  readonly cluster: string
  readonly bootId: string
  readonly address: string
  readonly rpcAddress: string
  readonly members: readonly (Omit<Member, 'meta'> & { readonly metaBytes: number })[]
  readonly services: Readonly<Record<string, readonly Instance[]>>
  readonly membership: MembershipStats
  readonly registry: RegistryInspection
  readonly rpc: RpcStats
}

export interface Inspected {
  readonly bootId: string
  readonly membership: Membership
  readonly registry: Registry
  readonly rpc: Rpc
}

type Identity = Pick<NodeInspection, 'name' | 'cluster' | 'address' | 'rpcAddress'>

export function inspectNode(identity: Identity, { bootId, membership, registry, rpc }: Inspected): NodeInspection {
  const { name, cluster, address, rpcAddress } = identity
  const members = membership.members().map(({ meta, ...shown }) => ({ ...shown, metaBytes: meta.length }))
  const services = Object.fromEntries(registry.getServices().running)
  return {
    name,
    cluster,
    bootId,
    address,
    rpcAddress,
    members,
    services,
    membership: membership.stats(),
    registry: registry.inspect(),
    rpc: rpc.stats(),
  }
}
