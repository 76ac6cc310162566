/** Limits and hazards of real sockets: what the system refuses to send, streams that say nothing, what users hand in. */
import { createSocket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { tryParseHostPort } from '../../src/address.js'
import { isShoalError } from '../../src/errors.js'
import { UdpTransport } from '../../src/membership/udp-transport.js'
import type { DatagramSocket } from '../../src/runtime.js'
import { MembershipCluster } from '../support/membership-node.js'
import { rejection } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const cluster = new MembershipCluster()
const opened: Socket[] = []
afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy()
  await cluster.closeAll()
})

type SendCallback = (error: Error | null) => void

/** A bound socket whose sends end as the test says. */
class FailingSocket extends EventEmitter {
  outcome: { readonly code: string; readonly thrown: boolean } | undefined
  closed = 0

  send(...args: readonly unknown[]): void {
    const error = Object.assign(new Error(this.outcome?.code), { code: this.outcome?.code })
    if (this.outcome?.thrown) throw error
    ;(args.at(-1) as SendCallback)(this.outcome === undefined ? null : error)
  }

  address(): { address: string; family: string; port: number } {
    return { address: '127.0.0.1', family: 'IPv4', port: 1 }
  }

  close(done?: () => void): this {
    this.closed++
    done?.()
    return this
  }
}

const CODES = ['EPERM', 'ENETUNREACH', 'EHOSTUNREACH', 'ECONNREFUSED', 'ENOBUFS']
const TO = { host: '127.0.0.1', port: 9 }

describe('a packet that the system does not take', () => {
  it.each([false, true])('is lost and counted by code, whether the error is thrown (%s) or told later', (thrown) => {
    const socket = new FailingSocket()
    const transport = new UdpTransport(socket as unknown as DatagramSocket)
    for (const code of CODES) {
      socket.outcome = { code, thrown }
      transport.send(Uint8Array.of(1), TO)
    }
    socket.outcome = undefined
    transport.send(Uint8Array.of(1), TO)
    expect(transport.sendErrors).toEqual(Object.fromEntries(CODES.map((code) => [code, 1])))
    expect(socket.closed).toBe(0)
  })

  it('makes no table of codes without end', () => {
    const socket = new FailingSocket()
    const transport = new UdpTransport(socket as unknown as DatagramSocket)
    for (let i = 0; i < 200; i++) {
      socket.outcome = { code: `E${i}`, thrown: false }
      transport.send(Uint8Array.of(1), TO)
    }
    expect(Object.keys(transport.sendErrors)).toHaveLength(65)
    expect(transport.sendErrors['OTHER']).toBe(136)
  })

  it('closes no real socket: a closed port, a broadcast that is not permitted, a port that is none', async () => {
    const transport = await UdpTransport.bind({ host: '127.0.0.1', port: 0 })
    const gone = createSocket('udp4').bind(0, '127.0.0.1')
    await once(gone, 'listening')
    const { port } = gone.address()
    gone.close()
    for (let i = 0; i < 20; i++) transport.send(Uint8Array.of(1), { host: '127.0.0.1', port })
    transport.send(Uint8Array.of(1), { host: '255.255.255.255', port: 9 })
    transport.send(Uint8Array.of(1), { host: '127.0.0.1', port: 0 })
    transport.send(new Uint8Array(70_000), { host: '127.0.0.1', port })
    await until('three codes', () => Object.keys(transport.sendErrors).length >= 3, {
      show: () => transport.sendErrors,
    })
    const arrived = new Promise<void>((resolve) =>
      transport.listen(
        () => resolve(),
        () => {},
      ),
    )
    transport.send(Uint8Array.of(1), { host: '127.0.0.1', port: transport.port })
    await arrived
    await transport.close()
  })
})

it('an error event of a bound socket is told and survived', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const transport = new UdpTransport(socket)
  const told: Error[] = []
  const arrived = new Promise<void>((resolve) => {
    transport.listen(
      () => resolve(),
      (error) => told.push(error),
    )
  })
  socket.emit('error', Object.assign(new Error('recvmsg ECONNREFUSED'), { code: 'ECONNREFUSED' }))
  expect(told).toHaveLength(1)
  expect(transport.sendErrors).toEqual({ ECONNREFUSED: 1 })
  transport.send(Uint8Array.of(1), { host: '127.0.0.1', port: transport.port })
  await arrived
  await transport.close()
})

describe('streams on which nothing comes', () => {
  function silentStreams(address: string, count: number): Socket[] {
    const { host, port } = tryParseHostPort(address)!
    const sockets = Array.from({ length: count }, () => connect({ host, port }).on('error', () => {}))
    opened.push(...sockets)
    return sockets
  }

  it('block no join, however many there are', async () => {
    const a = await cluster.start('a', { tuning: { streamTimeoutMs: 30_000 } })
    const sockets = silentStreams(a.membership.address, 200)
    await until('some gave way', () => a.membership.stats().streamsRefused > 0)
    const b = await cluster.start('b')
    expect(await b.membership.join([a.membership.address])).toMatchObject([{ error: undefined }])
    expect(sockets.length).toBe(200)
  })

  it('are closed after three seconds, long before the time of a stream is over', async () => {
    const a = await cluster.start('a', { tuning: { streamTimeoutMs: 60_000 } })
    const [socket] = silentStreams(a.membership.address, 1)
    await once(socket!, 'connect')
    const start = performance.now()
    await once(socket!.resume(), 'close', { signal: AbortSignal.timeout(10_000) })
    expect(performance.now() - start).toBeGreaterThan(2_000)
  })
})

