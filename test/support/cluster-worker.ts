/** A worker of node:cluster with an rpc listener: tells its primary the port that it got for the wish "any". */
import { runInCall } from '../../src/rpc/current-call.js'
import { Handlers } from '../../src/rpc/handlers.js'
import { RpcServer } from '../../src/rpc/server.js'

const dispatcher = new Handlers({ node: 'worker', now: () => performance.now(), runInCall })
const server = new RpcServer({ dispatcher, identity: { cluster: 'workers', node: 'worker', bootId: '1' } })
const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
process.send?.(port)
