/**
 * Authorities and certificates for tests, made on the spot: as much of X.509 as TLS asks for, so that no test needs
 * another program, and none a file that expires.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface CertificateWish {
  /** DNS names. */
  readonly names?: readonly string[]
  /** Relative to now. Default from an hour ago to an hour from now. */
  readonly validMs?: readonly [from: number, to: number]
}

const HOUR_MS = 3_600_000
const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  basicConstraints: [0x55, 0x1d, 0x13],
  subjectAltName: [0x55, 0x1d, 0x11],
} as const

export class Authority {
  readonly #name: string
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  /** Its own certificate, to be given as `ca`. */
  readonly ca: string

  constructor(name = 'test authority') {
    this.#name = name
    const isAuthority = extension(OID.basicConstraints, tlv(0x30, tlv(0x01, [0xff])), true)
    this.ca = this.#certify(name, this.#keys.publicKey, [isAuthority], [-HOUR_MS, HOUR_MS])
  }

  issue({ names = [], validMs = [-HOUR_MS, HOUR_MS] }: CertificateWish = {}): Identity {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const altNames = tlv(0x30, ...names.map((name) => tlv(0x82, Buffer.from(name, 'latin1'))))
    const extensions = names.length === 0 ? [] : [extension(OID.subjectAltName, altNames)]
    return {
      cert: this.#certify('leaf', publicKey, extensions, validMs),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  #certify(
    subject: string,
    publicKey: KeyObject,
    extensions: readonly Uint8Array[],
    [from, to]: readonly [number, number],
  ): string {
    const algorithm = tlv(0x30, tlv(0x06, OID.ecdsaWithSha256))
    const now = Date.now()
    const body = tlv(
      0x30,
      tlv(0xa0, tlv(0x02, [2])),
      tlv(0x02, [0x40, ...randomBytes(8)]),
      algorithm,
      nameOf(this.#name),
      tlv(0x30, time(now + from), time(now + to)),
      nameOf(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [tlv(0xa3, tlv(0x30, ...extensions))]),
    )
    const signature = sign('sha256', body, this.#keys.privateKey)
    const der = tlv(0x30, body, algorithm, tlv(0x03, [0], signature))
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g) ?? []
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  }
}

/** Type, length, value: all that DER is made of. */
function tlv(type: number, ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const value = Buffer.concat(parts.map((part) => Uint8Array.from(part)))
  const { length } = value
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.from([type, ...size]), value])
}

function extension(oid: readonly number[], value: Uint8Array, critical = false): Uint8Array {
  return tlv(0x30, tlv(0x06, oid), ...(critical ? [tlv(0x01, [0xff])] : []), tlv(0x04, value))
}

function nameOf(text: string): Uint8Array {
  return tlv(0x30, tlv(0x31, tlv(0x30, tlv(0x06, OID.commonName), tlv(0x0c, Buffer.from(text)))))
}

/** As the years until 2049 are written. */
function time(at: number): Uint8Array {
  const text = new Date(at).toISOString()
  return tlv(0x17, Buffer.from(`${text.replace(/[-:T]/g, '').slice(2, 14)}Z`))
}
