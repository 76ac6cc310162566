/** Who gets through to a callee that wants keys or certificates, and what both sides are told when one does not. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CertificateSecurity } from '../../src/rpc/certificate-security.js'
import type { ChannelSecurity } from '../../src/rpc/channel-security.js'
import { KeySecurity } from '../../src/rpc/key-security.js'
import { Authority, type Identity } from '../support/certificates.js'
import { type Callee, failureOf, RpcTestbed, request } from '../support/rpc-transport.js'
import { until } from '../support/until.js'

const testbed = new RpcTestbed()
afterEach(() => testbed.close())

const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(16).fill(2)

let authority: Authority
let stranger: Authority
const certificates: Record<string, Identity> = {}

beforeAll(() => {
  authority = new Authority()
  stranger = new Authority('somebody else')
  for (const name of ['caller', 'callee']) certificates[name] = authority.issue({ names: [name] })
})

function keys(...list: Uint8Array[]): KeySecurity {
  return new KeySecurity(list.length === 0 ? [KEY] : list, 'test')
}

function tls(identity: Identity | undefined, change: { ca?: string; verifyName?: boolean } = {}): CertificateSecurity {
  return new CertificateSecurity({ ...(identity as Identity), ca: authority.ca, ...change })
}

function own(name: 'caller' | 'callee'): CertificateSecurity {
  return tls(certificates[name])
}

/** The first bytes of an honest caller. */
async function clientHello(security: ChannelSecurity): Promise<Buffer> {
  let came: (bytes: Buffer) => void = () => {}
  const bytes = new Promise<Buffer>((resolve) => {
    came = resolve
  })
  const { candidate } = await testbed.rawServer((socket) => socket.once('data', (chunk) => came(chunk)))
  const { peers } = testbed.caller({}, { security })
  peers.attempt(candidate, request('echo')).catch(() => {}) // nobody answers it
  return bytes
}

function portOf({ candidate }: Callee): number {
  return Number(candidate.address.split(':')[1])
}

