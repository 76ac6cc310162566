/** Streams through the public API: the same contract in this process, by reference and by copies, and over the network. */
import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  currentCall,
  defineService,
  type Middleware,
  method,
  type NodeOptions,
  type ServiceImpl,
  type ShoalNode,
  stream,
} from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const Feed = defineService(
  'feed',
  { version: '1.0.0' },
  {
    count: stream<[to: number], number>(),
    endless: stream<[], number>({ timeout: Number.POSITIVE_INFINITY }),
    checked: stream({ input: z.number(), output: z.number().transform((n) => n * 10) }),
    broken: stream<[after: number], number>(),
    odd: stream<[], unknown>(),
    quiet: stream<[], number>(),
    double: stream<[numbers: AsyncIterable<number>, factor: number], number>(),
    sum: method<[numbers: AsyncIterable<number>], number>(),
    first: method<[numbers: AsyncIterable<number>], number | undefined>(),
    value: method<[], number>(),
  },
)

/** What happened to the generators. */
interface Seen {
  made: number
  ended: number
  aborted: number
  asked: number
}

function feedOf(seen: Seen): ServiceImpl<typeof Feed> {
  return {
    async *count(to) {
      for (let i = 0; i < to; i++) yield i
    },
    async *endless() {
      const signal = currentCall()?.signal
      signal?.addEventListener('abort', () => seen.aborted++)
      try {
        for (;;) yield seen.made++
      } finally {
        seen.ended++
      }
    },
    async *checked(from) {
      yield from
      yield 'secret' as never
    },
    async *broken(after) {
      for (let i = 0; i < after; i++) yield i
      throw Object.assign(new Error('no more'), { code: 'EMPTY', data: { left: 0 } })
    },
    async *odd() {
      yield 1
      yield () => 2
    },
    async *quiet() {
      const signal = currentCall()?.signal
      seen.asked++
      try {
        await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      } finally {
        seen.ended++
      }
    },
    async *double(numbers, factor) {
      for await (const number of numbers) yield number * factor
    },
    async sum(numbers) {
      let sum = 0
      for await (const number of numbers) sum += number
      return sum
    },
    async first(numbers) {
      for await (const number of numbers) return number
      return undefined
    },
    value: () => 1,
  }
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

async function* numbersTo(to: number, onEnd: () => void = () => {}): AsyncGenerator<number> {
  try {
    for (let i = 1; i <= to; i++) yield i
  } finally {
    onEnd()
  }
}

let nodes = new TestNodes()
afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

describe.each<[string, NodeOptions, { readonly forceRemote?: boolean }]>([
  ['local, by reference', {}, {}],
  ['local, by copies', { local: 'clone' }, {}],
  ['remote', {}, { forceRemote: true }],
])('streams, %s', (way, nodeOptions, callOptions) => {
  async function setup(changes: NodeOptions = {}) {
    const node = await nodes.start('a', { ...nodeOptions, ...changes })
    const seen: Seen = { made: 0, ended: 0, aborted: 0, asked: 0 }
    const faults: Error[] = []
    node.on('fault', (error) => faults.push(error))
    const registration = await node.provide(Feed, feedOf(seen))
    return { node, seen, faults, registration, feed: node.stub(Feed).$with(callOptions) }
  }
  const idle = (node: ShoalNode) => until('nothing runs', () => node.inspect().rpc.handlers.inFlight === 0)

  it('give all items in order, more than a window of them', async () => {
    const { feed, node } = await setup()
    expect(await collect(feed.count(1_000))).toEqual(Array.from({ length: 1_000 }, (_, i) => i))
    expect(await collect(feed.count(0))).toEqual([])
    expect(await collect(node.streamCb('feed', 'count', [3], callOptions))).toEqual([0, 1, 2])
    await idle(node)
    expect(node.inspect().rpc.peers.streams).toBe(0)
  })

  it('are not ahead of their reader by more than a window', async () => {
    const { feed, seen, node } = await setup()
    const items = feed.endless()
    expect((await items.next()).value).toBe(0)
    await until('the window is full', () => seen.made >= 256)
    const made = seen.made
    for (let i = 0; i < 20; i++) expect((await node.callCb('feed', 'value', [], callOptions)) as number).toBe(1)
    expect(seen.made).toBe(made)
    expect(made).toBeLessThanOrEqual(258)
    await items.return()
  })

  it('end at the handler when the reader breaks: its finally runs and its signal is aborted', async () => {
    const { feed, seen, node } = await setup()
    for await (const item of feed.endless()) if (item === 10) break
    await until('the generator ended', () => seen.ended === 1)
    expect(seen.aborted).toBe(1)
    await idle(node)
  })

  it('can be left while an item is awaited', async () => {
    const { feed, seen, node } = await setup()
    const items = feed.quiet()
    const waiting = items.next()
    await until('it runs', () => seen.asked === 1)
    expect(await items.return()).toEqual({ done: true, value: undefined })
    expect(await waiting).toEqual({ done: true, value: undefined })
    await until('the generator ended', () => seen.ended === 1)
    await idle(node)
  })

  it('end for the reader by its signal, and leave no listener on it', async () => {
    const { seen, node } = await setup()
    const controller = new AbortController()
    const items = node.streamCb('feed', 'endless', [], { ...callOptions, signal: controller.signal })
    await items.next()
    controller.abort(new Error('enough'))
    expect(await rejection(items.next())).toMatchObject({ code: 'CANCELLED', executed: 'yes' })
    expect(await items.next()).toEqual({ done: true, value: undefined })
    await until('the generator ended', () => seen.ended === 1)
    const early = node.streamCb('feed', 'endless', [], { ...callOptions, signal: controller.signal })
    expect(await rejection(early.next())).toMatchObject({ code: 'CANCELLED', executed: 'no' })
  })

  it('end with what the handler throws, after the items before it', async () => {
    const { feed } = await setup()
    const got: number[] = []
    const reading = (async () => {
      for await (const item of feed.broken(3)) got.push(item)
    })()
    expect(await rejection(reading)).toMatchObject({
      code: 'REMOTE',
      executed: 'yes',
      remote: { name: 'Error', message: 'no more', code: 'EMPTY', data: { left: 0 } },
    })
    expect(got).toEqual([0, 1, 2])
    expect(await rejection(feed.broken(0).next())).toMatchObject({ code: 'REMOTE', executed: 'yes' })
  })

  it('check what goes in and each item that comes out', async () => {
    const { feed, node, faults } = await setup()
    const items = feed.checked(4)
    expect((await items.next()).value).toBe(40)
    expect(await rejection(items.next())).toMatchObject({ code: 'REMOTE', remote: { name: 'ContractError' } })
    expect(faults).toMatchObject([{ code: 'REMOTE' }])
    expect(faults[0]?.message).toMatch(/^an item of feed\.checked on 'a' .* item: /)
    expect(faults[0]?.message).not.toContain('secret')
    const wrong = node.streamCb('feed', 'checked', ['x'], callOptions)
    expect(await rejection(wrong.next())).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
  })

  it('have a deadline for the whole, and one for an item', async () => {
    const { feed, seen, node } = await setup()
    const whole = feed.$with({ timeout: 60 }).quiet()
    expect(await rejection(whole.next())).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
    const item = feed.$with({ itemTimeout: 40 }).quiet()
    const error = (await rejection(item.next())) as Error
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
    expect(error.message).toContain('itemTimeout')
    await until('both generators ended', () => seen.ended === 2)
    const begun = feed.$with({ timeout: 200, itemTimeout: 10_000 }).endless()
    await begun.next()
    // Also for one that never pauses: other work gets its turn in between.
    const reading = (async () => {
      for await (const _ of begun);
    })()
    expect(await rejection(reading)).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'yes' })
    await until('the third ended', () => seen.ended === 3)
    await idle(node)
  })

  it('go up as an argument: drawn as the handler reads, closed when it stops reading', async () => {
    const { feed, node } = await setup()
    let ended = 0
    expect(await feed.sum(numbersTo(1_000, () => ended++))).toBe(500_500)
    expect(ended).toBe(1)
    expect(await feed.first(numbersTo(Number.POSITIVE_INFINITY, () => ended++))).toBe(1)
    await until('the generator of the caller ended', () => ended === 2)
    await idle(node)
  })

  it('go both ways at once', async () => {
    const { feed, node } = await setup()
    let ended = 0
    expect(
      await collect(
        feed.double(
          numbersTo(600, () => ended++),
          2,
        ),
      ),
    ).toEqual(Array.from({ length: 600 }, (_, i) => 2 * (i + 1)))
    for await (const item of feed.double(
      numbersTo(Number.POSITIVE_INFINITY, () => ended++),
      2,
    ))
      if (item > 900) break
    await until('both generators of the caller ended', () => ended === 2)
    await idle(node)
  })

  it('that go up and fail end the call with the reason, and the handler hears of it', async () => {
    const { feed, node } = await setup()
    async function* failing(): AsyncGenerator<number> {
      yield 1
      throw new Error('disk full')
    }
    const error = (await rejection(feed.sum(failing()))) as Error
    expect(error).toMatchObject({ code: 'CANCELLED', executed: 'maybe', cause: { message: 'disk full' } })
    expect(error.message).toContain('disk full')
    await idle(node)
  })

  it('that go up are not touched by a call that is refused', async () => {
    const { feed, registration } = await setup()
    await registration.pause('maintenance')
    let begun = 0
    async function* numbers(): AsyncGenerator<number> {
      begun++
      yield 1
    }
    const call = feed.$with({ nodes: ['a'], retries: { unavailable: 0 } }).sum(numbers())
    expect(await rejection(call)).toMatchObject({ code: 'UNAVAILABLE', executed: 'no' })
    expect(begun).toBe(0)
  })

  it('are told from values: calling one as the other is refused before it runs', async () => {
    const { node } = await setup()
    node.expose('plain', {
      async *items() {
        yield 1
      },
      value: () => 2,
    })
    const options = { ...callOptions, nodes: ['a'] }
    for (const service of ['feed', 'plain']) {
      const name = service === 'feed' ? 'count' : 'items'
      expect(await rejection(node.callCb(service, name, [1], options))).toMatchObject({
        code: 'NO_METHOD',
        executed: 'no',
      })
    }
    const wrong = node.streamCb('feed', 'value', [], options)
    expect(await rejection(wrong.next())).toMatchObject({ code: 'NO_METHOD', executed: 'no' })
    expect(await collect(node.streamCb('plain', 'items', [], options))).toEqual([1])
    const late = node.streamCb('plain', 'value', [], options)
    expect(await rejection(late.next())).toMatchObject({ code: 'REMOTE', executed: 'yes' })
  })

  it('are inside the middleware of the node, which lasts as long as they do', async () => {
    const log: string[] = []
    const layer: Middleware = async (call, next) => {
      log.push(`begin ${call.method}`)
      try {
        return await next()
      } finally {
        log.push(`end ${call.method}`)
      }
    }
    const { feed } = await setup({
      use: [layer],
      useOutgoing: [
        async (call, next) => {
          log.push(`out ${call.method}`)
          await next()
        },
      ],
    })
    const items = feed.count(2)
    await items.next()
    await items.next()
    expect((await items.next()).done).toBe(true)
    expect(log).toEqual(['out count', 'begin count', 'end count'])
  })

  it('that nobody reads to the end let go of the signal at their deadline', async () => {
    const { node } = await setup()
    const { signal } = new AbortController()
    const items = node.streamCb('feed', 'endless', [], { ...callOptions, signal, timeout: 100 })
    expect((await items.next()).value).toBe(0)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await until('it is over', () => getEventListeners(signal, 'abort').length === 0)
    await idle(node)
  })

  it('that middleware answers itself give what it gave, or fail, and never end as if they had been empty', async () => {
    const layer: Middleware = (call, next) => {
      if (call.method === 'count') return numbersTo(3)
      return call.method === 'endless' ? 'from a cache' : next()
    }
    const { feed, seen } = await setup({ use: [layer] })
    expect(await collect(feed.count(9))).toEqual([1, 2, 3])
    const error = await rejection(feed.endless().next())
    expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', message: expect.stringContaining('not a stream') })
    expect(seen.made).toBe(0)
  })

  it('are waited for by a drain, up to its time', async () => {
    const { feed, registration } = await setup()
    const items = feed.endless()
    await items.next()
    expect(await registration.drain({ timeout: 30 })).toBe(false)
    const drained = registration.drain({ timeout: 10_000 })
    await items.return()
    expect(await drained).toBe(true)
  })

  it('end with CLOSED or CONNECTION_LOST, executed yes, when their node closes', async () => {
    const { feed, node, seen } = await setup()
    const items = feed.endless()
    await items.next()
    const reading = rejection(collect(items))
    await node.close()
    const error = await reading
    expect(error).toMatchObject({ executed: 'yes' })
    expect(['CLOSED', 'CONNECTION_LOST']).toContain((error as { code: string }).code)
    await until('the generator ended', () => seen.ended === 1)
  })

  it(`refuse what cannot be: ${way}`, async () => {
    const { node } = await setup()
    const open = (options: object, args: unknown[] = []) =>
      rejection(node.streamCb('feed', 'endless', args, { ...callOptions, ...options }).next())
    const invalid = { code: 'INVALID_ARGUMENT', executed: 'no' }
    expect(await open({ timeout: 0 })).toMatchObject(invalid)
    expect(await open({ itemTimeout: 0 })).toMatchObject(invalid)
    expect(await open({ hedge: 5, idempotent: true })).toMatchObject(invalid)
    expect(await open({}, [numbersTo(1), numbersTo(1)])).toMatchObject(invalid)
    expect(await rejection(node.callCbAll('feed', 'sum', [numbersTo(1)]))).toMatchObject(invalid)
    expect(await rejection(node.callCb('feed', 'sum', [numbersTo(1)], { timeout: 0 }))).toMatchObject(invalid)
  })
})

