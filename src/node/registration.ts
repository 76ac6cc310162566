/**
 * One provided service in the hands of its provider. Its state is the one source for both sides: the registry lists it,
 * and admission refuses calls by it. What follows what is decided by the table in `registry/lifecycle.ts`; here the
 * hooks are run, and delisting always comes before anything is taken away.
 */
import type { Clock, Timer } from '../clock.js'
import { ShoalError } from '../errors.js'
import {
  type AdminStatus,
  firstStep,
  isInTransition,
  type LifecycleInput,
  type LifecycleState,
  type LifecycleStep,
  nextStep,
  type Registry,
  type ResolvedHealthCheck,
  type ServiceMeta,
  type ServiceStatus,
} from '../registry/index.js'
import type { Admission, Rpc } from '../rpc/index.js'
import { asError } from './emitter.js'
import { HealthProbe } from './health-probe.js'
import { runHook, type ServiceHook } from './hook.js'
import { checkNames, type TimeoutOptions } from './node-options.js'
import { checkTimeLimit } from './time-limit.js'

export interface RegistrationParts {
  readonly service: string
  readonly clock: Clock
  readonly registry: Registry
  readonly rpc: Rpc
  readonly start: ServiceHook | undefined
  readonly stop: ServiceHook | undefined
  readonly healthCheck: ResolvedHealthCheck | undefined
  /** How long a start hook may take. */
  readonly startTimeoutMs: number
  readonly paused: boolean
  /** Lets the registry's news out. */
  readonly flush: () => void
  readonly onStopped: () => void
  /** A hook or a check failed; the service says so by its status, and this to whoever listens for faults. */
  readonly onFault: (error: Error) => void
}

/** The state of one service of this node, for operators. */
export interface ServiceHealth {
  readonly status: ServiceStatus
  readonly adminStatus: AdminStatus
  /** Why it is paused or failed. */
  readonly reason: string | undefined
}

/** A start that failed is tried again so often while the service is meant to be active. */
const RETRY_MS = 5_000
/** A stop hook that takes longer is left behind. */
export const STOP_HOOK_MS = 10_000
/** How long calls that run may finish before a stop hook takes away what they need, unless the caller says otherwise. */
const FINISH_MS = 5_000

export class Registration implements AsyncDisposable {
  readonly service: string
  readonly #parts: RegistrationParts
  readonly #probe: HealthProbe | undefined
  #state: LifecycleState
  #reason: string | undefined
  #removed = false
  /** Its node leaves, or is closed: it will not run again. */
  #isLeaving = false
  /** Set by `stop`. */
  #stopped: Promise<void> | undefined
  /** Set when the node goes. */
  #shutDown: Promise<void> | undefined
  #retryTimer: Timer | undefined
  /** Cancels the start hook that runs. */
  #starting: AbortController | undefined
  /** The stop hook that runs, or waits for calls to finish; and what ends that wait. */
  #stopping: Promise<void> | undefined
  #hurry = (): void => {}
  #finishMs = FINISH_MS
  #startError: Error | undefined
  /** Woken at every change of status. */
  readonly #waiting = new Set<() => void>()

  constructor(parts: RegistrationParts) {
    this.service = parts.service
    this.#parts = parts
    this.#state = firstStep(parts.paused).state
    const { healthCheck: options, service, clock } = parts
    if (options === undefined) return
    this.#probe = new HealthProbe({ service, clock, options, onVerdict: (verdict, why) => this.#judge(verdict, why) })
  }

  get status(): ServiceStatus {
    return this.#state.status
  }

  /** What was ordered last: `active`, `pause` or `inactive`. */
  get adminStatus(): AdminStatus {
    return this.#state.admin
  }

  /** What the callee answers to a call just now. */
  admission(): Admission {
    if (this.status === 'running') return 'running'
    return this.status === 'draining' ? 'draining' : 'unavailable'
  }

  reason(): string | undefined {
    return this.#reason
  }