describe.each([
  ['keys', () => keys(), () => keys()],
  ['certificates', () => own('caller'), () => own('callee')],
] as const)('with %s on both sides', (kind, ofCaller, ofCallee) => {
  it('calls go through as in plaintext, the big ones too, and no byte of them is seen', async () => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    const { peers } = testbed.caller({}, { security: ofCaller() })
    expect(await peers.attempt(callee.candidate, request('echo', ['secret']))).toEqual(['secret'])
    const big = { text: 'ä'.repeat(1_500_000), bytes: new Uint8Array(3_000_000).fill(7) }
    const [back] = (await peers.attempt(callee.candidate, request('echo', [big]))) as [typeof big]
    expect(back.text === big.text && Buffer.compare(back.bytes, big.bytes) === 0).toBe(true)
    const calls = Array.from({ length: 500 }, (_, i) => peers.attempt(callee.candidate, request('echoLater', [i])))
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => [i]))
    expect(callee.server.stats()).toMatchObject({ drops: {}, connections: [{ caller: { node: 'caller' } }] })
  })

  it('the callee knows what is proven of the caller, and a name is proven by certificates alone', async () => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    const { peers } = testbed.caller({}, { security: ofCaller() })
    await peers.attempt(callee.candidate, request('echo', [], { headers: { node: 'billing', verified: 'true' } }))
    const caller = callee.dispatcher.arrived[0]?.call.caller
    expect(caller).toMatchObject({ node: 'caller', verified: kind === 'certificates' })
    if (kind === 'keys') expect(caller?.certificate).toBeUndefined()
    else expect(caller?.certificate).toMatchObject({ subject: 'CN=leaf', subjectAltName: 'DNS:caller' })
    expect(Object.isFrozen(caller)).toBe(true)
  })

  it('a caller in plaintext is refused before it can send a frame that is read', async () => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    await expectRefused(callee, undefined, /ended before the welcome: check that both nodes have the same keys/)
    expect(callee.server.stats().drops).toEqual({ 'tls-plaintext': 1 })
  })

  it('a callee in plaintext is told apart, and told of', async () => {
    const callee = await testbed.callee()
    await expectRefused(callee, ofCaller(), /it speaks no TLS: it has neither keys nor certificates/)
    expect(callee.server.stats().drops).toEqual({ 'tls-to-plaintext': 1 })
  })

  it('TLS 1.2 is not spoken', async () => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    const socket = connectTls({ port: portOf(callee), maxVersion: 'TLSv1.2', rejectUnauthorized: false })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    expect(callee.server.stats().drops).toEqual({ 'tls-version': 1 })
  })

  it('who neither begins nor finishes the handshake is cut in time, and there are only so many of them', async () => {
    const limits = { helloMs: 300, anonymousConnectionsMax: 3 }
    const callee = await testbed.callee(limits, 'callee', ofCallee())
    const startedAt = performance.now()
    const sockets = Array.from({ length: 5 }, () => connect(portOf(callee), '127.0.0.1'))
    const closed = sockets.map((socket) => once(socket.on('error', () => {}).resume(), 'close'))
    await Promise.all(closed)
    expect(performance.now() - startedAt).toBeGreaterThan(250)
    expect(callee.server.stats().drops).toEqual({ 'too-many-connections': 2, 'tls-timeout': 3 })
    expect(callee.server.stats().connections).toEqual([])
  })

  it('at the bound the oldest goes, whether it shakes hands or has done so and says nothing', async () => {
    const callee = await testbed.callee({ anonymousConnectionsMax: 3 }, 'callee', ofCallee())
    const silent = connectTls({ port: portOf(callee), ...ofCaller().clientOptions() })
    silent.on('error', () => {}).resume()
    const gone = once(silent, 'close')
    await until('its handshake is over', () => callee.server.stats().connections.length === 1)
    const shaking = Array.from({ length: 2 }, () =>
      connect(portOf(callee), '127.0.0.1')
        .on('error', () => {})
        .resume(),
    )
    await Promise.all(shaking.map((socket) => once(socket, 'connect')))
    const { peers } = testbed.caller({}, { security: ofCaller() })
    expect(await peers.attempt(callee.candidate, request('echo', [1]))).toEqual([1])
    await gone
    expect(shaking.map(({ closed }) => closed)).toEqual([false, false])
    for (const socket of shaking) socket.destroy()
  })

  it('a new caller gets in although strangers that do not begin have taken all places', async () => {
    const callee = await testbed.callee({ anonymousConnectionsMax: 3 }, 'callee', ofCallee())
    const sockets = Array.from({ length: 3 }, () =>
      connect(portOf(callee), '127.0.0.1')
        .on('error', () => {})
        .resume(),
    )
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    const { peers } = testbed.caller({}, { security: ofCaller() })
    expect(await peers.attempt(callee.candidate, request('echo', [1]))).toEqual([1])
    expect(callee.server.stats().drops).toEqual({ 'too-many-connections': 1 })
    for (const socket of sockets) socket.destroy()
  })

  it('who only looks whether the port is open is counted, and no trouble', async () => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    connect(portOf(callee), '127.0.0.1').end()
    await until('it was counted', () => callee.server.stats().drops['tls-nothing-said'] === 1)
    expect(callee.faults).toEqual([])
  })

  it('who resets in the middle of the handshake is counted, and harms nobody', async () => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    const hello = await clientHello(ofCaller())
    for (let i = 0; i < 40; i++) {
      const socket = connect(portOf(callee), '127.0.0.1').on('error', () => {})
      await once(socket, 'connect')
      socket.write(hello.subarray(0, 1 + Math.floor((i / 39) * (hello.length - 1))))
      if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
      socket.resetAndDestroy()
    }
    const { peers } = testbed.caller({}, { security: ofCaller() })
    expect(await peers.attempt(callee.candidate, request('echo', [1]))).toEqual([1])
    await until('all were counted', () => {
      const { drops } = callee.server.stats()
      return Object.values(drops).reduce((sum, count) => sum + count, 0) >= 40
    })
    expect(callee.server.stats().connections).toHaveLength(1)
  })

  it('who sends more than a handshake takes is cut', async () => {
    const callee = await testbed.callee({ handshakeBytesMax: 64, helloMs: 60_000 }, 'callee', ofCallee())
    const socket = connect(portOf(callee), '127.0.0.1')
    // The record of a ClientHello that announces more than it brings.
    socket.on('error', () => {}).write(Buffer.from([0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, ...new Array(200).fill(0)]))
    await once(socket.resume(), 'close')
    expect(callee.server.stats().drops).toEqual({ 'tls-too-long': 1 })
  })
})

