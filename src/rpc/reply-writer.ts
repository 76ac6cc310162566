/**
 * What a call settled with, as a frame of the callee. Always writes one: a result that cannot travel, or is larger than
 * the caller reads, becomes an error that says so, executed 'yes'.
 */
import { EMPTY_BYTES } from '../bytes.js'
import type { RemoteFailure } from '../errors.js'
import type { Outcome } from './call.js'
import { type ErrorHead, encodeErrorHead } from './envelope.js'
import { FRAME_BYTES_MAX, FrameKind } from './frame.js'
import { messageOf } from './names.js'
import { announcedLength, type Outbox } from './outbox.js'
import type { PayloadCodec } from './payload-codec.js'
import { remoteFailureToPayload } from './remote-payload.js'
import { ValueError } from './values.js'

/** Of an error frame, besides its remote failure: the longest message, in UTF-8. */
const ERROR_HEAD_BYTES_MAX = 25_000

export class ReplyWriter {
  readonly #outbox: Outbox
  readonly #codec: PayloadCodec
  /** The longest frame that the caller reads, as its hello said. */
  frameBytesMax: number = FRAME_BYTES_MAX

  constructor(outbox: Outbox, codec: PayloadCodec) {
    this.#outbox = outbox
    this.#codec = codec
  }

  settle(id: number, outcome: Outcome): void {
    if (outcome.ok) this.#result(id, outcome.value)
    else this.error(id, outcome.error, outcome.error.remote)
  }

  error(id: number, head: ErrorHead, remote: RemoteFailure | undefined): void {
    const room = this.frameBytesMax - ERROR_HEAD_BYTES_MAX
    const payload = remote === undefined ? EMPTY_BYTES : remoteFailureToPayload(this.#codec, remote, room)
    const mark = this.#outbox.openFrame(FrameKind.error, id, payload.length)
    encodeErrorHead(this.#outbox.writer, head)
    this.#outbox.closeWith(mark, payload)
  }

  #result(id: number, value: unknown): void {
    let payload: Uint8Array
    try {
      payload = this.#codec.encode(value, 'result')
    } catch (error) {
      this.#unsendable(id, error)
      return
    }
    if (announcedLength(payload.length) > this.frameBytesMax) {
      this.#tooLarge(id, `the result takes ${payload.length} bytes, the caller reads ${this.frameBytesMax}`)
      return
    }
    const mark = this.#outbox.openFrame(FrameKind.reply, id, payload.length)
    this.#outbox.closeWith(mark, payload)
  }

  #unsendable(id: number, error: unknown): void {
    const message = messageOf(error, 'the result cannot be sent')
    if (error instanceof ValueError && error.tooLarge) this.#tooLarge(id, message)
    else this.error(id, { code: 'REMOTE', executed: 'yes', message }, { name: 'ValueError', message })
  }

  #tooLarge(id: number, message: string): void {
    this.error(id, { code: 'TOO_LARGE', executed: 'yes', message }, undefined)
  }
}
