/**
 * Seals and opens memberlist's encryption envelope, `version | nonce | ciphertext | tag`, with AES-GCM. The only file
 * of membership that seals: nonces and keys never meet the injected randomness of the protocol. What is
 * authenticated besides, and what surrounds the envelope, is decided by the caller.
 */
import type { KeyObject } from 'node:crypto'
import type { Opener, SealRequest } from './envelope.js'
import type { Keyring } from './keyring.js'
import { SEAL_BYTES, SEAL_BYTES_MIN } from './wire/seal.js'

/**
 * Padded, from peers that speak protocol 1: opened, never written. The wire does not authenticate the version, so who
 * changes a 1 into a 0 on the way may cut off what looks like padding; the strict check of it leaves little to cut.
 */
const VERSION_PADDED = 0
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const BLOCK_BYTES = 16
/** Random bytes are drawn for so many nonces at once: a draw costs more than the copy of a nonce. */
const NONCES_PER_DRAW = 256
const GCM = { authTagLength: TAG_BYTES }

export class Sealer implements Opener {
  readonly #keyring: Keyring
  /** Loaded for what is sealed: a node without keys has no use for it, and makes no sealer. */
  readonly #crypto = process.getBuiltinModule('node:crypto')
  readonly #prepared = new WeakMap<Uint8Array, KeyObject>()
  readonly #nonces = new Uint8Array(NONCES_PER_DRAW * NONCE_BYTES)
  #nonceAt: number = this.#nonces.length

  constructor(keyring: Keyring) {
    this.#keyring = keyring
  }

  /** The prefix, then the envelope under the primary key. */
  seal({ plain, aad, prefix }: SealRequest): Uint8Array {
    const [primary] = this.#keyring.keys
    if (primary === undefined) throw new Error('a keyring that seals holds a key')
    const sealed = new Uint8Array(prefix.length + SEAL_BYTES + plain.length)
    const nonceAt = prefix.length + 1
    const textAt = nonceAt + NONCE_BYTES
    const nonce = this.#nextNonce()
    sealed.set(prefix)
    sealed[prefix.length] = VERSION
    sealed.set(nonce, nonceAt)
    const cipher = this.#crypto.createCipheriv(cipherFor(primary), this.#prepare(primary), nonce, GCM)
    cipher.setAAD(aad)
    sealed.set(cipher.update(plain), textAt)
    cipher.final()
    sealed.set(cipher.getAuthTag(), textAt + plain.length)
    return sealed
  }

  /** The plaintext under the first key that fits; `undefined` for whatever is not sealed so. Never throws. */
  open(envelope: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    const version = envelope[0]
    if (envelope.length < SEAL_BYTES_MIN || (version !== VERSION && version !== VERSION_PADDED)) return undefined
    for (const key of this.#keyring.keys) {
      const plain = this.#tryOpen(key, envelope, aad)
      if (plain !== undefined) return version === VERSION ? plain : withoutPadding(plain)
    }
    return undefined
  }

  #tryOpen(key: Uint8Array, envelope: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    const textAt = 1 + NONCE_BYTES
    const tagAt = envelope.length - TAG_BYTES
    const decipher = this.#crypto.createDecipheriv(
      cipherFor(key),
      this.#prepare(key),
      envelope.subarray(1, textAt),
      GCM,
    )
    decipher.setAAD(aad)
    decipher.setAuthTag(envelope.subarray(tagAt))
    const plain = decipher.update(envelope.subarray(textAt, tagAt))
    try {
      decipher.final()
      return plain
    } catch {
      return undefined // the tag is not of this key; the caller counts what no key opens
    }
  }

  #prepare(key: Uint8Array): KeyObject {
    let prepared = this.#prepared.get(key)
    if (prepared === undefined) {
      prepared = this.#crypto.createSecretKey(key)
      this.#prepared.set(key, prepared)
    }
    return prepared
  }

  /** A view of bytes that are handed out once. */
  #nextNonce(): Uint8Array {
    if (this.#nonceAt === this.#nonces.length) {
      this.#crypto.randomFillSync(this.#nonces)
      this.#nonceAt = 0
    }
    const start = this.#nonceAt
    this.#nonceAt = start + NONCE_BYTES
    return this.#nonces.subarray(start, this.#nonceAt)
  }
}

function cipherFor(key: Uint8Array): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  if (key.length === 16) return 'aes-128-gcm'
  return key.length === 24 ? 'aes-192-gcm' : 'aes-256-gcm'
}

/** PKCS#7. The bytes are authentic, so a refusal tells an attacker nothing. */
function withoutPadding(padded: Uint8Array): Uint8Array | undefined {
  const count = padded[padded.length - 1]
  if (count === undefined || count === 0 || count > BLOCK_BYTES || padded.length % BLOCK_BYTES !== 0) return undefined
  const end = padded.length - count
  return padded.subarray(end).every((byte) => byte === count) ? padded.subarray(0, end) : undefined
}
