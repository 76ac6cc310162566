/** Values of megabytes on real sockets: what is beside them, what a slow way does to them, and where they end. */
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Candidate } from '../../src/rpc/directory.js'
import { failureOf, RpcTestbed, request } from '../support/rpc-transport.js'
import { until } from '../support/until.js'

const MIB = 1_048_576

let testbed: RpcTestbed
beforeEach(() => {
  testbed = new RpcTestbed()
})
afterEach(() => testbed.close())

/** Passes on at most so many bytes each 10 ms, from the caller to the callee; the way back is free. */
async function slowWay(to: Candidate, bytesPerTick: number): Promise<{ candidate: Candidate; close: () => void }> {
  const open: { destroy(): unknown }[] = []
  const server = createServer((from: Socket) => {
    const onward = connect(Number(to.address.split(':')[1]), '127.0.0.1')
    const timer = setInterval(() => {
      const bytes = from.read(Math.min(bytesPerTick, from.readableLength)) as Buffer | null
      if (bytes !== null) onward.write(bytes)
    }, 10)
    open.push(from, onward, { destroy: () => clearInterval(timer) })
    onward.pipe(from)
    for (const socket of [from, onward]) socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const close = (): void => {
    for (const each of open) each.destroy()
    server.close()
  }
  return { candidate: { ...to, address: `127.0.0.1:${port}` }, close }
}

describe('a value of megabytes', () => {
  it('of 16 MiB goes both ways; a larger one is refused before anything is sent', async () => {
    const { candidate, dispatcher } = await testbed.callee()
    const { peers } = testbed.caller()
    const value = new Uint8Array(16 * MIB).fill(7)
    const [echoed] = (await peers.attempt(candidate, request('echo', [value]))) as [Uint8Array]
    expect(Buffer.compare(echoed, value)).toBe(0)
    const larger = await failureOf(peers.attempt(candidate, request('echo', [new Uint8Array(16 * MIB + 70_000)])))
    expect(larger.slice(0, 2)).toEqual(['TOO_LARGE', 'no'])
    expect(dispatcher.arrived.length).toBe(1)
  })

  it('lets calls of the same connection pass that were made after it', async () => {
    const { candidate } = await testbed.callee()
    const { peers } = testbed.caller()
    await peers.attempt(candidate, request('echo', [0]))
    let isBack = false
    const long = peers.attempt(candidate, request('echo', [new Uint8Array(12 * MIB)])).then(() => {
      isBack = true
    })
    let passed = 0
    while (!isBack) {
      await peers.attempt(candidate, request('echo', [1]))
      if (!isBack) passed++
    }
    await long
    expect(passed).toBeGreaterThan(10)
    expect(peers.stats().connections).toBe(1)
  })

  it('on a way that takes longer for it than a stall may last arrives, and what is made meanwhile before it', async () => {
    const { candidate, server } = await testbed.callee({ stallMs: 400 })
    const { peers } = testbed.caller({ stallMs: 400 })
    const slow = await slowWay(candidate, 200_000)
    try {
      const order: string[] = []
      const startedAt = performance.now()
      const deadlineAt = startedAt + 60_000
      const long = peers
        .attempt(slow.candidate, request('echo', [new Uint8Array(16 * MIB)], { deadlineAt }))
        .then(() => order.push('long'))
      await until('it is on its way', () => server.stats().connections.some((each) => each.receivedBytes > 100_000))
      const short = peers.attempt(slow.candidate, request('echo', [1], { deadlineAt })).then(() => order.push('short'))
      await Promise.all([long, short])
      expect(order).toEqual(['short', 'long'])
      expect(performance.now() - startedAt).toBeGreaterThan(800)
    } finally {
      slow.close()
    }
  })

  it('given up on its way leaves nothing with the callee, and the connection goes on', async () => {
    const { candidate, dispatcher } = await testbed.callee()
    const { peers } = testbed.caller()
    await peers.attempt(candidate, request('echo', [0]))
    const controller = new AbortController()
    const given = request('echo', [new Uint8Array(16 * MIB)], { signal: controller.signal })
    const long = failureOf(peers.attempt(candidate, given))
    await peers.attempt(candidate, request('echo', [1]))
    controller.abort()
    expect((await long).slice(0, 2)).toEqual(['CANCELLED', 'no'])
    expect(await peers.attempt(candidate, request('echo', [2]))).toEqual([2])
    expect(dispatcher.arrived.map(({ call }) => call.args[0])).toEqual([0, 1, 2])
  })
})
