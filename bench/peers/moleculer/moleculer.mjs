/** Moleculer over its TCP transporter; the argument is the serializer. No discovery by UDP: the caller is told where. */
import moleculer from 'moleculer'
import { runCallPeer } from '../calls.mjs'

const { ServiceBroker } = moleculer
const serializer = process.argv[2]

function broker(nodeID, urls) {
  const options = { udpDiscovery: false, useHostname: false, gossipPeriod: 1, urls }
  return new ServiceBroker({ nodeID, logger: false, serializer, transporter: { type: 'TCP', options } })
}

runCallPeer({
  serve: async () => {
    const callee = broker('callee', [])
    callee.createService({ name: 'echo', actions: { echo: ({ params }) => params } })
    await callee.start()
    return [`127.0.0.1:${callee.transit.tx.opts.port}/callee`]
  },
  connect: async (addresses) => {
    const caller = broker('caller', addresses)
    await caller.start()
    await caller.waitForServices('echo', 20_000)
    return (payload, resolved, failed) => {
      if (!Buffer.isBuffer(payload)) caller.call('echo.echo', payload).then(resolved, failed)
      else caller.call('echo.echo', { bytes: payload }).then(({ bytes }) => resolved(bytes), failed)
    }
  },
})
