/**
 * What was measured to go wrong in a cluster of Malla, done here: each of these tests is one such measurement. Those of
 * which other suites have a test already are listed with it in docs/malla.md.
 */
import { afterEach, expect, it } from 'vitest'
import { isRpcError, type ShoalNode } from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

it('calls that reach a node whose service is paused, failed, draining, stopped or absent are refused and run nothing', async () => {
  const [a, b] = await nodes.startAll('a', 'b')
  let ran = 0
  const get = (): number => ++ran
  const fast = { interval: 20, timeout: 20, failures: 1, delay: 0 }
  await b.provide('paused', { get }, { paused: true })
  await b.provide('failed', { get }, { healthCheck: { check: () => false, ...fast } })
  await (await b.provide('draining', { get })).drain()
  await (await b.provide('stopped', { get })).stop()
  await until('the check has failed', () => b.health().services['failed']?.status === 'failed')
  const refusals = {
    paused: 'UNAVAILABLE',
    failed: 'UNAVAILABLE',
    draining: 'DRAINING',
    stopped: 'NOT_PROVIDED',
    absent: 'NOT_PROVIDED',
  }
  for (const [service, code] of Object.entries(refusals)) {
    for (const node of [a, b]) {
      const error = await rejection(node.callCb(service, 'get', [], { nodes: ['b'] }))
      expect(error).toMatchObject({ code, executed: 'no', node: 'b' })
    }
  }
  expect(ran).toBe(0)
})

it('a handler that finds no instance of another service runs once, however many passes its caller would make', async () => {
  const [a, b, c] = await nodes.startAll('a', 'b', 'c')
  let ran = 0
  for (const node of [b, c]) {
    await node.provide('outer', {
      get: async () => {
        ran++
        return node.callCb('nowhere', 'get', [])
      },
    })
  }
  await a.waitForServices(['outer'], { min: 2 })
  const eager = { retries: { unavailable: 5, error: 5 }, retryDelay: 1, idempotent: true }
  const error = await rejection(a.remote('outer', 'get', [], eager))
  expect(isRpcError(error, 'REMOTE') && error.executed === 'yes').toBe(true)
  expect(error).toMatchObject({ remote: { code: 'NO_INSTANCES' } })
  expect(ran).toBe(1)
})

it('the calls of one caller are spread evenly over all instances, one by one', async () => {
  const [a, ...others] = await nodes.startAll('a', 'b', 'c', 'd', 'e')
  for (const node of others) await node.provide('who', { am: () => node.name })
  await a.waitForServices(['who'], { min: 4 })
  const counts: Record<string, number> = { b: 0, c: 0, d: 0, e: 0 }
  for (let i = 0; i < 200; i++) counts[await a.callCb<string>('who', 'am', [])]!++
  // 50 each by chance, with a standard deviation of 6.
  for (const count of Object.values(counts)) expect(Math.abs(count - 50), JSON.stringify(counts)).toBeLessThan(36)
})

it('a module that is only exposed is listed nowhere, neither by those who are there nor by those who come later', async () => {
  const [a, b] = await nodes.startAll('a', 'b')
  b.expose('local', { get: () => 1 })
  await b.provide('marker', { get: () => 1 })
  await a.waitForServices(['marker'])
  const late = await nodes.start('late')
  await late.waitForServices(['marker'])
  for (const node of [a, b, late]) {
    expect(node.getNodes('local')).toEqual([])
    expect(node.getServices().seen).toEqual(['marker'])
    expect(isRpcError(await rejection(node.callCb('local', 'get', [])), 'NO_INSTANCES')).toBe(true)
  }
})

it('callCbAll runs on all instances at the same time: each handler answers when all of them run', async () => {
  const all = await nodes.startAll('a', 'b', 'c')
  let running = 0
  const together = async (): Promise<number> => {
    running++
    return until('all run', () => running === all.length && running)
  }
  for (const node of all) await node.provide('meeting', { together })
  await all[0].waitForServices(['meeting'], { min: 3 })
  const results = await all[0].callCbAll('meeting', 'together', [])
  expect(results.map((result) => result.ok && result.value)).toEqual([3, 3, 3])
})

it('a stub has every method of every version all the time, while instances of both come and go', async () => {
  const [a, b, c, d] = await nodes.startAll('a', 'b', 'c', 'd')
  const old = (node: ShoalNode) => node.provide('users', { get: () => 'old' }, { version: '1.0.0' })
  await b.provide('users', { get: () => 'new', find: () => 'found' }, { version: '2.0.0' })
  await old(c)
  await a.waitForServices(['users'], { min: 2 })
  const users = a.stub<{ get(): Promise<string>; find(): Promise<string> }>('users', { retries: { unavailable: 0 } })
  const { get, find } = users
  const got = new Set<string>()
  for (let round = 0; round < 10; round++) {
    const registration = await old(d)
    for (let i = 0; i < 10; i++) {
      expect(await users.find()).toBe('found')
      got.add(await users.get())
    }
    await registration.stop()
  }
  expect([...got].sort()).toEqual(['new', 'old'])
  expect([users.get, users.find]).toEqual([get, find])
})
