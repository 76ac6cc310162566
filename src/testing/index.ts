/** The door of testing: real nodes on a network in memory, for users' own tests. */

export type { TestNetworkOptions, TestNodeOptions, TimeLimit } from './network-options.js'
export {
  createTestNetwork,
  type NodeRef,
  type TestNetwork,
  type TestNetworkStats,
} from './test-network.js'
