/** Unary calls with grpc-js, without TLS, over one channel. */
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { runCallPeer } from '../calls.mjs'

const { Echo } = grpc.loadPackageDefinition(loadSync(fileURLToPath(new URL('echo.proto', import.meta.url)))).bench
const echo = ({ request }, reply) => reply(null, request)

runCallPeer({
  serve: async () => {
    const server = new grpc.Server()
    server.addService(Echo.service, { small: echo, string: echo, binary: echo })
    const port = await new Promise((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure()
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)))
    })
    return [`127.0.0.1:${port}`]
  },
  connect: async ([address]) => {
    const client = new Echo(address, grpc.credentials.createInsecure())
    await new Promise((resolve, reject) => {
      client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()))
    })
    return (payload, resolved, failed) => {
      if (Buffer.isBuffer(payload)) {
        client.binary({ bytes: payload }, (error, value) => (error ? failed(error) : resolved(value.bytes)))
        return
      }
      const answered = (error, value) => (error ? failed(error) : resolved(value))
      if (payload.text === undefined) client.small(payload, answered)
      else client.string(payload, answered)
    }
  },
})
