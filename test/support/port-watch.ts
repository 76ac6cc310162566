/** Who knocks at the port of a process that is gone. */
import { createServer, type Server } from 'node:net'

export class PortWatch {
  readonly #server: Server
  #connections = 0

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => {
      this.#connections++
      socket.on('error', () => {})
      socket.destroy()
    })
  }

  /** Listens there from now on and closes every connection at once. Rejects while somebody else listens. */
  static async start(address: string): Promise<PortWatch> {
    const at = address.lastIndexOf(':')
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(Number(address.slice(at + 1)), address.slice(0, at), resolve)
    })
    return new PortWatch(server)
  }

  get connections(): number {
    return this.#connections
  }

  stop(): void {
    this.#server.close()
  }
}
