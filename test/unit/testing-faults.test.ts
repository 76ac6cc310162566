/** What a test can do to the network and the processes of a test network. */
import { afterEach, describe, expect, it } from 'vitest'
import type { ShoalNode } from '../../src/index.js'
import { createTestNetwork, type TestNetwork, type TestNetworkOptions } from '../../src/testing/index.js'
import { rejection, stateOf } from '../support/test-nodes.js'

const networks: TestNetwork[] = []

async function cluster(
  names: readonly string[],
  options?: TestNetworkOptions,
): Promise<{ net: TestNetwork; nodes: ShoalNode[] }> {
  const net = createTestNetwork(options)
  networks.push(net)
  const nodes: ShoalNode[] = []
  for (const name of names) nodes.push(await net.node({ name }))
  await net.settled()
  return { net, nodes }
}

afterEach(async () => {
  await Promise.all(networks.splice(0).map((net) => net.close()))
})

describe('crash', () => {
  it('is seen as a death, not as a leave, and cuts calls under way', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c'])
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    await b.provide('work', { work: () => net.sleep(60_000) })
    await net.settled()
    const failed = rejection(a.callCb('work', 'work', []))
    await net.advance(100)
    net.crash(b)
    await net.advance(10)
    expect(await failed).toMatchObject({ code: 'CONNECTION_LOST', executed: 'maybe' })
    await net.settled()
    expect(stateOf(a, 'b')).toBe('dead')
    expect(a.getNodes('work')).toEqual([])
  })

  it('takes the next instance for calls of which nothing was written', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c'])
    const [a, b, c] = nodes as [ShoalNode, ShoalNode, ShoalNode]
    for (const node of [b, c]) await node.provide('who', { who: () => node.name })
    await net.settled()
    net.crash('b')
    for (let call = 0; call < 10; call++) expect(await net.run(a.callCb('who', 'who', []))).toBe('c')
  })

  it('runs the stop hooks, so that a test leaves nothing behind', async () => {
    const { net, nodes } = await cluster(['a'])
    let isStopped = false
    const stop = (): void => {
      isStopped = true
    }
    await nodes[0]?.provide('held', {}, { stop })
    net.crash('a')
    await net.until(() => isStopped)
    expect(net.nodes()).toEqual([])
  })

  it('of a node behind a cut is heard of by nobody until it is found out', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c'])
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    await b.provide('work', { work: () => net.sleep(60_000) })
    await net.settled()
    let ended = ''
    const call = rejection(a.callCb('work', 'work', [])).then((error) => {
      ended = (error as { code: string }).code
    })
    await net.advance(100)
    net.partition([b])
    net.crash(b)
    await net.advance(500)
    expect(ended).toBe('')
    await net.until(() => ended !== '')
    await call
    expect(ended).toBe('CONNECTION_LOST')
  })
})

describe('partition', () => {
  it('parts the nodes until heal, and those that are named nowhere stay together', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c', 'd'])
    const [a, b, c] = nodes as [ShoalNode, ShoalNode, ShoalNode]
    net.partition([a, b])
    await net.settled()
    expect([stateOf(a, 'b'), stateOf(a, 'c'), stateOf(c, 'd'), stateOf(c, 'a')]).toEqual([
      'alive',
      'dead',
      'alive',
      'dead',
    ])
    const late = await net.node({ name: 'late', seeds: ['c'] })
    await net.settled()
    expect(late.members().map(({ name }) => name)).not.toContain('a')
    net.heal()
    await net.settled()
    expect(stateOf(a, 'late')).toBe('alive')
    expect(net.stats().cut).toBeGreaterThan(0)
  })

  it('of three parts leaves each by itself', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c'])
    net.partition(['a'], ['b'], ['c'])
    await net.settled()
    for (const node of nodes) {
      const alive = node.members().filter(({ state }) => state === 'alive')
      expect(alive.map(({ name }) => name)).toEqual([node.name])
    }
  })
})

describe('cut', () => {
  it('loses the answers of calls, and none of the requests', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c'])
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    let runs = 0
    await b.provide('count', { up: () => ++runs })
    await net.settled()
    await a.callCb('count', 'up', [])
    net.cut(b, a)
    const failed = rejection(a.callCb('count', 'up', [], { timeout: 500 }))
    await net.advance(500)
    expect(await failed).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
    expect(runs).toBe(2)
    net.heal()
    await net.settled()
    expect(await net.run(a.callCb('count', 'up', []))).toBe(3)
  })

  it('of one way between two of many buries nobody: others are asked', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c', 'd'])
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    net.cut('a', ['b'])
    await net.advance(60_000)
    expect([stateOf(a, 'b'), stateOf(b, 'a')]).toEqual(['alive', 'alive'])
  })
})

