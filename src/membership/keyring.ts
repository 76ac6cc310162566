/**
 * The keys of a cluster's gossip, in order: the first one, the primary, seals what is sent, and every one may open what
 * comes in, so keys can be replaced one step after the other while the cluster runs. Knows nothing of ciphers, and
 * never prints a key.
 */
import { equalBytes } from '../bytes.js'
import { ShoalError } from '../errors.js'

/** Raw bytes, or base64 as `serf keygen` prints it; 16, 24 or 32 bytes for AES-128, AES-192 or AES-256. */
export type GossipKey = string | Uint8Array

/** What users do with the keys of a running node. Every change takes effect with the next packet. */
export interface KeyringControl {
  /** Opens with this key from now on, after all others. Does nothing if it is there; at most 16 keys. */
  readonly add: (key: GossipKey) => void
  /** Seals with this key from now on. It must have been added here, and should have been on all other nodes. */
  readonly use: (key: GossipKey) => void
  /** Forgets a key; the primary cannot be removed, and a key that is not there is no error. */
  readonly remove: (key: GossipKey) => void
  /** All keys in base64, the primary first; empty on a node without encryption. They are secrets: keep them out of logs. */
  readonly list: () => readonly string[]
}

/** What is tried in vain on every forged packet is bounded by this. */
export const KEYS_MAX = 16
const KEY_BYTES: readonly number[] = [16, 24, 32]

export class Keyring implements KeyringControl {
  #keys: readonly Uint8Array[] = []
  readonly #isEnabled: boolean

  /** The first is the primary; `undefined` for a node without encryption. Throws INVALID_OPTION, naming no key. */
  constructor(keys: readonly GossipKey[] | undefined) {
    this.#isEnabled = keys !== undefined
    if (keys === undefined) return
    if (!Array.isArray(keys)) fail('keys must be a list of keys, the primary first')
    if (keys.length === 0) fail('keys is empty: give at least one key, or leave the option out for plaintext')
    for (const [index, key] of keys.entries()) this.#append(parseKey(key, `keys[${index}]`))
  }

  /** The primary first. The list is replaced, never changed, and a key is the same object as long as it is here. */
  get keys(): readonly Uint8Array[] {
    return this.#keys
  }

  add(key: GossipKey): void {
    if (!this.#isEnabled) fail('this node runs without encryption: start it with the option keys')
    this.#append(parseKey(key, 'the key'))
  }

  use(key: GossipKey): void {
    const index = this.#indexOf(parseKey(key, 'the key'))
    const found = this.#keys[index]
    if (found === undefined) fail('the key is not in the keyring: add it on every node before any node uses it')
    this.#keys = [found, ...this.#keys.filter((other) => other !== found)]
  }

  remove(key: GossipKey): void {
    const index = this.#indexOf(parseKey(key, 'the key'))
    if (index === 0) fail('the key is the primary and seals what is sent: use another key first, then remove this one')
    this.#keys = this.#keys.filter((_, at) => at !== index)
  }

  list(): readonly string[] {
    return this.#keys.map((key) => btoa(String.fromCharCode(...key)))
  }

  #append(key: Uint8Array): void {
    if (this.#indexOf(key) !== -1) return
    if (this.#keys.length >= KEYS_MAX)
      fail(`the keyring holds ${KEYS_MAX} keys, the most it can: remove an old one first`)
    this.#keys = [...this.#keys, key]
  }

  #indexOf(key: Uint8Array): number {
    return this.#keys.findIndex((held) => equalBytes(held, key))
  }
}

/** A copy, so that nobody changes a key in use. `what` names it in place of its bytes. */
function parseKey(key: GossipKey, what: string): Uint8Array {
  const bytes = typeof key === 'string' ? fromBase64(key) : key instanceof Uint8Array ? new Uint8Array(key) : undefined
  if (bytes === undefined) fail(`${what} is neither base64 nor a Uint8Array`)
  if (!KEY_BYTES.includes(bytes.length)) fail(`${what} has ${bytes.length} bytes; a key has 16, 24 or 32`)
  return bytes
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
  } catch {
    return undefined // the caller says what is wrong, without the text
  }
}

function fail(message: string): never {
  throw new ShoalError('INVALID_OPTION', message)
}
