/**
 * Connections by certificates, mutual: each side shows one that the other's `ca` has signed, and that names its node. A
 * certificate that is not good enough is answered by a refusal inside the channel, so that its owner learns why.
 */
import type { X509Certificate } from 'node:crypto'
import type { ConnectionOptions, SecureContext, TLSSocket, TlsOptions } from 'node:tls'
import { ShoalError } from '../errors.js'
import { type ConnectionProof, NOTHING_PROVEN, type PeerCertificate } from './caller-identity.js'
import { type ChannelSecurity, TLS_VERSION } from './channel-security.js'
import { messageOf } from './names.js'

/** Certificates for calls, in PEM. */
export interface RpcTlsOptions {
  /** This node's certificate, with the intermediate ones after it. It has to be good for client and server. */
  readonly cert: string | Uint8Array
  readonly key: string | Uint8Array
  readonly passphrase?: string
  /** Who may sign the certificates of this cluster. Required: the authorities that browsers trust have no say. */
  readonly ca: string | Uint8Array | readonly (string | Uint8Array)[]
  /** Certificates that were revoked. */
  readonly crl?: string | Uint8Array | readonly (string | Uint8Array)[]
  /**
   * Whether a certificate has to name the node that shows it, as a DNS entry of its subject's alternative names: `api-1`,
   * or `*.shop.internal` for all one level below. Default true. With false any certificate that `ca` signed may take any name.
   */
  readonly verifyName?: boolean
}

const NAMES: ReadonlySet<string> = new Set<keyof RpcTlsOptions>([
  'cert',
  'key',
  'passphrase',
  'ca',
  'crl',
  'verifyName',
])

export class CertificateSecurity implements ChannelSecurity {
  readonly kind = 'certificates'
  #options: RpcTlsOptions
  #context: SecureContext

  /** Throws INVALID_OPTION for what cannot be used. */
  constructor(options: RpcTlsOptions) {
    this.#context = contextOf(options)
    this.#options = options
  }

  /** For new connections. Throws INVALID_OPTION, changing nothing. */
  setOptions(options: RpcTlsOptions): void {
    this.#context = contextOf(options)
    this.#options = options
  }

  clientOptions(): ConnectionOptions {
    return {
      ...TLS_VERSION,
      secureContext: this.#context,
      rejectUnauthorized: true,
      // The name is a node's, not a host's, and judged below.
      checkServerIdentity: () => undefined,
    }
  }

  serverOptions(): TlsOptions {
    const { cert, key, passphrase, ca, crl } = this.#options
    const secrets = { cert, key, ca, ...(crl === undefined ? {} : { crl }) } as TlsOptions
    return {
      ...TLS_VERSION,
      ...secrets,
      ...(passphrase === undefined ? {} : { passphrase }),
      requestCert: true,
      // Judged below: otherwise the caller would hear of it by a reset alone.
      rejectUnauthorized: false,
    }
  }

  calleeProblem(socket: TLSSocket, node: string): string | undefined {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) return 'it showed no certificate'
    const judged = this.#judgeName(certificate, node)
    return typeof judged === 'string' ? judged : undefined
  }

  callerProof(socket: TLSSocket): ConnectionProof {
    const certificate = socket.getPeerX509Certificate()
    const refusal = refusalOf(socket, certificate)
    if (certificate === undefined || refusal !== undefined) return { ...NOTHING_PROVEN, refusal }
    return {
      certificate: describeCertificate(certificate),
      refusal: undefined,
      judgeName: (node) => this.#judgeName(certificate, node),
      keyId: undefined,
    }
  }

  #judgeName(certificate: X509Certificate, node: string): boolean | string {
    if (names(certificate, node)) return true
    if (this.#options.verifyName === false) return false
    const named = certificate.subjectAltName ?? 'nothing'
    return `the certificate does not name the node '${node}', but ${named}`
  }
}

function refusalOf(
  socket: TLSSocket,
  certificate: X509Certificate | undefined,
): { readonly reason: string; readonly message: string } | undefined {
  if (certificate === undefined)
    return { reason: 'tls-no-certificate', message: 'a certificate is required, and none was shown' }
  // Our callers never resume: a ticket would outlive what it was given for.
  if (socket.isSessionReused()) return { reason: 'tls-resumed', message: 'sessions are not resumed' }
  if (socket.authorized) return undefined
  const code = String(socket.authorizationError)
  const isExpired = code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID'
  return isExpired
    ? { reason: 'tls-expired', message: `your certificate is not valid at this time (${code})` }
    : { reason: 'tls-untrusted', message: `your certificate is not accepted here (${code})` }
}

/**
 * Node names are told apart by case, host names are not, and the check for a host takes a name that begins with a dot for
 * a pattern: so what it found has to be the very name, or a wildcard one level above it.
 */
function names(certificate: X509Certificate, node: string): boolean {
  const found = certificate.checkHost(node, { subject: 'never', partialWildcards: false })
  if (found === undefined) return false
  return found === node || (found.startsWith('*.') && found.slice(1) === node.slice(node.indexOf('.')))
}

function describeCertificate(certificate: X509Certificate): PeerCertificate {
  const { subject, subjectAltName, issuer, serialNumber, fingerprint256 } = certificate
  return Object.freeze({ subject, subjectAltName: subjectAltName ?? '', issuer, serialNumber, fingerprint256 })
}

/** The context of this node's own connections; made to see that the texts can be used. */
function contextOf(options: RpcTlsOptions): SecureContext {
  if (typeof options !== 'object' || options === null) throw invalid(`must be an object with cert, key and ca`)
  for (const name of Object.keys(options))
    if (!NAMES.has(name)) throw invalid(`has no option '${name}'; there are ${[...NAMES].join(', ')}`)
  const { cert, key, ca, crl, passphrase, verifyName } = options
  if (cert === undefined || key === undefined || ca === undefined) throw invalid('needs cert, key and ca')
  if (verifyName !== undefined && typeof verifyName !== 'boolean') throw invalid('has a verifyName that is no boolean')
  const authorities = Array.isArray(ca) ? ca : [ca]
  if (authorities.length === 0) throw invalid('has an empty ca: nobody could connect')
  const extra = { ...(crl === undefined ? {} : { crl }), ...(passphrase === undefined ? {} : { passphrase }) }
  try {
    const { X509Certificate } = process.getBuiltinModule('node:crypto')
    const { createSecureContext } = process.getBuiltinModule('node:tls')
    for (const authority of authorities) new X509Certificate(Buffer.from(authority))
    return createSecureContext({ ...TLS_VERSION, cert, key, ca: authorities, ...extra } as TlsOptions)
  } catch (error) {
    throw invalid(`cannot be used: ${messageOf(error, 'no PEM')}`)
  }
}

function invalid(problem: string): ShoalError {
  return new ShoalError('INVALID_OPTION', `rpc.tls ${problem}`)
}
