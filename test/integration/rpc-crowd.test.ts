/** Calls and streams of all sizes and kinds at once on one connection, in plaintext and sealed: none is lost, none is mixed up. */
import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../src/random.js'
import { Rpc } from '../../src/rpc/index.js'
import { directoryOf } from '../support/rpc-fakes.js'

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const CALLS = 600
const LANES = 100
const timeout = 25_000

const methods = {
  later: async (value: unknown) => {
    await new Promise((resolve) => setImmediate(resolve))
    return value
  },
  big: (length: number) => 'x'.repeat(length),
  items: async function* (count: number, length: number) {
    for (let i = 0; i < count; i++) yield [i, 'y'.repeat(length)]
  },
  twice: async function* (input: AsyncIterable<readonly [number, string]>) {
    for await (const [i, text] of input) yield [i, text + text]
  },
  count: async (input: AsyncIterable<unknown>) => {
    let count = 0
    for await (const _ of input) count++
    return count
  },
}

async function* numbered(count: number, length: number): AsyncGenerator<readonly [number, string]> {
  for (let i = 0; i < count; i++) yield [i, 'w'.repeat(length)]
}

async function lengths(items: AsyncIterable<unknown>): Promise<string> {
  let [count, length] = [0, 0]
  for await (const item of items) {
    const [i, text] = item as readonly [number, string]
    if (i !== count++) return `item ${i} in place of ${count - 1}`
    length += text.length
  }
  return `${count} items, ${length}`
}

describe.each([
  ['plaintext', undefined],
  ['keys', [new Uint8Array(32).fill(7)]],
] as const)('a crowd of calls on one connection (%s)', (_, keys) => {
  it(`has every answer, whole and its own (SEED=${SEED})`, { timeout: 60_000 }, async () => {
    const random = seededRandom(SEED)
    const identity = (node: string) => {
      return { cluster: 'crowd', node, bootId: `boot-${node}`, bind: { host: '127.0.0.1', port: 0 }, keys }
    }
    const callee = new Rpc({ ...identity('callee'), directory: directoryOf({}) })
    callee.provide('s', { methods, admission: () => 'running' })
    const { port } = await callee.listen()
    const candidate = { node: 'callee', bootId: 'boot-callee', address: `127.0.0.1:${port}`, local: false }
    const caller = new Rpc({ ...identity('caller'), directory: directoryOf({ s: [candidate] }) })
    const kinds: readonly (() => Promise<readonly [got: unknown, expected: unknown]>)[] = [
      async () => {
        const bytes = new Uint8Array(randomInt(random, 400_000)).fill(5)
        const back = (await caller.callCb('s', 'later', [bytes], { timeout })) as Uint8Array
        return [Buffer.compare(back, bytes), 0]
      },
      async () => {
        const length = randomInt(random, 200_000)
        return [((await caller.callCb('s', 'big', [length], { timeout })) as string).length, length]
      },
      async () => {
        const [count, length] = [randomInt(random, 200), randomInt(random, 20_000)]
        const items = caller.streamCb('s', 'items', [count, length], { timeout })
        return [await lengths(items), `${count} items, ${count * length}`]
      },
      async () => {
        const [count, length] = [randomInt(random, 100), randomInt(random, 20_000)]
        const items = caller.streamCb('s', 'twice', [numbered(count, length)], { timeout })
        return [await lengths(items), `${count} items, ${count * length * 2}`]
      },
      async () => {
        const count = randomInt(random, 300)
        return [await caller.callCb('s', 'count', [numbered(count, 3_000)], { timeout }), count]
      },
      async () => [await caller.callCb('s', 'later', ['small'], { timeout }), 'small'],
    ]
    let left = CALLS
    const lane = async (): Promise<void> => {
      while (left-- > 0) {
        const [got, expected] = await kinds[randomInt(random, kinds.length)]!()
        expect(got).toEqual(expected)
      }
    }
    try {
      await Promise.all(Array.from({ length: LANES }, lane))
      const all = Array.from({ length: 10_000 }, (_, i) => caller.callCb('s', 'later', [i], { timeout }))
      expect(await Promise.all(all)).toEqual(all.map((_, i) => i))
      expect(callee.stats().handlers.inFlight).toBe(0)
      const { 'late-credit': _late, ...drops } = callee.stats().server.drops
      expect(drops).toEqual({})
    } finally {
      await Promise.all([caller.close(), callee.close()])
    }
  })
})
