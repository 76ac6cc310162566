/**
 * An async iterator over one service: the present instances as `up`, then changes. It listens from the first `next()`
 * until `return`, `throw`, the signal or the source's close, whichever comes first, and never longer.
 */
import type { RegistryEvent } from './effects.js'
import type { ServiceSource } from './feed.js'
import { WatchQueue } from './watch-queue.js'

export interface WatchOptions {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined
}

/** To be iterated by one consumer. */
export type ServiceWatch = AsyncIterableIterator<RegistryEvent, undefined, undefined>

export function watchService(source: ServiceSource, service: string, options: WatchOptions = {}): ServiceWatch {
  return new Watch(source, service, options.signal)
}

type Waiter = (result: IteratorResult<RegistryEvent, undefined>) => void

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

class Watch implements ServiceWatch {
  readonly #source: ServiceSource
  readonly #service: string
  readonly #signal: AbortSignal | undefined
  readonly #queue = new WatchQueue()
  readonly #waiters: Waiter[] = []
  readonly #end = (): void => this.#becomeEnded()
  #phase: 'new' | 'live' | 'ended' = 'new'
  #unsubscribe: (() => void) | undefined

  constructor(source: ServiceSource, service: string, signal: AbortSignal | undefined) {
    this.#source = source
    this.#service = service
    this.#signal = signal
  }

  [Symbol.asyncIterator](): ServiceWatch {
    return this
  }

  async next(): Promise<IteratorResult<RegistryEvent, undefined>> {
    if (this.#phase === 'new') this.#becomeLive()
    if (this.#phase === 'ended') return DONE
    const event = this.#queue.take()
    if (event !== undefined) return { done: false, value: event }
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#becomeEnded()
    return DONE
  }

  async throw(error: unknown): Promise<never> {
    this.#becomeEnded()
    throw error
  }

  #becomeLive(): void {
    if (this.#signal?.aborted) {
      this.#becomeEnded()
      return
    }
    this.#phase = 'live'
    for (const instance of this.#source.getInstances(this.#service)) this.#queue.offer({ type: 'up', instance })
    this.#signal?.addEventListener('abort', this.#end, { once: true })
    const unsubscribe = this.#source.subscribe((event) => this.#handle(event))
    // A closed source has ended us within subscribe.
    if (this.#hasEnded()) unsubscribe()
    else this.#unsubscribe = unsubscribe
  }

  #becomeEnded(): void {
    this.#phase = 'ended'
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#signal?.removeEventListener('abort', this.#end)
    for (const resolve of this.#waiters.splice(0)) resolve(DONE)
  }

  #hasEnded(): boolean {
    return this.#phase === 'ended'
  }

  #handle(event: RegistryEvent | undefined): void {
    if (event === undefined) this.#becomeEnded()
    else if (event.instance.service === this.#service) {
      this.#queue.offer(event)
      this.#serveWaiters()
    }
  }

  #serveWaiters(): void {
    while (this.#waiters.length > 0) {
      const event = this.#queue.take()
      if (event === undefined) return
      this.#waiters.shift()?.({ done: false, value: event })
    }
  }
}
