/** Peers that take everything and say nothing, and a process that stands still itself: on real sockets. */
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { RpcError } from '../../src/errors.js'
import { FrameKind } from '../../src/rpc/frame.js'
import { encodeWelcome } from '../../src/rpc/hello.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { Rpc } from '../../src/rpc/rpc.js'
import { directoryOf } from '../support/rpc-fakes.js'
import { failureOf, RpcTestbed, request } from '../support/rpc-transport.js'
import { until } from '../support/until.js'

const testbed = new RpcTestbed()
afterEach(() => testbed.close())

function welcomeFrame(): Uint8Array {
  const outbox = new Outbox()
  const mark = outbox.openFrame(FrameKind.welcome, 0, 64)
  encodeWelcome(outbox.writer, { protocol: 1, features: 0, frameBytesMax: 1 << 24, node: 'raw', bootId: 'x' })
  outbox.closeFrame(mark)
  return outbox.take(true)
}

/** Says hello, and swallows the rest. */
function swallow(socket: Socket): void {
  socket.once('data', () => {
    socket.write(welcomeFrame())
    socket.resume()
  })
}

/** This process does nothing else, as in a long computation. */
function standStill(ms: number): void {
  const endAt = performance.now() + ms
  while (performance.now() < endAt) {}
}

describe('a peer that swallows everything', () => {
  it('is passed by as soon as it left a ping unanswered, given up later, and not waited for after that', async () => {
    const silent = await testbed.rawServer(swallow)
    const healthy = await testbed.callee()
    const rpc = new Rpc({
      cluster: 'test',
      node: 'caller',
      bootId: 'caller-1',
      bind: { host: '127.0.0.1', port: 0 },
      directory: directoryOf({ test: [silent.candidate, healthy.candidate] }),
      limits: { pingMs: 100, probeMs: 100, silenceMs: 1_500 },
    })
    try {
      // One that shall wait, and casts about for the others.
      const held = rpc.callCb('test', 'hold', [], { nodes: ['raw'], timeout: 30_000 })
      const lost = held.catch((error: RpcError) => error)
      await until('others go elsewhere', () => rpc.stats().circuits.ejections > 0)
      const startedAt = performance.now()
      for (let i = 0; i < 20; i++) expect(await rpc.callCb('test', 'echo', [i])).toEqual([i])
      expect(performance.now() - startedAt).toBeLessThan(500)
      expect(await lost).toMatchObject({ code: 'CONNECTION_LOST', executed: 'maybe', node: 'raw' })
    } finally {
      await rpc.close()
    }
  })

  it('after a dead verdict its calls end in the time of one ping, as maybe executed', async () => {
    const silent = await testbed.rawServer(swallow)
    const { peers } = testbed.caller({ probeMs: 200 })
    const call = failureOf(peers.attempt(silent.candidate, request('hold')))
    await until('it is connected', () => peers.stats().peers[0]?.connections[0]?.state === 'ready')
    const startedAt = performance.now()
    peers.probe('raw')
    expect((await call).slice(0, 2)).toEqual(['CONNECTION_LOST', 'maybe'])
    expect(performance.now() - startedAt).toBeGreaterThan(190)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('a process that stands still', () => {
  it('gives up no connection that it was about to open, and none that it was about to accept', async () => {
    const callee = await testbed.callee({ helloMs: 200 })
    const { peers } = testbed.caller({ connectMs: 200 })
    const call = peers.attempt(callee.candidate, request('echo', ['late']))
    standStill(700)
    expect(await call).toEqual(['late'])
    expect(callee.server.stats().drops).toEqual({})
  })

  it('gives up no connection whose answer it has not read yet', async () => {
    const callee = await testbed.callee()
    const { peers } = testbed.caller({ pingMs: 50, probeMs: 150, silenceMs: 150 })
    await peers.attempt(callee.candidate, request('echo'))
    const held = peers.attempt(callee.candidate, request('hold'))
    await callee.dispatcher.until(() => callee.dispatcher.arrived.length === 2)
    peers.probe('callee')
    for (let i = 0; i < 5; i++) {
      standStill(400)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    callee.dispatcher.arrived[1]?.settle({ ok: true, value: 'there' })
    expect(await held).toBe('there')
    expect(callee.server.stats().connections).toHaveLength(1)
  })
})
