/**
 * Copies of what passes between caller and handler of one process, made by the codec of the network: what arrives is what
 * would arrive from another node, and what cannot travel is refused here in the same words.
 */
import { type CallErrorCode, type RemoteFailure, RpcError } from '../errors.js'
import type { CallRequest, Outcome } from './call.js'
import { FRAME_BYTES_MAX } from './frame.js'
import { itemError } from './item-sender.js'
import { messageOf } from './names.js'
import type { PayloadCodec } from './payload-codec.js'
import { remoteFailureFromPayload, remoteFailureToPayload } from './remote-payload.js'
import { ValueError } from './values.js'

export class LocalCopy {
  readonly #node: string
  readonly #codec: PayloadCodec

  constructor(node: string, codec: PayloadCodec) {
    this.#node = node
    this.#codec = codec
  }

  /** Throws INVALID_ARGUMENT or TOO_LARGE, not executed. */
  args(request: CallRequest): readonly unknown[] {
    try {
      return this.#copy(request.args, 'args') as readonly unknown[]
    } catch (error) {
      const code = isTooLarge(error) ? 'TOO_LARGE' : 'INVALID_ARGUMENT'
      const message = `the arguments of ${nameOf(request)} cannot be sent: ${messageOf(error, 'they cannot be copied')}`
      throw new RpcError(code, message, { executed: 'no', node: this.#node, cause: error })
    }
  }

  /** An item of a stream, and the bytes that it takes. Throws as the network's writing end does. */
  item(item: unknown): { readonly value: unknown; readonly bytes: number } {
    try {
      const bytes = this.#bytes(item, 'item')
      return { value: this.#codec.decode(bytes), bytes: bytes.length }
    } catch (error) {
      throw itemError(error)
    }
  }

  /** A result that cannot be copied becomes a failure, executed. */
  outcome(request: CallRequest, outcome: Outcome): Outcome {
    if (!outcome.ok) return this.#failure(outcome.error)
    try {
      return { ok: true, value: this.#copy(outcome.value, 'result') }
    } catch (error) {
      const message = `the result of ${nameOf(request)} cannot be sent: ${messageOf(error, 'it cannot be copied')}`
      return isTooLarge(error)
        ? this.#failed('TOO_LARGE', message)
        : this.#failed('REMOTE', message, { name: 'ValueError', message })
    }
  }

  #copy(value: unknown, root: string): unknown {
    return this.#codec.decode(this.#bytes(value, root))
  }

  #bytes(value: unknown, root: string): Uint8Array {
    const bytes = this.#codec.encode(value, root)
    if (bytes.length <= FRAME_BYTES_MAX) return bytes
    const message = `${root} takes ${bytes.length} bytes, the limit is ${FRAME_BYTES_MAX}`
    throw new ValueError(message, { tooLarge: true })
  }

  /** The data that a handler put into its error is its own object too. */
  #failure(error: RpcError): Outcome {
    if (error.remote?.data === undefined) return { ok: false, error }
    const bytes = remoteFailureToPayload(this.#codec, error.remote, FRAME_BYTES_MAX)
    const { code, message, executed, node } = error
    const remote = remoteFailureFromPayload(this.#codec, bytes)
    return { ok: false, error: new RpcError(code, message, { executed, node, remote }) }
  }

  #failed(code: CallErrorCode, message: string, remote?: RemoteFailure): Outcome {
    return { ok: false, error: new RpcError(code, message, { executed: 'yes', node: this.#node, remote }) }
  }
}

function nameOf({ service, method }: CallRequest): string {
  return `${service}.${method}`
}

function isTooLarge(error: unknown): boolean {
  return error instanceof ValueError && error.tooLarge
}
