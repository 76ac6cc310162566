/**
 * Arguments, results and error data as bytes. Both ends of a connection must use the codec of the same name. This file
 * holds the interface and the codec that every node has: MessagePack with the extension types of `extension-types.ts`.
 */
import { Decoder, decodeTimestampExtension, Encoder, ExtData, type ExtensionCodecType } from '@msgpack/msgpack'
import { errorFromParts, withoutStack } from './error-values.js'
import { decodeBigInt, decodeConstant, decodeText16, Extension } from './extension-types.js'
import { FRAME_BYTES_MAX } from './frame.js'
import { messageOf } from './names.js'
import { PayloadScan } from './payload-scan.js'
import { decodeView } from './typed-arrays.js'
import { DEPTH_MAX, ValueError, ValuePreparation } from './values.js'

/** Both methods may throw anything; their callers turn that into an error of the call. */
export interface PayloadCodec {
  /** Compared in the hello: both ends must use the same. */
  readonly name: string
  /** The bytes are valid until the next use of the codec. `root` begins the path that an error names. */
  encode(value: unknown, root: string): Uint8Array
  /** Must keep no reference to the bytes: they are overwritten afterwards. */
  decode(bytes: Uint8Array): unknown
  /**
   * True when these bytes, or what they are a part of, are what `encode` gave last and from now on the caller's: the codec
   * takes other memory. Without it long payloads are copied. This and what follows is for the built-in codecs: one of a
   * user is not asked.
   */
  giveAway?(bytes: Uint8Array): boolean
  /** Whoever was given them, or the whole of which they are a part, is done with them. */
  takeBack?(bytes: Uint8Array): void
  /** As `decode`, of the bytes from `start` up to `end`, for a codec that can do without a view of them. */
  decodePart?(bytes: Uint8Array, start: number, end: number): unknown
}

export function decodePart(codec: PayloadCodec, bytes: Uint8Array, start: number, end: number): unknown {
  return codec.decodePart === undefined ? codec.decode(bytes.subarray(start, end)) : codec.decodePart(bytes, start, end)
}

export interface MsgpackCodecOptions {
  /** Longest payload, and the longest text or binary in it; default 16 MiB. */
  readonly payloadBytesMax?: number
  /** Estimated memory of one decoded payload; default 128 MiB. */
  readonly decodedBytesMax?: number
}

export const DECODED_BYTES_MAX = 134_217_728
/** An encoder whose buffer grew past this is replaced. */
const ENCODER_BYTES_KEPT_MAX = 1_048_576

/** A payload from the network that was refused; nothing of it reached an object that is kept. */
export class PayloadError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'PayloadError'
  }
}

export class MsgpackCodec implements PayloadCodec {
  readonly name = 'msgpack'
  readonly #payloadBytesMax: number
  readonly #extensions: ExtensionCodecType<undefined>
  readonly #preparation: ValuePreparation
  readonly #scan: PayloadScan
  readonly #decoder: Decoder
  #encoder: Encoder
  #hasBinary = false

  constructor(options: MsgpackCodecOptions = {}) {
    this.#payloadBytesMax = options.payloadBytesMax ?? FRAME_BYTES_MAX
    this.#extensions = {
      tryToEncode: (value) => (value instanceof ExtData ? value : null),
      decode: (data, type) => this.#decodeExtension(data, type),
    }
    this.#preparation = new ValuePreparation((prepared) => this.#encoder.encode(prepared), this.#payloadBytesMax)
    this.#scan = new PayloadScan(options.decodedBytesMax ?? DECODED_BYTES_MAX)
    this.#encoder = this.#newEncoder()
    const max = this.#payloadBytesMax
    this.#decoder = new Decoder({
      extensionCodec: this.#extensions,
      maxStrLength: max,
      maxBinLength: max,
      maxArrayLength: max,
      maxMapLength: max,
      maxExtLength: max,
      // The library's cache of keys would have one peer's malformed key decide what another's means.
      keyDecoder: null,
    })
  }

  /** Throws a ValueError. */
  encode(value: unknown, root: string): Uint8Array {
    try {
      const bytes = this.#encoder.encodeSharedRef(this.#preparation.prepare(value, root))
      if (bytes.buffer.byteLength > ENCODER_BYTES_KEPT_MAX) this.#encoder = this.#newEncoder()
      return bytes
    } catch (error) {
      if (error instanceof ValueError) throw error
      throw new ValueError(`${root} could not be read: ${messageOf(error, 'a getter threw')}`, { cause: error })
    }
  }

  /** Throws a PayloadError. */
  decode(bytes: Uint8Array): unknown {
    const { fault, hasBinary } = this.#scan.scan(bytes)
    if (fault !== undefined) throw refusal(`the payload is ${fault}`)
    this.#hasBinary = hasBinary
    try {
      return this.#decodeValue(bytes)
    } catch (error) {
      throw refusal(error instanceof Error ? error.message : 'the payload is malformed')
    }
  }

  #newEncoder(): Encoder {
    return new Encoder({ extensionCodec: this.#extensions, maxDepth: DEPTH_MAX + 2, initialBufferSize: 4_096 })
  }

  #decodeValue(bytes: Uint8Array): unknown {
    const value = this.#decoder.decode(bytes)
    return this.#hasBinary ? detached(value) : value
  }

  #decodeExtension(data: Uint8Array, type: number): unknown {
    switch (type) {
      case Extension.timestamp:
        return decodeTimestampExtension(data)
      case Extension.constant:
        return decodeConstant(data)
      case Extension.bigint:
        return decodeBigInt(data)
      case Extension.typedArray:
        return decodeView(data)
      case Extension.text16:
        return decodeText16(data)
      case Extension.map:
        return new Map(pairs(this.#decodeArray(data)))
      case Extension.set:
        return new Set(this.#decodeArray(data))
      case Extension.error:
        return errorFromParts(this.#decodeArray(data))
      default:
        throw new Error(`unknown extension type ${type}`)
    }
  }

  #decodeArray(data: Uint8Array): readonly unknown[] {
    const items = this.#decodeValue(data)
    if (!Array.isArray(items)) throw new Error('an extension does not hold an array')
    return items
  }
}

/** A hostile peer can cause many of them: they must be cheap. */
function refusal(message: string): PayloadError {
  return withoutStack(() => new PayloadError(message))
}

/** Pairs of a flat list of keys and values. */
function* pairs(items: readonly unknown[]): Generator<[unknown, unknown]> {
  if (items.length % 2 !== 0) throw new Error('a map has a key without a value')
  for (let i = 0; i < items.length; i += 2) yield [items[i], items[i + 1]]
}

/** The same value with every binary in it copied: the library gives views of the receive buffer. */
function detached(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = detached(value[i])
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    const record = value as Record<string, unknown>
    for (const key of Object.keys(record)) record[key] = detached(record[key])
  }
  return value
}
