/**
 * What goes around plaintext on its way to the network, and comes off again: the cluster's label, and inside it the
 * seal of a cluster with keys. Decides what is accepted in plaintext and what is sent so. Pure; the machine sees
 * plaintext only, and the cipher is handed in.
 */
import { concatBytes, EMPTY_BYTES, utf8Encode } from '../bytes.js'
import { encodeCompressed } from './wire/compress.js'
import { encodeErrorReply } from './wire/encode.js'
import { assertLabel, type LabelResult, LabelStripper, labelHeader, labelOverhead, stripLabel } from './wire/label.js'
import { MESSAGE_TYPE, type WireDrop } from './wire/messages.js'
import { SEAL_BYTES, SealedStreamReader, sealAad, sealHead } from './wire/seal.js'
import { StreamDecoder, type StreamResult } from './wire/stream.js'

export interface StreamReader {
  readonly push: (chunk: Uint8Array) => StreamResult
}

export interface SealRequest {
  readonly plain: Uint8Array
  /** Authenticated, not sent. */
  readonly aad: Uint8Array
  /** Written before the envelope, as it is. */
  readonly prefix: Uint8Array
}

export interface Opener {
  readonly open: (envelope: Uint8Array, aad: Uint8Array) => Uint8Array | undefined
}

/** How a cluster with keys seals. */
export interface Sealing {
  readonly cipher: Opener & { readonly seal: (request: SealRequest) => Uint8Array }
  /** Plaintext is dropped. */
  readonly verifyIncoming: boolean
  /** What is sent is sealed. */
  readonly verifyOutgoing: boolean
}

/** As in memberlist: a push/pull of twenty thousand members with full metas fits. */
const STREAM_BYTES_MAX = 20 * 1024 * 1024
const STREAM_NODES_MAX = 1 << 17
/** A ping or an ack gains nothing, and is sent every second. */
const COMPRESSED_BYTES_MIN = 256

export class Envelope {
  readonly #label: string
  readonly #labelBytes: Uint8Array
  readonly #header: Uint8Array
  readonly #sealing: Sealing | undefined
  readonly #compresses: boolean

  /** Throws INVALID_OPTION for a label the wire cannot carry. Without `sealing` everything is plaintext. */
  constructor(label: string, sealing?: Sealing, compresses: boolean = false) {
    assertLabel(label)
    this.#compresses = compresses
    this.#label = label
    this.#labelBytes = utf8Encode(label)
    this.#header = labelHeader(label)
    this.#sealing = sealing
  }

