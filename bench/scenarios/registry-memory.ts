/**
 * Memory of a record: a registry takes in the state of many nodes as a push/pull brings it, every instance listed, and
 * the heap before and after is compared. Run by the bench in a process of its own with `--expose-gc`; prints JSON.
 */
import { createHash } from 'node:crypto'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { makeBootId, Registry } from '../../src/registry/index.js'

const NODES = 500
const SERVICES = 100

function newRegistry(node: string, bootId: string): Registry {
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
  return new Registry({ node, bootId, rpcAddress: `${node}:1`, random: () => 0.5, sha256 })
}

/** The user state of a node with its services, as bytes from the network: none of its objects are shared. */
function stateOf(node: string, bootId: string): Uint8Array {
  const registry = newRegistry(node, bootId)
  for (let i = 0; i < SERVICES; i++) {
    const methods = ['get', 'list', 'save']
    registry.provide(
      { service: `service-${i}`, version: '1.2.0', methods, meta: { zone: 'eu-1' }, status: 'running' },
      i,
    )
  }
  return registry.localState(EMPTY_BYTES)
}

function heapUsed(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const receiver = newRegistry(
  'receiver',
  makeBootId(0, () => 0.5),
)
const states: Uint8Array[] = []
for (let i = 0; i < NODES; i++) {
  const name = `node-${i}`
  const bootId = makeBootId(1_000 + i, () => 0.5)
  receiver.handleMember({ name, bootId, state: 'alive', rpcAddress: `10.0.${i >> 8}.${i & 255}:7000` })
  states.push(stateOf(name, bootId))
}
const before = heapUsed()
for (const state of states) {
  receiver.mergeState(state)
  receiver.drain()
}
const after = heapUsed()
const records = Object.values(receiver.inspect().services).reduce((sum, count) => sum + count, 0)
process.stdout.write(`${JSON.stringify({ records, bytesPerRecord: (after - before) / records })}\n`)
