/**
 * Waiting for services, driven by events: no polling, one deadline for the whole list. The timer is injected; the promise
 * owns its timer and listeners and lets go of them however it ends.
 */
import { ShoalError, WaitTimeoutError } from '../errors.js'
import type { FeedListener, ServiceSource } from './feed.js'

/** Runs the callback once after `ms`; what it returns cancels that. */
export type SetTimer = (callback: () => void, ms: number) => () => void

export interface WaitOptions {
  /** Instances wanted of each service. Default 1. */
  readonly min?: number | undefined
  /** 0 looks once; Infinity waits until the signal or the close. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  readonly setTimer: SetTimer
}

/** Which services of a list still have too few instances. */
export class WaitList {
  readonly #min: number
  readonly #counts = new Map<string, number>()

  constructor(services: readonly string[], min: number) {
    this.#min = min
    for (const service of services) this.#counts.set(service, 0)
  }

  /** True when the service is on the list. */
  has(service: string): boolean {
    return this.#counts.has(service)
  }

  update(service: string, count: number): void {
    if (this.#counts.has(service)) this.#counts.set(service, count)
  }

  /** In the order of the list, each once. */
  missing(): string[] {
    return [...this.#counts].filter(([, count]) => count < this.#min).map(([service]) => service)
  }

  services(): IterableIterator<string> {
    return this.#counts.keys()
  }
}

/**
 * Resolves as soon as every listed service has `min` running instances at one time. Rejects WAIT_TIMEOUT with what is
 * missing, CANCELLED by the signal, CLOSED when the source closes, INVALID_ARGUMENT for a bad `min` or `timeoutMs`.
 */
export async function waitForServices(
  source: ServiceSource,
  services: readonly string[],
  options: WaitOptions,
): Promise<void> {
  const { min = 1, timeoutMs, signal, setTimer } = options
  if (!Number.isInteger(min) || min < 1) throw invalid('min', 'an integer from 1', min)
  if (!(timeoutMs >= 0)) throw invalid('timeout', 'from 0 ms', timeoutMs)
  if (signal?.aborted) throw cancelled(signal)
  const list = new WaitList(services, min)
  for (const service of list.services()) list.update(service, source.countInstances(service))
  if (list.missing().length === 0) return
  if (timeoutMs === 0) throw new WaitTimeoutError(list.missing(), 0)

  const cleanups: (() => void)[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      const listener: FeedListener = (event) => {
        if (event === undefined) return reject(new ShoalError('CLOSED', 'closed while waiting for services'))
        const { service } = event.instance
        if (!list.has(service)) return
        list.update(service, source.countInstances(service))
        if (list.missing().length === 0) resolve()
      }
      cleanups.push(source.subscribe(listener))
      if (Number.isFinite(timeoutMs)) {
        cleanups.push(setTimer(() => reject(new WaitTimeoutError(list.missing(), timeoutMs)), timeoutMs))
      }
      if (signal !== undefined) cleanups.push(onAbort(signal, () => reject(cancelled(signal))))
    })
  } finally {
    for (const cleanup of cleanups) cleanup()
  }
}

function onAbort(signal: AbortSignal, listener: () => void): () => void {
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

function cancelled(signal: AbortSignal): ShoalError {
  return new ShoalError('CANCELLED', 'waiting for services was cancelled', { cause: signal.reason })
}

function invalid(what: string, wanted: string, got: unknown): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `${what} must be ${wanted}, not ${String(got)}`)
}
