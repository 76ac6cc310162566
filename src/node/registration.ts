/**
 * One provided service in the hands of its provider. Its status is the one source for both sides: the registry lists it,
 * and admission refuses calls by it. Delisting always comes before anything is taken away.
 */
import { wallMs } from '../clock.js'
import { ShoalError } from '../errors.js'
import type { Registry, ServiceMeta, ServiceStatus } from '../registry/index.js'
import type { Admission, Rpc } from '../rpc/index.js'

export interface RegistrationParts {
  readonly service: string
  readonly registry: Registry
  readonly rpc: Rpc
  /** Lets the registry's news out. */
  readonly flush: () => void
  readonly onStopped: () => void
}

export class Registration implements AsyncDisposable {
  readonly service: string
  readonly #parts: RegistrationParts
  #status: ServiceStatus
  #reason: string | undefined

  constructor(parts: RegistrationParts, status: 'running' | 'paused') {
    this.service = parts.service
    this.#parts = parts
    this.#status = status
  }

  get status(): ServiceStatus {
    return this.#status
  }

  /** What the callee answers to a call just now. */
  admission(): Admission {
    if (this.#status === 'running') return 'running'
    return this.#status === 'draining' ? 'draining' : 'unavailable'
  }

  reason(): string | undefined {
    return this.#reason
  }

  /** Takes no more calls and is delisted; calls that run already run on. Throws CLOSED after `stop`. */
  pause(reason?: string): void {
    this.#become('paused', reason)
  }

  /** Takes calls again. Throws CLOSED after `stop`. */
  resume(): void {
    this.#become('running', undefined)
  }

  /** Replaces what others see in the instance's `meta`. Throws INVALID_ARGUMENT or TOO_LARGE, changing nothing. */
  setMeta(meta: ServiceMeta): void {
    this.#assertProvided()
    this.#parts.registry.setMeta(this.service, meta, wallMs())
    this.#parts.flush()
  }

  /**
   * Delists, refuses new calls as DRAINING, and waits for the running ones: true when none was left within `timeout` ms
   * (default 10,000). Stays draining until `resume` or `stop`.
   */
  async drain({ timeout = 10_000 }: { readonly timeout?: number } = {}): Promise<boolean> {
    this.#become('draining', undefined)
    return this.#parts.rpc.drain(this.service, timeout)
  }

  /** Delists and withdraws the service. Calls that run already run on. A second call does nothing. */
  async stop(): Promise<void> {
    if (this.#status === 'stopped') return
    this.#status = 'stopped'
    this.#parts.registry.withdraw(this.service, wallMs())
    this.#parts.flush()
    this.#parts.rpc.remove(this.service)
    this.#parts.onStopped()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #become(status: ServiceStatus, reason: string | undefined): void {
    this.#assertProvided()
    // First what may throw: what is listed and what is admitted must not differ.
    this.#parts.registry.setStatus(this.service, { status, reason, at: wallMs() })
    this.#status = status
    this.#reason = reason
    this.#parts.flush()
  }

  #assertProvided(): void {
    if (this.#status !== 'stopped') return
    throw new ShoalError('CLOSED', `'${this.service}' was stopped; provide it again`)
  }
}
