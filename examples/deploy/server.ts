/**
 * The program that the files of this folder run: one service, everything from the environment. `SHOAL_CLUSTER`,
 * `SHOAL_SEEDS`, `SHOAL_BIND` and `SHOAL_ADVERTISE` are read by `createNode` itself.
 */
import { closeOnSignal, createNode } from '../../src/index.js'

const { NODE_NAME, RPC_BIND = '0.0.0.0:7947', HEALTH_BIND = '0.0.0.0:8080', DRAIN_MS = '10000', SNAPSHOT } = process.env

const node = await createNode({
  ...(NODE_NAME === undefined ? {} : { name: NODE_NAME }),
  ...(SNAPSHOT === undefined ? {} : { snapshot: SNAPSHOT }),
  rpc: { bind: RPC_BIND },
  health: { bind: HEALTH_BIND },
})
// Before anything is provided: an orchestrator may change its mind at any time.
closeOnSignal(node, ['SIGTERM', 'SIGINT'], { drain: Number(DRAIN_MS) })
node.on('fault', (error) => console.error(error.message))
node.on('member', ({ type, member }) => console.log(`${type} ${member.name}`))

await node.provide('greeter', { greet: (name: string) => `Hello ${name}, this is ${node.name}` })
console.log(`${node.name} gossips at ${node.address}, health at ${node.healthAddress}`)