describe('loss and latency', () => {
  it('can be changed while the nodes run', async () => {
    const { net, nodes } = await cluster(['a', 'b'])
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    await b.provide('echo', { echo: (text: string) => text })
    await net.settled()
    await a.callCb('echo', 'echo', ['warm'])
    const timed = async (): Promise<number> => {
      const startedAt = net.now()
      await net.run(a.callCb('echo', 'echo', ['hi']))
      return net.now() - startedAt
    }
    net.setLatency(40)
    expect(await timed()).toBe(80)
    net.setLatency(40, 20)
    expect(await timed()).toBeGreaterThan(80)
    net.setLatency(0)
    expect(await timed()).toBe(0)
    expect(net.stats().lost).toBe(0)
    net.setLoss(1)
    await net.advance(1_000)
    expect(net.stats().lost).toBeGreaterThan(0)
    net.setLoss(0)
    await net.settled()
  })

  it('of a fifth of the packets kills nobody and loses no call', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c', 'd'], { loss: 0.2, latencyMs: 5, jitterMs: 5 })
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    await net.run(b.provide('echo', { echo: (value: number) => value }))
    await net.settled()
    for (let call = 0; call < 50; call++) expect(await net.run(a.callCb('echo', 'echo', [call]))).toBe(call)
    await net.advance(60_000)
    expect(nodes.flatMap((node) => node.members().filter(({ state }) => state === 'dead'))).toEqual([])
    expect(net.stats().lost).toBeGreaterThan(100)
  })
})

describe('a seed', () => {
  /** Everything that the nodes tell, and when. */
  async function story(seed: number): Promise<readonly string[]> {
    const net = createTestNetwork({ seed, loss: 0.1, latencyMs: 10, jitterMs: 10 })
    const lines: string[] = []
    const watched = (node: ShoalNode): ShoalNode => {
      const tell = (what: string): void => void lines.push(`${net.now()} ${node.name} ${what}`)
      node.on('member', ({ type, member }) => tell(`${type} ${member.name} ${member.incarnation}`))
      node.on('service', ({ type, instance }) => tell(`${type} ${instance.service}@${instance.node}`))
      return node
    }
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map(async (name) => watched(await net.node({ name }))))
    for (const node of nodes.slice(1)) await net.run(node.provide('who', { who: () => node.name }))
    await net.settled()
    for (let call = 0; call < 20; call++) {
      const answer = await net.run(nodes[0]?.callCb('who', 'who', []) ?? Promise.reject(new Error('no node')))
      lines.push(`${net.now()} answer ${String(answer)}`)
    }
    net.crash('b')
    net.partition(['c'])
    await net.settled()
    net.heal()
    watched(await net.node({ name: 'b' }))
    await net.settled()
    lines.push(JSON.stringify(net.stats()), nodes[0]?.inspect().bootId ?? '')
    await net.close()
    return lines
  }

  it('gives the same events at the same instants each time, and another one others', async () => {
    const [first, second, other] = [await story(1), await story(1), await story(2)]
    expect(first.length).toBeGreaterThan(40)
    expect(second).toEqual(first)
    expect(other).not.toEqual(first)
  })

  it('gives the same when two networks run side by side', async () => {
    const alone = await story(3)
    expect(await Promise.all([story(3), story(4), story(3)])).toMatchObject([alone, {}, alone])
  })
})

describe('close', () => {
  it('leaves neither nodes nor timers nor packets', async () => {
    const { net, nodes } = await cluster(['a', 'b', 'c'], { latencyMs: 20, loss: 0.1 })
    const [a, b] = nodes as [ShoalNode, ShoalNode]
    await net.run(b.provide('work', { work: () => net.sleep(1_000) }, { healthCheck: () => true }))
    await net.settled()
    const failed = rejection(a.callCb('work', 'work', []))
    await net.advance(100)
    net.crash('c')
    await net.close()
    expect(await failed).toMatchObject({ code: 'CLOSED' })
    expect(net.stats()).toMatchObject({ nodes: 0, pending: 0 })
    expect(net.nodes()).toEqual([])
  })

  it('ends what a test waits for, and leaves nothing to be done', async () => {
    const { net } = await cluster(['a'])
    const waiting = rejection(net.advance(1_000_000_000))
    await Promise.all([net.close(), net.close()])
    expect(await waiting).toMatchObject({ code: 'CLOSED' })
    for (const late of [net.node(), net.advance(1), net.settled(), net.until(() => true)])
      expect(await rejection(late)).toMatchObject({ code: 'CLOSED' })
    expect(() => net.crash('a')).toThrow('the test network is closed')
  })

  it('is what `await using` does', async () => {
    const { net } = await cluster(['a'])
    await net[Symbol.asyncDispose]()
    expect(net.stats().nodes).toBe(0)
  })
})

