/**
 * What another node believes, asked over its gossip port: a push/pull that names nobody, so that it learns nothing of us.
 * For clusters with keys too.
 */
import { connect } from 'node:net'
import { tryParseHostPort } from '../../src/address.js'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { Envelope } from '../../src/membership/envelope.js'
import { Keyring } from '../../src/membership/keyring.js'
import { Sealer } from '../../src/membership/sealer.js'
import { encodePushPull } from '../../src/membership/wire/encode.js'
import { WIRE_STATE } from '../../src/membership/wire/messages.js'

const STATES = new Map(Object.entries(WIRE_STATE).map(([name, state]) => [state, name]))

/** The state of each member, as words. */
export type View = ReadonlyMap<string, string>

/** Label and keys of the cluster that is asked. */
export function envelopeFor(cluster: string, keys: readonly string[] | undefined): Envelope {
  if (keys === undefined) return new Envelope(cluster)
  return new Envelope(cluster, { cipher: new Sealer(new Keyring(keys)), verifyIncoming: true, verifyOutgoing: true })
}

/** Rejects when it gives no list within the limit. */
export function askView(address: string, envelope: Envelope, limitMs: number): Promise<View> {
  const to = tryParseHostPort(address)
  if (to === undefined) return Promise.reject(new Error(`${address} is no address`))
  const question = encodePushPull({ type: 'pushPull', join: false, nodes: [], userState: EMPTY_BYTES })
  return new Promise((resolve, reject) => {
    const socket = connect({ host: to.host, port: to.port })
    const reader = envelope.streamDecoder('dialled')
    const fail = (reason: string): void => {
      socket.destroy()
      reject(new Error(`${address}: ${reason}`))
    }
    socket.setTimeout(limitMs, () => fail('no list in time'))
    socket.on('error', (error) => fail(error.message))
    socket.on('close', () => fail('closed without a list'))
    socket.on('connect', () => socket.write(envelope.sealStream(question)))
    socket.on('data', (chunk) => {
      const decoded = reader.push(chunk)
      if (!decoded.done) return
      if ('drop' in decoded) fail(decoded.drop)
      else if (decoded.message.type !== 'pushPull') fail('answered with something else')
      else {
        resolve(new Map(decoded.message.nodes.map(({ name, state }) => [name, STATES.get(state) ?? `${state}`])))
        socket.destroy()
      }
    })
  })
}
