/** Envelopes of a cluster with keys, and readers of what they made. */
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