  health(): ServiceHealth {
    return { status: this.status, adminStatus: this.adminStatus, reason: this.#reason }
  }

  /**
   * Runs the start hook unless the service is paused, and waits until it runs. Rejects SERVICE_FAILED when it does not
   * within the limit, whatever the number of tries. Called once, by whoever provides it.
   */
  async begin(): Promise<void> {
    const first = firstStep(this.#parts.paused)
    this.#enter(first, undefined)
    const endsAt = this.#parts.clock.monotonicMs() + this.#parts.startTimeoutMs
    while (this.#isOurs() && (this.status === 'starting' || this.status === 'failed')) {
      const left = endsAt - this.#parts.clock.monotonicMs()
      if (left <= 0) throw this.#startFailed(`did not start within ${this.#parts.startTimeoutMs} ms`)
      await this.#change(left)
    }
    if (!this.#isOurs()) throw new ShoalError('CLOSED', `'${this.service}' was stopped while it started`)
  }

  /** Is delisted and takes no more calls; resolves when those that run are done. Rejects CLOSED after `stop`. */
  async pause(reason?: string): Promise<void> {
    this.#order('pause', reason)
    while (this.#isOurs() && (this.status === 'pausing' || isInTransition(this.#state))) await this.#change()
  }

  /**
   * Takes calls again, after running the start hook when it was deactivated or never started. Rejects SERVICE_FAILED
   * when that fails: it is tried again every 5 s then. Rejects CLOSED after `stop`, and once its node leaves or closes.
   */
  async resume(): Promise<void> {
    this.#order('activate', undefined)
    while (this.#isOurs() && isInTransition(this.#state)) await this.#change()
    if (this.status === 'failed' && !this.#state.isStarted) throw this.#startFailed('did not start')
  }

  /**
   * Is delisted, gives running calls `timeout` ms (default 5,000) to finish where there is a stop hook, and runs it.
   * `resume` starts it again. Rejects CLOSED after `stop`; a stop hook that fails is a fault, and the service stopped.
   */
  async deactivate(options: TimeoutOptions = {}): Promise<void> {
    this.#orderStop('deactivate', options)
    await this.#untilStopped()
  }

  /** Replaces what others see in the instance's `meta`. Throws INVALID_ARGUMENT or TOO_LARGE, changing nothing. */
  setMeta(meta: ServiceMeta): void {
    this.#assertProvided()
    this.#parts.registry.setMeta(this.service, meta, this.#parts.clock.wallMs())
    this.#parts.flush()
  }

  /**
   * Is delisted, refuses new calls as DRAINING, and waits for the running ones: true when none was left within `timeout`
   * ms (default 10,000). Stays draining until `resume` or `stop`. What was not started yet is kept from starting instead.
   */
  async drain(options: TimeoutOptions = {}): Promise<boolean> {
    const { timeout = 10_000 } = checkNames('drain', options)
    checkTimeLimit(`timeout for '${this.service}'`, timeout)
    this.#order('drain', undefined)
    return this.#parts.rpc.drain(this.service, timeout)
  }

  /**
   * Its node leaves: drains it for good.
   * @internal
   */
  drainToLeave(timeoutMs: number): Promise<boolean> {
    this.#isLeaving = true
    return this.#stopped === undefined
      ? this.drain({ timeout: timeoutMs })
      : this.#parts.rpc.drain(this.service, timeoutMs)
  }

  /**
   * Deactivates it as `deactivate` does, and withdraws it: others forget it, and it may be provided again. From the call
   * on no other order is taken. A second call waits for the same.
   */
  async stop(options: TimeoutOptions = {}): Promise<void> {
    checkNames('stop', options)
    if (!this.#isOurs()) return this.#shutDown
    if (this.#stopped === undefined) {
      this.#orderStop('stop', options)
      this.#stopped = this.#untilStopped().then(() => this.remove())
    }
    return this.#stopped
  }

  /** Withdraws it at once, without hooks. */
  remove(): void {
    if (this.#removed) return
    this.#removed = true
    this.#parts.clock.clearTimer(this.#retryTimer)
    this.#probe?.stop()
    this.#starting?.abort()
    this.#state = { admin: 'inactive', status: 'stopped', isStarted: false }
    const { registry, rpc, flush, onStopped } = this.#parts
    registry.withdraw(this.service, this.#parts.clock.wallMs())
    flush()
    rpc.remove(this.service)
    onStopped()
    this.#wake()
  }

  /** The node goes: nothing more is announced, only the stop hook is run, once. Never rejects. */
  shutDown(): Promise<void> {
    this.#isLeaving = true
    this.#shutDown ??= this.#endQuietly()
    return this.#shutDown
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #order(input: LifecycleInput, reason: string | undefined): void {
    this.#assertProvided()
    if (input === 'activate' && this.#isLeaving) throw this.#closed('belongs to a node that leaves or has left')
    if (this.#shutDown !== undefined) return // it is stopped already, or is being
    this.#apply(input, reason)
    if (this.adminStatus !== 'active') this.#starting?.abort()
  }

  #orderStop(of: 'deactivate' | 'stop', options: TimeoutOptions): void {
    const { timeout = FINISH_MS } = checkNames(of, options)
    this.#finishMs = checkTimeLimit(`timeout for '${this.service}'`, timeout)
    this.#order('deactivate', undefined)
  }

  async #untilStopped(): Promise<void> {
    while (this.#isOurs() && isInTransition(this.#state)) await this.#change()
    await this.#shutDown
  }

  #apply(input: LifecycleInput, reason: string | undefined): void {
    const step = nextStep(this.#state, input)
    const changes = step.state.status !== this.status || step.hook !== undefined
    if (changes || (input === 'pause' && reason !== undefined)) {
      this.#enter(step, reason)
      return
    }
    this.#state = step.state // an order to be obeyed later, or none at all
    this.#wake()
  }

  /** The registry comes first, for it may throw: what is listed and what is admitted must not differ. */
  #enter(step: LifecycleStep, reason: string | undefined): void {
    const { registry, rpc, flush } = this.#parts
    const { state, hook } = this.#withoutHook(step)
    const isIdle = state.status === 'pausing' && rpc.running(this.service) === 0
    const next = isIdle ? nextStep(state, 'idle').state : state
    registry.setStatus(this.service, { status: next.status, reason, at: this.#parts.clock.wallMs() })
    this.#state = next
    this.#reason = reason
    flush()
    this.#follow(hook)
    this.#wake()
  }

  /** Where there is no hook its work is done at once. */
  #withoutHook(step: LifecycleStep): LifecycleStep {
    if (step.hook === undefined || this.#parts[step.hook] !== undefined) return step
    return this.#withoutHook(nextStep(step.state, step.hook === 'start' ? 'started' : 'stopped'))
  }

  /** What a new status entails. */
  #follow(hook: 'start' | 'stop' | undefined): void {
    const { status, isStarted, admin } = this.#state
    this.#parts.clock.clearTimer(this.#retryTimer)
    const isChecked = status === 'running' || (status === 'failed' && isStarted)
    if (!isChecked) this.#probe?.stop()
    if (hook === 'start') void this.#runStart()
    else if (hook === 'stop') this.#stopping = this.#runStop()
    else if (status === 'pausing') void this.#waitIdle()
    else if (status === 'running' && this.#probe?.isOn === false) this.#probe.start()
    else if (status === 'failed' && !isStarted && admin === 'active')
      this.#retryTimer = this.#parts.clock.setTimeout(() => this.#apply('retry', undefined), RETRY_MS)
  }

  async #runStart(): Promise<void> {
    const { start, service, clock, startTimeoutMs: timeoutMs, onFault } = this.#parts
    const controller = new AbortController()
    this.#starting = controller
    try {
      const what = `the start hook of '${service}'`
      await runHook({ hook: start as ServiceHook, what, timeoutMs, clock, signal: controller.signal })
      this.#startError = undefined
      this.#report('started', undefined)
    } catch (thrown) {
      this.#startError = asError(thrown)
      if (!controller.signal.aborted) onFault(this.#startError)
      this.#report('start-failed', this.#startError.message)
      // It was cancelled by an order that does not hold any more.
      if (controller.signal.aborted) this.#report('retry', undefined)
    } finally {
      if (this.#starting === controller) this.#starting = undefined
    }
  }

  async #runStop(): Promise<void> {
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve
    })
    await Promise.race([this.#parts.rpc.drain(this.service, this.#finishMs), hurried])
    await this.#callStop()
    this.#report('stopped', undefined)
  }

  async #callStop(): Promise<void> {
    const { stop: hook, service, clock, onFault } = this.#parts
    if (hook === undefined) return
    try {
      await runHook({ hook, what: `the stop hook of '${service}'`, timeoutMs: STOP_HOOK_MS, clock })
    } catch (thrown) {
      onFault(asError(thrown))
    }
  }

  async #endQuietly(): Promise<void> {
    this.#parts.clock.clearTimer(this.#retryTimer)
    this.#probe?.stop()
    this.#starting?.abort()
    const { isStarted, status } = this.#state
    this.#wake()
    if (status === 'stopping') {
      this.#hurry()
      await this.#stopping
    } else if (isStarted) await this.#callStop()
  }

  async #waitIdle(): Promise<void> {
    while (this.#isOurs() && this.status === 'pausing') {
      await this.#parts.rpc.idle(this.service)
      if (this.#parts.rpc.running(this.service) === 0) this.#report('idle', this.#reason)
    }
  }

  /** A hook's end may come after the service was withdrawn. */
  #report(input: LifecycleInput, reason: string | undefined): void {
    if (this.#isOurs()) this.#apply(input, reason)
  }

  #judge(verdict: 'healthy' | 'unhealthy', why: string | undefined): void {
    if (verdict === 'unhealthy')
      this.#parts.onFault(new ShoalError('SERVICE_FAILED', `'${this.service}' is unhealthy: ${why ?? ''}`))
    this.#report(verdict, why)
  }

  #startFailed(what: string): ShoalError {
    const why = this.#startError === undefined ? '' : `: ${this.#startError.message}`
    return new ShoalError('SERVICE_FAILED', `'${this.service}' ${what}${why}`, { cause: this.#startError })
  }

  /** Resolves at the next change of status, or after `limitMs`. */
  #change(limitMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#parts.clock.clearTimer(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = limitMs === undefined ? undefined : this.#parts.clock.setTimeout(done, limitMs)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  /** Neither withdrawn nor left behind by its node. */
  #isOurs(): boolean {
    return !this.#removed && this.#shutDown === undefined
  }

  #assertProvided(): void {
    if (this.#removed || this.#stopped !== undefined) throw this.#closed('was stopped')
  }

  #closed(why: string): ShoalError {
    return new ShoalError('CLOSED', `'${this.service}' ${why}; provide it again`)
  }
}
