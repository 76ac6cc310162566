/**
 * Calling and being called, as one object: the handlers of this process behind a listener, and the calling functions in
 * front of local and remote attempts. Decides only which of the two an instance gets; owns what has to be closed.
 */
import { formatHostPort, type HostPort } from '../address.js'
import { type Clock, timerSetter } from '../clock.js'
import { RpcError, ShoalError } from '../errors.js'
import { type Sockets, systemRuntime } from '../runtime.js'
import { ByteBudget } from './byte-budget.js'
import type { Attempt } from './call.js'
import {
  type CallCbOptions,
  type CallOptions,
  checkItemTimeout,
  type ModuleCallOptions,
  type RemoteOptions,
  type RetryOptions,
  resolveRetry,
  type StreamCbOptions,
  type StubOptions,
} from './call-options.js'
import type { CallSpec, ServiceRef } from './call-plan.js'
import { Caller, type NodeResult, promised } from './caller.js'
import { CertificateSecurity, type RpcTlsOptions } from './certificate-security.js'
import type { ChannelSecurity } from './channel-security.js'
import { Circuits } from './circuits.js'
import { resolveCodec } from './codec-choice.js'
import { type Contract, isContract } from './contract.js'
import { runInCall } from './current-call.js'
import { CALL_TIMEOUT_MS, REMOTE_TIMEOUT_MS, TIMEOUT_MS_MAX } from './deadline.js'
import { DeadlineSweep, type Expiring } from './deadline-sweep.js'
import { type Dial, dialOver, dialSecured } from './dialer.js'
import { Handlers } from './handlers.js'
import type { Provided } from './handlers-options.js'
import { isAsyncIterable } from './input-argument.js'
import { ItemStream, type OpenedStream } from './item-stream.js'
import { KeySecurity } from './key-security.js'
import { resolveRpcLimits } from './limits.js'
import { LocalAttempt } from './local-attempt.js'
import { OutgoingLayers } from './outgoing-layers.js'
import { Peers } from './peers.js'
import { Retrier } from './retry.js'
import { RetryBudget } from './retry-budget.js'
import type { RpcOptions, RpcStats } from './rpc-options.js'
import { RpcServer } from './server.js'
import { Slabs } from './slabs.js'
import type { Stream } from './stream-method.js'
import { type AnyApi, type ApiStub, type ContractStub, makeStub, type StubInvoke } from './stub.js'
import { tracedDispatcher } from './tracing.js'

/** So long callers may take to hear that this node goes, and to end their side of the connection. */
const CLOSE_GRACE_MS = 100
/** Names may come from outside, through a gateway: past so many, each stub is made anew. */
const CACHED_STUBS_MAX = 1_000

export class Rpc {
  readonly #bind: HostPort
  readonly #clock: Clock
  readonly #identity: { readonly cluster: string; readonly node: string; bootId: string }
  readonly #handlers: Handlers
  readonly #local: LocalAttempt
  readonly #peers: Peers
  readonly #server: RpcServer
  readonly #caller: Caller
  readonly #retrier: Retrier
  readonly #circuits: Circuits
  readonly #budget: RetryBudget
  readonly #outgoing: OutgoingLayers | undefined
  readonly #itemDeadlines: DeadlineSweep<Expiring>
  readonly #security: KeySecurity | CertificateSecurity | undefined
  readonly #stubs = new Map<ServiceRef, object>()
  /** Gives up one wait for running calls each. */
  readonly #drains = new Set<() => void>()
  #address: string
  #closing: Promise<void> | undefined

