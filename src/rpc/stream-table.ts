/**
 * The streams of one connection as one side of it sees them: by call id, what is sent and what is received. Handles the
 * frames of streams, and says what is wrong with one; what begins or ends a call by them is the session's business.
 */
import { RpcError } from '../errors.js'
import type { ByteBudget } from './byte-budget.js'
import type { Counters } from './counters.js'
import { type Credit, decodeCredit, encodeCredit } from './credit.js'
import { FrameKind } from './frame.js'
import type { Span } from './frame-reader.js'
import { ItemSender } from './item-sender.js'
import { messageOf } from './names.js'
import type { Outbox } from './outbox.js'
import { decodePart, type PayloadCodec } from './payload-codec.js'
import { type ItemFault, ReceivedItems } from './received-items.js'
import { type TurnShare, WHOLE_TURN } from './turn-share.js'

export type StreamFault = ItemFault | 'bad-credit' | 'credit-overflow'

/** Both directions of one call; `received` or `sent` is absent where nothing flows. */
export interface CallStreams {
  readonly received?: ReceivedItems | undefined
  readonly sent?: ItemSender | undefined
  /** An item came, or the end: what was begun has answered. */
  readonly onItem?: (() => void) | undefined
  readonly onEnd?: (() => void) | undefined
  /** An item came that cannot be read. */
  readonly onBadItem?: ((error: RpcError) => void) | undefined
  readonly onCredit?: (() => void) | undefined
}

export interface StreamTableOptions {
  readonly outbox: Outbox
  readonly codec: PayloadCodec
  readonly counters: Counters
  readonly budget: ByteBudget
  readonly onWritten: () => void
  /** Of the turns of the event loop. Default all. */
  readonly share?: TurnShare | undefined
}

export class StreamTable {
  readonly #options: StreamTableOptions
  readonly #streams = new Map<number, CallStreams>()
  /** The longest message that the other side reads. */
  frameBytesMax = 0

  constructor(options: StreamTableOptions) {
    this.#options = options
  }

  /** Calls with streams. */
  get size(): number {
    return this.#streams.size
  }

  has(id: number): boolean {
    return this.#streams.has(id)
  }

  add(id: number, streams: CallStreams): void {
    this.#streams.set(id, streams)
  }

  /** A writing end without credit. */
  sender(id: number): ItemSender {
    const { outbox, codec, onWritten, share = WHOLE_TURN } = this.#options
    return new ItemSender({ id, outbox, codec, frameBytesMax: this.frameBytesMax, onWritten, share })
  }

  /** A reading end; `onStopped` when its reader stops early. */
  receiver(id: number, window: Credit, isGranted: boolean, onStopped: () => void): ReceivedItems {
    const grant = (credit: Credit): void => this.#grant(id, credit)
    return new ReceivedItems({ window, isGranted, budget: this.#options.budget, grant, onStopped })
  }

  /** The other side wants no more of what is sent. */
  stopSending(id: number): void {
    this.#streams.get(id)?.sent?.close()
  }

  /** Tells the other side that nothing more comes. */
  writeEnd(id: number): void {
    this.#options.outbox.streamFrame(FrameKind.streamEnd, id, new Uint8Array(0))
    this.#options.onWritten()
  }

  /** The call is over: nothing is sent any more. Gives its streams, of which one may have to be ended. */
  close(id: number): CallStreams | undefined {
    const streams = this.#streams.size === 0 ? undefined : this.#streams.get(id)
    if (streams === undefined) return undefined
    this.#streams.delete(id)
    streams.sent?.close()
    return streams
  }

  handleItem(id: number, body: Span): StreamFault | undefined {
    const streams = this.#streams.get(id)
    if (streams?.received === undefined) {
      this.#options.counters.add('late-item')
      return undefined
    }
    let value: unknown
    try {
      value = decodePart(this.#options.codec, body.bytes, body.start, body.end)
    } catch (error) {
      this.#options.counters.add('bad-item')
      const message = `an item of a stream could not be read: ${messageOf(error, 'it is malformed')}`
      streams.onBadItem?.(new RpcError('REMOTE', message, { executed: 'yes' }))
      return undefined
    }
    const fault = streams.received.push(value, body.end - body.start)
    if (fault === undefined) streams.onItem?.()
    return fault
  }

  handleEnd(id: number): void {
    const streams = this.#streams.get(id)
    if (streams?.received === undefined) {
      this.#options.counters.add('late-item')
      return
    }
    streams.received.end()
    streams.onEnd?.()
  }

  handleCredit(id: number, body: Span): StreamFault | undefined {
    const credit = decodeCredit(body)
    if (credit === undefined) return 'bad-credit'
    const streams = this.#streams.get(id)
    if (streams?.sent === undefined) {
      this.#options.counters.add('late-credit')
      return undefined
    }
    if (!streams.sent.grant(credit)) return 'credit-overflow'
    streams.onCredit?.()
    return undefined
  }

  #grant(id: number, credit: Credit): void {
    if (!this.#streams.has(id)) return
    const { outbox, onWritten } = this.#options
    const mark = outbox.openFrame(FrameKind.streamCredit, id, 8)
    encodeCredit(outbox.writer, credit)
    outbox.closeFrame(mark)
    onWritten()
  }
}
