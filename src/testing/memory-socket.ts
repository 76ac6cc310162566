/**
 * A TCP socket of the test network: a Duplex with what of `net.Socket` the transports use. Bytes go to the socket at the
 * other end by a `MemoryFlow`; what the reader does not take holds the writer up, as windows do.
 */
import { AsyncResource } from 'node:async_hooks'
import { Duplex } from 'node:stream'
import type { HostPort } from '../address.js'
import type { Timer } from '../clock.js'
import { MemoryFlow, type Segment } from './memory-flow.js'
import type { MemoryNetwork } from './memory-network.js'

export interface SocketEnds {
  readonly local: HostPort
  readonly remote: HostPort
  readonly onClosed: (socket: MemorySocket) => void
}

type Callback = (error?: Error | null) => void

/** Sent and not read at the other end: about what the buffers of two kernels hold. */
const WINDOW_BYTES = 1_048_576
const SEGMENT_BYTES_MAX = 65_536

export class MemorySocket extends Duplex {
  readonly remoteAddress: string
  readonly remotePort: number
  bytesRead = 0
  readonly #network: MemoryNetwork
  readonly #ends: SocketEnds
  readonly #flow: MemoryFlow
  /** What arrives runs in the context in which the socket was made, not in that of the sender. */
  readonly #enter = AsyncResource.bind((run: () => void) => run())
  #other: MemorySocket | undefined
  #takenBytes = 0
  #unreadBytes = 0
  /** Continues writing: once the connection is there, or there is room. */
  #goOn: (() => void) | undefined
  readonly #arrived: Segment[] = []
  #wantsMore = false
  #idleMs = 0
  #idleTimer: Timer | undefined

  constructor(network: MemoryNetwork, ends: SocketEnds) {
    super({ allowHalfOpen: false })
    this.#network = network
    this.#ends = ends
    this.remoteAddress = ends.remote.host
    this.remotePort = ends.remote.port
    this.#flow = new MemoryFlow(network, {
      from: ends.local.host,
      to: ends.remote.host,
      arrive: (segment) => this.#other?.receive(segment),
      giveUp: () => this.fail('ETIMEDOUT', 'write ETIMEDOUT'),
    })
  }

  /** As in `net`: with what waits to be written. */
  get bytesWritten(): number {
    return this.#takenBytes + this.writableLength
  }

  /** The other end of the connection is there. */
  meet(other: MemorySocket): void {
    this.#other = other
    const goOn = this.#goOn
    this.#goOn = undefined
    goOn?.()
  }

  /** The connection was made, as the dialler hears it. */
  open(other: MemorySocket): void {
    this.meet(other)
    this.#enter(() => this.emit('connect'))
  }

  /** Ends with a system's error. */
  fail(code: string, message: string): void {
    this.#enter(() => this.destroy(Object.assign(new Error(message), { code })))
  }

  /** Its process is gone: the kernel resets the stream. */
  sever(): void {
    this.#flow.sendReset()
    this.fail('ECONNRESET', 'its process is gone')
  }

  receive(segment: Segment): void {
    if (segment.kind === 'reset') this.fail('ECONNRESET', 'read ECONNRESET')
    else if (this.destroyed) {
      if (segment.kind === 'data') this.#flow.sendReset()
    } else {
      this.#touch()
      this.#arrived.push(segment)
      this.#enter(() => this.#deliver())
    }
  }

  setTimeout(ms: number, callback?: () => void): this {
    this.#idleMs = ms
    if (callback !== undefined) this.once('timeout', callback)
    this.#touch()
    return this
  }

  override _read(): void {
    this.#wantsMore = true
    this.#deliver()
  }

  override _write(chunk: Buffer, _encoding: string, callback: Callback): void {
    if (this.#other === undefined) {
      this.#goOn = () => this._write(chunk, _encoding, callback)
      return
    }
    this.#touch()
    for (let start = 0; start < chunk.length; start += SEGMENT_BYTES_MAX) {
      // A copy: once it is written the writer may use its buffer again.
      this.#flow.send({ kind: 'data', bytes: Buffer.from(chunk.subarray(start, start + SEGMENT_BYTES_MAX)) })
    }
    this.#unreadBytes += chunk.length
    const taken = (): void => {
      this.#takenBytes += chunk.length
      callback()
    }
    if (this.#unreadBytes <= WINDOW_BYTES) taken()
    else this.#goOn = taken
  }

  override _final(callback: Callback): void {
    const end = (): void => {
      this.#flow.send({ kind: 'end' })
      callback()
    }
    if (this.#other === undefined) this.#goOn = end
    else end()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#network.clock.clearTimer(this.#idleTimer)
    if (!this.writableFinished && error === null) this.#flow.send({ kind: 'end' })
    else if (error !== null) this.#flow.stop()
    this.#ends.onClosed(this)
    callback(error)
  }

  /** The other end has read so much. */
  acknowledge(bytes: number): void {
    this.#unreadBytes -= bytes
    if (this.#unreadBytes > WINDOW_BYTES || this.#goOn === undefined) return
    const goOn = this.#goOn
    this.#goOn = undefined
    this.#enter(goOn)
  }

  #deliver(): void {
    while (this.#wantsMore && !this.destroyed) {
      const segment = this.#arrived.shift()
      if (segment?.kind === 'data') {
        this.bytesRead += segment.bytes.length
        this.#wantsMore = this.push(segment.bytes)
        this.#other?.acknowledge(segment.bytes.length)
      } else {
        if (segment?.kind === 'end') this.push(null)
        return
      }
    }
  }

  #touch(): void {
    const { clock } = this.#network
    clock.clearTimer(this.#idleTimer)
    this.#idleTimer = undefined
    if (this.#idleMs === 0 || this.destroyed) return
    this.#idleTimer = clock.setTimeout(() => this.#enter(() => this.emit('timeout')), this.#idleMs)
  }
}
