/**
 * A NATS service (micro) and its caller, JSON bodies. The serving program owns the broker, which dies with it even when
 * it is killed.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { connect, JSONCodec } from 'nats'
import { runCallPeer } from '../calls.mjs'

const json = JSONCodec()

/** On a free port, which its log tells. */
function startBroker() {
  const flags = ['--pdeathsig', 'KILL', 'nats-server', '-a', '127.0.0.1', '-p', '-1']
  const broker = spawn('setpriv', flags, { stdio: ['ignore', 'ignore', 'pipe'] })
  process.on('exit', () => broker.kill('SIGKILL'))
  return new Promise((resolve, reject) => {
    broker.on('error', reject)
    broker.on('exit', (code) => reject(new Error(`nats-server ended with ${code}`)))
    createInterface({ input: broker.stderr }).on('line', (line) => {
      const found = /Listening for client connections on (\S+)/.exec(line)
      if (found !== null) resolve(found[1])
    })
  })
}

runCallPeer({
  serve: async () => {
    const servers = await startBroker()
    const connection = await connect({ servers })
    const service = await connection.services.add({ name: 'echo', version: '1.0.0' })
    service.addEndpoint('echo', (_error, message) => message.respond(json.encode(json.decode(message.data))))
    service.addEndpoint('bytes', (_error, message) => message.respond(message.data))
    await connection.flush()
    return [servers]
  },
  connect: async (servers) => {
    const connection = await connect({ servers })
    const options = { timeout: 10_000 }
    return (payload, resolved, failed) => {
      if (Buffer.isBuffer(payload)) {
        connection.request('bytes', payload, options).then(({ data }) => resolved(data), failed)
      } else {
        connection
          .request('echo', json.encode(payload), options)
          .then(({ data }) => resolved(json.decode(data)), failed)
      }
    }
  },
})
