/** Which codecs a node can be given, and what two nodes say to each other that have different ones. Real sockets, one process. */
import { afterEach, describe, expect, it } from 'vitest'
import type { CodecChoice, NodeOptions, PayloadCodec, ShoalNode } from '../../src/index.js'
import { rejection, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let nodes = new TestNodes()

afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

const json: PayloadCodec = {
  name: 'json',
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
}

/** Values that go the quick way, and such as the library alone writes. */
const VALUES = [1, 'text', [null, { list: [1.5, -7, 2 ** 40] }], new Date(5), new Map([[1, new Set(['x'])]]), 7n ** 90n]

async function pair(ofA: CodecChoice | undefined, ofB: CodecChoice | undefined): Promise<[ShoalNode, ShoalNode]> {
  const options = (codec: CodecChoice | undefined): NodeOptions => ({
    profile: 'local',
    rpc: codec === undefined ? {} : { codec },
  })
  const a = await nodes.start('a', options(ofA))
  const b = await nodes.start('b', options(ofB))
  for (const node of [a, b]) await node.provide(`on-${node.name}`, { echo: (...args: unknown[]) => args })
  await Promise.all([a.waitForServices(['on-b']), b.waitForServices(['on-a'])])
  return [a, b]
}

describe('nodes with codecs that write the same', () => {
  it.each([
    ['plain', undefined],
    ['msgpack', 'msgpack'],
    ['plain', 'msgpack'],
    [undefined, 'msgpack'],
  ] as const)('%s and %s call each other, whatever the values', async (ofA, ofB) => {
    const [a, b] = await pair(ofA, ofB)
    expect(await a.callCb('on-b', 'echo', VALUES)).toEqual(VALUES)
    expect(await b.callCb('on-a', 'echo', VALUES)).toEqual(VALUES)
  })
})

describe('a codec of the user', () => {
  it('carries calls, errors and streams between nodes that have it', async () => {
    const [a, b] = await pair(json, json)
    const fail = (): never => {
      throw Object.assign(new Error('no'), { code: 'E1' })
    }
    await b.provide('more', {
      fail,
      count: async function* () {
        yield* [1, { two: 2 }]
      },
    })
    await a.waitForServices(['more'])
    expect(await a.callCb('on-b', 'echo', [1, { a: [true] }])).toEqual([1, { a: [true] }])
    expect(await rejection(a.callCb('more', 'fail', []))).toMatchObject({ code: 'REMOTE', remote: { code: 'E1' } })
    const items: unknown[] = []
    for await (const item of a.streamCb('more', 'count', [])) items.push(item)
    expect(items).toEqual([1, { two: 2 }])
  })

  it('and another one: both sides are told at once, by name, and nothing ran', async () => {
    const [a, b] = await pair(json, 'msgpack')
    const faults: unknown[] = []
    b.on('fault', (fault) => faults.push(fault))
    const startedAt = performance.now()
    const failed = await rejection(a.callCb('on-b', 'echo', [1]))
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    expect(failed).toMatchObject({ code: 'UNREACHABLE', executed: 'no', node: 'b' })
    expect(String(failed)).toMatch(/codec: node b uses 'msgpack', the caller 'json'/)
    expect(b.inspect().rpc.server.drops).toEqual({ 'wrong-codec': 1 })
    await until('the callee told of it', () => faults.length === 1)
    expect(faults[0]).toMatchObject({ code: 'CALLER_REFUSED' })
    expect(String(faults[0])).toMatch(/wrong-codec/)
  })

  it('that gives no bytes, or throws, fails the call and not the connection', async () => {
    let broken: 'gives' | 'throws' | undefined
    const moody: PayloadCodec = {
      name: 'moody',
      encode: (value, root) => {
        if (broken === 'gives') return 'text' as unknown as Uint8Array
        if (broken === 'throws') throw new Error('out of ink')
        return json.encode(value, root)
      },
      decode: json.decode,
    }
    const [a] = await pair(moody, moody)
    await a.callCb('on-b', 'echo', [1])
    broken = 'gives'
    const gave = await rejection(a.callCb('on-b', 'echo', [1]))
    expect(gave).toMatchObject({ code: 'INVALID_ARGUMENT', executed: 'no' })
    expect(String(gave)).toMatch(/the codec 'moody' gave 'text', not a Uint8Array/)
    broken = 'throws'
    expect(String(await rejection(a.callCb('on-b', 'echo', [1])))).toMatch(/out of ink/)
    broken = undefined
    expect(await a.callCb('on-b', 'echo', [2])).toEqual([2])
    expect(a.inspect().rpc.peers.peers.map(({ connections }) => connections.length)).toEqual([1])
  })

  it('is the one of local copies too', async () => {
    const node = await nodes.start('alone', { local: 'clone', rpc: { codec: json } })
    await node.provide('here', { echo: (value: unknown) => value })
    expect(await node.callCb('here', 'echo', [new Date(0)])).toBe('1970-01-01T00:00:00.000Z')
  })
})

it.each<[string, unknown, RegExp]>([
  ['an unknown name', 'cbor', /must be 'plain', 'msgpack' or an object .* got 'cbor'/],
  ['null', null, /must be 'plain', 'msgpack'/],
  ['half of one', { name: 'x', encode: json.encode }, /must have the functions encode\(value\) and decode\(bytes\)/],
  ['one without a name', { ...json, name: '' }, /a name of 1 to 512 bytes/],
  ['one with the built-in name', { ...json, name: 'msgpack' }, /may not be named 'msgpack'/],
])('%s is no codec: INVALID_OPTION at the start', async (_what, codec, message) => {
  const failed = await rejection(nodes.start('bad', { rpc: { codec: codec as CodecChoice } }))
  expect(failed).toMatchObject({ code: 'INVALID_OPTION' })
  expect(String(failed)).toMatch(message)
})
