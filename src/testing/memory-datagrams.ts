/** A UDP socket of the test network, in what membership uses of one. Datagrams may be lost, cut off and overtaken. */
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import type { HostPort } from '../address.js'
import type { MemoryNetwork } from './memory-network.js'

export interface DatagramEnds {
  readonly at: HostPort
  /** Hands it to whoever is bound there when it arrives. */
  readonly deliver: (to: HostPort, bytes: Uint8Array) => void
  readonly onClosed: () => void
}

const DATAGRAM_BYTES_MAX = 65_507

export class MemoryDatagrams extends EventEmitter {
  readonly #network: MemoryNetwork
  readonly #ends: DatagramEnds
  /** What arrives is not the doing of whoever sent it: it runs in the context in which the socket was made. */
  readonly #enter = AsyncResource.bind((run: () => void) => run())
  #isOpen = true

  constructor(network: MemoryNetwork, ends: DatagramEnds) {
    super()
    this.#network = network
    this.#ends = ends
  }

  address(): { address: string; port: number; family: string } {
    return { address: this.#ends.at.host, port: this.#ends.at.port, family: 'IPv4' }
  }

  send(bytes: Uint8Array, port: number, host: string, callback?: (error: Error | null) => void): void {
    if (!this.#isOpen) return
    if (bytes.length > DATAGRAM_BYTES_MAX) {
      const error = new Error(`send EMSGSIZE ${host}:${port}`)
      process.nextTick(() => callback?.(Object.assign(error, { code: 'EMSGSIZE' })))
      return
    }
    const { at, deliver } = this.#ends
    if (this.#network.passes(at.host, host)) {
      const copy = Uint8Array.from(bytes)
      this.#network.afterDelay(at.host, host, () => deliver({ host, port }, copy))
    }
    process.nextTick(() => callback?.(null))
  }

  receive(bytes: Uint8Array, { host, port }: HostPort): void {
    if (!this.#isOpen) return
    const from = { address: host, port, family: 'IPv4', size: bytes.length }
    this.#enter(() => this.emit('message', Buffer.from(bytes.buffer), from))
  }

  close(callback?: () => void): this {
    this.#isOpen = false
    this.#ends.onClosed()
    if (callback !== undefined) process.nextTick(callback)
    return this
  }
}
