/**
 * The called side's transport: listens, bounds the connections, feeds their calls to the dispatcher, and goes away in
 * order. The only file of rpc that listens.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { formatHostPort, type HostPort } from '../address.js'
import { type Clock, systemClock } from '../clock.js'
import { ShoalError } from '../errors.js'
import type { Sockets } from '../runtime.js'
import { Accepted, type AcceptedStats } from './accepted.js'
import { ByteBudget } from './byte-budget.js'
import type { Dispatcher } from './call.js'
import { type ConnectionProof, NOTHING_PROVEN } from './caller-identity.js'
import type { ChannelSecurity } from './channel-security.js'
import { Counters } from './counters.js'
import { Flusher } from './flusher.js'
import type { RpcIdentity } from './hello.js'
import { HOUSEKEEPING_MS, LOOK_MS, type RpcLimits, resolveRpcLimits, SWEEP_MS } from './limits.js'
import { LinkedList, type Place } from './linked-list.js'
import { OrphanedCasts } from './orphaned-casts.js'
import type { PayloadCodec } from './payload-codec.js'
import { PlainCodec } from './plain-codec.js'
import { Refusals } from './refusals.js'
import { SecureAcceptor } from './secure-acceptor.js'
import { readAccepted, readData } from './shared-reading.js'
import { Slabs } from './slabs.js'
import { SocketLink } from './socket-link.js'
import { Strangers } from './strangers.js'
import { Sweeper } from './sweeper.js'
import { TurnShares } from './turn-shares.js'

export interface RpcServerOptions {
  readonly dispatcher: Dispatcher
  /** Read at every hello: the boot id may still change after construction. */
  readonly identity: RpcIdentity
  readonly limits?: Partial<RpcLimits> | undefined
  readonly codec?: PayloadCodec | undefined
  /** Bytes that may be kept of what was received, shared with the calling side. */
  readonly budget?: ByteBudget | undefined
  /** What is written into before it is sent, shared likewise. */
  readonly slabs?: Slabs | undefined
  /** How callers prove who they are. Default plaintext. */
  readonly security?: ChannelSecurity | undefined
  /** Told when callers are turned away before any call: once a minute for each reason. */
  readonly onFault?: ((error: Error) => void) | undefined
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
  readonly #budget: ByteBudget
  readonly #counters = new Counters()
  readonly #clock: Clock
  readonly #flusher: Flusher
  readonly #slabs: Slabs
  readonly #shares: TurnShares
  readonly #strangers: Strangers
  readonly #connections = new LinkedList<Accepted>()
  readonly #server: Server
  readonly #refusals: Refusals
  readonly #orphans: OrphanedCasts
  readonly #acceptor: SecureAcceptor | undefined
  /** Of all connections. */
  #unsentBytes = 0
  #address: HostPort | undefined
  readonly #sweeper: Sweeper
  #closing: Promise<void> | undefined
  #onClosed: (() => void) | undefined

  constructor(options: RpcServerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#flusher = new Flusher(this.#clock)
    this.#slabs = options.slabs ?? new Slabs()
    this.#shares = new TurnShares(this.#clock)
    this.#orphans = new OrphanedCasts(this.#clock)
    this.#limits = resolveRpcLimits(options.limits)
    this.#budget = options.budget ?? new ByteBudget(this.#limits.receivedBytesNodeMax)
    this.#codec = options.codec ?? new PlainCodec({ payloadBytesMax: this.#limits.frameBytesMax })
    this.#refusals = new Refusals({
      counters: this.#counters,
      now: this.#clock.monotonicMs,
      onFault: options.onFault,
    })
    this.#sweeper = new Sweeper({
      soonMs: SWEEP_MS,
      everyMs: LOOK_MS,
      restMs: HOUSEKEEPING_MS,
      clock: this.#clock,
      sweep: () => this.#sweep(),
    })
    this.#strangers = new Strangers({
      helloMs: this.#limits.helloMs,
      steadyNow: () => this.#sweeper.steadyNow(),
      onHello: (socket, proof, bytes) => this.#serve(socket, proof, bytes),
      onDropped: (reason) => this.#counters.add(reason),
    })
    this.#acceptor = options.security === undefined ? undefined : this.#acceptorFor(options.security)
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
    const strangers = this.#strangers.sockets().map(strangerStats)
    const connections = Array.from(this.#connections, ({ value }) => value.stats()).concat(strangers)
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
        for (const { value: connection } of this.#connections) connection.destroy()
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
      this.#acceptor?.destroy()
      this.#strangers.destroy()
      this.#orphans.close()
      for (const { value: connection } of this.#connections) {
        connection.goAway()
        connection.flush()
      }
    })
    return this.#closing
  }

  /** New handshakes use what the security says now. */
  renewSecurity(): void {
    this.#acceptor?.renew()
  }

  /** Connections made with other keys take no more calls; those that run go on to their end. */
  retireKeysExcept(isKnown: (keyId: string) => boolean): void {
    this.#strangers.retireKeysExcept(isKnown)
    for (const { value: connection } of this.#connections)
      if (connection.keyId !== undefined && !isKnown(connection.keyId)) connection.goAway()
  }

  #accept(socket: Socket): void {
    if (this.#closing !== undefined || !this.#makeRoom()) {
      this.#counters.add('too-many-connections')
      // An error of a socket that nobody uses has nobody to tell.
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    this.#sweeper.start()
    if (this.#acceptor === undefined) this.#strangers.accept(socket, NOTHING_PROVEN)
    else this.#acceptor.accept(socket)
  }

  #acceptorFor(security: ChannelSecurity): SecureAcceptor {
    return new SecureAcceptor({
      security,
      limits: this.#limits,
      steadyNow: () => this.#sweeper.steadyNow(),
      onSecure: (socket, proof) => this.#strangers.accept(socket, proof),
      onRefused: (refusal, address) => this.#refusals.add(refusal, address),
    })
  }

  /** Of a caller that has said its first frame, and maybe more. */
  #serve(socket: Socket, proof: ConnectionProof, bytes: Uint8Array): void {
    const { dispatcher, identity } = this.#options
    const read = this.#acceptor === undefined ? readAccepted : readData
    this.#shares.begin(this.#clock.monotonicMs())
    const connection = new Accepted({
      open: (handler) => new SocketLink(read(socket, handler), handler),
      flusher: this.#flusher,
      slabs: this.#slabs,
      limits: this.#limits,
      shares: this.#shares,
      now: this.#clock.monotonicMs,
      steadyNow: () => this.#sweeper.steadyNow(),
      onBusy: (at) => this.#sweeper.start(at),
      onUnsent: (more) => this.#noteUnsent(more),
      onClosed: () => this.#connectionClosed(place),
      onRefused: (refusal, address) => this.#refusals.tell(refusal, address),
      session: {
        codec: this.#codec,
        identity,
        dispatcher,
        counters: this.#counters,
        budget: new ByteBudget(this.#limits.receivedBytesMax, this.#budget),
        proof,
        orphans: this.#orphans,
      },
    })
    const place = this.#connections.add(connection)
    this.#shares.end()
    connection.handleBytes(bytes, bytes.length)
  }

  /**
   * At a bound the stranger that has said nothing for longest goes: a caller needs moments for its hello, and a few silent
   * connections would keep all others out.
   */
  #makeRoom(): boolean {
    const strangers = this.#strangers.size + (this.#acceptor?.size ?? 0)
    const { incomingConnectionsMax, anonymousConnectionsMax } = this.#limits
    if (strangers < anonymousConnectionsMax && strangers + this.#connections.size < incomingConnectionsMax) return true
    if (strangers === 0) return false
    const handshakeAt = this.#acceptor?.deadlineAt ?? Number.POSITIVE_INFINITY
    if (handshakeAt < this.#strangers.deadlineAt) this.#acceptor?.cutOldest()
    else this.#strangers.cutOldest()
    this.#counters.add('too-many-connections')
    return true
  }

  /** Past the bound the caller goes that leaves most unread. */
  #noteUnsent(more: number): void {
    this.#unsentBytes += more
    if (more < 0 || this.#unsentBytes <= this.#limits.unsentBytesNodeMax) return
    let slowest: Accepted | undefined
    for (const { value: connection } of this.#connections)
      if (connection.unsentBytes > (slowest?.unsentBytes ?? 0)) slowest = connection
    slowest?.giveWay()
  }

  #connectionClosed(place: Place<Accepted>): void {
    this.#connections.remove(place)
    if (this.#connections.size > 0) return
    if (this.#strangers.size + (this.#acceptor?.size ?? 0) === 0) this.#sweeper.stop()
    this.#onClosed?.()
  }

  #sweep(): number | undefined {
    const now = this.#clock.monotonicMs()
    this.#acceptor?.sweep()
    this.#strangers.sweep()
    const waiting = this.#strangers.size + (this.#acceptor?.size ?? 0)
    let nextAt = waiting > 0 ? now : Number.POSITIVE_INFINITY
    for (const { value: connection } of this.#connections) nextAt = Math.min(nextAt, connection.sweep(now))
    return this.#connections.size + waiting > 0 ? nextAt : undefined
  }
}

function strangerStats(socket: Socket): AcceptedStats {
  const address = formatHostPort({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 })
  return {
    caller: { node: '', address },
    state: 'hello',
    running: 0,
    accepted: 0,
    unsentBytes: 0,
    sentBytes: 0,
    receivedBytes: socket.bytesRead,
  }
}
