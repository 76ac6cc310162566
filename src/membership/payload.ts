/**
 * The hook by which something else rides on gossip: membership carries its bytes and never reads them.
 * User messages spread a change at once; push/pull state repairs whatever they missed.
 */

/** A message to spread. A newer one with the same key takes the place of an older one that is still queued. */
export interface Broadcast {
  readonly key: string
  readonly bytes: Uint8Array
}

/** What became of a user message: a fresh one is spread further under its key, a stale or foreign one is not. */
export type Verdict = { readonly fresh: true; readonly key: string } | { readonly fresh: false }

export interface PayloadHandler {
  /** A user message came in, by gossip or over TCP. Total: bytes that are not ours are answered with `fresh: false`. */
  handleMessage(bytes: Uint8Array): Verdict
  /**
   * Our side of a push/pull. The initiator calls it without `remote` (a digest); the responder with what the
   * initiator sent (what the initiator lacks, and our digest). An empty `remote` is a joiner that knows nothing yet:
   * it gets everything.
   */
  localState(remote: Uint8Array | undefined): Uint8Array
  /** Takes in the peer's state. What it returns is sent back to the peer as a user message over TCP. */
  mergeState(bytes: Uint8Array): Uint8Array | undefined
}

/** True for user state and messages of shoal nodes; serf's and applications' begin otherwise. */
export function isShoalPayload(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 3 && bytes[0] === PAYLOAD_MAGIC[0] && bytes[1] === PAYLOAD_MAGIC[1] && bytes[2] === PAYLOAD_MAGIC[2]
  )
}

/** `S`, `H`, payload format version. Begins every user message and user state of ours. */
export const PAYLOAD_MAGIC: readonly [number, number, number] = [0x53, 0x48, 0x01]
