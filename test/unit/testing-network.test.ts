/** `shoal/testing` as a user of it sees it: real nodes, and time that a test moves. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { currentCall, defineService, method, type ShoalNode } from '../../src/index.js'
import { createTestNetwork, type TestNetwork, type TestNetworkOptions } from '../../src/testing/index.js'
import { rejection, stateOf } from '../support/test-nodes.js'

const networks: TestNetwork[] = []

function make(options?: TestNetworkOptions): TestNetwork {
  const net = createTestNetwork(options)
  networks.push(net)
  return net
}

async function started(net: TestNetwork, ...names: string[]): Promise<ShoalNode[]> {
  const nodes: ShoalNode[] = []
  for (const name of names) nodes.push(await net.node({ name }))
  await net.settled()
  return nodes
}

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(networks.splice(0).map((net) => net.close()))
})

describe('the time of a test network', () => {
  it('stands still, and what needs none happens all the same', async () => {
    const net = make()
    const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
    const before = net.now()
    await b.provide('echo', { echo: (text: string) => text })
    await a.waitForServices(['echo'])
    expect(await a.callCb('echo', 'echo', ['hi'])).toBe('hi')
    expect(net.now()).toBe(before)
  })

  it('passes by as much as it is moved, whatever the machine does', async () => {
    const net = make()
    await started(net, 'a', 'b')
    const [before, startedAt] = [net.now(), performance.now()]
    await net.advance(60_000)
    expect(net.now()).toBe(before + 60_000)
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })

  it.each([0, 7])(
    'meets the deadline of a call to another node after an advance by it (latency %i ms)',
    async (latencyMs) => {
      const net = make({ latencyMs })
      const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
      await net.run(b.provide('slow', { work: () => net.sleep(60_000), fast: () => 1 }))
      await net.settled()
      await net.run(a.callCb('slow', 'fast', []))
      const failed = rejection(a.callCb('slow', 'work', [], { timeout: 5_000 }))
      await net.advance(5_000)
      expect(await failed).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
    },
  )

  it('lets pauses of a handler pass by sleep', async () => {
    const net = make()
    const [a] = (await started(net, 'a')) as [ShoalNode]
    await a.provide('nap', { nap: () => net.sleep(300).then(() => 'rested') })
    const startedAt = net.now()
    expect(await net.run(a.callCb('nap', 'nap', []))).toBe('rested')
    expect(net.now()).toBe(startedAt + 300)
  })

  it('is moved by run until the work is settled, and gives what it gave', async () => {
    const net = make({ latencyMs: 50 })
    const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
    await net.run(() => b.provide('math', { add: (x: number, y: number) => x + y }))
    await net.settled()
    await net.run(a.callCb('math', 'add', [1, 1])) // dials
    const startedAt = net.now()
    expect(await net.run(a.callCb('math', 'add', [2, 3]))).toBe(5)
    expect(net.now()).toBe(startedAt + 100)
    expect(await rejection(net.run(a.callCb('math', 'none', [])))).toMatchObject({ code: 'NO_METHOD' })
  })

  it('is given up by run when the work takes too long', async () => {
    const net = make()
    const never = net.run(new Promise(() => {}), { timeout: 1_000 })
    expect(await rejection(never)).toMatchObject({
      code: 'WAIT_TIMEOUT',
      message: "the work was not settled within 1000 ms of the network's time",
    })
    expect(net.now()).toBe(1_000)
  })

  it('is moved by until, which tells what a look throws', async () => {
    const net = make()
    await net.until(() => net.now() >= 250 || net.stats().nodes === 1)
    const [a] = (await started(net, 'a')) as [ShoalNode]
    await net.until(() => stateOf(a, 'a') === 'alive')
    expect(await rejection(net.until(() => false, { timeout: 10 }))).toMatchObject({ code: 'WAIT_TIMEOUT' })
    const look = (): boolean => {
      throw new Error('odd')
    }
    expect(await rejection(net.until(look))).toMatchObject({ message: 'odd' })
  })

  it('is shared by several that wait, each until its own end', async () => {
    const net = make()
    const ends: number[] = []
    const wait = (ms: number): Promise<void> => net.advance(ms).then(() => void ends.push(net.now()))
    await Promise.all([wait(30), wait(10), wait(20)])
    expect(ends).toEqual([10, 20, 30])
  })

  it('does not depend on fake timers, which drive what handlers do by themselves', async () => {
    const net = make()
    vi.useFakeTimers()
    const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
    const nap = (): Promise<string> => new Promise((resolve) => setTimeout(() => resolve('rested'), 200))
    await b.provide('nap', { nap })
    await net.settled()
    const call = a.callCb('nap', 'nap', [])
    await net.advance(1_000)
    await vi.advanceTimersByTimeAsync(200)
    expect(await call).toBe('rested')
  })

  it('passes by itself if it is real', async () => {
    const net = make({ time: 'real', latencyMs: 2 })
    const a = await net.node({ name: 'a', profile: 'local' })
    const b = await net.node({ name: 'b', profile: 'local' })
    await b.provide('echo', { echo: (text: string) => text })
    await net.settled({ timeout: 10_000 })
    const startedAt = performance.now()
    await net.advance(20)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(19)
    expect(await a.callCb('echo', 'echo', ['hi'])).toBe('hi')
    const call = rejection(net.run(a.callCb('echo', 'none', [])))
    expect(await call).toMatchObject({ code: 'NO_METHOD' })
  })
})

describe('nodes of a test network', () => {
  it('join those that run, in whatever order they are started', async () => {
    const net = make()
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map((name) => net.node({ name })))
    await net.settled()
    for (const node of nodes)
      expect(
        node
          .members()
          .map(({ name }) => name)
          .sort(),
      ).toEqual(['a', 'b', 'c', 'd'])
    expect(net.nodes()).toEqual(nodes)
  })

  it('have names and addresses of their own, and keep the address when they start again', async () => {
    const net = make()
    const first = await net.node()
    const second = await net.node()
    expect([first.name, second.name]).toEqual(['node-1', 'node-2'])
    expect(first.address).not.toBe(second.address)
    await net.settled()
    net.crash(second)
    const again = await net.node({ name: 'node-2' })
    expect(again.address).toBe(second.address)
    await net.settled()
  })

  it.each(['virtual', 'real'] as const)(
    'that still start when it is closed are closed too, in %s time',
    async (time) => {
      const net = make({ time })
      let isAsked = (): void => {}
      const asked = new Promise<void>((resolve) => {
        isAsked = resolve
      })
      await net.node({ name: 'a' })
      const admitMember = (): boolean => {
        isAsked()
        return true
      }
      const late = rejection(net.node({ name: 'b', admitMember }))
      await asked
      await net.close()
      expect(await late).toMatchObject({ code: 'CLOSED' })
      expect(net.nodes()).toEqual([])
    },
  )

  it('have one name each, also while they start', async () => {
    const net = make()
    const twins = [net.node({ name: 'a' }), net.node({ name: 'a' })]
    await expect(twins[1]).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    const first = await twins[0]
    expect(net.nodes()).toEqual([first])
  })

  it('join only the seeds that they are given', async () => {
    const net = make()
    const a = await net.node({ name: 'a' })
    const loner = await net.node({ name: 'loner', seeds: [] })
    const waiting = await net.node({ name: 'waiting', seeds: ['late'] })
    const b = await net.node({ name: 'b', seeds: [a] })
    await net.advance(20_000)
    expect(b.members()).toHaveLength(2)
    expect(loner.members()).toHaveLength(1)
    expect(waiting.members()).toHaveLength(1)
    const late = await net.node({ name: 'late', seeds: [] })
    await net.until(() => late.members().length === 2)
  })

  it('of other clusters do not hear each other', async () => {
    const net = make()
    const a = await net.node({ name: 'a' })
    const other = await net.node({ name: 'b', cluster: 'other' })
    await net.settled()
    expect([a.members().length, other.members().length]).toEqual([1, 1])
  })

  it('serve typed contracts, and calls made by handlers', async () => {
    const net = make({ latencyMs: 5 })
    const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
    const Sum = defineService('sum', { version: '1.0.0' }, { add: method<[number, number], number>() })
    await net.run(a.provide(Sum, { add: (x, y) => x + y }))
    await net.run(b.provide('twice', { twice: (x: number) => b.stub(Sum).add(x, x) }))
    await net.settled()
    expect(await net.run(a.callCb('twice', 'twice', [21]))).toBe(42)
  })

  it('tell their listeners of others outside of any call', async () => {
    const net = make()
    const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
    const seen: unknown[] = []
    a.on('service', () => seen.push(currentCall()))
    await b.provide('outer', {
      start: async () => {
        await b.provide('inner', {})
        await net.sleep(10)
        return currentCall()?.service
      },
    })
    await net.settled()
    expect(await net.run(a.callCb('outer', 'start', []))).toBe('outer')
    await net.settled()
    expect(a.getNodes('inner')).toEqual(['b'])
    expect(seen).toEqual([undefined, undefined])
  })

  it('leave, and are no longer expected by the others', async () => {
    const net = make()
    const [a, b] = (await started(net, 'a', 'b')) as [ShoalNode, ShoalNode]
    await net.run(b.leave())
    await net.settled()
    expect(stateOf(a, 'b')).toBe('left')
  })
})