describe('what a test network refuses', () => {
  it.each<[object, string]>([
    [
      { latency: 5 },
      "'latency' is no option of a test network; there are seed, latencyMs, jitterMs, loss, time, cluster",
    ],
    [{ seed: 1.5 }, 'seed must be a whole number, got 1.5'],
    [{ latencyMs: -1 }, 'latencyMs must be 0 to 60000 milliseconds, got -1'],
    [{ jitterMs: Number.NaN }, 'jitterMs must be 0 to 60000 milliseconds, got NaN'],
    [{ loss: 2 }, 'loss must be a share from 0 to 1, got 2'],
    [{ time: 'fast' }, "time must be 'virtual' or 'real', got 'fast'"],
    [{ cluster: 7 }, 'cluster must be a string, got number'],
  ])('the options %j', (options, message) => {
    expect(() => createTestNetwork(options as TestNetworkOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message }),
    )
  })

  it.each<[object, string]>([
    [{ bind: '127.0.0.1:0' }, "the network gives each node its address: leave 'bind' out"],
    [{ advertise: 'x' }, "the network gives each node its address: leave 'advertise' out"],
    [
      { keys: ['AAAAAAAAAAAAAAAAAAAAAA=='] },
      "calls of a test network travel in memory and cannot be encrypted: leave 'keys' and 'rpc.tls' out, and test them with createNode on 127.0.0.1",
    ],
    [
      { snapshot: '/tmp/x' },
      "'snapshot' reads and writes a real file: it is not to be had in virtual time, only with time: 'real'",
    ],
    [
      { health: { bind: '127.0.0.1:0' } },
      "'health' is a real HTTP endpoint; ask 'node.health()': it is not to be had in virtual time, only with time: 'real'",
    ],
    [{ seeds: 'a' }, 'seeds must be an array of nodes or of their names, got string'],
    [{ name: 'a' }, "a node 'a' runs already: crash or close it, or take another name"],
    [{ compress: 'yes' }, 'compress must be true or false, got string'],
  ])('the node options %j', async (options, message) => {
    const { net } = await cluster(['a'])
    expect(await rejection(net.node(options))).toMatchObject({ code: 'INVALID_OPTION', message })
    expect(net.stats().nodes).toBe(1)
  })

  it('times, shares and nodes that do not exist', async () => {
    const { net } = await cluster(['a', 'b'])
    const refused = (code: string, message: string): object => expect.objectContaining({ code, message })
    const unknown = "no node 'x' was ever on this network; there are 'a', 'b'"
    expect(() => net.setLoss(-0.1)).toThrow(refused('INVALID_OPTION', 'loss must be a share from 0 to 1, got -0.1'))
    expect(() => net.setLatency(1e9)).toThrow('latencyMs must be 0 to 60000 milliseconds, got 1000000000')
    expect(() => net.crash('x')).toThrow(
      refused('INVALID_ARGUMENT', "no node 'x' runs on this network; there are 'a', 'b'"),
    )
    expect(() => net.cut('a', 'x')).toThrow(refused('INVALID_ARGUMENT', unknown))
    expect(() => net.partition(['a', 'x'])).toThrow(refused('INVALID_ARGUMENT', unknown))
    expect(() => net.partition()).toThrow('partition needs arrays of nodes or names')
    expect(() => net.partition('a' as never)).toThrow('partition needs arrays of nodes or names')
    expect(() => net.sleep(-1)).toThrow('ms must be 0 to 2147483647 milliseconds, got -1')
    expect(await rejection(net.advance(Number.NaN))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await rejection(net.until(true as never))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(net.setLoss(0)).toBeUndefined()
  })

  it('to say that nodes agree when they do not, and says why', async () => {
    const { net } = await cluster(['a', 'b'])
    net.setLoss(1)
    await net.advance(30_000)
    expect(await rejection(net.settled({ timeout: 5_000 }))).toMatchObject({
      code: 'WAIT_TIMEOUT',
      message: "the nodes did not agree within 5000 ms: 'a' sees a instead of a, b",
    })
  })
})
