/** What a node shows and takes of membership: pings, hooks, limits, faults with codes. */
import { afterEach, expect, it } from 'vitest'
import { createNode, isShoalError } from '../../src/index.js'
import { memberOf, rejection, stateOf, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const nodes = new TestNodes()
afterEach(() => nodes.close())

it('pings a member by name and shows what it learnt', async () => {
  const [a] = await nodes.startAll('a', 'b')
  const rtt = await a.ping('b', { timeout: 3_000 })
  expect(rtt).toBeGreaterThan(0)
  expect(memberOf(a, 'b')).toMatchObject({ udpReachable: true, rtt: expect.any(Number) })
  expect(Object.isFrozen(memberOf(a, 'b'))).toBe(true)
  expect(await rejection(a.ping('nobody'))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await rejection(a.ping('b', { timeout: -1 }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  const { membership, members } = JSON.parse(JSON.stringify(a.inspect()))
  expect(membership).toMatchObject({
    healthScore: expect.any(Number),
    lagMs: expect.any(Number),
    sendErrors: 0,
    sendErrorsByCode: {},
  })
  expect(members.find(({ name }: { name: string }) => name === 'b')).toMatchObject({ udpReachable: true })
  await a.close()
  expect(await rejection(a.ping('b'))).toMatchObject({ code: 'CLOSED' })
})

it('a hook keeps a node out, and says so as a fault with a code', async () => {
  const a = await nodes.start('a', { admitMember: ({ tags }) => (tags['role'] === 'web' ? true : 'web nodes only') })
  const faults: unknown[] = []
  a.on('fault', (fault) => faults.push(fault))
  await nodes.start('b', { tags: { role: 'web' } })
  await until('a sees b', () => stateOf(a, 'b') === 'alive')
  await nodes.start('c')
  const fault = await until('a says why c stays out', () => faults[0])
  expect(isShoalError(fault, 'MEMBER_REFUSED')).toBe(true)
  expect(fault).toMatchObject({
    member: 'c',
    reason: 'web nodes only',
    message: expect.stringContaining('web nodes only'),
  })
  expect(stateOf(a, 'c')).toBeUndefined()
})

it('a hook turns a join away, and the first pass says why', async () => {
  await nodes.start('a', { admitMerge: async () => 'closed for today' })
  const failure = await rejection(nodes.start('b', { requireSeed: true }))
  expect(isShoalError(failure, 'JOIN_FAILED')).toBe(true)
  expect((failure as Error).message).toContain('merge refused: closed for today')
})

it.each([
  [{ tags: { role: 'x'.repeat(600) } }, 'TOO_LARGE', 'the limit is 512'],
  [{ allow: ['nonsense'] }, 'INVALID_OPTION', "'nonsense'"],
  [{ admitMember: 'yes' as never }, 'INVALID_OPTION', 'admitMember must be a function'],
  [{ compress: 1 as never }, 'INVALID_OPTION', 'compress must be true or false'],
])('the options %j are refused with what is wrong', async (options, code, words) => {
  const failure = await rejection(createNode({ cluster: 'x', bind: '127.0.0.1:0', ...options }))
  expect(failure).toMatchObject({ code })
  expect((failure as Error).message).toContain(words)
})

it('nodes that compress and nodes that do not are one cluster, services included', async () => {
  const a = await nodes.start('a', { compress: true })
  const b = await nodes.start('b')
  const c = await nodes.start('c', { compress: true })
  await a.provide('one', { run: () => 1 })
  await b.provide('two', { run: () => 2 })
  for (const node of [a, b, c]) await node.waitForServices(['one', 'two'])
  expect(await c.callCb('two', 'run', [])).toBe(2)
})

it('with the longest cluster name service records still fit their packets', async () => {
  const cluster = 'x'.repeat(255)
  const start = (name: string, seeds: readonly string[]) =>
    createNode({ cluster, name, bind: '127.0.0.1:0', seeds, tuning: { pushPullIntervalMs: 3_600_000 } })
  const a = await start('a', [])
  const b = await start('b', [a.address])
  try {
    for (let i = 0; i < 30; i++) await b.provide(`service-${i}-${'y'.repeat(100)}`, { run: () => i })
    await until('a lists all', () => a.getServices().running.size === 30)
    expect(b.inspect().membership.queued.dropped).toBe(0)
  } finally {
    await Promise.all([a.close(), b.close()])
  }
})
