/**
 * Accepted connections that have not said hello: keeps what each says until its first frame is whole, or cannot become
 * one, and hands it on then. Until then a connection costs its socket and a few bytes, since whoever wants to can open
 * many. How many there may be is the server's to say, what the frame means the session's.
 */
import type { Socket } from 'node:net'
import { concatBytes, EMPTY_BYTES } from '../bytes.js'
import type { ConnectionProof } from './caller-identity.js'
import { HEAD_BYTES, HELLO_BYTES_MAX, LENGTH_BYTES, readU32 } from './frame.js'

export interface StrangersOptions {
  /** For the first frame. */
  readonly helloMs: number
  readonly steadyNow: () => number
  /** The bytes hold the first frame, or as much as shows that there is none; the socket has no listener of ours any more. */
  readonly onHello: (socket: Socket, proof: ConnectionProof, bytes: Uint8Array) => void
  readonly onDropped: (reason: 'hello-timeout' | 'closed-before-hello') => void
}

interface Stranger {
  readonly proof: ConnectionProof
  readonly deadlineAt: number
  readonly onData: (chunk: Uint8Array) => void
  readonly onClose: () => void
  said: Uint8Array
}

export class Strangers {
  readonly #options: StrangersOptions
  /** The oldest first. */
  readonly #strangers = new Map<Socket, Stranger>()

  constructor(options: StrangersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#strangers.size
  }

  sockets(): Iterable<Socket> {
    return this.#strangers.keys()
  }

  accept(socket: Socket, proof: ConnectionProof): void {
    const { helloMs, onDropped, steadyNow } = this.#options
    const stranger: Stranger = {
      proof,
      deadlineAt: steadyNow() + helloMs,
      onData: (chunk) => this.#listen(socket, stranger, chunk),
      onClose: () => {
        if (this.#strangers.delete(socket)) onDropped('closed-before-hello')
      },
      said: EMPTY_BYTES,
    }
    this.#strangers.set(socket, stranger)
    socket.on('error', ignore).on('close', stranger.onClose).on('data', stranger.onData)
  }

  /** Ends the one that has said nothing for longest; false when there is none. */
  cutOldest(): boolean {
    for (const socket of this.#strangers.keys()) {
      this.#cut(socket)
      return true
    }
    return false
  }

  /** Ends those whose time is over. */
  sweep(): void {
    const now = this.#options.steadyNow()
    for (const [socket, { deadlineAt }] of this.#strangers) {
      if (now < deadlineAt) return
      this.#cut(socket)
      this.#options.onDropped('hello-timeout')
    }
  }

  /** Ends those who used another key than these. */
  retireKeysExcept(isKnown: (keyId: string) => boolean): void {
    for (const [socket, { proof }] of this.#strangers)
      if (proof.keyId !== undefined && !isKnown(proof.keyId)) this.#cut(socket)
  }

  destroy(): void {
    for (const socket of this.#strangers.keys()) this.#cut(socket)
  }

  #listen(socket: Socket, stranger: Stranger, chunk: Uint8Array): void {
    stranger.said = stranger.said.length === 0 ? chunk : concatBytes([stranger.said, chunk])
    if (!hasFirstFrame(stranger.said)) return
    this.#strangers.delete(socket)
    socket.off('error', ignore).off('close', stranger.onClose).off('data', stranger.onData)
    this.#options.onHello(socket, stranger.proof, stranger.said)
  }

  #cut(socket: Socket): void {
    this.#strangers.delete(socket)
    socket.destroy()
  }
}

/** Whether the first frame is whole, or what came can be the beginning of none. */
function hasFirstFrame(bytes: Uint8Array): boolean {
  if (bytes.length < LENGTH_BYTES) return false
  const announced = readU32(bytes, 0)
  return announced < HEAD_BYTES || announced > HELLO_BYTES_MAX || bytes.length >= LENGTH_BYTES + announced
}

/** The end of the socket, which follows, is told by `close`. */
function ignore(): void {}
