/**
 * The streams of the calls that one connection has brought: where a handler's items go, and the caller's own stream as an
 * argument, which reads like any other and ends with an error when the call does.
 */
import { RpcError } from '../errors.js'
import type { CancelReason, ItemSink } from './call.js'
import type { RequestHead } from './envelope.js'
import { withoutStack } from './error-values.js'
import { FrameKind } from './frame.js'
import type { Span } from './frame-reader.js'
import { windowFor } from './received-items.js'
import { type StreamFault, StreamTable, type StreamTableOptions } from './stream-table.js'

export interface ServeStreamsOptions {
  readonly table: StreamTableOptions
  readonly streamsMax: number
}

/** The streams of a call as its handler gets them. */
export interface OpenStreams {
  readonly args: readonly unknown[]
  readonly output: ItemSink | undefined
}

export class ServeStreams {
  readonly #options: ServeStreamsOptions
  readonly #table: StreamTable

  constructor(options: ServeStreamsOptions) {
    this.#options = options
    this.#table = new StreamTable(options.table)
  }

  get size(): number {
    return this.#table.size
  }

  /** What the caller's hello says. */
  setPeer({ frameBytesMax }: { readonly frameBytesMax: number }): void {
    this.#table.frameBytesMax = frameBytesMax
  }

  has(id: number): boolean {
    return this.#table.has(id)
  }

  /** Whether a call has streams, and there is no room for them. */
  isFull({ stream, inputAt }: RequestHead): boolean {
    return (stream !== undefined || inputAt !== undefined) && this.#table.size >= this.#options.streamsMax
  }

  /** Makes the streams of a call that has any. */
  open(id: number, { stream, inputAt }: RequestHead, args: readonly unknown[]): OpenStreams | undefined {
    if (stream === undefined && inputAt === undefined) return undefined
    const sent = stream === undefined ? undefined : this.#table.sender(id)
    if (stream !== undefined) sent?.grant(stream)
    // No longer wanted, though the call goes on: the caller need not send the rest.
    const stopInput = (): void => {
      if (!this.#table.has(id)) return
      this.#options.table.outbox.bareFrame(FrameKind.cancel, id)
      this.#options.table.onWritten()
    }
    const received =
      inputAt === undefined ? undefined : this.#table.receiver(id, windowFor(this.#table.size), false, stopInput)
    const onBadItem = (error: RpcError): void => {
      received?.end(error)
      stopInput()
    }
    this.#table.add(id, { sent, received, onBadItem })
    const given = inputAt === undefined || inputAt >= args.length ? args : args.with(inputAt, received)
    return { args: given, output: sent }
  }

  handleFrame(kind: number, id: number, body: Span): StreamFault | undefined {
    if (kind === FrameKind.streamItem) return this.#table.handleItem(id, body)
    if (kind === FrameKind.streamCredit) return this.#table.handleCredit(id, body)
    this.#table.handleEnd(id)
    return undefined
  }

  writeEnd(id: number): void {
    this.#table.writeEnd(id)
  }

  /** The call has settled. True when its result was a stream. */
  close(id: number): boolean {
    if (this.#table.size === 0) return false
    const streams = this.#table.close(id)
    streams?.received?.end()
    return streams?.sent !== undefined
  }

  /** The call is given up: its handler hears of it by the stream that it reads. */
  abandon(id: number, reason: CancelReason): void {
    const received = this.#table.close(id)?.received
    if (received === undefined) return
    const code = reason === 'deadline' ? 'DEADLINE_EXCEEDED' : 'CANCELLED'
    const message = `the call of this stream is over: ${reason}`
    received.end(withoutStack(() => new RpcError(code, message, { executed: 'maybe' })))
  }
}
