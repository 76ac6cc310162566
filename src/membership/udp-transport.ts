/** The only file that knows `node:dgram`: datagrams in and out. A datagram that cannot be sent is a lost one. */
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns'
import { isIP, isIPv6 } from 'node:net'
import type { HostPort } from '../address.js'

const RECEIVE_BUFFER_WANTED = 2 * 1024 * 1024
const RECEIVE_BUFFER_LEAST = 256 * 1024

type Lookup = (
  host: string,
  options: unknown,
  callback: (error: Error | null, address: string, family: number) => void,
) => void
// Members' addresses are literals; the default look-up would go through the resolver for each packet. Only the host to
// bind to may be a name.
const literalLookup: Lookup = (host, _options, callback) => {
  const family = isIP(host)
  if (family === 0) lookup(host, { family: 4 }, callback)
  else callback(null, host, family)
}

export class UdpTransport {
  readonly #socket: Socket
  #received = 0
  #sendErrors = 0
  #closed = false
  #onPacket: (bytes: Uint8Array, from: HostPort) => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (bytes, { address, port }) => {
      this.#received++
      this.#onPacket(bytes, { host: address, port })
    })
    // ICMP errors of earlier sends surface here on some systems: loss, like any other.
    socket.on('error', () => this.#sendErrors++)
  }

  /** Binds, or rejects with the socket's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  static bind({ host, port }: HostPort): Promise<UdpTransport> {
    return new Promise((resolve, reject) => {
      const type = isIPv6(host) ? 'udp6' : 'udp4'
      const socket = createSocket({ type, lookup: literalLookup as never })
      const fail = (error: Error): void => {
        socket.close()
        reject(error)
      }
      socket.once('error', fail)
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.removeListener('error', fail)
        raiseReceiveBuffer(socket)
        resolve(new UdpTransport(socket))
      })
    })
  }

  get port(): number {
    return this.#socket.address().port
  }

  /** Datagrams received so far: the driver watches it to know that the socket is empty. */
  get received(): number {
    return this.#received
  }

  get sendErrors(): number {
    return this.#sendErrors
  }

  listen(onPacket: (bytes: Uint8Array, from: HostPort) => void): void {
    this.#onPacket = onPacket
  }

  send(bytes: Uint8Array, to: HostPort): void {
    if (this.#closed) return
    try {
      this.#socket.send(bytes, to.port, to.host, (error) => {
        if (error !== null) this.#sendErrors++
      })
    } catch {
      this.#sendErrors++ // a port or an address that the socket refuses at once
    }
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }
}

/** The default buffer holds only some hundred packets: a stalled event loop would lose the rest. */
function raiseReceiveBuffer(socket: Socket): void {
  for (let size = RECEIVE_BUFFER_WANTED; size >= RECEIVE_BUFFER_LEAST; size /= 2) {
    try {
      socket.setRecvBufferSize(size)
      return
    } catch {
      // The system allows less: try half of it.
    }
  }
}