describe('what users hand in', () => {
  it('is refused when no packet can carry it, with size and limit', async () => {
    const a = await cluster.start('a')
    const limit = 1_400 - 6 - 4 - 1 // the label 'test', a compound of one, the type
    a.membership.broadcast({ key: 'k', bytes: new Uint8Array(limit) })
    let failure: unknown
    try {
      a.membership.broadcast({ key: 'k', bytes: new Uint8Array(limit + 1) })
    } catch (error) {
      failure = error
    }
    expect(isShoalError(failure, 'TOO_LARGE')).toBe(true)
    expect((failure as Error).message).toBe(`the broadcast 'k' has ${limit + 1} bytes; the limit is ${limit}`)
    expect(a.membership.stats().queued.userMessages).toBe(0)
  })

  it('a ping resolves with the round trip', async () => {
    const [a] = await cluster.form('a', 'b')
    const rtt = await a!.membership.ping('b', { timeout: 2_000 })
    expect(rtt).toBeGreaterThan(0)
    expect(rtt).toBeLessThan(2_000)
    expect(a!.membership.member('b')).toMatchObject({ udpReachable: true, rtt: expect.any(Number) })
    expect(await a!.membership.ping('a', { timeout: 2_000 })).toBeGreaterThan(0)
  })

  it('a ping that cannot be is refused, and one without an answer ends', async () => {
    const [a, b] = await cluster.form('a', 'b')
    await b!.membership.close()
    const reasons = [a!.membership.ping('nobody'), a!.membership.ping('b', { timeout: 0 }), a!.membership.ping('b')]
    const codes = await Promise.all(reasons.map(async (ping) => ((await rejection(ping)) as { code: string }).code))
    expect(codes).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'UNREACHABLE'])
    const last = a!.membership.ping('b', { timeout: 60_000 })
    await a!.membership.close()
    expect(await rejection(last)).toMatchObject({ code: 'CLOSED' })
    expect(await rejection(a!.membership.ping('b'))).toMatchObject({ code: 'CLOSED' })
  })
})

describe('a node kept out', () => {
  it('by the hook of the node that it asks learns why, and neither knows the other', async () => {
    const a = await cluster.start('a', {
      admitMerge: async ({ members }) => (members[0]?.tags['zone'] === 'eu' ? true : 'not of this zone'),
    })
    const b = await cluster.start('b', { tags: { zone: 'us' } })
    const c = await cluster.start('c', { tags: { zone: 'eu' } })
    const [refused] = await b.membership.join([a.membership.address])
    expect(refused?.error).toBe('peer says: merge refused: not of this zone')
    expect([a.view(), b.view()]).toEqual([{ a: 'alive' }, { b: 'alive' }])
    expect((await c.membership.join([a.membership.address]))[0]?.error).toBeUndefined()
    expect(a.view()).toEqual({ a: 'alive', c: 'alive' })
  })

  it('by its own hook tells nobody of itself', async () => {
    const a = await cluster.start('a')
    const b = await cluster.start('b', { admitMerge: () => false })
    expect((await b.membership.join([a.membership.address]))[0]?.error).toContain('refused on this side')
    expect([a.view(), b.view()]).toEqual([{ a: 'alive' }, { b: 'alive' }])
  })

  it('by a hook stays out of that table, also when others gossip it; a hook that throws is told', async () => {
    const a = await cluster.start('a', {
      admitMember: ({ name }) => {
        if (name === 'bad') throw new Error('no such thing')
        return true
      },
    })
    const b = await cluster.start('b')
    const bad = await cluster.start('bad')
    await b.membership.join([a.membership.address])
    await bad.membership.join([b.membership.address])
    await until('a was told of it', () => a.notices.some(({ kind }) => kind === 'hook-failed'))
    expect(b.view()).toEqual({ a: 'alive', b: 'alive', bad: 'alive' })
    expect(a.view()).toEqual({ a: 'alive', b: 'alive' })
  })

  it.each([true, false])(
    'a join has ended when the slow hook of whoever joins has judged all it heard of: %s',
    async (verdict) => {
      const a = await cluster.start('a')
      const b = await cluster.start('b', { admitMember: () => new Promise((settle) => setImmediate(settle, verdict)) })
      const [report] = await b.membership.join([a.membership.address])
      expect(report?.error).toBe(verdict ? undefined : 'answered, but nobody else is alive there')
      expect(b.view()).toEqual(verdict ? { a: 'alive', b: 'alive' } : { b: 'alive' })
    },
  )

  it('by the allow list gets no stream and no packet through', async () => {
    const a = await cluster.start('a', { allow: ['10.0.0.0/8'] })
    const b = await cluster.start('b')
    expect((await b.membership.join([a.membership.address]))[0]?.error).toBeDefined()
    expect(a.view()).toEqual({ a: 'alive' })
    expect(a.membership.stats().drops['not-allowed']).toBeGreaterThan(0)
  })
})
