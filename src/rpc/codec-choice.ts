/**
 * Which codec a node uses, from what its user says. The built-in ones write the same bytes under one name; a codec of the
 * user's own has another, and speaks only with nodes that have it too: the hello compares the names.
 */
import { ShoalError } from '../errors.js'
import { utf8Length } from './headers.js'
import { IDENTITY_BYTES_MAX } from './hello.js'
import { describe } from './names.js'
import { MsgpackCodec, type MsgpackCodecOptions, type PayloadCodec } from './payload-codec.js'
import { PlainCodec } from './plain-codec.js'

/**
 * `plain`, the default: MessagePack by a quick way of our own where it can, by `@msgpack/msgpack` where not. `msgpack`: by
 * `@msgpack/msgpack` alone; the bytes are the same, so nodes of both speak with each other.
 */
export type CodecChoice = 'plain' | 'msgpack' | PayloadCodec

/** A codec for one connection side. Throws INVALID_OPTION. */
export function resolveCodec(choice: unknown, limits: MsgpackCodecOptions): PayloadCodec {
  switch (choice) {
    case undefined:
    case 'plain':
      return new PlainCodec(limits)
    case 'msgpack':
      return new MsgpackCodec(limits)
    default:
      return ownCodec(choice)
  }
}

function ownCodec(choice: unknown): PayloadCodec {
  if (typeof choice !== 'object' || choice === null)
    throw invalid(`must be 'plain', 'msgpack' or an object with name, encode and decode, got ${describe(choice)}`)
  const { name, encode, decode } = choice as Partial<PayloadCodec>
  if (typeof encode !== 'function' || typeof decode !== 'function')
    throw invalid('must have the functions encode(value) and decode(bytes)')
  if (typeof name !== 'string' || name === '' || utf8Length(name) > IDENTITY_BYTES_MAX)
    throw invalid(`must have a name of 1 to ${IDENTITY_BYTES_MAX} bytes, got ${describe(name)}: peers compare it`)
  if (name === 'msgpack') throw invalid("may not be named 'msgpack', which is the name of the built-in ones")
  return new OwnCodec(choice as PayloadCodec)
}

/** Holds the user's codec to what the connections rely on. */
class OwnCodec implements PayloadCodec {
  readonly name: string
  readonly #inner: PayloadCodec

  constructor(inner: PayloadCodec) {
    this.name = inner.name
    this.#inner = inner
  }

  encode(value: unknown, root: string): Uint8Array {
    const bytes: unknown = this.#inner.encode(value, root)
    if (bytes instanceof Uint8Array) return bytes
    throw new TypeError(`${root}: the codec '${this.name}' gave ${describe(bytes)}, not a Uint8Array`)
  }

  decode(bytes: Uint8Array): unknown {
    return this.#inner.decode(bytes)
  }
}

function invalid(problem: string): ShoalError {
  return new ShoalError('INVALID_OPTION', `rpc.codec ${problem}`)
}
