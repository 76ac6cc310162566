/**
 * Encrypted streams: `0a | length u32 | envelope`, the five bytes of the head being authenticated too. Collects one
 * envelope in whatever pieces it comes and hands what is inside on; how an envelope is opened it does not know.
 */
import { concatBytes } from '../../bytes.js'
import { MESSAGE_TYPE } from './messages.js'
import { ReceiveBuffer } from './receive-buffer.js'
import type { StreamResult } from './stream.js'

/** What an envelope adds to its plaintext: version, nonce, tag. */
export const SEAL_BYTES = 29
/** An envelope around nothing. */
export const SEAL_BYTES_MIN: number = SEAL_BYTES
const HEAD_BYTES = 5

/** What goes in front of an envelope of this length on a stream. */
export function sealHead(envelopeBytes: number): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES)
  head[0] = MESSAGE_TYPE.encrypt
  new DataView(head.buffer).setUint32(1, envelopeBytes)
  return head
}

/** What is authenticated with an envelope on a stream; the label also where no label header is written. */
export function sealAad(head: Uint8Array, label: Uint8Array): Uint8Array {
  return concatBytes([head, label])
}

export interface SealedStreamParts {
  readonly label: Uint8Array
  /** Of the envelope. */
  readonly maxBytes: number
  readonly open: (envelope: Uint8Array, aad: Uint8Array) => Uint8Array | undefined
  /** Reads the one message inside; gets it as a whole. */
  readonly readPlain: (plain: Uint8Array) => StreamResult
}

export class SealedStreamReader {
  readonly #parts: SealedStreamParts
  readonly #buffer = new ReceiveBuffer()
  /** Head and, once it is known, envelope. */
  #wanted = HEAD_BYTES
  #result: StreamResult = { done: false }

  constructor(parts: SealedStreamParts) {
    this.#parts = parts
  }

  /** Takes the next bytes, head included. Once done it stays so: whatever follows is ignored. */
  push(chunk: Uint8Array): StreamResult {
    let rest = chunk
    while (!this.#result.done) {
      const taken = rest.subarray(0, this.#wanted - this.#buffer.size())
      this.#buffer.append(taken)
      rest = rest.subarray(taken.length)
      if (this.#buffer.size() < this.#wanted) break
      if (this.#wanted === HEAD_BYTES) this.#readHead()
      else this.#result = this.#openAll()
    }
    return this.#result
  }

  #readHead(): void {
    const head = this.#buffer.view()
    const length = new DataView(head.buffer, head.byteOffset).getUint32(1)
    if (length > this.#parts.maxBytes) this.#result = { done: true, drop: 'too-large' }
    else if (length < SEAL_BYTES_MIN) this.#result = { done: true, drop: 'bad-seal' }
    else this.#wanted = HEAD_BYTES + length
  }

  #openAll(): StreamResult {
    const { label, open, readPlain } = this.#parts
    const all = this.#buffer.view()
    const plain = open(all.subarray(HEAD_BYTES), sealAad(all.subarray(0, HEAD_BYTES), label))
    if (plain === undefined) return { done: true, drop: 'bad-seal' }
    const result = readPlain(plain)
    return result.done ? result : { done: true, drop: 'truncated' }
  }
}
