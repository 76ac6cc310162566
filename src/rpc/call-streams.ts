/**
 * The streams of the calls that one connection has made: the items that come in answer, and the caller's own stream,
 * which is drawn once the callee asks for it.
 */
import { RpcError } from '../errors.js'
import type { Credit } from './credit.js'
import { Feature } from './features.js'
import { FrameKind } from './frame.js'
import type { Span } from './frame-reader.js'
import { inputFailure } from './input-argument.js'
import { ItemPump } from './item-pump.js'
import type { ItemSender } from './item-sender.js'
import type { OutgoingCall } from './outgoing-call.js'
import { windowFor } from './received-items.js'
import type { RequestRefusal } from './request-writer.js'
import { type StreamFault, StreamTable, type StreamTableOptions } from './stream-table.js'

export interface CallStreamsOutOptions {
  readonly table: StreamTableOptions
  readonly streamsMax: number
  /** Ends a call from this side. */
  readonly giveUp: (call: OutgoingCall, error: RpcError) => void
  readonly onAnswer: () => void
  /** The callee has ended its stream in order. */
  readonly finish: (call: OutgoingCall) => void
}

export class CallStreamsOut {
  readonly #options: CallStreamsOutOptions
  readonly #table: StreamTable
  #canStream = false

  constructor(options: CallStreamsOutOptions) {
    this.#options = options
    this.#table = new StreamTable(options.table)
  }

  /** What the peer's welcome says of it. */
  setPeer({ features, frameBytesMax }: { readonly features: number; readonly frameBytesMax: number }): void {
    this.#canStream = (features & Feature.streams) !== 0
    this.#table.frameBytesMax = frameBytesMax
  }

  /** Why a call with streams cannot be sent. */
  refusal({ node, request }: OutgoingCall): RequestRefusal | undefined {
    if (!this.#canStream) {
      const message = `node '${node}' runs a version without streams, which ${request.service}.${request.method} needs`
      return { code: 'NO_METHOD', message }
    }
    if (this.#table.size < this.#options.streamsMax) return undefined
    return { code: 'OVERLOADED', message: `${this.#table.size} streams are open on the connection to ${node}` }
  }

  /** Before the request of a call with streams is written: gives what the callee may send at first. */
  open(call: OutgoingCall): Credit | undefined {
    const { id, request } = call
    const window = request.stream === true ? windowFor(this.#table.size) : undefined
    // Its reader stops it by the call's signal, which gives up the whole call.
    if (window !== undefined) call.items = this.#table.receiver(id, window, true, () => {})
    const sent = request.input === undefined ? undefined : this.#table.sender(id)
    this.#table.add(id, {
      received: call.items,
      sent,
      onItem: () => {
        this.#options.onAnswer()
        call.begin()
      },
      onEnd: () => this.#options.finish(call),
      onBadItem: (error) => this.#options.giveUp(call, error),
      onCredit: () => this.#draw(call, sent),
    })
    return window
  }

  handleFrame(kind: number, id: number, body: Span): StreamFault | undefined {
    switch (kind) {
      case FrameKind.streamItem:
        return this.#table.handleItem(id, body)
      case FrameKind.streamCredit:
        return this.#table.handleCredit(id, body)
      case FrameKind.streamEnd:
        this.#table.handleEnd(id)
        return undefined
      default:
        this.#table.stopSending(id)
        return undefined
    }
  }

  /** The call is over. */
  close(id: number): void {
    this.#table.close(id)
  }

  /** A callee that knows streams answers with items: this one does not. */
  notStreamed({ node, request }: OutgoingCall): RpcError {
    const message = `${request.service}.${request.method} of '${node}' answered with a value, not with a stream`
    return new RpcError('REMOTE', message, { executed: 'yes', node })
  }

  /** The callee asks for the caller's stream: draws it from now on. */
  #draw(call: OutgoingCall, sent: ItemSender | undefined): void {
    const { input } = call.request
    if (input === undefined || sent === undefined || call.stopInput !== undefined) return
    const failed = (error: unknown): void => {
      if (!call.isSettled) this.#options.giveUp(call, inputFailure(call, error))
    }
    try {
      const pump = new ItemPump({ iterator: input.open(), sink: sent })
      call.stopInput = () => pump.stop()
      pump.run().then(() => {
        if (!sent.isClosed) this.#table.writeEnd(call.id)
      }, failed)
    } catch (error) {
      failed(error)
    }
  }
}
