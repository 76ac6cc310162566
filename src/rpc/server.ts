/**
 * The called side's transport: listens, bounds the connections, feeds their calls to the dispatcher, and goes away in
 * order. The only file of this side that imports `node:net`.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { formatHostPort, type HostPort } from '../address.js'
import { type Clock, systemClock, type Timer } from '../clock.js'
import { ShoalError } from '../errors.js'
import type { Sockets } from '../runtime.js'
import { Accepted, type AcceptedStats } from './accepted.js'
import type { Dispatcher } from './call.js'
import { Counters } from './counters.js'
import { Flusher } from './flusher.js'
import type { RpcIdentity } from './hello.js'
import { type RpcLimits, resolveRpcLimits, SWEEP_MS } from './limits.js'
import type { PayloadCodec } from './payload-codec.js'
import { PlainCodec } from './plain-codec.js'
import { SocketLink } from './socket-link.js'

export interface RpcServerOptions {
  readonly dispatcher: Dispatcher
  /** Read at every hello: the boot id may still change after construction. */
  readonly identity: RpcIdentity
  readonly limits?: Partial<RpcLimits> | undefined
  readonly codec?: PayloadCodec | undefined
  /** Default the system's. */
  readonly clock?: Clock | undefined
  readonly sockets?: Sockets | undefined
}

export interface RpcServerStats {
  readonly address: string | undefined
  readonly running: number
  readonly connections: readonly AcceptedStats[]
  /** What was refused, dropped or cut, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

const KEEP_ALIVE_MS = 30_000

export class RpcServer {
  readonly #options: RpcServerOptions
  readonly #limits: RpcLimits
  readonly #codec: PayloadCodec
  readonly #counters = new Counters()
  readonly #clock: Clock
  readonly #flusher: Flusher
  readonly #connections = new Set<Accepted>()
  readonly #server: Server
  #address: HostPort | undefined
  #sweepTimer: Timer | undefined
  #closing: Promise<void> | undefined
  #onClosed: (() => void) | undefined

  constructor(options: RpcServerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#flusher = new Flusher(this.#clock)
    this.#limits = resolveRpcLimits(options.limits)
    this.#codec = options.codec ?? new PlainCodec({ payloadBytesMax: this.#limits.frameBytesMax })
    const accept = (socket: Socket): void => this.#accept(socket)
    this.#server =
      options.sockets?.createServer(accept) ??
      createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, accept)
    // After `listen` worked only single accepts can fail, for want of descriptors for example.
    this.#server.on('error', () => this.#counters.add('accept-failed'))
  }

  /** `host:port` as bound, `undefined` before `listen` resolved. */
  get address(): string | undefined {
    return this.#address === undefined ? undefined : formatHostPort(this.#address)
  }

  /** Binds; port 0 takes a free one. Rejects with the system's error, and may be called again then. */
  listen({ host, port }: HostPort): Promise<HostPort> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) {
        reject(new ShoalError('CLOSED', 'the rpc server was closed'))
        return
      }
      const server = this.#server
      const onError = (error: Error): void => {
        server.off('listening', onListening)
        reject(error)
      }
      const onListening = (): void => {
        server.off('error', onError)
        const bound = server.address()
        this.#address = { host, port: typeof bound === 'object' && bound !== null ? bound.port : port }
        resolve(this.#address)
      }
      server.once('error', onError)
      server.once('listening', onListening)
      // In a worker of node:cluster a shared port would hand our callers to other nodes.
      server.listen({ host, port, exclusive: true })
    })
  }

  stats(): RpcServerStats {
    const connections = [...this.#connections].map((connection) => connection.stats())
    return {
      address: this.address,
      running: connections.reduce((sum, { running }) => sum + running, 0),
      connections,
      drops: this.#counters.snapshot(),
    }
  }

  /**
   * Accepts nothing more, tells every caller which calls were taken, and reads on until the callers close or the grace
   * is over; then cuts. Resolves when all connections are gone.
   */
  close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const cut = this.#clock.setTimeout(() => {
        for (const connection of this.#connections) connection.destroy()
      }, graceMs)
      let listenerClosed = false
      this.#onClosed = () => {
        if (!listenerClosed || this.#connections.size > 0) return
        this.#clock.clearTimer(cut)
        resolve()
      }
      // Called also when it never listened; the last connections may not have heard of their end by then.
      this.#server.close(() => {
        listenerClosed = true
        this.#onClosed?.()
      })
      for (const connection of this.#connections) {
        connection.goAway()
        connection.flush()
      }
    })
    return this.#closing
  }

  #accept(socket: Socket): void {
    if (this.#closing !== undefined || !this.#hasRoom()) {
      this.#counters.add('too-many-connections')
      // An error of a socket that nobody uses has nobody to tell.
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const { dispatcher, identity } = this.#options
    const connection = new Accepted({
      open: (handler) => {
        socket.on('data', (chunk) => handler.handleBytes(chunk, chunk.length))
        return new SocketLink(socket, handler)
      },
      flusher: this.#flusher,
      limits: this.#limits,
      now: this.#clock.monotonicMs,
      onClosed: (closed) => this.#connectionClosed(closed),
      session: { codec: this.#codec, identity, dispatcher, counters: this.#counters },
    })
    this.#connections.add(connection)
    this.#sweepTimer ??= this.#clock.setInterval(this.#sweepSoon, SWEEP_MS)
    this.#sweepTimer.unref()
  }

  #hasRoom(): boolean {
    if (this.#connections.size >= this.#limits.incomingConnectionsMax) return false
    if (this.#connections.size < this.#limits.anonymousConnectionsMax) return true
    let anonymous = 0
    for (const connection of this.#connections) if (connection.isAnonymous) anonymous++
    return anonymous < this.#limits.anonymousConnectionsMax
  }

  #connectionClosed(connection: Accepted): void {
    this.#connections.delete(connection)
    if (this.#connections.size > 0) return
    this.#clock.clearTimer(this.#sweepTimer)
    this.#sweepTimer = undefined
    this.#onClosed?.()
  }

  /** Sockets are read first: a hello that came while this process stalled is in time. */
  readonly #sweepSoon = (): void => {
    this.#clock.setImmediate(this.#sweep)
  }

  readonly #sweep = (): void => {
    const now = this.#clock.monotonicMs()
    for (const connection of this.#connections) connection.sweep(now)
  }
}
