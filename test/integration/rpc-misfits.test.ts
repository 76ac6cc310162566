/** Who does not fit is told so on both sides, at once and in words, and nothing runs: one row for each way not to fit. */
import { connect } from 'node:net'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CertificateSecurity } from '../../src/rpc/certificate-security.js'
import type { ChannelSecurity } from '../../src/rpc/channel-security.js'
import { KeySecurity } from '../../src/rpc/key-security.js'
import { Authority, type Identity } from '../support/certificates.js'
import { failureOf, RpcTestbed, request } from '../support/rpc-transport.js'
import { until } from '../support/until.js'

const testbed = new RpcTestbed()
afterEach(() => testbed.close())

/** A refusal takes a round trip, and a handshake where there is one; nobody waits for a time limit. */
const WITHIN_MS = 1_500
const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(32).fill(2)

let authority: Authority
let identities: Record<'caller' | 'callee' | 'billing', Identity>
beforeAll(() => {
  authority = new Authority()
  const issue = (name: string): Identity => authority.issue({ names: [name] })
  identities = { caller: issue('caller'), callee: issue('callee'), billing: issue('billing') }
})

const keys = (key: Uint8Array): ChannelSecurity => new KeySecurity([key], 'test')
const tls = (name: keyof typeof identities): ChannelSecurity =>
  new CertificateSecurity({ ...identities[name], ca: authority.ca })

interface Misfit {
  readonly what: string
  readonly caller?: () => ChannelSecurity
  readonly callee?: () => ChannelSecurity
  readonly cluster?: string
  readonly target?: { readonly node?: string; readonly bootId?: string }
  /** What the caller reads. */
  readonly says: RegExp
  /** What the callee counts. */
  readonly counts: string
  /** Told of there as a fault; an earlier boot is what happens to healthy clusters. */
  readonly isFault?: boolean
}

const MISFITS: readonly Misfit[] = [
  {
    what: 'wrong cluster',
    cluster: 'other',
    says: /callee is in 'test', the caller is in 'other'/,
    counts: 'wrong-cluster',
  },
  {
    what: 'wrong node',
    target: { node: 'somebody' },
    says: /this is 'callee', the caller expects 'somebody'/,
    counts: 'wrong-node',
  },
  {
    what: 'wrong boot',
    target: { bootId: 'earlier' },
    says: /callee runs as callee-1, the caller expects earlier/,
    counts: 'wrong-boot',
    isFault: false,
  },
  {
    what: 'wrong key',
    caller: () => keys(KEY),
    callee: () => keys(OTHER_KEY),
    says: /the two have no key in common/,
    counts: 'tls-wrong-key',
  },
  {
    what: 'a certificate of another name',
    caller: () => tls('billing'),
    callee: () => tls('callee'),
    says: /the certificate does not name the node 'caller'/,
    counts: 'tls-wrong-name',
  },
  { what: 'plaintext to keys', callee: () => keys(KEY), says: /the same keys, or tls/, counts: 'tls-plaintext' },
  {
    what: 'plaintext to certificates',
    callee: () => tls('callee'),
    says: /the same keys, or tls/,
    counts: 'tls-plaintext',
  },
  { what: 'keys to plaintext', caller: () => keys(KEY), says: /it speaks no TLS/, counts: 'tls-to-plaintext' },
  {
    what: 'certificates to plaintext',
    caller: () => tls('caller'),
    says: /it speaks no TLS/,
    counts: 'tls-to-plaintext',
  },
  {
    what: 'certificates to keys',
    caller: () => tls('caller'),
    callee: () => keys(KEY),
    says: /the two have no key in common/,
    counts: 'tls-wrong-key',
  },
]

it.each(MISFITS)('$what: a clear error on both sides, at once', async (misfit) => {
  const callee = await testbed.callee({}, 'callee', misfit.callee?.())
  const security = misfit.caller?.()
  const { peers } = testbed.caller({}, { cluster: misfit.cluster, ...(security === undefined ? {} : { security }) })
  const startedAt = performance.now()
  const [code, executed, message] = await failureOf(
    peers.attempt({ ...callee.candidate, ...misfit.target }, request('echo')),
  )
  expect(performance.now() - startedAt).toBeLessThan(WITHIN_MS)
  expect([code, executed]).toEqual(['UNREACHABLE', 'no'])
  expect(message).toMatch(misfit.says)
  await until('the callee counted it', () => callee.server.stats().drops[misfit.counts] === 1)
  const faults = misfit.isFault === false ? [] : [{ code: 'CALLER_REFUSED' }]
  expect(callee.faults).toMatchObject(faults)
  expect(callee.dispatcher.arrived).toEqual([])
  await until('both have let go', () => {
    return callee.server.stats().connections.length === 0 && peers.stats().connections === 0
  })
})

describe.each([
  ['plaintext', (): undefined => undefined],
  ['keys', () => keys(KEY)],
  ['certificates', () => tls('callee')],
] as const)('before a caller is known, with %s', (kind, security) => {
  it('its time is bounded, also when it goes on sending a byte now and then', async () => {
    const callee = await testbed.callee({ helloMs: 300 }, 'callee', security())
    const socket = connect(Number(callee.candidate.address.split(':')[1]), '127.0.0.1').on('error', () => {})
    const startedAt = performance.now()
    // What begins a ClientHello, or a long frame, and never ends it.
    const bytes = kind === 'plaintext' ? [0xff, 0x0f, 0, 0, 1] : [0x16, 3, 1, 0x40, 0]
    const drip = setInterval(() => socket.write(Uint8Array.of(bytes.shift() ?? 0)), 40)
    try {
      await until('it is out', () => socket.resume().destroyed, { within: 3_000 })
    } finally {
      clearInterval(drip)
    }
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(250)
    expect(callee.server.stats().connections).toEqual([])
  })

  it('its bytes are bounded', async () => {
    const limits = { helloMs: 60_000, handshakeBytesMax: 8_192 }
    const callee = await testbed.callee(limits, 'callee', security())
    const socket = connect(Number(callee.candidate.address.split(':')[1]), '127.0.0.1').on('error', () => {})
    // A frame of 5,000 bytes is no hello; a record of 16 KiB is no handshake that is taken.
    const head = kind === 'plaintext' ? [0x88, 0x13, 0, 0] : [0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]
    socket.write(Buffer.concat([Uint8Array.from(head), new Uint8Array(12_000)]))
    await until('it is out', () => socket.resume().destroyed, { within: 3_000 })
    const reason = kind === 'plaintext' ? 'frame-too-large' : 'tls-too-long'
    expect(callee.server.stats().drops).toEqual({ [reason]: 1 })
  })

  it('its connections are bounded', async () => {
    const callee = await testbed.callee({ anonymousConnectionsMax: 4 }, 'callee', security())
    const port = Number(callee.candidate.address.split(':')[1])
    const sockets = Array.from({ length: 10 }, () =>
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
    )
    await until('six are out', () => callee.server.stats().drops['too-many-connections'] === 6)
    expect(callee.server.stats().connections.length).toBeLessThanOrEqual(4)
    for (const socket of sockets) socket.destroy()
  })
})
