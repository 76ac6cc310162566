/** A node that leaves and comes back, and names that two nodes want. Real sockets, one process. */
import { afterEach, describe, expect, it } from 'vitest'
import { isShoalError, type MemberEvent, type ShoalNode } from '../../src/index.js'
import { memberOf, rejection, stateOf, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

function eventsOf(node: ShoalNode, name: string): string[] {
  const events: string[] = []
  node.on('member', ({ type, member }: MemberEvent) => {
    if (member.name === name) events.push(type)
  })
  return events
}

describe('leave, then join on the same node', () => {
  it('others see it left and alive again, and what it provides again is listed and answers', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    const registration = await c.provide('users', { get: () => 'first' })
    await Promise.all([a, b].map((node) => node.waitForServices(['users'])))
    const seen = [eventsOf(a, 'c'), eventsOf(b, 'c')]
    await c.leave()
    for (const node of [a, b]) await until('c has left', () => stateOf(node, 'c') === 'left')
    expect(isShoalError(await rejection(c.provide('users', { get: () => 'lost' })), 'CLOSED')).toBe(true)

    const results = await c.join([b.address])
    expect(results).toMatchObject([{ seed: b.address, error: undefined }])
    for (const node of [a, b]) await until('c is back', () => stateOf(node, 'c') === 'alive')
    expect(a.getNodes('users')).toEqual([])
    expect(registration.status).toBe('stopped')
    await c.provide('users', { get: () => 'second' })
    await Promise.all([a, b].map((node) => node.waitForServices(['users'])))
    expect(await a.callCb('users', 'get', [])).toBe('second')
    for (const events of seen) expect(events).toEqual(['leave', 'join'])

    await c.leave()
    for (const node of [a, b]) await until('c has left again', () => stateOf(node, 'c') === 'left')
    await c.close()
    expect(isShoalError(await rejection(c.join([b.address])), 'CLOSED')).toBe(true)
  })

  it('without seeds named it comes back by its permanent ones', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    await b.leave()
    await until('b has left', () => stateOf(a, 'b') === 'left')
    expect(await b.join([])).toEqual([])
    await until('b is back', () => stateOf(a, 'b') === 'alive')
  })

  it('a join during a leave lets it finish; seeds that are none change nothing', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const seen = eventsOf(a, 'b')
    const leaving = b.leave()
    expect(isShoalError(await rejection(b.join(['nonsense:port:x'])), 'INVALID_OPTION')).toBe(true)
    expect(b.leave()).toBe(leaving)
    const joins = [b.join([a.address]), b.join([a.address])]
    await leaving
    for (const results of await Promise.all(joins)) expect(results[0]?.error).toBeUndefined()
    await until('b left and came back', () => seen.length >= 2)
    expect(seen).toEqual(['leave', 'join'])
    expect(b.leave()).not.toBe(leaving)
  })
})

describe('a name that is taken', () => {
  it('by a node that lives rejects NAME_CONFLICT, and the incumbent does not notice more than the claim', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await c.provide('users', { get: () => 'the first' })
    await a.waitForServices(['users'])
    const seen = [eventsOf(a, 'c'), eventsOf(b, 'c')]
    const error = await rejection(nodes.start('c'))
    expect(isShoalError(error, 'NAME_CONFLICT'), String(error)).toBe(true)
    expect((error as Error).message).toContain(c.address)
    expect(memberOf(a, 'c')).toMatchObject({ state: 'alive', address: c.address })
    expect(await a.callCb('users', 'get', [])).toBe('the first')
    for (const events of seen) expect(events.filter((type) => type !== 'conflict')).toEqual([])
  })

  it('by a node that crashed is taken over at another address, and its services with it', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    await c.provide('users', { get: () => 'first life' })
    await a.waitForServices(['users'])
    await c.close()
    const again = await nodes.start('c')
    expect(again.address).not.toBe(c.address)
    await again.provide('users', { get: () => 'second life' })
    for (const node of [a, b]) {
      await until('c is alive where it is now', () => memberOf(node, 'c')?.address === again.address, { within: 5_000 })
      await until('it answers', async () => (await node.callCb('users', 'get', []).catch(() => '')) === 'second life')
    }
  })

  it('of two that meet later the older keeps, and the other says so and leaves', async () => {
    const older = await nodes.start('twin')
    const [b, c] = [await nodes.start('b'), await nodes.start('c', { seeds: [] })]
    const newer = await nodes.start('twin', { seeds: [c.address] })
    await until('each side is complete', () => stateOf(b, 'twin') === 'alive' && stateOf(c, 'twin') === 'alive')
    const faults: Error[] = []
    newer.on('fault', (error) => faults.push(error))
    const own = eventsOf(newer, 'twin')
    const kept = eventsOf(older, 'twin')
    await b.join([c.address])
    await until('the newer one left', () => stateOf(newer, 'twin') === 'left', { within: 20_000 })
    expect(faults.map((error) => isShoalError(error, 'NAME_CONFLICT'))).toEqual([true])
    expect([...new Set(own)]).toEqual(['conflict', 'leave'])
    expect(kept).not.toContain('leave')
    for (const node of [b, c]) {
      await until('all see the older', () => memberOf(node, 'twin')?.address === older.address)
      expect(stateOf(node, 'twin')).toBe('alive')
    }
  })
})
