/**
 * Answers an orchestrator's questions over HTTP: `/live` and `/ready` with 200 or 503 and the health as JSON. The only
 * file of the node that loads `node:http`, and that when it is used. Bounded in connections, in time and in what it reads.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { formatHostPort, type HostPort } from '../address.js'
import { bindFault } from '../bind-fault.js'
import type { NodeHealth } from './health.js'

const CONNECTIONS_MAX = 64
const REQUEST_MS = 5_000
const HEADER_BYTES_MAX = 4_096

export class HealthEndpoint {
  readonly #server: Server
  #address: string
  #ask: (() => NodeHealth) | undefined

  private constructor(server: Server, { host }: HostPort) {
    this.#server = server
    const bound = server.address()
    this.#address = formatHostPort({ host, port: typeof bound === 'object' && bound !== null ? bound.port : 0 })
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response))
    server.on('error', () => {}) // a failed accept: the orchestrator asks again
  }

  /** Rejects with the socket's error. Until `serve` it answers that the node is not ready. */
  static bind(address: HostPort): Promise<HealthEndpoint> {
    const { createServer } = process.getBuiltinModule('node:http')
    return new Promise((resolve, reject) => {
      const server = createServer({
        maxHeaderSize: HEADER_BYTES_MAX,
        requestTimeout: REQUEST_MS,
        headersTimeout: REQUEST_MS,
        keepAliveTimeout: REQUEST_MS,
      })
      server.maxConnections = CONNECTIONS_MAX
      const fail = (error: Error): void => reject(bindFault('health.bind', address, error))
      server.once('error', fail)
      server.listen({ ...address, exclusive: true }, () => {
        server.removeListener('error', fail)
        resolve(new HealthEndpoint(server, address))
      })
    })
  }

  get address(): string {
    return this.#address
  }

  serve(ask: () => NodeHealth): void {
    this.#ask = ask
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #answer({ method, url }: IncomingMessage, response: ServerResponse): void {
    const path = url?.split('?')[0]
    if (path !== '/live' && path !== '/ready') reply(response, 404, { error: 'there are /live and /ready' })
    else if (method !== 'GET' && method !== 'HEAD') reply(response, 405, { error: 'use GET' })
    else {
      const health = this.#ask?.() ?? { live: true, ready: false, services: {} }
      const isGood = path === '/live' ? health.live : health.ready
      reply(response, isGood ? 200 : 503, health)
    }
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}