describe('an item that cannot travel', () => {
  it.each<[string, NodeOptions, { readonly forceRemote?: boolean }]>([
    ['by copies', { local: 'clone' }, {}],
    ['by the network', {}, { forceRemote: true }],
  ])('ends the stream with its path, %s', async (_way, nodeOptions, callOptions) => {
    const node = await nodes.start('a', nodeOptions)
    await node.provide(Feed, feedOf({ made: 0, ended: 0, aborted: 0, asked: 0 }))
    const items = node.stub(Feed).$with(callOptions).odd()
    expect((await items.next()).value).toBe(1)
    const error = (await rejection(items.next())) as Error
    expect(error).toMatchObject({ code: 'REMOTE', executed: 'yes', remote: { name: 'ValueError' } })
    expect(error.message).toContain('item')
  })
})

describe('a stream over several instances', () => {
  it('goes to the next when one refuses, and never after its first item', async () => {
    const [a, b, c] = await nodes.startAll('a', 'b', 'c')
    let begun = 0
    const failing = {
      async *items() {
        begun++
        yield 1
        throw new Error('broken')
      },
    }
    const first = await b.provide('list', failing)
    await c.provide('list', failing)
    await a.waitForServices(['list'], { min: 2 })
    await first.pause('for a test')
    const items = a.streamCb('list', 'items', [], { nodes: ['b', 'c'], idempotent: true })
    expect((await items.next()).value).toBe(1)
    expect(await rejection(items.next())).toMatchObject({ code: 'REMOTE', executed: 'yes', node: 'c' })
    expect(begun).toBe(1)
  })
})

describe('a leave', () => {
  it('waits for the streams that the node serves, up to its time', async () => {
    const [a, b] = await nodes.startAll('a', 'b')
    const seen: Seen = { made: 0, ended: 0, aborted: 0, asked: 0 }
    await b.provide(Feed, feedOf(seen))
    await a.waitForServices([Feed])
    const items = a.stub(Feed).endless()
    await items.next()
    let hasLeft = false
    const leaving = b.leave({ drain: 20_000 }).then(() => {
      hasLeft = true
    })
    await until('it is no longer listed', () => a.getNodes(Feed).length === 0)
    for (let i = 0; i < 300; i++) await items.next()
    expect(hasLeft).toBe(false)
    await items.return()
    await leaving
    expect(seen.ended).toBe(1)
  })
})
