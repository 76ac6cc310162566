/**
 * Draws items from an iterator and hands them to a sink, never more than the sink has room for. However it ends, the
 * iterator has heard of it: a generator runs its `finally`, also when it is stopped in the middle of an item.
 */
import type { ItemSink } from './call.js'

export interface ItemPumpOptions {
  readonly iterator: AsyncIterator<unknown>
  readonly sink: ItemSink
  /** What becomes of an item on its way; by default it is sent as it is. */
  readonly check?: ((item: unknown) => unknown) | undefined
}

export class ItemPump {
  readonly #options: ItemPumpOptions
  #isStopped = false
  /** The iterator has ended by itself. */
  #isOver = false
  #closing: Promise<void> | undefined

  constructor(options: ItemPumpOptions) {
    this.#options = options
  }

  /** Resolves at the end of the items, or when it was stopped; rejects with what the iterator, `check` or the sink throws. */
  async run(): Promise<void> {
    const { sink, check } = this.#options
    try {
      for (;;) {
        for (let waiting = sink.ready(); waiting !== undefined; waiting = sink.ready()) await waiting
        if (this.#isStopped || sink.isClosed) return
        const item = await this.#next()
        if (item === undefined || this.#isStopped) return
        sink.send(check === undefined ? item.value : await check(item.value))
      }
    } finally {
      await this.#close()
    }
  }

  /** Ends it from outside: the iterator is closed at once, or, in the middle of an item, as soon as it gives way. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    // Told also while an item is under way: some iterators give up waiting for it. `run` has the errors.
    this.#close()?.catch(() => {})
  }

  async #next(): Promise<{ readonly value: unknown } | undefined> {
    try {
      const step = await this.#options.iterator.next()
      if (step.done !== true) return step
      this.#isOver = true
      return undefined
    } catch (error) {
      this.#isOver = true
      throw error
    }
  }

  #close(): Promise<void> | undefined {
    if (!this.#isOver) this.#closing ??= this.#return()
    return this.#closing
  }

  async #return(): Promise<void> {
    await this.#options.iterator.return?.()
  }
}
