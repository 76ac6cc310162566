/** Shoal itself, as its users run it: two nodes find each other, and calls go by the name of the service. */
import { runCallPeer } from '../calls.mjs'

const { createNode } = await import(process.env.SHOAL_BENCH_ENTRY)
const cluster = process.env.SHOAL_BENCH_CLUSTER
let caller
let provided = false

runCallPeer({
  serve: async (count) => {
    const addresses = []
    for (let i = 0; i < count; i++) {
      const node = await createNode({ name: `callee-${i}`, cluster, bind: '127.0.0.1:0', seeds: addresses.slice(0, 1) })
      await node.provide('echo', { echo: (value) => value })
      addresses.push(node.address)
    }
    return addresses
  },
  connect: async (addresses) => {
    const node = await createNode({ name: 'caller', cluster, bind: '127.0.0.1:0', seeds: addresses })
    await node.waitForServices(['echo'], { min: addresses.length, timeout: 10_000 })
    caller = node
    return (payload, resolved, failed) => {
      node.callCb('echo', 'echo', [payload]).then(resolved, failed)
    }
  },
  connectLocal: async () => {
    const node = caller
    if (!provided) await node.provide('local', { echo: (value) => value })
    provided = true
    return (payload, resolved, failed) => {
      node.callCb('local', 'echo', [payload]).then(resolved, failed)
    }
  },
})
