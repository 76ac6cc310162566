/**
 * What goes around plaintext on its way to the network, and comes off again: the cluster's label. Encryption belongs
 * here too, between label and message. Pure; the machine sees plaintext only.
 */
import { concatBytes } from '../bytes.js'
import { assertLabel, type LabelResult, LabelStripper, labelHeader, labelOverhead, stripLabel } from './wire/label.js'
import { StreamDecoder, type StreamResult } from './wire/stream.js'

export interface StreamReader {
  readonly push: (chunk: Uint8Array) => StreamResult
}

/** As in memberlist: a push/pull of twenty thousand members with full metas fits. */
const STREAM_BYTES_MAX = 20 * 1024 * 1024
const STREAM_NODES_MAX = 1 << 17

export class Envelope {
  readonly #label: string
  readonly #header: Uint8Array

  /** Throws INVALID_OPTION for a label the wire cannot carry. */
  constructor(label: string) {
    assertLabel(label)
    this.#label = label
    this.#header = labelHeader(label)
  }

  /** What it takes of each packet's bytes. */
  get overhead(): number {
    return labelOverhead(this.#label)
  }

  sealPacket(plain: Uint8Array): Uint8Array {
    return this.#header.length === 0 ? plain : concatBytes([this.#header, plain])
  }

  openPacket(bytes: Uint8Array): LabelResult {
    return stripLabel(bytes, this.#label)
  }

  /** What a dialler writes. Replies carry no label. */
  sealStream(plain: Uint8Array): Uint8Array {
    return this.sealPacket(plain)
  }

  /** Reads the one message of a stream: behind a label where we accepted it, without one where we dialled. */
  streamDecoder(side: 'accepted' | 'dialled'): StreamReader {
    const decoder = new StreamDecoder({ maxBytes: STREAM_BYTES_MAX, maxNodes: STREAM_NODES_MAX })
    if (side === 'dialled') return decoder
    const stripper = new LabelStripper(this.#label)
    let stripped = false
    const push = (chunk: Uint8Array): StreamResult => {
      if (stripped) return decoder.push(chunk)
      const result = stripper.push(chunk)
      if (result === undefined) return { done: false }
      if (!result.ok) return { done: true, drop: result.drop }
      stripped = true
      return result.rest.length === 0 ? { done: false } : decoder.push(result.rest)
    }
    return { push }
  }
}
