/**
 * All services of this node: puts each in place on both sides, registry and rpc, and carries out what the node does to
 * all of them when it leaves or ends. What one of them does is its registration's affair.
 */
import type { Clock } from '../clock.js'
import { ShoalError } from '../errors.js'
import { checkOptionTable } from '../known-options.js'
import {
  type HealthCheckFunction,
  type HealthCheckOptions,
  type Registry,
  resolveHealthCheck,
  type ServiceMeta,
} from '../registry/index.js'
import {
  contractSchemas,
  contractStreams,
  isContract,
  type Middleware,
  methodNames,
  type Rpc,
  type ServiceRef,
} from '../rpc/index.js'
import type { ServiceHook } from './hook.js'
import { Registration, type ServiceHealth } from './registration.js'

export interface ProvideOptions {
  /** Plain data that every caller sees in the instance. */
  readonly meta?: ServiceMeta
  /** Default the contract's, or `''`. */
  readonly version?: string
  /** Start unlisted and not started; `resume()` starts and lists it. */
  readonly paused?: boolean
  /** Wraps every incoming call, local or remote, inside the node's `use`; the first is the outermost. */
  readonly use?: readonly Middleware[]
  /**
   * Calls that may run at once; more are refused as OVERLOADED, and of the last eighth those of a connection that has its
   * part of them. Default 10,000.
   */
  readonly maxInFlight?: number
  /** Run before the service is listed. When it fails it is run again every 5 s. */
  readonly start?: ServiceHook
  /** Run after the service was delisted and its calls have finished, at most 10 s. */
  readonly stop?: ServiceHook
  /** Milliseconds that a start hook may take, and that `provide` waits for the service to run. Default 30,000. */
  readonly startTimeout?: number
  /** Delists the service everywhere while it fails, and brings it back by itself. */
  readonly healthCheck?: HealthCheckFunction | HealthCheckOptions
}

export interface ProvidedServicesParts {
  readonly clock: Clock
  readonly registry: Registry
  readonly rpc: Rpc
  readonly flush: () => void
  readonly onFault: (error: Error) => void
}

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof ProvideOptions>([
  'meta',
  'version',
  'paused',
  'use',
  'maxInFlight',
  'start',
  'stop',
  'startTimeout',
  'healthCheck',
])
const START_TIMEOUT_MS = 30_000
const TIMER_MS_MAX = 0x7fff_ffff

export class ProvidedServices {
  readonly #parts: ProvidedServicesParts
  readonly #registrations = new Map<string, Registration>()

  constructor(parts: ProvidedServicesParts) {
    this.#parts = parts
  }

  /** Resolves when it runs, or at once when it is paused. Rejects INVALID_ARGUMENT, TOO_LARGE, SERVICE_FAILED; nothing is provided then. */
  async provide(service: ServiceRef, impl: object, options: ProvideOptions): Promise<Registration> {
    checkOptionTable(options, { what: 'option of provide', names: OPTION_NAMES, code: 'INVALID_ARGUMENT' })
    const { clock, registry, rpc, flush, onFault } = this.#parts
    const contract = isContract(service) ? service : undefined
    const name = contract?.name ?? (service as string)
    const registration = new Registration({
      service: name,
      clock,
      registry,
      rpc,
      flush,
      onFault,
      ...resolveHooks(name, options),
      paused: options.paused === true,
      onStopped: () => this.#registrations.delete(name),
    })
    const only = contract === undefined ? undefined : Object.keys(contract.methods)
    rpc.provide(name, {
      methods: impl,
      admission: () => registration.admission(),
      reason: () => registration.reason(),
      use: options.use,
      maxInFlight: options.maxInFlight,
      only,
      streams: contract === undefined ? undefined : contractStreams(contract),
      schemas: contract === undefined ? undefined : contractSchemas(contract),
    })
    try {
      const { status } = registration
      const version = options.version ?? contract?.version ?? ''
      registry.provide(
        { service: name, version, methods: only ?? methodNames(impl), meta: options.meta, status },
        clock.wallMs(),
      )
    } catch (error) {
      rpc.remove(name)
      throw error
    }
    this.#registrations.set(name, registration)
    try {
      await registration.begin()
    } catch (error) {
      registration.remove()
      throw error
    }
    return registration
  }

  health(): Record<string, ServiceHealth> {
    const health: Record<string, ServiceHealth> = Object.create(null)
    for (const [name, registration] of this.#registrations) health[name] = registration.health()
    return health
  }

  /** The node leaves: delists all of them for good and refuses new calls; waits for the running ones. True when none is left. */
  async drain(timeoutMs: number): Promise<boolean> {
    const all = [...this.#registrations.values()]
    const drained = await Promise.all(all.map((registration) => registration.drainToLeave(timeoutMs)))
    return drained.every((isEmpty) => isEmpty)
  }

  /** The node comes back after a leave, which has stopped them: they are to be provided again. */
  removeAll(): void {
    for (const registration of [...this.#registrations.values()]) registration.remove()
  }

  /** Runs the stop hooks of all of them, at most 10 s; what they answer to calls, and what is listed, stays as it is. */
  async shutDown(): Promise<void> {
    await Promise.all([...this.#registrations.values()].map((registration) => registration.shutDown()))
  }
}

function resolveHooks(
  service: string,
  { start, stop, startTimeout = START_TIMEOUT_MS, healthCheck, paused }: ProvideOptions,
): Pick<ConstructorParameters<typeof Registration>[0], 'start' | 'stop' | 'startTimeoutMs' | 'healthCheck'> {
  for (const [name, hook] of Object.entries({ start, stop })) {
    if (hook === undefined || typeof hook === 'function') continue
    throw new ShoalError('INVALID_ARGUMENT', `${name} of '${service}' must be a function, got ${typeof hook}`)
  }
  if (paused !== undefined && typeof paused !== 'boolean') {
    throw new ShoalError('INVALID_ARGUMENT', `paused of '${service}' must be true or false, got ${typeof paused}`)
  }
  if (!Number.isFinite(startTimeout) || startTimeout <= 0 || startTimeout > TIMER_MS_MAX) {
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `startTimeout of '${service}' is ${String(startTimeout)}, it must be milliseconds above 0 and at most ${TIMER_MS_MAX}`,
    )
  }
  const resolved = healthCheck === undefined ? undefined : resolveHealthCheck(healthCheck)
  return { start, stop, startTimeoutMs: startTimeout, healthCheck: resolved }
}
