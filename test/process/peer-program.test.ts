/** The programs of the bench's peers: real processes, without an installed package. */
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { ProcessOwner } from '../../bench/lib/line-process.js'
import { PEERS_FOLDER } from '../../bench/lib/peer-needs.js'

const owner = new ProcessOwner()
const RAW = { command: process.execPath, args: [join(PEERS_FOLDER, 'raw/raw.mjs')] }

afterEach(() => owner.endAll(false))

it('a peer serves, is called as ordered, and ends with its input', async () => {
  const [callee, caller] = [owner.start(RAW), owner.start(RAW)]
  const { addresses } = await callee.ask({ do: 'serve', count: 2 }, 'ready')
  await caller.ask({ do: 'connect', addresses: String(addresses) }, 'connected')
  for (const what of ['small', 'binary']) {
    const figures = await caller.ask({ do: 'calls', what, inFlight: 1, ms: 50, warmupMs: 1 }, 'figures')
    expect(figures).toMatchObject({ errors: 0, calls: expect.any(Number), p50: expect.any(Number) })
    expect(figures['calls']).toBeGreaterThan(0)
  }
  const counted = await caller.ask({ do: 'calls', what: 'small', inFlight: 64, ms: 50, warmupMs: 1 }, 'figures')
  expect(Number(counted['calls'])).toBeGreaterThanOrEqual(64)
  await Promise.all([callee.end(), caller.end()])
  expect([callee.isRunning, caller.isRunning]).toEqual([false, false])
})

it('an order that a program cannot obey fails with what it said', async () => {
  const caller = owner.start(RAW)
  const order = { do: 'calls', what: 'small', inFlight: 1, ms: 50, warmupMs: 1 }
  await expect(caller.ask(order, 'figures')).rejects.toThrow(/calls: .*not a function/)
})

it('a program that is missing fails the order at once, with the reason', async () => {
  const missing = owner.start({ command: 'no-such-program-of-a-peer', args: [] })
  await expect(missing.ask({ do: 'serve', count: 1 }, 'ready')).rejects.toThrow(/ENOENT|not running/)
})
