/**
 * What is known of who calls, and what proves it. All of it comes from the connection: nothing that a request carries can
 * change it.
 */

/** A certificate that a peer has proven to own, signed by one of this node's `ca`. */
export interface PeerCertificate {
  readonly subject: string
  /** As the certificate's text has it: `DNS:api-1, DNS:api-1.shop`. */
  readonly subjectAltName: string
  readonly issuer: string
  readonly serialNumber: string
  /** SHA-256 of the whole certificate, in hex with colons. */
  readonly fingerprint256: string
}

/** Who calls. */
export interface CallerIdentity {
  /** The name of its node: proven if `verified`, else what it says of itself. */
  readonly node: string
  /** Where its connection comes from. */
  readonly address: string
  /**
   * True when the name is proven: by a certificate that names the node, or since it is this very process. With `keys`
   * alone it is false: whoever has a key is of the cluster, and may take any name in it.
   */
  readonly verified: boolean
  /** Of the connection, with `rpc.tls`. */
  readonly certificate: PeerCertificate | undefined
}

/** What a connection proves before its first frame. */
export interface ConnectionProof {
  readonly certificate: PeerCertificate | undefined
  /** Why this node does not talk to it, in words for the caller, and the same as a counter's name. */
  readonly refusal: Refusal | undefined
  /** Whether the name is proven by it; a text says why it may not use that name. */
  readonly judgeName: (node: string) => boolean | string
  /** The key that it was made with. */
  readonly keyId: string | undefined
}

export interface Refusal {
  readonly reason: string
  readonly message: string
}

/** A connection in plaintext. */
export const NOTHING_PROVEN: ConnectionProof = {
  certificate: undefined,
  refusal: undefined,
  judgeName: () => false,
  keyId: undefined,
}
