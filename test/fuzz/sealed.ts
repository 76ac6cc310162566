/**
 * The ways in which the cluster under test may be set up - plain or labelled, with keys or without, strict or on its
 * way to encryption - and what a peer of each writes. Nonces come from the seeded random, so that a seed is one history.
 */
import { concatBytes, EMPTY_BYTES, utf8Encode } from '../../src/bytes.js'
import { Envelope } from '../../src/membership/envelope.js'
import { labelHeader } from '../../src/membership/wire/label.js'
import { SEAL_BYTES, sealAad, sealHead } from '../../src/membership/wire/seal.js'
import { type Random, randomInt } from '../../src/random.js'
import { pick } from '../support/hostile-bytes.js'
import { envelopeOf, KEY_A, KEY_B, KEY_C, sealing } from '../support/sealing.js'

interface Setup {
  readonly label: string
  readonly keys: readonly Uint8Array[]
  readonly verifyIncoming: boolean
}

const SETUPS: readonly Setup[] = [
  { label: '', keys: [], verifyIncoming: false },
  { label: 'shop', keys: [], verifyIncoming: false },
  { label: '', keys: [KEY_A, KEY_B], verifyIncoming: true },
  { label: '', keys: [], verifyIncoming: false },
  { label: 'shop', keys: [], verifyIncoming: false },
  { label: 'shop', keys: [KEY_C, KEY_B], verifyIncoming: false },
]

const ALL_KEYS = [KEY_A, KEY_B, KEY_C]

export class Sealed {
  readonly envelope: Envelope
  readonly #setup: Setup
  readonly #label: Uint8Array
  readonly #header: Uint8Array

  constructor(index: number) {
    this.#setup = SETUPS[index % SETUPS.length] as Setup
    const { label, keys, verifyIncoming } = this.#setup
    this.#label = utf8Encode(label)
    this.#header = labelHeader(label)
    this.envelope = new Envelope(label, keys.length === 0 ? undefined : sealing(keys, { verifyIncoming }))
  }

  /** Plaintext is all there is. */
  get isOpen(): boolean {
    return this.#setup.keys.length === 0
  }

  packet(plain: Uint8Array, random: Random): { bytes: Uint8Array; inflated: number } {
    const sealed = this.#isSealed(random) ? this.#seal(plain, this.#label, random) : plain
    return { bytes: this.#header.length === 0 ? sealed : concatBytes([this.#header, sealed]), inflated: 0 }
  }

  stream(plain: Uint8Array, side: 'accepted' | 'dialled', random: Random): { bytes: Uint8Array } {
    const header = side === 'accepted' ? this.#header : EMPTY_BYTES
    if (!this.#isSealed(random)) return { bytes: concatBytes([header, plain]) }
    const head = sealHead(SEAL_BYTES + plain.length)
    return { bytes: concatBytes([header, head, this.#seal(plain, sealAad(head, this.#label), random)]) }
  }

  #isSealed(random: Random): boolean {
    return random() < (this.isOpen ? 0.02 : 0.9)
  }

  /** Mostly under one of our keys and the usual version. */
  #seal(plain: Uint8Array, aad: Uint8Array, random: Random): Uint8Array {
    const ours = this.#setup.keys.length > 0 && random() < 0.95
    const key = pick(ours ? this.#setup.keys : ALL_KEYS, random)
    const version = random() < 0.95 ? 1 : randomInt(random, 3)
    const nonce = Uint8Array.from({ length: 12 }, () => randomInt(random, 256))
    return envelopeOf({ version, plain: version === 0 ? padded(plain) : plain, key, nonce, aad })
  }
}

/** PKCS#7 to 16 bytes, as speakers of protocol 1 do. */
function padded(plain: Uint8Array): Uint8Array {
  const count = 16 - (plain.length % 16)
  return concatBytes([plain, new Uint8Array(count).fill(count)])
}