describe('a callee with keys', () => {
  it.each([
    ['another key', () => keys(OTHER_KEY)],
    ['the key of another cluster', () => new KeySecurity([KEY], 'other')],
    ['a certificate', () => own('caller')],
  ] as const)('refuses a caller with %s', async (_what, ofCaller) => {
    const callee = await testbed.callee({}, 'callee', keys())
    await expectRefused(
      callee,
      ofCaller(),
      /the two have no key in common, are of different clusters, or one uses cert/,
    )
    expect(callee.server.stats().drops).toEqual({ 'tls-wrong-key': 1 })
    expect(callee.faults).toMatchObject([{ code: 'CALLER_REFUSED' }])
    expect(callee.faults[0]?.message).toMatch(/^a caller at 127\.0\.0\.1:\d+ was refused \(tls-wrong-key\): /)
  })

  it('refuses a caller that knows the name of a key and not the key', async () => {
    const callee = await testbed.callee({}, 'callee', keys())
    const real = keys().clientOptions()
    const { identity } = (real.pskCallback as (hint: null) => { identity: string })(null)
    const forged = { ...real, pskCallback: () => ({ psk: new Uint8Array(32), identity }) }
    const socket = connectTls({ port: portOf(callee), host: '127.0.0.1', ...forged })
    await once(socket, 'error')
    expect(callee.server.stats().drops).toEqual({ 'tls-wrong-key': 1 })
  })

  it('tells of the same trouble once, however often it comes', async () => {
    const callee = await testbed.callee({}, 'callee', keys())
    const { peers } = testbed.caller({ backoffMs: 1, backoffMsMax: 1 }, { security: keys(OTHER_KEY) })
    await until('it was refused ten times', async () => {
      await peers.attempt(callee.candidate, request('echo')).catch(() => {})
      return (callee.server.stats().drops['tls-wrong-key'] ?? 0) >= 10
    })
    expect(callee.faults).toHaveLength(1)
  })

  it('accepts every key it holds, and a caller uses the first', async () => {
    const callee = await testbed.callee({}, 'callee', keys(KEY, OTHER_KEY))
    for (const key of [KEY, OTHER_KEY]) {
      const { peers } = testbed.caller({}, { security: keys(key) })
      expect(await peers.attempt(callee.candidate, request('echo', ['hi']))).toEqual(['hi'])
    }
  })
})

