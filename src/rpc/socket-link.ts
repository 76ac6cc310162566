/** A TCP or TLS socket as a `Link`. Only translates; who opens the socket is said by the dialer and the server. */
import type { Socket } from 'node:net'
import { formatHostPort } from '../address.js'
import type { Link, LinkError, LinkHandler } from './link.js'

export interface SocketLinkOptions {
  /** Default what the socket says of itself. */
  readonly remoteAddress?: string
  /** What an error of this code means, for whoever has to mend it. */
  readonly explain?: (code: string | undefined) => string | undefined
}

export class SocketLink implements Link {
  readonly #socket: Socket
  readonly #remoteAddress: string
  #error: LinkError | undefined

  /** Whoever opened the socket delivers its bytes: there is more than one way. */
  constructor(socket: Socket, handler: LinkHandler, { remoteAddress, explain }: SocketLinkOptions = {}) {
    this.#socket = socket
    this.#remoteAddress =
      remoteAddress ?? formatHostPort({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 })
    socket.on('drain', () => handler.handleDrain())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const message = error.message === '' ? (error.code ?? 'failed') : error.message
      this.#error = { code: error.code, message: explain?.(error.code) ?? message }
    })
    socket.on('close', () => handler.handleClose(this.#error))
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  unsentBytes(): number {
    return this.#socket.writableLength
  }

  needsDrain(): boolean {
    return this.#socket.writableNeedDrain
  }

  sentBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  receivedBytes(): number {
    return this.#socket.bytesRead
  }

  remoteAddress(): string {
    return this.#remoteAddress
  }

  pauseReading(): void {
    this.#socket.pause()
  }

  resumeReading(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
