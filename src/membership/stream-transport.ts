/**
 * The only file of membership that knows `node:net`: one short TCP stream per exchange, a message each way. Every
 * stream is bounded in bytes, in time and in number; a stream that breaks a rule is closed and counted by its owner.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { canonicalHost, type HostPort } from '../address.js'
import type { Clock } from '../clock.js'
import type { Sockets } from '../runtime.js'
import { type Envelope, explainBadReply } from './envelope.js'
import { StreamSlots } from './stream-slots.js'
import type { ExchangeResult } from './swim-contract.js'
import type { StreamMessage, WireDrop } from './wire/messages.js'

export interface StreamHandlers {
  /** A whole message came in on stream `id`; it is to be answered by `reply(id, …)`. */
  readonly message: (id: number, message: StreamMessage, from: HostPort) => void
  readonly drop: (reason: WireDrop) => void
  /** Whether this address may open streams at all. */
  readonly isAllowed: (host: string) => boolean
}

export interface StreamExchange {
  readonly to: HostPort
  readonly bytes: Uint8Array
  readonly expectReply: boolean
  readonly timeoutMs: number
}

const MIB = 1024 * 1024
const ACCEPTED = {
  streams: 128, // memberlist refuses more concurrent push/pulls than this
  perAddress: 64,
  bytes: 64 * MIB,
}
/** Whoever opens a stream has something to say: one on which nothing comes for so long is closed. */
const IDLE_MS_MAX = 3_000
const CONNECT_TIMEOUT_MS = 3_000

export interface StreamParts {
  readonly envelope: Envelope
  /** Of an accepted stream as a whole. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** Default the system's. */
  readonly sockets?: Sockets | undefined
}

export class StreamTransport {
  readonly #server: Server
  readonly #envelope: Envelope
  readonly #accepted = new Map<number, Socket>()
  readonly #slots = new StreamSlots(ACCEPTED)
  readonly #dialled = new Set<Socket>()
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #connect: Sockets['connect']
  #handlers: StreamHandlers = { message: () => {}, drop: () => {}, isAllowed: () => false }
  #nextId = 1
  #refused = 0

  private constructor(server: Server, parts: StreamParts) {
    this.#server = server
    this.#envelope = parts.envelope
    this.#timeoutMs = parts.timeoutMs
    this.#clock = parts.clock
    this.#connect = parts.sockets?.connect ?? connect
    server.on('connection', (socket) => this.#accept(socket))
    server.on('error', () => this.#refused++) // accept failed, out of descriptors for one; the peer tries again
  }

  static bind({ host, port }: HostPort, parts: StreamParts): Promise<StreamTransport> {
    return new Promise((resolve, reject) => {
      const server = parts.sockets?.createServer(() => {}) ?? createServer({ noDelay: true })
      server.once('error', reject)
      server.listen({ host, port, exclusive: true }, () => {
        server.removeListener('error', reject)
        resolve(new StreamTransport(server, parts))
      })
    })
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Streams that were turned away, or gave way, because too many were open or too much was buffered. */
  get refused(): number {
    return this.#refused
  }

  listen(handlers: StreamHandlers): void {
    this.#handlers = handlers
  }

  reply(id: number, bytes: Uint8Array | undefined): void {
    const socket = this.#accepted.get(id)
    if (socket === undefined) return
    if (bytes === undefined) socket.end()
    else socket.end(this.#envelope.sealReply(bytes))
  }

  /** Connects, writes, reads one message if one is expected. Never rejects; bounded by `timeoutMs`. */
  exchange({ to, bytes, expectReply, timeoutMs }: StreamExchange): Promise<ExchangeResult> {
    return new Promise((resolve) => {
      const socket = this.#connect({ host: to.host, port: to.port, noDelay: true })
      const decoder = this.#envelope.streamDecoder('dialled')
      this.#dialled.add(socket)
      const finish = (result: ExchangeResult): void => {
        this.#clock.clearTimer(timer)
        this.#dialled.delete(socket)
        socket.destroy()
        resolve(result)
      }
      const fail = (error: string): void => finish({ ok: false, error })
      const connectMs = Math.min(CONNECT_TIMEOUT_MS, timeoutMs)
      let timer = this.#clock.setTimeout(() => fail(`no connection within ${Math.round(connectMs)} ms`), connectMs)
      socket.on('connect', () => {
        this.#clock.clearTimer(timer)
        timer = this.#clock.setTimeout(() => fail(`no reply within ${Math.round(timeoutMs)} ms`), timeoutMs)
        socket.write(this.#envelope.sealStream(bytes))
        if (!expectReply) socket.end()
      })
      socket.on('error', (error) => fail(error.message))
      socket.on('close', () =>
        expectReply ? fail('closed without a reply') : finish({ ok: true, message: undefined }),
      )
      socket.on('data', (chunk) => {
        const decoded = decoder.push(chunk)
        if (!decoded.done) return
        if ('drop' in decoded) {
          this.#handlers.drop(decoded.drop)
          fail(explainBadReply(decoded.drop))
          return
        }
        for (const drop of decoded.drops) this.#handlers.drop(drop)
        finish({ ok: true, message: decoded.message })
      })
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#accepted.values()) socket.destroy()
    for (const socket of this.#dialled) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #takeSlot(id: number, address: string): boolean {
    const slot = this.#slots.open(id, address)
    if (!slot.kept || slot.evicted !== undefined) this.#refused++
    if (slot.kept && slot.evicted !== undefined) this.#accepted.get(slot.evicted)?.destroy()
    return slot.kept
  }

  #accept(socket: Socket): void {
    const id = this.#nextId++
    const from = { host: canonicalHost(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
    if (!this.#handlers.isAllowed(from.host) || !this.#takeSlot(id, from.host)) {
      socket.destroy()
      return
    }
    const decoder = this.#envelope.streamDecoder('accepted')
    const timer = this.#clock.setTimeout(() => socket.destroy(), this.#timeoutMs)
    let handled = false
    this.#accepted.set(id, socket)
    socket.setTimeout(Math.min(IDLE_MS_MAX, this.#timeoutMs), () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#clock.clearTimer(timer)
      this.#accepted.delete(id)
      this.#slots.release(id)
    })
    socket.on('data', (chunk) => {
      if (handled) return // whatever follows the one message
      if (!this.#slots.receive(id, chunk.length)) {
        this.#refused++
        socket.destroy()
        return
      }
      const decoded = decoder.push(chunk)
      if (!decoded.done) return
      handled = true
      socket.setTimeout(0) // the answer may wait for a verdict; the stream's whole time is bounded all the same
      if ('drop' in decoded) {
        this.#handlers.drop(decoded.drop)
        const refusal = this.#envelope.sealRefusal(decoded.drop)
        if (refusal === undefined) socket.destroy()
        else socket.end(refusal)
        return
      }
      for (const drop of decoded.drops) this.#handlers.drop(drop)
      this.#handlers.message(id, decoded.message, from)
    })
  }
}