describe('a caller with keys', () => {
  it('sends nothing to a certificate, even one that any browser would accept', async () => {
    let received = 0
    const { cert, key } = certificates['callee'] as Identity
    const server = createTlsServer({ cert, key, minVersion: 'TLSv1.3' }, (socket) => {
      socket.on('data', ({ length }) => {
        received += length
      })
      socket.on('error', () => {})
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address() as { port: number }
    const candidate = { node: 'callee', bootId: '', address: `127.0.0.1:${address.port}`, local: false }
    const plain = testbed.caller({}, { security: keys() })
    const [code, executed, message] = await failureOf(plain.peers.attempt(candidate, request('echo')))
    expect([code, executed]).toEqual(['UNREACHABLE', 'no'])
    expect(message).toMatch(/its certificate is not accepted|does not use the keys of the cluster/)

    // As if the authorities of the system had signed it.
    const real = keys()
    const trusting: ChannelSecurity = {
      kind: 'keys',
      clientOptions: () => ({ ...real.clientOptions(), ca: authority.ca }),
      serverOptions: () => real.serverOptions(),
      calleeProblem: (socket) => real.calleeProblem(socket),
      callerProof: (socket) => real.callerProof(socket),
    }
    const trusted = testbed.caller({}, { security: trusting })
    const refused = await failureOf(trusted.peers.attempt(candidate, request('echo')))
    expect(refused[2]).toContain('it came with a certificate and does not use the keys of the cluster')

    // And as if Node did not ask for its name.
    const careless = { ...trusting, clientOptions: () => ({ ...trusting.clientOptions(), rejectUnauthorized: false }) }
    const last = testbed.caller({}, { security: careless })
    const cut = await failureOf(last.peers.attempt(candidate, request('echo')))
    expect(cut[2]).toContain('the handshake was not made with the keys of the cluster')
    expect(received).toBe(0)
    server.close()
  })
})

describe('a callee with certificates', () => {
  it.each([
    [
      'a certificate that another authority signed',
      'tls-untrusted',
      () => tls(stranger.issue({ names: ['caller'] })),
      /your certificate is not accepted here/,
    ],
    [
      'one that has expired',
      'tls-expired',
      () => tls(authority.issue({ names: ['caller'], validMs: [-60_000, -1_000] })),
      /your certificate is not valid at this time \(CERT_HAS_EXPIRED\)/,
    ],
    [
      'one that is not valid yet',
      'tls-expired',
      () => tls(authority.issue({ names: ['caller'], validMs: [60_000, 120_000] })),
      /your certificate is not valid at this time \(CERT_NOT_YET_VALID\)/,
    ],
    [
      'one of another node',
      'tls-wrong-name',
      () => tls(authority.issue({ names: ['billing', 'caller.shop'] })),
      /the certificate does not name the node 'caller', but DNS:billing, DNS:caller\.shop/,
    ],
    [
      'one without names',
      'tls-wrong-name',
      () => tls(authority.issue()),
      /does not name the node 'caller', but nothing/,
    ],
  ] as const)('refuses %s, and says why', async (_what, reason, ofCaller, message) => {
    const callee = await testbed.callee({}, 'callee', own('callee'))
    await expectRefused(callee, ofCaller(), message)
    expect(callee.server.stats().drops).toEqual({ [reason]: 1 })
    expect(callee.faults).toMatchObject([{ code: 'CALLER_REFUSED' }])
    expect(callee.dispatcher.arrived).toEqual([])
  })

  it('refuses a caller without one', async () => {
    const callee = await testbed.callee({}, 'callee', own('callee'))
    const real = own('caller')
    const bare: ChannelSecurity = {
      kind: 'certificates',
      clientOptions: () => ({ ca: authority.ca, checkServerIdentity: () => undefined }),
      serverOptions: () => real.serverOptions(),
      calleeProblem: () => undefined,
      callerProof: (socket) => real.callerProof(socket),
    }
    await expectRefused(callee, bare, /a certificate is required, and none was shown/)
    expect(callee.server.stats().drops).toEqual({ 'tls-no-certificate': 1 })
  })

  it('refuses a caller with keys alone', async () => {
    const callee = await testbed.callee({}, 'callee', own('callee'))
    await expectRefused(callee, keys(), /its certificate is not accepted|does not use the keys/)
  })

  it.each([
    ['another authority', () => tls(stranger.issue({ names: ['callee'] })), /its certificate is not accepted by this/],
    [
      'a certificate that has expired',
      () => tls(authority.issue({ names: ['callee'], validMs: [-60_000, -1_000] })),
      /its certificate is not valid at this time \(CERT_HAS_EXPIRED\)/,
    ],
    ['the name of another node', () => tls(authority.issue({ names: ['billing'] })), /does not name the node 'callee'/],
  ] as const)('with %s is not talked to', async (_what, ofCallee, message) => {
    const callee = await testbed.callee({}, 'callee', ofCallee())
    await expectRefused(callee, own('caller'), message)
    await until('it was counted', () => callee.server.stats().drops['tls-broken-off'] === 1)
    expect(callee.faults).toMatchObject([{ code: 'CALLER_REFUSED' }])
    expect(callee.dispatcher.arrived).toEqual([])
  })

  it('takes one certificate for all nodes with verifyName false, and says that no name is proven', async () => {
    const shared = authority.issue({ names: ['shop'] })
    const callee = await testbed.callee({}, 'callee', tls(shared, { verifyName: false }))
    const { peers } = testbed.caller({}, { security: tls(shared, { verifyName: false }) })
    await peers.attempt(callee.candidate, request('echo'))
    expect(callee.dispatcher.arrived[0]?.call.caller).toMatchObject({
      node: 'caller',
      verified: false,
      certificate: { subjectAltName: 'DNS:shop' },
    })
  })

  it.each([
    ['api-1.shop.internal', ['*.shop.internal'], true],
    ['a.b.shop.internal', ['*.shop.internal'], false],
    ['shop.internal', ['*.shop.internal'], false],
    ['api-1.shop', ['*.shop'], false],
    ['api-1.shop.internal', ['*.SHOP.internal'], false],
    ['API-1', ['api-1'], false],
    ['api-1', ['other', 'api-1'], true],
    ['.shop', ['api-1.shop'], false],
    ['10.0.0.5', ['10.0.0.5'], true],
  ] as const)('a node named %s by a certificate for %j: %j', async (node, names, isProven) => {
    const callee = await testbed.callee({}, 'callee', own('callee'))
    const { peers } = testbed.caller({}, { node, security: tls(authority.issue({ names })) })
    const outcome = await peers.attempt(callee.candidate, request('echo')).then(
      () => true,
      () => false,
    )
    expect(outcome).toBe(isProven)
  })

  it('does not resume sessions, whose tickets would outlive a revoked certificate', async () => {
    const callee = await testbed.callee({}, 'callee', own('callee'))
    const { cert, key } = certificates['caller'] as Identity
    const options = {
      port: portOf(callee),
      host: '127.0.0.1',
      cert,
      key,
      ca: authority.ca,
      minVersion: 'TLSv1.3',
    } as const
    const first = connectTls({ ...options, checkServerIdentity: () => undefined })
    const [session] = (await once(first, 'session')) as [Buffer]
    first.destroy()
    const second = connectTls({ ...options, session, checkServerIdentity: () => undefined })
    await once(second, 'secureConnect')
    expect(second.isSessionReused()).toBe(true)
    await until('it was refused', () => callee.server.stats().drops['tls-resumed'] === 1)
    second.destroy()
  })
})

/** The caller hears `message`, as UNREACHABLE and not executed, and in time. */
async function expectRefused(callee: Callee, security: ChannelSecurity | undefined, message: RegExp): Promise<void> {
  const { peers } = testbed.caller({}, security === undefined ? {} : { security })
  const startedAt = performance.now()
  const failure = await failureOf(peers.attempt(callee.candidate, request('echo')))
  expect(failure.slice(0, 2)).toEqual(['UNREACHABLE', 'no'])
  expect(failure[2]).toMatch(message)
  expect(performance.now() - startedAt).toBeLessThan(2_000)
}
