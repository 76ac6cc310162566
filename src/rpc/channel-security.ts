/**
 * How connections prove who is at their ends, and what that takes: the options of a TLS handshake, and the judgement of
 * one that is done. There are two ways, the keys of the cluster and certificates; this file knows neither.
 */
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls'
import type { ConnectionProof } from './caller-identity.js'

export interface ChannelSecurity {
  readonly kind: 'keys' | 'certificates'
  /** For a connection that this node opens. */
  clientOptions(): ConnectionOptions
  /** For those that it accepts. */
  serverOptions(): TlsOptions
  /** Why the callee at the other end is not to be talked to; asked before the first byte is sent. */
  calleeProblem(socket: TLSSocket, node: string): string | undefined
  /** What the caller at the other end has proven. */
  callerProof(socket: TLSSocket): ConnectionProof
}

/** Both sides are of this package, so there is nothing older to get on with. */
export const TLS_VERSION = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const
