/**
 * Accepted connections that have not said hello: keeps what each says until its first frame is whole, and hands it on
 * then, or drops what cannot be one. Until then a connection costs its socket and a few bytes, since whoever wants to can
 * open many. How many there may be is the server's to say, what the hello says is judged by the session.
 */
import type { Socket } from 'node:net'
import { concatBytes, EMPTY_BYTES } from '../bytes.js'
import type { ConnectionProof } from './caller-identity.js'
import { FrameKind, HEAD_BYTES, HELLO_BYTES_MAX, LENGTH_BYTES, readU32 } from './frame.js'
import { beginsTls } from './hello.js'
import { LinkedList, type Place } from './linked-list.js'

export interface StrangersOptions {
  /** For the first frame. */
  readonly helloMs: number
  readonly steadyNow: () => number
  /** The bytes hold what may be a hello, or begin TLS; the socket has no listener of ours any more. */
  readonly onHello: (socket: Socket, proof: ConnectionProof, bytes: Uint8Array) => void
  readonly onDropped: (reason: 'hello-timeout' | 'closed-before-hello' | FirstFrameFault) => void
}

/** What ends a connection at its first frame. */
export type FirstFrameFault = 'frame-too-short' | 'frame-too-large' | 'no-hello'

interface Stranger {
  readonly socket: Socket
  readonly proof: ConnectionProof
  readonly deadlineAt: number
  said: Uint8Array
}

export class Strangers {
  readonly #options: StrangersOptions
  /** The oldest first. */
  readonly #strangers = new LinkedList<Stranger>()

  constructor(options: StrangersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#strangers.size
  }

  sockets(): Socket[] {
    return Array.from(this.#strangers, ({ value }) => value.socket)
  }

  accept(socket: Socket, proof: ConnectionProof): void {
    const { helloMs, onDropped, steadyNow } = this.#options
    const place = this.#strangers.add({ socket, proof, deadlineAt: steadyNow() + helloMs, said: EMPTY_BYTES })
    const onClose = (): void => {
      if (this.#strangers.remove(place)) onDropped('closed-before-hello')
    }
    const onData = (chunk: Uint8Array): void => {
      if (!this.#listen(place, chunk)) return
      socket.off('error', ignore).off('close', onClose).off('data', onData)
      this.#options.onHello(socket, proof, place.value.said)
    }
    socket.on('error', ignore).on('close', onClose).on('data', onData)
  }

  /** When the time of the oldest is over; `Infinity` when there is none. */
  get deadlineAt(): number {
    return this.#strangers.first?.value.deadlineAt ?? Number.POSITIVE_INFINITY
  }

  /** Ends the one that has said nothing for longest. */
  cutOldest(): void {
    const { first } = this.#strangers
    if (first !== undefined) this.#cut(first)
  }

  /** Ends those whose time is over. */
  sweep(): void {
    const now = this.#options.steadyNow()
    for (const place of this.#strangers) {
      if (now < place.value.deadlineAt) return
      this.#cut(place)
      this.#options.onDropped('hello-timeout')
    }
  }

  /** Ends those who used another key than these. */
  retireKeysExcept(isKnown: (keyId: string) => boolean): void {
    for (const place of this.#strangers) {
      const { keyId } = place.value.proof
      if (keyId !== undefined && !isKnown(keyId)) this.#cut(place)
    }
  }

  destroy(): void {
    for (const place of this.#strangers) this.#cut(place)
  }

  /** True when it is a stranger no more. */
  #listen(place: Place<Stranger>, chunk: Uint8Array): boolean {
    const stranger = place.value
    stranger.said = stranger.said.length === 0 ? chunk : concatBytes([stranger.said, chunk])
    if (!hasFirstFrame(stranger.said)) return false
    const fault = firstFrameFault(stranger.said)
    if (fault === undefined) return this.#strangers.remove(place)
    this.#cut(place)
    this.#options.onDropped(fault)
    return false
  }

  #cut(place: Place<Stranger>): void {
    this.#strangers.remove(place)
    place.value.socket.destroy()
  }
}

/** Whether the first frame is whole, or what came can be the beginning of none. */
function hasFirstFrame(bytes: Uint8Array): boolean {
  if (bytes.length < LENGTH_BYTES) return false
  const announced = readU32(bytes, 0)
  return announced < HEAD_BYTES || announced > HELLO_BYTES_MAX || bytes.length >= LENGTH_BYTES + announced
}

/** Whoever speaks TLS to a node without is told so by the session. */
function firstFrameFault(bytes: Uint8Array): FirstFrameFault | undefined {
  if (beginsTls(bytes, bytes.length)) return undefined
  const announced = readU32(bytes, 0)
  if (announced < HEAD_BYTES) return 'frame-too-short'
  if (announced > HELLO_BYTES_MAX) return 'frame-too-large'
  return bytes[LENGTH_BYTES] === FrameKind.hello ? undefined : 'no-hello'
}

/** The end of the socket, which follows, is told by `close`. */
function ignore(): void {}
