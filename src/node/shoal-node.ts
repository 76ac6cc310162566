/**
 * The object that users hold: membership, registry and rpc behind one surface. Owns leave and close; everything else is
 * passed on to the module that knows it. How it is put together is decided in `node.ts`.
 */
import { type Clock, timerSetter } from '../clock.js'
import { ShoalError } from '../errors.js'
import {
  type JoinResult,
  type KeyringControl,
  type Member,
  type MemberEvent,
  Membership,
  type PingOptions,
} from '../membership/index.js'
import {
  type Instance,
  type Registry,
  type RegistryEvent,
  type ServiceFeed,
  type ServiceSource,
  type ServiceWatch,
  waitForServices,
  watchService,
} from '../registry/index.js'
import type {
  AnyApi,
  ApiStub,
  CallCbOptions,
  CallOptions,
  Contract,
  ContractStub,
  ModuleCallOptions,
  NodeResult,
  RemoteOptions,
  Rpc,
  RpcTlsOptions,
  ServiceImpl,
  ServiceRef,
  StreamCbOptions,
  StubOptions,
} from '../rpc/index.js'
import type { ClusterLink } from './cluster-link.js'
import type { Emitter } from './emitter.js'
import { type NodeHealth, nodeHealth } from './health.js'
import type { HealthEndpoint } from './health-endpoint.js'
import { inspectNode, type NodeInspection } from './inspection.js'
import { NodeKeyring } from './node-keyring.js'
import { checkNames, type LeaveOptions, type WaitForServicesOptions, type WatchOptions } from './node-options.js'
import type { ResolvedOptions } from './options.js'
import { ProvidedServices, type ProvideOptions } from './provided-services.js'
import type { Registration } from './registration.js'
import { nameOf, serviceNames } from './service-names.js'
import { checkTimeLimit } from './time-limit.js'

/** What a node tells its listeners. `fault` is trouble in the background that stopped nothing. */
export interface NodeEvents {
  readonly member: MemberEvent
  readonly service: RegistryEvent
  readonly fault: Error
}

/** A leave that the others did not take in by then is given up. */
export const LEAVE_TIMEOUT_MS = 2_000
const DEFAULT_WAIT_MS = 10_000
const DEFAULT_DRAIN_MS = 5_000

/** A member of a cluster. Made by `createNode`. */
export class ShoalNode implements AsyncDisposable {
  readonly name: string
  readonly cluster: string
  /** Where gossip reaches this node: `host:port`. */
  readonly address: string
  /** Where calls reach it: `host:port`. */
  readonly rpcAddress: string
  /** The keys of gossip and calls, to be replaced without a gap: add on all nodes, then use on all, then remove on all. */
  readonly keyring: KeyringControl
  readonly #clock: Clock
  readonly #membership: Membership
  readonly #registry: Registry
  readonly #rpc: Rpc
  readonly #link: ClusterLink
  readonly #emitter: Emitter<NodeEvents>
  readonly #feed: ServiceFeed
  readonly #source: ServiceSource
  readonly #services: ProvidedServices
  readonly #endpoint: HealthEndpoint | undefined
  #leaving: Promise<void> | undefined
  #closed: Promise<void> | undefined

