/** Envelopes of a cluster with keys, and readers of what they made. */
import { createCipheriv } from 'node:crypto'
import { concatBytes, EMPTY_BYTES } from '../../src/bytes.js'
import { Envelope, type Sealing } from '../../src/membership/envelope.js'
import { type GossipKey, Keyring } from '../../src/membership/keyring.js'
import { Sealer } from '../../src/membership/sealer.js'
import type { StreamResult } from '../../src/membership/wire/stream.js'

export const KEY_A: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i)
export const KEY_B: Uint8Array = Uint8Array.from({ length: 24 }, (_, i) => i)
export const KEY_C: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i)

export function base64(key: Uint8Array): string {
  return Buffer.from(key).toString('base64')
}

export function sealing(keys: readonly GossipKey[], verify: Partial<Omit<Sealing, 'cipher'>> = {}): Sealing {
  return { cipher: new Sealer(new Keyring(keys)), verifyIncoming: true, verifyOutgoing: true, ...verify }
}

export function sealed(label: string, ...keys: readonly GossipKey[]): Envelope {
  return new Envelope(label, sealing(keys))
}

/** Feeds an accepted or a dialled stream in pieces of this size, until it is done. */
export function feedStream(
  envelope: Envelope,
  bytes: Uint8Array,
  { chunkBytes = bytes.length, side = 'accepted' }: { chunkBytes?: number; side?: 'accepted' | 'dialled' } = {},
): StreamResult {
  const reader = envelope.streamDecoder(side)
  let result: StreamResult = { done: false }
  for (let at = 0; at < bytes.length && !result.done; at += chunkBytes)
    result = reader.push(bytes.subarray(at, at + chunkBytes))
  return result
}

export interface EnvelopeParts {
  readonly version: number
  readonly plain: Uint8Array
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly aad?: Uint8Array
}

/** An envelope of any version around any bytes, padded or not, with a nonce that the test chooses. */
export function envelopeOf({ version, plain, key, nonce, aad = EMPTY_BYTES }: EnvelopeParts): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as 'aes-128-gcm', key, nonce)
  cipher.setAAD(aad)
  const text = cipher.update(plain)
  cipher.final()
  return concatBytes([Uint8Array.of(version), nonce, text, cipher.getAuthTag()])
}
