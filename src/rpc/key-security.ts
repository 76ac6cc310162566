/**
 * Connections by the keys of the cluster: TLS 1.3 with a pre-shared key, derived from the key of gossip and the cluster's
 * name, so that neither is a step towards the other. The primary key opens connections, every key accepts them. It proves
 * that the other side has a key, and so belongs to the cluster; never its name.
 */
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls'
import { type ConnectionProof, NOTHING_PROVEN } from './caller-identity.js'
import { type ChannelSecurity, TLS_VERSION } from './channel-security.js'

interface SharedKey {
  /** Names the key on the wire, and tells nothing of it. */
  readonly id: string
  readonly secret: Uint8Array
}

/** The suites that go with a key whose hash is SHA-256, which is what TLS 1.3 takes a key without one for. */
const SUITES = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256'
const SECRET_BYTES = 32
const ID_BYTES = 16

export class KeySecurity implements ChannelSecurity {
  readonly kind = 'keys'
  readonly #cluster: string
  #keys: readonly SharedKey[] = []
  /** The key that the handshake was made with; without one a resumed or other handshake would pass. */
  readonly #usedIds = new WeakMap<TLSSocket, string>()

  constructor(keys: readonly Uint8Array[], cluster: string) {
    this.#cluster = cluster
    this.setKeys(keys)
  }

  /** The first one opens connections from now on. Returns whether that is another one than before. */
  setKeys(keys: readonly Uint8Array[]): boolean {
    const primaryId = this.#keys[0]?.id
    this.#keys = keys.map((key) => derive(key, this.#cluster))
    return primaryId !== undefined && primaryId !== this.#keys[0]?.id
  }

  isKnown(keyId: string): boolean {
    return this.#keys.some(({ id }) => id === keyId)
  }

  clientOptions(): ConnectionOptions {
    const [primary] = this.#keys
    return {
      ...TLS_VERSION,
      ciphers: SUITES,
      pskCallback: () => (primary === undefined ? null : { psk: primary.secret, identity: primary.id }),
      // Asked only when the other side came with a certificate instead.
      checkServerIdentity: () => new Error('it came with a certificate and does not use the keys of the cluster'),
    }
  }

  serverOptions(): TlsOptions {
    return {
      ...TLS_VERSION,
      ciphers: SUITES,
      pskCallback: (socket, id) => {
        const key = this.#keys.find((known) => known.id === id)
        if (key === undefined) return null
        this.#usedIds.set(socket, key.id)
        return key.secret
      },
    }
  }

  calleeProblem(socket: TLSSocket): string | undefined {
    // Node would accept a certificate in place of the key.
    const isByKey = socket.isSessionReused() && socket.getPeerX509Certificate() === undefined
    return isByKey ? undefined : 'the handshake was not made with the keys of the cluster'
  }

  callerProof(socket: TLSSocket): ConnectionProof {
    const keyId = this.#usedIds.get(socket)
    if (keyId !== undefined && this.isKnown(keyId)) return { ...NOTHING_PROVEN, keyId }
    const message = 'the handshake was not made with a key of the cluster'
    return { ...NOTHING_PROVEN, refusal: { reason: 'tls-without-key', message } }
  }
}

function derive(key: Uint8Array, cluster: string): SharedKey {
  const { hkdfSync } = process.getBuiltinModule('node:crypto')
  const part = (what: string, bytes: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', key, 'shoal rpc 1', `${what}\0${cluster}`, bytes))
  return { id: Buffer.from(part('id', ID_BYTES)).toString('hex'), secret: part('psk', SECRET_BYTES) }
}
