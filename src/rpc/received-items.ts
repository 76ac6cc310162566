/**
 * The reading end of a stream: items that came and were not read yet, and the credit by which the sender goes on. The
 * sender is ahead of the reader by one window at most; the first credit is given when the reader asks for an item, unless
 * the sender has it already. Knows nothing of frames.
 */
import type { ByteBudget } from './byte-budget.js'
import type { Credit } from './credit.js'

/** What a sender may be ahead of its reader. */
export const ITEMS_WINDOW = 256
/** Small, since what is under way delays whatever is written after it; a longer item goes past it. */
const BYTES_WINDOW_MAX = 131_072
const BYTES_WINDOW_MIN = 16_384
/** Of all streams of a connection together, as long as they are not too many for the smallest window. */
const BYTES_SHARED = 67_108_864

/** The window of one more stream on a connection that has so many. */
export function windowFor(streams: number): Credit {
  const share = Math.floor(BYTES_SHARED / (streams + 1))
  return { items: ITEMS_WINDOW, bytes: Math.max(BYTES_WINDOW_MIN, Math.min(BYTES_WINDOW_MAX, share)) }
}

export interface ReceivedItemsOptions {
  readonly window: Credit
  /** The sender has the first window. */
  readonly isGranted: boolean
  readonly budget: ByteBudget
  /** Lets the sender go on. */
  readonly grant: (credit: Credit) => void
  /** The reader stops before the end. */
  readonly onStopped: () => void
}

export type ItemFault = 'item-beyond-credit' | 'too-many-bytes-held'

interface Waiting {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void
  readonly reject: (error: unknown) => void
}

export class ReceivedItems implements AsyncIterableIterator<unknown> {
  readonly #options: ReceivedItemsOptions
  readonly #items: { readonly value: unknown; readonly bytes: number }[] = []
  readonly #waiting: Waiting[] = []
  /** What the sender may still send. */
  #itemsLeft = 0
  #bytesLeft = 0
  /** Read since credit was given last. */
  #itemsRead = 0
  #bytesRead = 0
  #isGranted: boolean
  /** Nothing more comes; with an error when it did not end well, until the reader has heard of it. */
  #end: { error: unknown } | undefined
  #isStopped = false

  constructor(options: ReceivedItemsOptions) {
    this.#options = options
    this.#isGranted = options.isGranted
    if (options.isGranted) this.#credit(options.window)
  }

  /** An item came; `bytes` is what it took on the way. */
  push(value: unknown, bytes: number): ItemFault | undefined {
    if (this.#itemsLeft <= 0 || this.#bytesLeft <= 0) return 'item-beyond-credit'
    this.#itemsLeft--
    this.#bytesLeft -= bytes
    if (this.#isStopped || this.#end !== undefined) return undefined
    const waiting = this.#waiting.shift()
    if (waiting === undefined) {
      if (!this.#options.budget.tryTake(bytes)) return 'too-many-bytes-held'
      this.#items.push({ value, bytes })
    } else {
      waiting.resolve({ done: false, value })
      this.#read(bytes)
    }
    return undefined
  }

  /** Nothing more comes: what is here can still be read, then the error if there is one. */
  end(error?: unknown): void {
    if (this.#end !== undefined || this.#isStopped) return
    this.#end = { error }
    // What is here is the reader's from now on, who may never come for it.
    this.#release()
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting)
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const item = this.#items.shift()
    if (item !== undefined) {
      if (this.#end === undefined) this.#options.budget.give(item.bytes)
      this.#read(item.bytes)
      return Promise.resolve({ done: false, value: item.value })
    }
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined || this.#isStopped) {
        this.#finish({ resolve, reject })
        return
      }
      this.#waiting.push({ resolve, reject })
      if (this.#isGranted) return
      this.#isGranted = true
      this.#grant(this.#options.window)
    })
  }

  /** The reader wants no more. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    const isEarly = this.#end === undefined && !this.#isStopped
    this.#isStopped = true
    if (isEarly) this.#release()
    this.#items.length = 0
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting)
    if (isEarly) this.#options.onStopped()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #release(): void {
    for (const { bytes } of this.#items) this.#options.budget.give(bytes)
  }

  #finish({ resolve, reject }: Waiting): void {
    const error = this.#isStopped ? undefined : this.#end?.error
    if (error === undefined) resolve({ done: true, value: undefined })
    else {
      this.#end = { error: undefined }
      reject(error)
    }
  }

  /** Half a window at a time: a frame for each item would cost as much as the item. */
  #read(bytes: number): void {
    this.#itemsRead++
    this.#bytesRead += bytes
    const { window } = this.#options
    if (this.#end !== undefined || (this.#itemsRead * 2 < window.items && this.#bytesRead * 2 < window.bytes)) return
    const credit = { items: this.#itemsRead, bytes: this.#bytesRead }
    this.#itemsRead = 0
    this.#bytesRead = 0
    this.#grant(credit)
  }

  #grant(credit: Credit): void {
    this.#credit(credit)
    this.#options.grant(credit)
  }

  #credit({ items, bytes }: Credit): void {
    this.#itemsLeft += items
    this.#bytesLeft += bytes
  }
}
