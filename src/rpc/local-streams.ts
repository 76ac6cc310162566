/**
 * The streams of a call that this process serves itself: what the network does between the two sides, without it. The
 * same windows, so that neither side gets further ahead of the other than it would elsewhere.
 */
import type { RpcError } from '../errors.js'
import { ByteBudget } from './byte-budget.js'
import type { CallRequest, ItemSink } from './call.js'
import type { Credit } from './credit.js'
import { inputFailure } from './input-argument.js'
import { ItemPump } from './item-pump.js'
import type { LocalCopy } from './local-copy.js'
import { ReceivedItems, windowFor } from './received-items.js'

/** So many items in a row, then whatever else waits in this process gets its turn. */
const ITEMS_PER_TURN = 128

/** Neither comes from the network. */
const UNBOUNDED = new ByteBudget(Number.POSITIVE_INFINITY)

export interface LocalStreamsOptions {
  readonly node: string
  /** Absent when values pass by reference. */
  readonly copy: LocalCopy | undefined
  /** Resolves after what already waits in this process. */
  readonly nextTurn: () => Promise<void>
  /** The handler gave its first item. */
  readonly onBegun: () => void
  readonly onInputFailed: (error: RpcError) => void
}

export class LocalStreams {
  readonly #request: CallRequest
  readonly #options: LocalStreamsOptions
  readonly #down: LocalPipe | undefined
  readonly #up: LocalPipe | undefined
  #pump: ItemPump | undefined
  #hasBegun = false

  constructor(request: CallRequest, options: LocalStreamsOptions) {
    this.#request = request
    this.#options = options
    const { copy, nextTurn } = options
    if (request.stream === true) {
      const onItem = (): void => {
        if (this.#hasBegun) return
        this.#hasBegun = true
        options.onBegun()
      }
      this.#down = new LocalPipe({ copy, nextTurn, isGranted: true, onItem, onWanted: () => {} })
    }
    if (request.input !== undefined) {
      this.#up = new LocalPipe({ copy, nextTurn, isGranted: false, onItem: () => {}, onWanted: () => this.#draw() })
    }
  }

  /** What the caller reads. */
  get output(): ReceivedItems | undefined {
    return this.#down?.reader
  }

  /** Where the handler's items go. */
  get sink(): ItemSink | undefined {
    return this.#down
  }

  /** The arguments with the caller's stream in its place. */
  args(args: readonly unknown[]): readonly unknown[] {
    const { input } = this.#request
    return input === undefined ? args : args.with(input.at, this.#up?.reader)
  }

  /** The call is over: both sides hear of it. */
  end(error: RpcError | undefined): void {
    this.#pump?.stop()
    this.#down?.end(error)
    this.#up?.end(error)
  }

  /** The handler asks for the caller's stream. */
  #draw(): void {
    const { input } = this.#request
    const sink = this.#up
    if (input === undefined || sink === undefined || this.#pump !== undefined) return
    const { node, onInputFailed } = this.#options
    const failed = (error: unknown): void => {
      onInputFailed(inputFailure({ node, request: this.#request, hasBegun: this.#hasBegun }, error))
    }
    try {
      this.#pump = new ItemPump({ iterator: input.open(), sink })
      this.#pump.run().then(() => sink.end(undefined), failed)
    } catch (error) {
      failed(error)
    }
  }
}

interface LocalPipeOptions {
  readonly copy: LocalCopy | undefined
  readonly nextTurn: () => Promise<void>
  readonly isGranted: boolean
  readonly onItem: () => void
  /** The reader gave credit. */
  readonly onWanted: () => void
}

/** A writing end and its reading end. */
class LocalPipe implements ItemSink {
  readonly reader: ReceivedItems
  readonly #options: LocalPipeOptions
  #items = 0
  #bytes = 0
  #inTurn = 0
  #isClosed = false
  #wake: () => void = () => {}

  constructor(options: LocalPipeOptions) {
    this.#options = options
    const window = windowFor(0)
    if (options.isGranted) this.#add(window)
    this.reader = new ReceivedItems({
      window,
      isGranted: options.isGranted,
      budget: UNBOUNDED,
      grant: (credit) => {
        this.#add(credit)
        this.#wake()
        options.onWanted()
      },
      onStopped: () => this.#close(),
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  ready(): Promise<void> | undefined {
    if (this.#isClosed) return undefined
    if (this.#inTurn >= ITEMS_PER_TURN) {
      this.#inTurn = 0
      return this.#options.nextTurn()
    }
    if (this.#items > 0 && this.#bytes > 0) return undefined
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  send(item: unknown): void {
    if (this.#isClosed) return
    const { copy, onItem } = this.#options
    const { value, bytes } = copy?.item(item) ?? { value: item, bytes: 0 }
    this.#inTurn++
    this.#items--
    this.#bytes -= bytes
    this.reader.push(value, bytes)
    onItem()
  }

  end(error: RpcError | undefined): void {
    this.#close()
    this.reader.end(error)
  }

  #add({ items, bytes }: Credit): void {
    this.#items += items
    this.#bytes += bytes
  }

  #close(): void {
    this.#isClosed = true
    this.#wake()
  }
}
