/** Why a TLS handshake failed, from the codes of OpenSSL: a counter's name, and words for those who have to mend it. */

export interface HandshakeFault {
  readonly reason: string
  readonly message: string
}

type Explained = readonly [pattern: RegExp, reason: string, message: string]

const NO_KEY = 'the two have no key in common, are of different clusters, or one uses certificates'

/** What the called side sees. */
const CALLEE: readonly Explained[] = [
  [/WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY|PACKET_LENGTH/, 'tls-plaintext', 'the caller speaks no TLS'],
  [/NO_SUITABLE_SIGNATURE|NO_SHARED_CIPHER|NO_CERTIFICATE_SET/, 'tls-wrong-key', NO_KEY],
  [/BINDER|DECRYPT|BAD_PSK/, 'tls-wrong-key', 'the caller claims a key that it has not'],
  [/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|ALERT_PROTOCOL_VERSION/, 'tls-version', 'the caller speaks no TLS 1.3'],
  [/ALERT_(UNKNOWN_CA|BAD_CERT|CERT)/, 'tls-distrusted', 'the caller does not accept this node’s certificate'],
]

/** What the calling side sees. */
const CALLER: readonly Explained[] = [
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH/, 'tls-plaintext', 'it speaks no TLS: it has neither keys nor certificates'],
  [/ALERT_HANDSHAKE_FAILURE|ALERT_ILLEGAL_PARAMETER|ALERT_DECRYPT/, 'tls-wrong-key', NO_KEY],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/, 'tls-version', 'it speaks no TLS 1.3'],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/, 'tls-expired', 'its certificate is not valid at this time'],
  [/ISSUER|VERIFY|SELF_SIGNED|CERT_|CRL|CA$/, 'tls-untrusted', 'its certificate is not accepted by this node’s ca'],
  [/ALERT/, 'tls-refused', 'it refuses the handshake'],
  [/ECONNRESET|EPIPE/, 'tls-broken-off', 'it ended the TLS handshake: it may take plaintext only'],
]

/** What the called side counts and tells. */
export function calleeHandshakeFault(code: string | undefined): HandshakeFault {
  return explain(CALLEE, code) ?? { reason: 'tls-failed', message: `the TLS handshake failed: ${code ?? 'no reason'}` }
}

/** What the calling side tells; `undefined` when the code is of no handshake: the connection itself failed. */
export function callerHandshakeFault(code: string | undefined): HandshakeFault | undefined {
  return explain(CALLER, code)
}

function explain(table: readonly Explained[], code = ''): HandshakeFault | undefined {
  const found = table.find(([pattern]) => pattern.test(code))
  if (found === undefined) return undefined
  const [, reason, message] = found
  return { reason, message: `${message} (${code})` }
}
