/**
 * A stream as its reader has it: an async generator that makes the call when the first item is asked for. However it is
 * left - break, return, an aborted signal, an item that takes too long - the call is given up at once, also while an item
 * is awaited. Does not know how the call is made.
 */
import { type CallErrorCode, isRpcError, RpcError } from '../errors.js'
import { checkSignal } from './call-options.js'
import type { Expiring } from './deadline-sweep.js'

export interface ItemStreamOptions {
  /** `service.method`, for messages. */
  readonly name: string
  /** The reader's own signal. */
  readonly signal: unknown
  readonly itemTimeoutMs: () => number | undefined
  /** Makes the call, which ends by this signal. */
  readonly open: (signal: AbortSignal) => Promise<OpenedStream>
  readonly now: () => number
  /** The node is closed: nothing is waited for any more. */
  readonly isClosed: () => boolean
  readonly deadlines: { add(item: Expiring): void; remove(item: Expiring): void }
}

export interface OpenedStream {
  /** The reading end. */
  readonly source: AsyncIterator<unknown>
  /** When the call is over at the latest. */
  readonly deadlineAt: number
}

type Step = IteratorResult<unknown, void>
const DONE: Step = { done: true, value: undefined }

export class ItemStream implements AsyncGenerator<unknown, void, undefined> {
  readonly #options: ItemStreamOptions
  readonly #controller = new AbortController()
  readonly #onAbort = (): void => this.#stop(this.#signal?.reason)
  #signal: AbortSignal | undefined
  /** The call, once the first item was asked for. */
  #opening: Promise<OpenedStream> | undefined
  #source: AsyncIterator<unknown> | undefined
  /** Set when the reader is told no more than this. */
  #isOver = false
  #isReturned = false
  #isLate = false
  /** Lets go of the reader's signal when the call is over, in case that nobody ever reads to the end. */
  #lapse: Expiring | undefined

  constructor(options: ItemStreamOptions) {
    this.#options = options
  }

  next(): Promise<Step> {
    if (this.#isOver) return Promise.resolve(DONE)
    return this.#next()
  }

  /** Gives the stream up: its handler is stopped. */
  return(): Promise<Step> {
    this.#isReturned = true
    this.#stop(undefined)
    this.#end()
    // Whatever came and was not read: nobody will.
    this.#opening?.then(
      ({ source }) => source.return?.(),
      () => {}, // who asked for the first item has heard of it
    )
    return Promise.resolve(DONE)
  }

  /** As `return`; rejects with the error. */
  throw(error: unknown): Promise<Step> {
    return this.return().then(() => {
      throw error
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async #next(): Promise<Step> {
    let waiting: Expiring | undefined
    try {
      waiting = this.#watch()
      this.#opening ??= this.#open()
      this.#source ??= this.#begun(await this.#opening)
      let step = await this.#source.next()
      // Given up: what came before is passed over, the error at its end is what counts.
      while (this.#controller.signal.aborted && step.done !== true) step = await this.#source.next()
      if (step.done !== true) return step
      this.#end()
      return DONE
    } catch (error) {
      if (this.#isReturned) return DONE
      this.#stop(undefined)
      this.#end()
      throw this.#isLate ? this.#late(error) : error
    } finally {
      if (waiting !== undefined) this.#options.deadlines.remove(waiting)
    }
  }

  #begun({ source, deadlineAt }: OpenedStream): AsyncIterator<unknown> {
    const { deadlines, isClosed } = this.#options
    if (isClosed()) this.#letGo()
    else if (this.#signal !== undefined && !this.#isOver && this.#lapse === undefined) {
      this.#lapse = { deadlineAt, expire: () => this.#letGo() }
      deadlines.add(this.#lapse)
    }
    return source
  }

  #open(): Promise<OpenedStream> {
    this.#signal = checkSignal(this.#options.signal)
    if (this.#signal?.aborted === true) this.#onAbort()
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
    return this.#options.open(this.#controller.signal)
  }

  /** One item may take only so long. */
  #watch(): Expiring | undefined {
    const { now, deadlines, itemTimeoutMs } = this.#options
    const ms = itemTimeoutMs()
    if (ms === undefined) return undefined
    const expire = (): void => {
      this.#isLate = true
      this.#stop(undefined)
    }
    const waiting: Expiring = { deadlineAt: now() + ms, expire }
    deadlines.add(waiting)
    return waiting
  }

  #late(error: unknown): unknown {
    if (!isRpcError(error)) return error
    const code: CallErrorCode = 'DEADLINE_EXCEEDED'
    const { executed, node, attempts } = error
    const message = `no item of ${this.#options.name} came within itemTimeout, ${this.#options.itemTimeoutMs()} ms`
    return new RpcError(code, message, { executed, node, attempts })
  }

  #stop(reason: unknown): void {
    this.#letGo()
    this.#controller.abort(reason)
  }

  /** The reader is told nothing more. */
  #end(): void {
    this.#isOver = true
    this.#letGo()
  }

  #letGo(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    if (this.#lapse !== undefined) this.#options.deadlines.remove(this.#lapse)
  }
}
