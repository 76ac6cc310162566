/** The only file that knows `node:dgram`: datagrams in and out. A datagram that cannot be sent is a lost one. */
import { createSocket, type Socket } from 'node:dgram'
import { isIP, isIPv4 } from 'node:net'
import type { HostPort } from '../address.js'
import type { DatagramSocket, Sockets } from '../runtime.js'

const RECEIVE_BUFFER_WANTED = 2 * 1024 * 1024
const RECEIVE_BUFFER_LEAST = 256 * 1024

type Lookup = (
  host: string,
  options: unknown,
  callback: (error: Error | null, address: string, family: number) => void,
) => void
// All addresses are literals; the default look-up would go through the resolver for each packet.
const literalLookup: Lookup = (host, _options, callback) => callback(null, host, isIP(host))

/** How an IPv6 socket that also takes IPv4 (bound to `::`) writes the addresses of IPv4 peers. */
const V4_MAPPED = '::ffff:'

/** Codes counted each by itself; the system has some dozens. */
const CODES_MAX = 64

export class UdpTransport {
  readonly #socket: DatagramSocket
  readonly #isV6: boolean
  readonly #sendErrors = new Map<string, number>()
  #received = 0
  #bytesReceived = 0
  #sent = 0
  #bytesSent = 0
  #closed = false
  #onPacket: (bytes: Uint8Array, from: HostPort) => void = () => {}
  #onTrouble: (error: Error) => void = () => {}

  /** Takes over a bound socket. */
  constructor(socket: DatagramSocket, isV6: boolean = false) {
    this.#socket = socket
    this.#isV6 = isV6
    socket.on('message', (bytes, { address, port }) => {
      this.#received++
      this.#bytesReceived += bytes.length
      const host = isV6 && address.startsWith(V4_MAPPED) ? address.slice(V4_MAPPED.length) : address
      this.#onPacket(bytes, { host, port })
    })
    // ICMP errors of earlier sends surface here on some systems: loss, like any other. The socket stays open.
    socket.on('error', (error) => {
      this.#countError(error)
      this.#onTrouble(error)
    })
  }

  /** Binds to an IP literal, or rejects with the socket's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  static async bind({ host, port }: HostPort, sockets?: Sockets): Promise<UdpTransport> {
    // Of a literal this is enough; to ask `isIPv6` would have a regular expression of 100 KB compiled.
    const isV6 = host.includes(':')
    if (sockets !== undefined) return new UdpTransport(sockets.bindDatagrams({ host, port }), isV6)
    return new Promise((resolve, reject) => {
      const socket = createSocket({ type: isV6 ? 'udp6' : 'udp4', lookup: literalLookup as never })
      const fail = (error: Error): void => {
        socket.close()
        reject(error)
      }
      socket.once('error', fail)
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.removeListener('error', fail)
        raiseReceiveBuffer(socket)
        resolve(new UdpTransport(socket, isV6))
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

  /** Payload of the datagrams received, without what UDP and IP add. */
  get bytesReceived(): number {
    return this.#bytesReceived
  }

  /** Datagrams handed to the system, also those that it did not take. */
  get sent(): number {
    return this.#sent
  }

  get bytesSent(): number {
    return this.#bytesSent
  }

  /** Packets that the system did not take, by the code that it gave. To the protocol they are lost. */
  get sendErrors(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#sendErrors)
  }

  listen(onPacket: (bytes: Uint8Array, from: HostPort) => void, onTrouble: (error: Error) => void): void {
    this.#onPacket = onPacket
    this.#onTrouble = onTrouble
  }

  send(bytes: Uint8Array, to: HostPort): void {
    if (this.#closed) return
    const host = this.#isV6 && isIPv4(to.host) ? V4_MAPPED + to.host : to.host
    this.#sent++
    this.#bytesSent += bytes.length
    try {
      this.#socket.send(bytes, to.port, host, (error) => {
        if (error != null) this.#countError(error)
      })
    } catch (error) {
      this.#countError(error) // a port or an address that the socket refuses at once
    }
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }

  #countError(error: unknown): void {
    const code = codeOf(error)
    const key = this.#sendErrors.has(code) || this.#sendErrors.size < CODES_MAX ? code : 'OTHER'
    this.#sendErrors.set(key, (this.#sendErrors.get(key) ?? 0) + 1)
  }
}

/** EPERM and the like; `UNKNOWN` for an error without a code. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : 'UNKNOWN'
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
