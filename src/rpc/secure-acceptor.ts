/**
 * The TLS handshakes of accepted connections: bounds their time and bytes, and hands on what came through, with what it
 * proves. How many there may be is the server's to say; who is believed is said by the security.
 */
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { formatHostPort } from '../address.js'
import type { ConnectionProof, Refusal } from './caller-identity.js'
import type { ChannelSecurity } from './channel-security.js'
import { calleeHandshakeFault } from './handshake-fault.js'
import type { RpcLimits } from './limits.js'

export interface SecureAcceptorOptions {
  readonly security: ChannelSecurity
  readonly limits: RpcLimits
  readonly steadyNow: () => number
  readonly onSecure: (socket: TLSSocket, proof: ConnectionProof) => void
  readonly onRefused: (refusal: Refusal, address: string) => void
}

interface Handshake {
  readonly socket: Socket
  readonly deadlineAt: number
}

export class SecureAcceptor {
  readonly #options: SecureAcceptorOptions
  readonly #server: Server
  /** By the caller's address, which no two connections share. */
  readonly #handshakes = new Map<string, Handshake>()

  constructor(options: SecureAcceptorOptions) {
    this.#options = options
    const { createServer } = process.getBuiltinModule('node:tls')
    this.#server = createServer(options.security.serverOptions(), (socket) => this.#secured(socket))
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const address = addressOf(socket)
      // The end of its connection is told below: here nothing is known any more of whose it was.
      if (this.#handshakes.delete(address)) options.onRefused(calleeHandshakeFault(error.code), address)
    })
  }

  /** Handshakes under way. */
  get size(): number {
    return this.#handshakes.size
  }

  accept(socket: Socket): void {
    const address = addressOf(socket)
    const deadlineAt = this.#options.steadyNow() + this.#options.limits.helloMs
    this.#handshakes.set(address, { socket, deadlineAt })
    socket.once('close', () => {
      if (this.#handshakes.delete(address)) this.#options.onRefused(brokenOff(socket.bytesRead), address)
    })
    this.#server.emit('connection', socket)
  }

  /** When the time of the oldest handshake is over; `Infinity` when there is none. */
  get deadlineAt(): number {
    for (const { deadlineAt } of this.#handshakes.values()) return deadlineAt
    return Number.POSITIVE_INFINITY
  }

  /** Ends the handshake that takes longest so far. */
  cutOldest(): void {
    for (const [address, { socket }] of this.#handshakes) {
      this.#handshakes.delete(address)
      socket.destroy()
      return
    }
  }

  /** New handshakes use what the security says now. */
  renew(): void {
    this.#server.setSecureContext(this.#options.security.serverOptions())
  }

  sweep(): void {
    const { limits, onRefused, steadyNow } = this.#options
    const now = steadyNow()
    for (const [address, { socket, deadlineAt }] of this.#handshakes) {
      if (now >= deadlineAt) {
        onRefused({ reason: 'tls-timeout', message: 'it did not finish its TLS handshake in time' }, address)
      } else if (socket.bytesRead > limits.handshakeBytesMax) {
        onRefused({ reason: 'tls-too-long', message: 'its TLS handshake takes too many bytes' }, address)
      } else continue
      this.#handshakes.delete(address)
      socket.destroy()
    }
  }

  destroy(): void {
    const sockets = [...this.#handshakes.values()]
    this.#handshakes.clear()
    for (const { socket } of sockets) socket.destroy()
  }

  #secured(socket: TLSSocket): void {
    this.#handshakes.delete(addressOf(socket))
    const proof = this.#options.security.callerProof(socket)
    if (proof.refusal !== undefined) this.#options.onRefused(proof.refusal, addressOf(socket))
    this.#options.onSecure(socket, proof)
  }
}

/** A balancer that only looks whether the port is open says nothing; whoever sends a ClientHello means it. */
function brokenOff(bytesRead: number): Refusal {
  if (bytesRead === 0) return { reason: 'tls-nothing-said', message: 'it said nothing' }
  const message = 'it broke the TLS handshake off: it may use keys where this node has certificates, or not accept them'
  return { reason: 'tls-broken-off', message }
}

function addressOf(socket: Socket): string {
  return formatHostPort({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 })
}
