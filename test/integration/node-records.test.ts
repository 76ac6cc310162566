/** Records between real nodes: large metas over real sockets, and the option that rechecks. */
import { afterEach, describe, expect, it } from 'vitest'
import { isShoalError, type RegistryEvent } from '../../src/index.js'
import { createTestNetwork } from '../../src/testing/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

describe('a meta of almost a megabyte', () => {
  it('reaches every node, late joiners too, and no event shows it with anything but its own hash', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const seen: RegistryEvent[] = []
    b.on('service', (event) => seen.push(event))
    const registration = await a.provide(
      'users',
      { get: () => 1 },
      { meta: { version: 1, text: 'x'.repeat(1_000_000) } },
    )
    const versionAt = (node: typeof a): unknown => node.getInstances('users')[0]?.meta['version']
    await until('b has the first', () => versionAt(b) === 1)
    registration.setMeta({ version: 2, text: 'y'.repeat(1_000_000) })
    await until('b has the second', () => versionAt(b) === 2)
    const c = await nodes.start('c')
    await until('c has the second', () => versionAt(c) === 2)
    expect(c.getInstances('users')[0]?.hash).toBe(a.getInstances('users')[0]?.hash)
    const versionsByHash = new Map<string, Set<unknown>>()
    for (const { instance } of seen) {
      const versions = versionsByHash.get(instance.hash) ?? new Set()
      versionsByHash.set(instance.hash, versions.add(instance.metaPending ? 'pending' : instance.meta['version']))
    }
    for (const versions of versionsByHash.values()) {
      versions.delete('pending')
      expect(versions.size).toBeLessThanOrEqual(1)
    }
  })

  it('is refused above one megabyte, and the old one stays', async () => {
    const [a] = await nodes.startAll('a')
    const registration = await a.provide('users', { get: () => 1 }, { meta: { version: 1 } })
    const tooLarge = (): void => registration.setMeta({ text: 'x'.repeat(1_100_000) })
    expect(isShoalError(await rejection((async () => tooLarge())()), 'TOO_LARGE')).toBe(true)
    expect(a.getInstances('users')[0]?.meta).toEqual({ version: 1 })
  })
})

describe('recheckInterval', () => {
  it('lets nodes compare over TCP without a word of complaint from either', async () => {
    const a = await nodes.start('a', { recheckInterval: 100 })
    const b = await nodes.start('b', { recheckInterval: 100 })
    await a.provide('users', { get: () => 1 })
    await b.waitForServices(['users'])
    const agrees = (node: typeof a): boolean => node.inspect().registry.rechecks.same > 0
    await until('each has compared, and found the same', () => agrees(a) && agrees(b))
    for (const node of [a, b])
      expect(node.inspect().registry.drops).toMatchObject({ malformed: 0, misplaced: 0, unwanted: 0 })
  })

  it('is 10 s at most when nothing is said', async () => {
    const net = createTestNetwork()
    try {
      const a = await net.node({ name: 'a' })
      await net.node({ name: 'b' })
      const counts = [0]
      for (let period = 0; period < 6; period++) {
        await net.advance(10_000)
        counts.push(a.inspect().registry.rechecks.same)
      }
      for (const [i, count] of counts.slice(1).entries()) expect(count).toBeGreaterThan(counts[i] as number)
      expect(counts.at(-1)).toBeLessThanOrEqual(2 * 7) // its own, of 8 s at least, and those of the other one
    } finally {
      await net.close()
    }
  })

  it('is 0 or 100 ms to an hour', async () => {
    for (const recheckInterval of [-1, 50, 4e6, Number.NaN, '10' as never]) {
      expect(isShoalError(await rejection(nodes.start('a', { recheckInterval })), 'INVALID_OPTION')).toBe(true)
    }
    await nodes.start('b', { recheckInterval: 0 })
  })
})
