/**
 * A machine of the test network with one address: hands out its ports, dials others, and can lose its process in the
 * middle of everything. To a node it is the sockets of the system.
 */
import type { Server, Socket, TcpNetConnectOpts } from 'node:net'
import { formatHostPort, type HostPort } from '../address.js'
import type { DatagramSocket, Sockets } from '../runtime.js'
import { MemoryDatagrams } from './memory-datagrams.js'
import type { MemoryNetwork } from './memory-network.js'
import { MemoryServer } from './memory-server.js'
import { MemorySocket } from './memory-socket.js'

const FIRST_FREE_PORT = 49_152
/** Linux: the first SYN is repeated after a second, and so on until two minutes are over. */
const SYN_MS = 1_000
const SYNS_MAX = 7

interface Dialling {
  readonly socket: MemorySocket
  readonly from: HostPort
  readonly to: HostPort
}

export class MemoryHost implements Sockets {
  readonly address: string
  readonly #network: MemoryNetwork
  /** All that there are, by their addresses. */
  readonly #hosts: Map<string, MemoryHost>
  readonly #datagrams = new Map<number, MemoryDatagrams>()
  readonly #servers = new Map<number, MemoryServer>()
  readonly #sockets = new Set<MemorySocket>()
  #lastPort = FIRST_FREE_PORT - 1
  #isSevered = false

  /** A machine that starts again takes the place of what it was. */
  constructor(network: MemoryNetwork, hosts: Map<string, MemoryHost>, address: string) {
    this.#network = network
    this.#hosts = hosts
    this.address = address
    hosts.set(address, this)
  }

  /** Whether a node runs here. */
  get isUp(): boolean {
    return this.#datagrams.size > 0
  }

  /** The process is gone without a word: listeners and sockets with it. Whoever is connected hears of it by a reset. */
  sever(): void {
    this.#isSevered = true
    this.#datagrams.clear()
    this.#servers.clear()
    for (const socket of [...this.#sockets]) socket.sever()
  }

  receive(port: number, bytes: Uint8Array, from: HostPort): void {
    this.#datagrams.get(port)?.receive(bytes, from)
  }

  bindDatagrams = ({ host, port }: HostPort): DatagramSocket => {
    this.#assertFree({ host, port }, this.#datagrams)
    const socket = new MemoryDatagrams(this.#network, {
      at: { host, port },
      deliver: (to, bytes) => this.#hosts.get(to.host)?.receive(to.port, bytes, { host, port }),
      onClosed: () => this.#datagrams.delete(port),
    })
    this.#datagrams.set(port, socket)
    return socket as unknown as DatagramSocket
  }

  createServer = (onConnection: (socket: Socket) => void): Server => {
    const ports = {
      claim: (at: HostPort, server: MemoryServer): number => {
        this.#assertFree(at, this.#servers)
        const port = at.port === 0 ? this.#freePort() : at.port
        this.#servers.set(port, server)
        return port
      },
      release: (port: number) => this.#servers.delete(port),
    }
    return new MemoryServer(ports, (socket) => onConnection(socket as unknown as Socket)) as unknown as Server
  }

  connect = ({ host = '', port, onread }: TcpNetConnectOpts): Socket => {
    const from = { host: this.address, port: this.#freePort() }
    const socket = this.#socket(from, { host, port })
    if (onread != null) socket.on('data', (chunk: Buffer) => onread.callback(chunk.length, chunk))
    this.#knock({ socket, from, to: { host, port } }, 1)
    return socket as unknown as Socket
  }

  #socket(local: HostPort, remote: HostPort): MemorySocket {
    const socket = new MemorySocket(this.#network, {
      local,
      remote,
      onClosed: (closed) => this.#sockets.delete(closed),
    })
    this.#sockets.add(socket)
    return socket
  }

  /** There and back; if one of the two is lost, once more. */
  #knock(dial: Dialling, attempt: number): void {
    const { socket, to } = dial
    if (this.#isSevered || socket.destroyed) return
    const network = this.#network
    if (!network.passes(this.address, to.host) || !network.passes(to.host, this.address)) {
      if (attempt === SYNS_MAX) socket.fail('ETIMEDOUT', `connect ETIMEDOUT ${formatHostPort(to)}`)
      else network.clock.setTimeout(() => this.#knock(dial, attempt + 1), SYN_MS * 2 ** (attempt - 1))
      return
    }
    network.afterDelay(this.address, to.host, () => {
      const accepted = this.#hosts.get(to.host)?.admit(dial)
      network.afterDelay(to.host, this.address, () => {
        if (accepted === undefined) socket.fail('ECONNREFUSED', `connect ECONNREFUSED ${formatHostPort(to)}`)
        else if (socket.destroyed) network.afterDelay(this.address, to.host, () => accepted.receive({ kind: 'reset' }))
        else socket.open(accepted)
      })
    })
  }

  /** The other end of a connection, unless nobody listens there. */
  admit({ socket, from, to }: Dialling): MemorySocket | undefined {
    const server = this.#servers.get(to.port)
    if (server === undefined) return undefined
    const accepted = this.#socket(to, from)
    this.#network.counts.connections++
    accepted.meet(socket)
    server.accept(accepted)
    return accepted
  }

  #freePort(): number {
    do this.#lastPort = this.#lastPort >= 65_535 ? FIRST_FREE_PORT : this.#lastPort + 1
    while (this.#servers.has(this.#lastPort) || this.#datagrams.has(this.#lastPort))
    return this.#lastPort
  }

  #assertFree({ host, port }: HostPort, taken: ReadonlyMap<number, unknown>): void {
    const at = formatHostPort({ host, port })
    if (host !== this.address) throw systemError('EADDRNOTAVAIL', `bind EADDRNOTAVAIL ${at}`)
    if (taken.has(port)) throw systemError('EADDRINUSE', `bind EADDRINUSE ${at}`)
  }
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