  constructor(options: RpcOptions) {
    const { cluster, node, bootId, limits, onEvidence, exposeStacks, use, useOutgoing = [] } = options
    const { clock, random, sockets } = options.runtime ?? systemRuntime
    const now = clock.monotonicMs
    this.#bind = options.bind
    this.#clock = clock
    this.#itemDeadlines = new DeadlineSweep<Expiring>(clock.monotonicMs, clock)
    this.#address = formatHostPort(options.bind)
    this.#identity = { cluster, node, bootId }
    const { onFault, authorize } = options
    const faults = { onCastFailed: onFault, onResultRefused: onFault, onAuthorizeFailed: onFault }
    this.#handlers = new Handlers({ node, now, runInCall, exposeStacks, use, authorize, ...faults })
    // Sockets of another world have no TLS; keys from the environment protect gossip alone there.
    this.#security = sockets === undefined ? securityOf(options) : undefined
    const security = this.#security
    const { receivedBytesNodeMax, frameBytesMax } = resolveRpcLimits(limits)
    const codec = resolveCodec(options.codec, { payloadBytesMax: frameBytesMax })
    const dispatcher = tracedDispatcher(this.#handlers)
    this.#local = new LocalAttempt({
      dispatcher,
      node,
      address: () => this.#address,
      passing: options.local ?? 'reference',
      codec,
      now,
      clock,
    })
    const budget = new ByteBudget(receivedBytesNodeMax)
    const transport = { identity: this.#identity, limits, codec, budget, slabs: new Slabs(), clock }
    this.#circuits = new Circuits()
    this.#budget = new RetryBudget(now())
    this.#peers = new Peers({
      ...transport,
      random: options.random ?? random,
      dial: dialOf(security, sockets),
      onEvidence: (target, evidence) => {
        if (evidence !== 'answered') this.#circuits.lost(target, now())
        onEvidence?.(target.node, evidence)
      },
      onOutcome: (service, target, error) => {
        if (error !== undefined || !this.#circuits.isClear) this.#circuits.note(service, target, error, now())
      },
    })
    this.#server = new RpcServer({ ...transport, dispatcher, security, onFault, sockets })
    const attempt: Attempt = (candidate, request, at) => {
      request.trace?.tried(candidate.node)
      return candidate.local && request.forceRemote !== true
        ? this.#local.attempt(candidate, request)
        : this.#peers.attempt(candidate, request, at)
    }
    this.#outgoing = useOutgoing.length === 0 ? undefined : new OutgoingLayers({ layers: [...useOutgoing], now, clock })
    const parts = {
      attempt,
      now,
      circuits: this.#circuits,
      budget: this.#budget,
      setTimer: timerSetter(clock),
      outgoing: this.#outgoing,
    }
    this.#caller = new Caller({ directory: options.directory, ...parts })
    const mayRetry = (): boolean => this.#budget.tryTake(now())
    this.#retrier = new Retrier({ pass: (plan) => this.#caller.pass(plan), now, mayRetry, clock })
  }

  /** Binds the listener. Rejects with the socket's error; nothing is left open then. */
  async listen(): Promise<HostPort> {
    const bound = await this.#server.listen(this.#bind)
    this.#address = formatHostPort(bound)
    return bound
  }

  /** Throws INVALID_ARGUMENT, changing nothing. */
  provide(service: string, provided: Provided): void {
    this.#handlers.provide(service, provided)
  }

  /** Throws INVALID_ARGUMENT, changing nothing. */
  expose(module: string, functions: object): void {
    this.#handlers.expose(module, functions)
  }

  /** Calls that run already run on. False when there was nothing of that name. */
  remove(name: string): boolean {
    return this.#handlers.remove(name)
  }

  /** Calls of the service that run in this process. */
  running(service: string): number {
    return this.#handlers.running(service)
  }

  /** Resolves when none does. Never rejects. */
  idle(service: string): Promise<void> {
    return this.#handlers.idle(service)
  }

  /** True when no call of the service, or without a name of any, was left running within `timeoutMs`, or at `close`. */
  async drain(service: string | undefined, timeoutMs: number): Promise<boolean> {
    let giveUp = (): void => {}
    const late = new Promise<false>((resolve) => {
      giveUp = () => resolve(false)
    })
    const timer = this.#clock.setTimeout(giveUp, this.#closing === undefined ? Math.min(timeoutMs, TIMEOUT_MS_MAX) : 0)
    this.#drains.add(giveUp)
    try {
      return await Promise.race([this.#handlers.idle(service).then(() => true), late])
    } finally {
      this.#clock.clearTimer(timer)
      this.#drains.delete(giveUp)
    }
  }

  /** One call on the first instance that takes it; with `retry` also in further passes. */
  callCb(service: ServiceRef, method: string, args: readonly unknown[], options?: CallCbOptions): Promise<unknown> {
    const spec = { service, method, args, options, of: 'callCb' } as const
    const retry = options?.retry
    if ((retry === undefined || retry === false) && this.#closing === undefined) return this.#caller.callCb(spec)
    if (retry === undefined || retry === false) return this.#open(() => this.#caller.callCb(spec))
    return this.#retry(spec, retry === true ? {} : retry, CALL_TIMEOUT_MS)
  }

  /**
   * A method that answers with a stream, on the first instance that takes it. The call is made when the first item is
   * asked for; another instance is tried, as `executed` allows, until one item has come.
   */
  streamCb(
    service: ServiceRef,
    method: string,
    args: readonly unknown[],
    options?: StreamCbOptions,
  ): AsyncGenerator<unknown, void, undefined> {
    const retry = options?.retry
    const policy = retry === undefined || retry === false ? undefined : retry === true ? {} : retry
    return this.#stream({ service, method, args, options, of: 'streamCb' }, policy)
  }

  /** All running instances in parallel; settled results in node order, `[]` if there are none. */
  callCbAll(
    service: ServiceRef,
    method: string,
    args: readonly unknown[],
    options?: CallOptions,
  ): Promise<NodeResult[]> {
    return this.#open(() => this.#caller.callCbAll({ service, method, args, options, of: 'callCbAll' }))
  }

  /** A function of an exposed module or service, on `nodes`, else on the nodes of `service`, else of the current call's. */
  call(module: string, fn: string, args: readonly unknown[], options?: ModuleCallOptions): Promise<unknown> {
    return this.#open(() => this.#caller.call({ service: module, method: fn, args, options, of: 'call' }))
  }

  /** `callCb` with further passes while no instance takes the call. */
  remote(service: ServiceRef, method: string, args: readonly unknown[], options?: RemoteOptions): Promise<unknown> {
    return this.#retry({ service, method, args, options, of: 'remote' }, options ?? {}, REMOTE_TIMEOUT_MS)
  }

  /** The same object each time for one of the first 1,000 services, unless options are given. Throws INVALID_ARGUMENT. */
  stub<C extends Contract>(service: C, options?: StubOptions): ContractStub<C>
  stub<Api extends object = AnyApi>(service: string, options?: StubOptions): ApiStub<Api>
  stub(service: ServiceRef, options?: StubOptions): object
  stub(service: ServiceRef, options?: StubOptions): object {
    const invoke: StubInvoke = {
      call: (method, args, options) => this.#retry({ service, method, args, options }, options, REMOTE_TIMEOUT_MS),
      stream: (method, args, given) => this.#stream({ service, method, args, options: given }, given),
    }
    if (options !== undefined) return makeStub(service, options, invoke)
    const known = this.#stubs.get(service) ?? makeStub(service, {}, invoke)
    if (this.#stubs.size < CACHED_STUBS_MAX) this.#stubs.set(service, known)
    return known
  }

  /** Calls of this node under way at another one, or in this process. */
  pending(node: string): number {
    const local = node === this.#identity.node ? this.#local.pending() : 0
    return local + this.#peers.pending(node)
  }

  /** From now on this node is another boot: callees and callers that expect the earlier one are refused. */
  setBootId(bootId: string): void {
    this.#identity.bootId = bootId
  }

  /**
   * The keys from now on, in a node that began with keys and without certificates. With another primary one, new calls go
   * over new connections; a connection made with a key that is gone takes no more calls. What runs goes on to its end.
   */
  setKeys(keys: readonly Uint8Array[]): void {
    const security = this.#security
    if (security?.kind !== 'keys') return
    if (security.setKeys(keys)) this.#peers.renewConnections()
    this.#server.retireKeysExcept((id) => security.isKnown(id))
  }

  /** Certificates for connections to come. Throws INVALID_OPTION, changing nothing. */
  setTls(tls: RpcTlsOptions): void {
    if (this.#security?.kind !== 'certificates')
      throw new ShoalError('INVALID_OPTION', 'this node does not use certificates: start it with the option rpc.tls')
    this.#security.setOptions(tls)
    this.#server.renewSecurity()
    this.#peers.renewConnections()
  }

  /** Membership calls the node dead: its connections are pinged, and ended after a second of silence. */
  probe(node: string): void {
    this.#peers.probe(node)
  }

  stats(): RpcStats {
    return {
      handlers: this.#handlers.stats(),
      peers: this.#peers.stats(),
      server: this.#server.stats(),
      security: this.#security?.kind ?? 'none',
      localPending: this.#local.pending(),
      retryPauses: this.#retrier.pausing(),
      retriesDenied: this.#budget.denied,
      circuits: {
        ejected: this.#circuits.ejectedCount(this.#clock.monotonicMs()),
        ejections: this.#circuits.ejections,
      },
    }
  }

  /** Ends everything; calls in flight reject with what is known of them. A second call gives the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#outgoing?.close()
    this.#itemDeadlines.stop()
    this.#retrier.close()
    this.#local.close()
    for (const giveUp of this.#drains) giveUp()
    await Promise.all([this.#server.close({ graceMs: CLOSE_GRACE_MS }), this.#peers.close()])
  }

  #stream(
    spec: CallSpec & { readonly options: StreamCbOptions | undefined },
    retry: RetryOptions | undefined,
  ): AsyncGenerator<unknown, void, undefined> {
    const { service, method, options } = spec
    return new ItemStream({
      name: `${isContract(service) ? service.name : service}.${method}`,
      signal: options?.signal,
      itemTimeoutMs: () => checkItemTimeout(options?.itemTimeout ?? streamOf(service, method)?.itemTimeout),
      now: this.#clock.monotonicMs,
      isClosed: () => this.#closing !== undefined,
      deadlines: this.#itemDeadlines,
      open: (signal) => this.#open(() => this.#openStream({ ...spec, options: { ...options, signal } }, retry)),
    })
  }

  async #openStream(spec: CallSpec, retry: RetryOptions | undefined): Promise<OpenedStream> {
    const policy = retry === undefined ? undefined : resolveRetry(retry)
    const planned = this.#caller.plan({ ...spec, stream: true }, CALL_TIMEOUT_MS)
    let source: AsyncIterator<unknown> | undefined
    // Past the layers around it, which have no business with the items.
    const answer = await this.#caller.layered(planned, async (plan) => {
      const opened = policy === undefined ? this.#caller.pass(plan) : this.#retrier.run(plan, policy)
      source = (await opened) as AsyncIterator<unknown>
    })
    const { deadlineAt } = planned.request
    if (source !== undefined) return { source, deadlineAt }
    if (isAsyncIterable(answer)) return { source: answer[Symbol.asyncIterator](), deadlineAt }
    throw new RpcError('CANCELLED', 'a middleware of this node answered without making the call', { executed: 'no' })
  }

  #retry(spec: CallSpec, retry: RetryOptions, defaultTimeoutMs: number): Promise<unknown> {
    return this.#open(() => {
      const policy = resolveRetry(retry)
      const planned = this.#caller.plan(spec, defaultTimeoutMs)
      return this.#caller.layered(planned, (plan) => this.#retrier.run(plan, policy))
    })
  }

  /** Where a call begins: a rejection whatever it throws, and CLOSED once nobody could be called any more. */
  #open<T>(start: () => Promise<T>): Promise<T> {
    if (this.#closing === undefined) return promised(start)
    const message = `node '${this.#identity.node}' is closed, nothing was called`
    return Promise.reject(new RpcError('CLOSED', message, { executed: 'no' }))
  }
}

function streamOf(service: ServiceRef, method: string): Stream | undefined {
  const described = isContract(service) ? service.methods[method] : undefined
  return described?.kind === 'stream' ? described : undefined
}

function securityOf({ tls, keys, cluster }: RpcOptions): KeySecurity | CertificateSecurity | undefined {
  if (tls !== undefined) return new CertificateSecurity(tls)
  return keys === undefined ? undefined : new KeySecurity(keys, cluster)
}

function dialOf(security: ChannelSecurity | undefined, sockets: Sockets | undefined): Dial | undefined {
  if (security !== undefined) return dialSecured(security)
  return sockets === undefined ? undefined : dialOver(sockets.connect)
}
