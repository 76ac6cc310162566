/** How often a callee looks at its connections: often while something on them has a deadline, seldom at rest. */
import { afterEach, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../src/clock.js'
import { RpcServer } from '../../src/rpc/server.js'
import { RpcTestbed, request, ScriptedDispatcher } from '../support/rpc-transport.js'
import { until } from '../support/until.js'

const testbed = new RpcTestbed()
let server: RpcServer | undefined
afterEach(async () => {
  await testbed.close()
  await server?.close({ graceMs: 0 })
})

it('a callee whose connections are idle looks at them once a second, and often again while a call runs', async () => {
  const paces: number[] = []
  const clock: Clock = {
    ...systemClock,
    setInterval: (callback, ms) => {
      paces.push(ms)
      return systemClock.setInterval(callback, ms)
    },
  }
  const dispatcher = new ScriptedDispatcher()
  server = new RpcServer({ dispatcher, clock, identity: { cluster: 'test', node: 'callee', bootId: 'b' } })
  const { host, port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const candidate = { node: 'callee', bootId: 'b', address: `${host}:${port}`, local: false }
  const { peers } = testbed.caller()

  await peers.attempt(candidate, request('echo'))
  await until('it rests', () => paces.at(-1) === 1_000)
  const resting = paces.length
  await peers.attempt(candidate, request('echo'))
  const deadlineAt = performance.now() + 100
  const held = peers.attempt(candidate, request('hold', [], { deadlineAt })).catch((error: unknown) => error)
  await until('it is awake', () => paces.at(-1) === 25)
  expect(paces.length, 'a call that is answered at once wakes nobody').toBe(resting + 1)
  // By its deadline there or by the caller's cancel, whichever is first.
  await dispatcher.until(() => dispatcher.arrived.some(({ cancelled }) => cancelled.length > 0))
  await held
  dispatcher.arrived.at(-1)?.settle({ ok: true, value: 1 })
  await until('it rests again', () => paces.at(-1) === 1_000)
})
