/** The life of services as their owners and their callers see it: hooks, health checks, readiness. Real sockets. */
import { afterEach, describe, expect, it } from 'vitest'
import { isRpcError, isShoalError, type ShoalNode } from '../../src/index.js'
import { createTestNetwork } from '../../src/testing/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

/** A promise that the test settles. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

function isListed(node: ShoalNode, service: string): boolean {
  return node.getNodes(service).length > 0
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return rejection(promise).then((error) => (isShoalError(error) ? error.code : String(error)))
}

describe('the start hook', () => {
  it('is done before the service is listed anywhere or takes a call, and before provide resolves', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const { opened, open } = gate()
    let isProvided = false
    const provided = b.provide('users', { get: () => 1 }, { start: () => opened }).then((registration) => {
      isProvided = true
      return registration
    })
    await until(
      'it is known',
      () => a.getServices().seen.includes('users') || b.health().services['users'] !== undefined,
    )
    expect(b.health().services['users']).toEqual({ status: 'starting', adminStatus: 'active', reason: undefined })
    expect([isListed(a, 'users'), isListed(b, 'users'), isProvided]).toEqual([false, false, false])
    expect(await codeOf(a.callCb('users', 'get', [], { nodes: ['b'] }))).toBe('UNAVAILABLE')
    expect(b.health().ready).toBe(false)
    open()
    expect((await provided).status).toBe('running')
    await a.waitForServices(['users'])
    expect(await a.callCb('users', 'get', [])).toBe(1)
    expect(b.health().ready).toBe(true)
  })

  it('that fails is tried again every 5 s, and provide resolves when it works', async () => {
    const net = createTestNetwork()
    const a = await net.node({ name: 'a' })
    const faults: string[] = []
    a.on('fault', ({ message }) => faults.push(message))
    const triedAt: number[] = []
    const start = (): void => {
      if (triedAt.push(net.now()) < 3) throw new Error('no database yet')
    }
    const provided = a.provide('users', { get: () => 1 }, { start })
    await net.until(() => faults.length === 1)
    expect(a.health().services['users']).toMatchObject({ status: 'failed', reason: 'no database yet' })
    expect((await net.run(provided)).status).toBe('running')
    expect(triedAt).toEqual([0, 5_000, 10_000])
    expect(faults).toEqual(['no database yet', 'no database yet'])
    await net.close()
  })

  it('that does not work in time rejects SERVICE_FAILED, is cancelled, and leaves nothing behind', async () => {
    const a = await nodes.start('a')
    let isCancelled = false
    const start = ({ signal }: { signal: AbortSignal }): Promise<void> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          isCancelled = true
          reject(signal.reason)
        })
      })
    const error = await rejection(a.provide('users', { get: () => 1 }, { start, startTimeout: 50 }))
    expect(isShoalError(error, 'SERVICE_FAILED')).toBe(true)
    expect(String(error)).toMatch(/users.*50 ms/)
    expect(isCancelled).toBe(true)
    expect(a.health().services).toEqual({})
    expect((await a.provide('users', { get: () => 2 })).status).toBe('running')
  })

  it('that a pause has cancelled begins anew at once when the pause is taken back', async () => {
    const a = await nodes.start('a')
    const gates = [gate(), gate()]
    let starts = 0
    const start = (): Promise<void> => gates[starts++]?.opened ?? Promise.resolve()
    const registration = await a.provide('users', { get: () => 1 }, { start, paused: true })
    const resumed = registration.resume()
    const paused = registration.pause()
    const again = registration.resume()
    await until('it begins anew', () => starts === 2)
    gates[1]?.open()
    await Promise.all([resumed, paused, again])
    expect([registration.status, starts]).toEqual(['running', 2])
  })

  it('a node that closes while a service starts ends the wait as CLOSED', async () => {
    const a = await nodes.start('a')
    const provided = codeOf(a.provide('users', { get: () => 1 }, { start: () => gate().opened }))
    await until('it starts', () => a.health().services['users']?.status === 'starting')
    await a.close()
    expect(await provided).toBe('CLOSED')
  })
})

describe('the stop hook', () => {
  it('runs after the service was delisted everywhere and its calls have finished', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const call = gate()
    const hook = gate()
    const order: string[] = []
    const registration = await b.provide(
      'users',
      { slow: () => call.opened.then(() => order.push('call done')) },
      {
        stop: async () => {
          order.push('stop hook')
          await hook.opened
        },
      },
    )
    await a.waitForServices(['users'])
    const running = a.callCb('users', 'slow', [])
    await until('the call runs', () => b.inspect().rpc.handlers.inFlight === 1)
    const stopped = registration.stop()
    await until('it is delisted', () => !isListed(a, 'users'))
    expect([registration.status, order]).toEqual(['stopping', []])
    expect(await codeOf(a.callCb('users', 'slow', [], { nodes: ['b'] }))).toBe('UNAVAILABLE')
    call.open()
    await running
    await until('the hook runs', () => order.length === 2)
    expect(order).toEqual(['call done', 'stop hook'])
    hook.open()
    await stopped
    expect(await codeOf(a.callCb('users', 'slow', [], { nodes: ['b'] }))).toBe('NOT_PROVIDED')
  })

  it('a deactivated service can be resumed, with its start hook run again', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const order: string[] = []
    const hooks = { start: () => order.push('start'), stop: () => order.push('stop') }
    const registration = await b.provide('users', { get: () => 1 }, hooks)
    await a.waitForServices(['users'])
    await registration.deactivate()
    expect([registration.status, registration.adminStatus]).toEqual(['stopped', 'inactive'])
    expect(b.health().ready).toBe(true) // nobody wants it to run
    await until('it is delisted', () => !isListed(a, 'users'))
    await registration.resume()
    await a.waitForServices(['users'])
    expect(order).toEqual(['start', 'stop', 'start'])
  })

  it('that fails is a fault and stops the service all the same', async () => {
    const a = await nodes.start('a')
    const faults: string[] = []
    a.on('fault', ({ message }) => faults.push(message))
    const stop = (): never => {
      throw new Error('cannot close')
    }
    const registration = await a.provide('users', { get: () => 1 }, { stop })
    await registration.stop()
    expect([registration.status, faults]).toEqual(['stopped', ['cannot close']])
  })

  it.each(['leave', 'close'] as const)('that runs already is waited for by %s, and not run again', async (how) => {
    const a = await nodes.start('a')
    const { opened, open } = gate()
    const log: string[] = []
    const stop = async (): Promise<void> => {
      log.push('stops')
      await opened
      log.push('stopped')
    }
    const registration = await a.provide('users', { get: () => 1 }, { stop })
    const stopped = registration.stop()
    await until('it runs', () => log.length === 1)
    const gone = a[how]().then(() => log.push('gone'))
    await new Promise((resolve) => setImmediate(resolve))
    open()
    await Promise.all([gone, stopped])
    expect(log).toEqual(['stops', 'stopped', 'gone'])
  })

  it('waits for calls no longer than the node: a close has it run at once', async () => {
    const a = await nodes.start('a')
    let hasRun = false
    const stop = (): void => {
      hasRun = true
    }
    const registration = await a.provide('users', { get: () => new Promise(() => {}) }, { stop })
    const lost = codeOf(a.callCb('users', 'get', []))
    const stopped = registration.deactivate({ timeout: 60_000 })
    await a.close()
    expect([hasRun, await lost]).toEqual([true, 'CLOSED'])
    await stopped
  })

  it('is the end of a service that is stopped: what is ordered meanwhile is refused, and starts nothing', async () => {
    const a = await nodes.start('a')
    const { opened, open } = gate()
    let starts = 0
    const start = (): unknown => starts++
    const registration = await a.provide('users', { get: () => 1 }, { start, stop: () => opened })
    const stopped = [registration.stop(), registration.stop()]
    expect([await codeOf(registration.resume()), await codeOf(registration.pause())]).toEqual(['CLOSED', 'CLOSED'])
    open()
    await Promise.all(stopped)
    expect([starts, a.health().services]).toEqual([1, {}])
  })

  it('is not run again by what is ordered after the leave that has run it', async () => {
    const a = await nodes.start('a')
    let stops = 0
    const registration = await a.provide('users', { get: () => 1 }, { stop: () => stops++ })
    await a.leave()
    await registration.deactivate()
    await registration.stop()
    await a.close()
    expect(stops).toBe(1)
  })

  it('is run once when the node leaves and closes, and when it only closes', async () => {
    for (const leaves of [true, false]) {
      const node = await nodes.start(`leaves-${leaves}`)
      let stops = 0
      await node.provide('users', { get: () => 1 }, { stop: () => stops++ })
      if (leaves) await node.leave()
      await node.close()
      expect(stops).toBe(1)
    }
  })
})

describe('a node that leaves', () => {
  it('lets no service come up any more: neither one that starts, nor one whose start is to be tried again', async () => {
    const net = createTestNetwork()
    const a = await net.node({ name: 'a' })
    const b = await net.node({ name: 'b' })
    await b.provide('jobs', { run: () => net.sleep(8_000) })
    let tries = 0
    const failing = await b.provide('failing', { get: () => 1 }, { start: () => void failOnSecond(++tries) })
    await net.run(failing.deactivate())
    expect(await net.run(codeOf(failing.resume()))).toBe('SERVICE_FAILED')
    await net.settled()
    const call = a.callCb('jobs', 'run', [])
    await net.advance(100)
    let isCancelled = false
    const { opened, open } = gate()
    const start = ({ signal }: { signal: AbortSignal }): Promise<void> => {
      signal.addEventListener('abort', () => (isCancelled = true))
      return opened
    }
    const provided = codeOf(b.provide('starting', { get: () => 1 }, { start }))
    await net.advance(100)
    const left = b.leave({ drain: 9_000 })
    await net.advance(100)
    open()
    await net.advance(6_000)
    expect([isCancelled, tries]).toEqual([true, 2])
    expect(['starting', 'failing'].flatMap((service) => [...a.getNodes(service), ...b.getNodes(service)])).toEqual([])
    expect(await net.run(codeOf(a.callCb('starting', 'get', [], { nodes: ['b'] })))).toBe('UNAVAILABLE')
    await net.run(Promise.all([left, call]))
    expect(await net.run(provided)).toBe('CLOSED')
    expect(tries).toBe(2)
    await net.close()
  })

  it('obeys no order to run a service again, during the leave and after it', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const { opened, open } = gate()
    const registration = await b.provide('jobs', { run: () => opened, quick: () => 1 }, { stop: () => {} })
    await a.waitForServices(['jobs'])
    const call = a.callCb('jobs', 'run', [])
    await until('it runs', () => b.inspect().rpc.handlers.inFlight === 1)
    const left = b.leave()
    await until('it is delisted', () => !isListed(a, 'jobs'))
    expect(await codeOf(registration.resume())).toBe('CLOSED')
    expect(await codeOf(a.callCb('jobs', 'quick', [], { nodes: ['b'] }))).toBe('DRAINING')
    open()
    await Promise.all([left, call])
    expect(await codeOf(registration.resume())).toBe('CLOSED')
    expect(registration.status).toBe('draining')
    await registration.stop()
  })
})

function failOnSecond(tries: number): void {
  if (tries === 2) throw new Error('no database any more')
}

describe('pause', () => {
  it('is pausing while calls run and paused when none does', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const call = gate()
    const registration = await b.provide('users', { slow: () => call.opened })
    await a.waitForServices(['users'])
    const running = a.callCb('users', 'slow', [])
    await until('the call runs', () => b.inspect().rpc.handlers.inFlight === 1)
    const paused = registration.pause('maintenance')
    expect(registration.status).toBe('pausing')
    call.open()
    await paused
    await running
    expect(b.health().services['users']).toEqual({
      status: 'paused',
      adminStatus: 'pause',
      reason: 'maintenance',
    })
    expect(b.health().ready).toBe(true)
  })
})

describe('a health check', () => {
  const quick = { interval: 40, timeout: 30, failures: 2, successes: 2, delay: 0 }

  it('that fails in a row delists the service everywhere, which comes back by itself', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    let answer: unknown = true
    const check = (): unknown => {
      if (answer instanceof Error) throw answer
      return answer
    }
    await b.provide('users', { get: () => 1 }, { healthCheck: { check, ...quick } })
    await a.waitForServices(['users'])
    for (const failure of [false, new Error('the database is gone')]) {
      answer = failure
      await until('it is delisted', () => !isListed(a, 'users') && !isListed(b, 'users'))
      expect(b.health()).toMatchObject({ live: true, ready: false, services: { users: { status: 'failed' } } })
      const error = await rejection(a.callCb('users', 'get', [], { nodes: ['b'] }))
      expect(isRpcError(error, 'UNAVAILABLE') && error.executed === 'no').toBe(true)
      answer = undefined
      await until('it is listed again', () => isListed(a, 'users'))
      expect(b.health().ready).toBe(true)
    }
  })

  it('that hangs counts as failed, has its signal aborted, and is not piled up', async () => {
    const net = createTestNetwork()
    const a = await net.node({ name: 'a' })
    const b = await net.node({ name: 'b' })
    let hanging = 0
    let aborted = 0
    const check = ({ signal }: { signal: AbortSignal }): Promise<void> => {
      hanging++
      signal.addEventListener('abort', () => aborted++)
      return gate().opened
    }
    await b.provide('users', { get: () => 1 }, { healthCheck: { check, ...quick } })
    await net.until(() => isListed(a, 'users'))
    await net.until(() => !isListed(a, 'users'))
    expect(b.health().services['users']).toMatchObject({ status: 'failed', reason: expect.stringMatching(/30 ms/) })
    await net.advance(10 * quick.interval)
    expect([hanging, aborted]).toEqual([4, 4])
    await net.close()
  })

  it('that hangs is given up when the node closes', async () => {
    const a = await nodes.start('a')
    let signal: AbortSignal | undefined
    const check = (hook: { readonly signal: AbortSignal }): Promise<never> => {
      signal = hook.signal
      return new Promise(() => {})
    }
    await a.provide('users', { get: () => 1 }, { healthCheck: { check, delay: 0, timeout: 600_000 } })
    await until('it is checked', () => signal !== undefined)
    await a.close()
    expect(signal?.aborted).toBe(true)
  })

  it('says nothing while the service is paused or stopped', async () => {
    const net = createTestNetwork()
    const a = await net.node({ name: 'a' })
    let checks = 0
    const check = (): boolean => {
      checks++
      return false
    }
    const registration = await a.provide('users', { get: () => 1 }, { paused: true, healthCheck: { check, ...quick } })
    await net.advance(10 * quick.interval)
    expect(checks).toBe(0)
    await registration.resume()
    await net.until(() => registration.status === 'failed')
    const before = checks
    expect(before).toBe(2)
    await registration.pause()
    await net.advance(10 * quick.interval)
    expect([registration.status, checks]).toEqual(['paused', before])
    await registration.stop()
    await net.advance(10 * quick.interval)
    expect(checks).toBe(before)
    await net.close()
  })
})

describe('the health endpoint', () => {
  it('answers 200 or 503 for /live and /ready, with the services, and 404 elsewhere', async () => {
    const a = await nodes.start('a', { health: { bind: '127.0.0.1:0' } })
    const ask = async (path: string): Promise<readonly [number, unknown]> => {
      const response = await fetch(`http://${a.healthAddress}${path}`)
      return [response.status, await response.json()]
    }
    expect(await ask('/live')).toEqual([200, { live: true, ready: true, services: {} }])
    const registration = await a.provide(
      'users',
      { get: () => 1 },
      { healthCheck: { check: () => false, interval: 20, failures: 1, delay: 0 } },
    )
    await until('it failed', () => registration.status === 'failed')
    const [status, body] = await ask('/ready?verbose')
    expect(status).toBe(503)
    expect(body).toMatchObject({ ready: false, services: { users: { status: 'failed' } } })
    expect((await ask('/live'))[0]).toBe(200)
    expect((await ask('/metrics'))[0]).toBe(404)
    expect((await fetch(`http://${a.healthAddress}/live`, { method: 'POST' })).status).toBe(405)
    await registration.stop()
    expect((await ask('/ready'))[0]).toBe(200)
    await a.leave()
    expect((await ask('/ready'))[0]).toBe(503)
    await a.close()
    await expect(fetch(`http://${a.healthAddress}/live`)).rejects.toThrow()
  })

  it('a port that is taken rejects createNode and leaves nothing open', async () => {
    const a = await nodes.start('a', { health: { bind: '127.0.0.1:0' } })
    await expect(nodes.start('b', { health: { bind: a.healthAddress ?? '' } })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringMatching(/^health\.bind '127\.0\.0\.1:\d+' cannot be used \(EADDRINUSE\): .*another port/),
      cause: { syscall: 'listen' },
    })
    expect(await codeOf(nodes.start('c', { health: { bind: 'nonsense:' } }))).toBe('INVALID_OPTION')
  })
})
