/**
 * The writing end of a stream on a connection: items become frames while there is credit for them, the connection has
 * room, and its share of the turn is not used up. Whoever produces them asks first; what cannot travel is refused with an error that ends the stream.
 */
import { RpcError } from '../errors.js'
import type { ItemSink } from './call.js'
import type { Credit } from './credit.js'
import { FrameKind } from './frame.js'
import { messageOf } from './names.js'
import { announcedLength, type Outbox } from './outbox.js'
import type { PayloadCodec } from './payload-codec.js'
import type { TurnShare } from './turn-share.js'
import { ValueError } from './values.js'

/** More than this at once is no credit but nonsense. */
const ITEMS_CREDIT_MAX = 1_048_576
const BYTES_CREDIT_MAX = 1_073_741_824

export interface ItemSenderOptions {
  readonly id: number
  readonly outbox: Outbox
  readonly codec: PayloadCodec
  /** The longest message that the other side reads. */
  readonly frameBytesMax: number
  readonly onWritten: () => void
  readonly share: TurnShare
}

export class ItemSender implements ItemSink {
  readonly #options: ItemSenderOptions
  #items = 0
  #bytes = 0
  #isClosed = false
  #wake: () => void = () => {}

  constructor(options: ItemSenderOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** False when no honest reader gives so much. */
  grant({ items, bytes }: Credit): boolean {
    this.#items += items
    this.#bytes += bytes
    if (this.#items > ITEMS_CREDIT_MAX || this.#bytes > BYTES_CREDIT_MAX) return false
    this.#wake()
    return true
  }

  ready(): Promise<void> | undefined {
    if (this.#isClosed) return undefined
    const { outbox, share } = this.#options
    const hasCredit = this.#items > 0 && this.#bytes > 0
    const hasRoom = outbox.hasItemRoom()
    if (hasCredit && hasRoom && !share.isOver()) return undefined
    return new Promise((resolve) => {
      this.#wake = resolve
      if (!hasCredit) return
      if (hasRoom) share.later(resolve)
      else outbox.whenItemRoom(resolve)
    })
  }

  send(item: unknown): void {
    if (this.#isClosed) return
    const { id, outbox, onWritten } = this.#options
    const payload = this.#encode(item)
    this.#items--
    this.#bytes -= payload.length
    outbox.streamFrame(FrameKind.streamItem, id, payload)
    onWritten()
  }

  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  #encode(item: unknown): Uint8Array {
    const { codec, frameBytesMax } = this.#options
    let payload: Uint8Array
    try {
      payload = codec.encode(item, 'item')
    } catch (error) {
      throw itemError(error)
    }
    if (announcedLength(payload.length) <= frameBytesMax) return payload
    const message = `an item takes ${payload.length} bytes, the other side reads ${frameBytesMax}`
    throw new RpcError('TOO_LARGE', message, { executed: 'yes' })
  }
}

/** Why an item cannot be sent, from what its codec threw. */
export function itemError(error: unknown): RpcError {
  const message = messageOf(error, 'an item cannot be sent')
  if (error instanceof ValueError && error.tooLarge) return new RpcError('TOO_LARGE', message, { executed: 'yes' })
  return new RpcError('REMOTE', message, { executed: 'yes', remote: { name: 'ValueError', message } })
}