  /** Use `createNode`. */
  constructor(parts: NodeParts) {
    const { options, membership, registry, rpc, link, emitter, feed } = parts
    this.name = options.name
    this.cluster = options.cluster
    this.address = membership.address
    this.rpcAddress = parts.rpcAddress
    this.keyring = new NodeKeyring(membership.keyring, rpc)
    this.#clock = parts.clock
    this.#membership = membership
    this.#registry = registry
    this.#rpc = rpc
    this.#link = link
    this.#emitter = emitter
    this.#feed = feed
    this.#endpoint = parts.endpoint
    this.#services = new ProvidedServices({
      clock: parts.clock,
      registry,
      rpc,
      flush: () => link.flush(),
      onFault: (error) => emitter.emit('fault', error),
    })
    this.#endpoint?.serve(() => this.health())
    this.#source = {
      countInstances: (service) => registry.countInstances(service),
      getInstances: (service) => registry.getInstances(service),
      subscribe: (listener) => feed.subscribe(listener),
    }
  }

  /**
   * Offers a service: resolves when it runs here, its start hook done, and its record is on the way; at once with
   * `paused`. Rejects INVALID_ARGUMENT, TOO_LARGE, CLOSED, or SERVICE_FAILED when it did not start within
   * `startTimeout`; nothing is provided then.
   */
  async provide<C extends Contract>(service: C, impl: ServiceImpl<C>, options?: ProvideOptions): Promise<Registration>
  async provide(service: string, impl: object, options?: ProvideOptions): Promise<Registration>
  async provide(service: ServiceRef, impl: object, options: ProvideOptions = {}): Promise<Registration> {
    this.#assertOpen()
    if (this.#leaving !== undefined) {
      throw new ShoalError('CLOSED', `node '${this.name}' is leaving its cluster, or has left it; 'join' comes back`)
    }
    return this.#services.provide(service, impl, options)
  }

  /** Makes functions callable by `call` with this node's name; they are never announced. Throws INVALID_ARGUMENT. */
  expose(module: string, functions: object): void {
    this.#assertOpen()
    this.#rpc.expose(module, functions)
  }

  /** A service as an object with its methods. Usable before the service is discovered: calls then wait with retries. */
  stub<C extends Contract>(service: C, options?: StubOptions): ContractStub<C>
  stub<Api extends object = AnyApi>(service: string, options?: StubOptions): ApiStub<Api>
  stub(service: ServiceRef, options?: StubOptions): object {
    return this.#rpc.stub(service, options)
  }

  /** Calls a method on the first instance that takes it: the local one, then others, as `executed` allows. */
  callCb<Result = unknown>(
    service: ServiceRef,
    method: string,
    args: readonly unknown[],
    options?: CallCbOptions,
  ): Promise<Result> {
    return this.#rpc.callCb(service, method, args, options) as Promise<Result>
  }

  /**
   * A method that answers with a stream, on the first instance that takes it: iterate it with `for await`. The call is
   * made when the first item is asked for, and ends with the stream, with `break`, with its signal or by `timeout`
   * (30 s for the whole, `Infinity` for none). With `nodes` also for functions that are exposed there.
   */
  streamCb<Item = unknown>(
    service: ServiceRef,
    method: string,
    args: readonly unknown[],
    options?: StreamCbOptions,
  ): AsyncGenerator<Item, void, undefined> {
    return this.#rpc.streamCb(service, method, args, options) as AsyncGenerator<Item, void, undefined>
  }

  /** Calls a method on all running instances in parallel; settled results in node order, `[]` if there are none. */
  callCbAll<Result = unknown>(
    service: ServiceRef,
    method: string,
    args: readonly unknown[],
    options?: CallOptions,
  ): Promise<NodeResult<Result>[]> {
    return this.#rpc.callCbAll(service, method, args, options) as Promise<NodeResult<Result>[]>
  }

  /** Calls an exposed function, or a service's method, on `nodes` or on the nodes of `service`. */
  call<Result = unknown>(
    module: string,
    fn: string,
    args: readonly unknown[],
    options?: ModuleCallOptions,
  ): Promise<Result> {
    return this.#rpc.call(module, fn, args, options) as Promise<Result>
  }

  /** `callCb` with further passes while no instance takes the call. */
  remote<Result = unknown>(
    service: ServiceRef,
    method: string,
    args: readonly unknown[],
    options?: RemoteOptions,
  ): Promise<Result> {
    return this.#rpc.remote(service, method, args, options) as Promise<Result>
  }

  /** Nodes that run the service: the local one first, the rest in another order each time, suspects last. */
  getNodes(service: ServiceRef): string[] {
    return this.#registry.getNodes(nameOf(service))
  }

  /** The running instances, in the order of `getNodes`. */
  getInstances(service: ServiceRef): Instance[] {
    return this.#registry.getInstances(nameOf(service))
  }

  /** What runs now, and every service ever seen. */
  getServices(): { running: Map<string, Instance[]>; seen: string[] } {
    return this.#registry.getServices()
  }

  /**
   * Resolves when all of them have `min` running instances. Rejects WAIT_TIMEOUT with `missing`, INVALID_ARGUMENT,
   * CANCELLED or CLOSED.
   */
  async waitForServices(services: readonly ServiceRef[], options: WaitForServicesOptions = {}): Promise<void> {
    const names = serviceNames(services)
    const { timeout, retries, min, signal } = checkNames('waitForServices', options)
    const timeoutMs = timeout ?? (retries === undefined ? DEFAULT_WAIT_MS : retries * 1_000)
    await waitForServices(this.#source, names, {
      timeoutMs,
      min,
      signal,
      setTimer: timerSetter(this.#clock),
    })
  }

  /** The running instances as `up`, then every change. Ends with the signal or the node. Throws INVALID_ARGUMENT. */
  watch(service: ServiceRef, options: WatchOptions = {}): ServiceWatch {
    return watchService(this.#source, nameOf(service), checkNames('watch', options))
  }

  /** Every member known, this node included, and until reaped the dead and those that left. Frozen snapshots. */
  members(): Member[] {
    return this.#membership.members()
  }

  /** Throws INVALID_ARGUMENT for another event, and for what is no function. */
  on<Name extends keyof NodeEvents>(name: Name, listener: (value: NodeEvents[Name]) => void): this {
    this.#emitter.on(name, listener)
    return this
  }

  off<Name extends keyof NodeEvents>(name: Name, listener: (value: NodeEvents[Name]) => void): this {
    this.#emitter.off(name, listener)
    return this
  }

  /**
   * One pass over these seeds, each reported; they do not become permanent. After `leave`, which it lets finish, the node
   * comes back, also with `[]` if it has permanent seeds; its services are to be provided again. Rejects INVALID_OPTION
   * for what is no seed, changing nothing.
   */
  async join(seeds: readonly string[]): Promise<readonly JoinResult[]> {
    this.#assertOpen()
    Membership.assertSeeds(seeds)
    for (let leaving = this.#leaving; leaving !== undefined; leaving = this.#leaving) {
      await leaving
      if (this.#leaving !== leaving) continue // back already by another call, or leaving again
      this.#leaving = undefined
      this.#services.removeAll()
    }
    this.#assertOpen()
    return this.#membership.join(seeds)
  }

  /**
   * One ping over UDP to a known member, the dead included; resolves with its round trip in ms. Rejects UNREACHABLE when
   * no answer comes within `timeout` (default the profile's `probeTimeoutMs`), INVALID_ARGUMENT for an unknown name or a
   * bad timeout, CLOSED, or OVERLOADED beyond 1,024 at once. Silence has the member probed at once.
   */
  async ping(member: string, options: PingOptions = {}): Promise<number> {
    this.#assertOpen()
    return this.#membership.ping(member, checkNames('ping', options))
  }

  /**
   * Other certificates for calls from now on, in a node that was started with `rpc.tls`: new calls take new connections,
   * those that run go on to their end. Throws INVALID_OPTION, changing nothing.
   */
  setTls(tls: RpcTlsOptions): void {
    this.#assertOpen()
    this.#rpc.setTls(tls)
  }

  /** Whether this node lives, whether it should get traffic, and the state of each of its services. */
  health(): NodeHealth {
    const phase = this.#closed !== undefined ? 'closed' : this.#leaving !== undefined ? 'leaving' : 'open'
    return nodeHealth(phase, this.#services.health())
  }

  /** Where the health is served over HTTP, `host:port`; undefined without the option `health`. */
  get healthAddress(): string | undefined {
    return this.#endpoint?.address
  }

  /** Everything about this node as one JSON-ready snapshot. */
  inspect(): NodeInspection {
    return inspectNode(this, {
      bootId: this.#link.bootId,
      membership: this.#membership,
      registry: this.#registry,
      rpc: this.#rpc,
    })
  }

  /**
   * Leaves the cluster: delists all services, lets running calls finish, tells the others, stops the services. Calls can
   * still be made until `close`, and `join` comes back. A second call before that gives the same promise. Rejects
   * INVALID_ARGUMENT for a `drain` that is no time, changing nothing, and CLOSED.
   */
  leave(options: LeaveOptions = {}): Promise<void> {
    try {
      const drainMs = checkTimeLimit('drain', checkNames('leave', options).drain ?? DEFAULT_DRAIN_MS)
      this.#leaving ??= this.#leave(drainMs)
      return this.#leaving
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Frees everything; calls in flight end with what is known of them. Without `leave` before, others see a crash. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Leaves unless it was closed before, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#closed === undefined) await this.leave()
    } finally {
      await this.close()
    }
  }

  /** The stop hooks come last: they may be slow, and nobody calls any more. */
  async #leave(drainMs: number): Promise<void> {
    this.#assertOpen()
    await Promise.all([this.#services.drain(drainMs), this.#rpc.drain(undefined, drainMs)])
    await this.#membership.leave(LEAVE_TIMEOUT_MS)
    await this.#services.shutDown()
  }

  async #close(): Promise<void> {
    await this.#services.shutDown()
    this.#link.close()
    this.#feed.close()
    await this.#rpc.close()
    await Promise.all([this.#membership.close(), this.#endpoint?.close()])
    this.#emitter.clear()
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new ShoalError('CLOSED', `node '${this.name}' is closed`)
  }
}

export interface NodeParts {
  readonly clock: Clock
  readonly options: ResolvedOptions
  readonly membership: Membership
  readonly registry: Registry
  readonly rpc: Rpc
  readonly rpcAddress: string
  readonly link: ClusterLink
  readonly emitter: Emitter<NodeEvents>
  readonly feed: ServiceFeed
  readonly endpoint: HealthEndpoint | undefined
}
