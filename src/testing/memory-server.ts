/** A TCP listener of the test network, in what the transports use of `net.Server`. */
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { HostPort } from '../address.js'
import type { MemorySocket } from './memory-socket.js'

export interface Ports {
  /** Takes the port, or a free one for 0. Throws EADDRINUSE or EADDRNOTAVAIL. */
  readonly claim: (at: HostPort, server: MemoryServer) => number
  readonly release: (port: number) => void
}

export class MemoryServer extends EventEmitter {
  readonly #ports: Ports
  readonly #enter = AsyncResource.bind((run: () => void) => run())
  readonly #open = new Set<MemorySocket>()
  #at: HostPort | undefined
  #onIdle: (() => void) | undefined

  constructor(ports: Ports, onConnection: (socket: MemorySocket) => void) {
    super()
    this.#ports = ports
    this.on('connection', onConnection)
  }

  listen({ host, port }: HostPort, callback?: () => void): this {
    if (callback !== undefined) this.once('listening', callback)
    process.nextTick(() => {
      try {
        this.#at = { host, port: this.#ports.claim({ host, port }, this) }
      } catch (error) {
        this.emit('error', error)
        return
      }
      this.emit('listening')
    })
    return this
  }

  address(): { address: string; port: number; family: string } | null {
    return this.#at === undefined ? null : { address: this.#at.host, port: this.#at.port, family: 'IPv4' }
  }

  accept(socket: MemorySocket): void {
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#tellIdle()
    })
    this.#enter(() => this.emit('connection', socket))
  }

  /** Takes no more; the callback comes when the last connection has ended. */
  close(callback?: () => void): this {
    if (this.#at !== undefined) this.#ports.release(this.#at.port)
    this.#at = undefined
    this.#onIdle = callback
    process.nextTick(() => this.#tellIdle())
    return this
  }

  #tellIdle(): void {
    if (this.#at !== undefined || this.#open.size > 0) return
    const onIdle = this.#onIdle
    this.#onIdle = undefined
    onIdle?.()
  }
}