  /** What it takes of each packet's bytes. */
  get overhead(): number {
    return labelOverhead(this.#label) + (this.#sealing === undefined ? 0 : SEAL_BYTES)
  }

  sealPacket(message: Uint8Array): Uint8Array {
    const plain = this.#compress(message)
    const sealing = this.#sealing
    if (sealing?.verifyOutgoing !== true) return withPrefix(this.#header, plain)
    return sealing.cipher.seal({ plain, aad: this.#labelBytes, prefix: this.#header })
  }

  openPacket(bytes: Uint8Array): LabelResult {
    const stripped = stripLabel(bytes, this.#label)
    const sealing = this.#sealing
    if (sealing === undefined || !stripped.ok) return stripped
    const plain = sealing.cipher.open(stripped.rest, this.#labelBytes)
    if (plain !== undefined) return { ok: true, rest: plain }
    return sealing.verifyIncoming ? { ok: false, drop: 'bad-seal' } : stripped
  }

  /** What a dialler writes. */
  sealStream(plain: Uint8Array): Uint8Array {
    return this.#sealStream(plain, this.#header)
  }

  /** What is written to an accepted stream: no label in front, though the seal still covers it. */
  sealReply(plain: Uint8Array): Uint8Array {
    return this.#sealStream(plain, EMPTY_BYTES)
  }

  /** The answer to an accepted stream that was dropped; `undefined` for one that is closed without any. */
  sealRefusal(drop: WireDrop): Uint8Array | undefined {
    // With keys it is one envelope inside another, which is nobody's configuration.
    const words = drop === 'encrypted' && this.#sealing !== undefined ? undefined : REFUSALS[drop]
    return words === undefined ? undefined : this.sealReply(encodeErrorReply(words))
  }

  /** Reads the one message of a stream: behind a label where we accepted it, without one where we dialled. */
  streamDecoder(side: 'accepted' | 'dialled'): StreamReader {
    const reader = this.#plainOrSealed()
    if (side === 'dialled') return reader
    const stripper = new LabelStripper(this.#label)
    let stripped = false
    const push = (chunk: Uint8Array): StreamResult => {
      if (stripped) return reader.push(chunk)
      const result = stripper.push(chunk)
      if (result === undefined) return { done: false }
      if (!result.ok) return { done: true, drop: result.drop }
      stripped = true
      return result.rest.length === 0 ? { done: false } : reader.push(result.rest)
    }
    return { push }
  }

  /** Whatever does not shrink goes out as it is. */
  #compress(message: Uint8Array): Uint8Array {
    if (!this.#compresses || message.length < COMPRESSED_BYTES_MIN) return message
    const compressed = encodeCompressed(message)
    return compressed.length < message.length ? compressed : message
  }

  #sealStream(message: Uint8Array, header: Uint8Array): Uint8Array {
    const plain = this.#compress(message)
    const sealing = this.#sealing
    if (sealing?.verifyOutgoing !== true) return withPrefix(header, plain)
    const head = sealHead(SEAL_BYTES + plain.length)
    return sealing.cipher.seal({ plain, aad: sealAad(head, this.#labelBytes), prefix: withPrefix(header, head) })
  }

  /** The first byte after the label tells a sealed stream from a plain one. */
  #plainOrSealed(): StreamReader {
    const decoder = new StreamDecoder({ maxBytes: STREAM_BYTES_MAX, maxNodes: STREAM_NODES_MAX })
    const sealing = this.#sealing
    if (sealing === undefined) return decoder
    let chosen: StreamReader | undefined
    const push = (chunk: Uint8Array): StreamResult => {
      if (chosen === undefined && chunk.length > 0) {
        chosen = chunk[0] === MESSAGE_TYPE.encrypt ? this.#sealedReader(sealing, decoder) : decoder
        if (chosen === decoder && sealing.verifyIncoming) chosen = REFUSE_PLAINTEXT
      }
      return chosen?.push(chunk) ?? { done: false }
    }
    return { push }
  }

  #sealedReader({ cipher }: Sealing, decoder: StreamDecoder): StreamReader {
    return new SealedStreamReader({
      label: this.#labelBytes,
      maxBytes: STREAM_BYTES_MAX,
      open: (envelope, aad) => cipher.open(envelope, aad),
      readPlain: (plain) => decoder.push(plain),
    })
  }
}

/** What a dialler tells its user of a reply that was dropped. */
export function explainBadReply(drop: WireDrop): string {
  const words = BAD_REPLIES[drop]
  return words === undefined ? `bad reply: ${drop}` : `bad reply: ${drop}, ${words}`
}

const REFUSE_PLAINTEXT: StreamReader = { push: () => ({ done: true, drop: 'plaintext' }) }

/** The drops whose cause is how two nodes are set up; memberlist answers those too. */
const REFUSALS: Readonly<Partial<Record<WireDrop, string>>> = {
  encrypted: 'the request is encrypted and this node has no keys',
  plaintext: 'the request is not encrypted and this node requires it',
  'bad-seal': 'the request is encrypted with no key of this node',
}

const BAD_REPLIES: Readonly<Partial<Record<WireDrop, string>>> = {
  encrypted: 'the peer encrypts and this node has no keys',
  plaintext: 'the peer does not encrypt and this node requires it: it has no keys, or verifyOutgoing is off there',
  'bad-seal': 'none of the keys of this node opens it: the peer has others',
}

function withPrefix(prefix: Uint8Array, bytes: Uint8Array): Uint8Array {
  return prefix.length === 0 ? bytes : concatBytes([prefix, bytes])
}
