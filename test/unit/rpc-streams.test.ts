import { describe, expect, it } from 'vitest'
import { RpcError } from '../../src/errors.js'
import { PIECE_BYTES } from '../../src/rpc/bulk-queue.js'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import { ByteWriter } from '../../src/rpc/byte-writer.js'
import { encodeRequestHead, NO_HEADERS } from '../../src/rpc/envelope.js'
import { FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { findInput } from '../../src/rpc/input-argument.js'
import { ITEMS_WINDOW, type ReceivedItems, windowFor } from '../../src/rpc/received-items.js'
import { heldBytes } from '../fuzz/allocation-gauge.js'
import { creditBody, oldHello, oldWelcome, outcomeOf, SessionPair, type StartedCall } from '../support/session-pair.js'

/** Of a request for a stream, with credit for all of it. */
function requestHeadOf(method: string): Uint8Array {
  const writer = new ByteWriter(64)
  const names = { service: 'users', method }
  const stream = { items: 100, bytes: 1_000_000 }
  encodeRequestHead(writer, { cast: false, ttlMs: 1_000, methodId: 0, names, headers: NO_HEADERS, stream })
  return writer.bytes.slice(0, writer.length)
}

/** Lets promises go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function readerOf({ outcome }: StartedCall): ReceivedItems {
  if (outcome === undefined || 'error' in outcome) throw new Error('the stream has not begun')
  return outcome.value as ReceivedItems
}

function greeted(options?: ConstructorParameters<typeof SessionPair>[0]): SessionPair {
  const pair = new SessionPair(options)
  pair.greet()
  return pair
}

describe('a stream on a connection', () => {
  it('begins for its caller with the first item, and ends in order', async () => {
    const pair = greeted()
    const { started, taken } = pair.startStream()
    expect(outcomeOf(started)).toBe('pending')
    taken.call.output?.send('a')
    taken.call.output?.send('b')
    pair.answer()
    const items = readerOf(started)
    taken.settle({ ok: true, value: undefined })
    pair.answer()
    expect(await items.next()).toEqual({ done: false, value: 'a' })
    expect(await items.next()).toEqual({ done: false, value: 'b' })
    expect(await items.next()).toEqual({ done: true, value: undefined })
    expect([pair.caller.pendingCount, pair.callee.runningCount, pair.callerBudget.taken]).toEqual([0, 0, 0])
  })

  it('begins and ends at once when it has no item', async () => {
    const pair = greeted()
    const { started, taken } = pair.startStream()
    taken.settle({ ok: true, value: undefined })
    pair.answer()
    expect(await readerOf(started).next()).toEqual({ done: true, value: undefined })
  })

  it('lets its sender go on half a window at a time', async () => {
    const pair = greeted()
    const { started, taken } = pair.startStream()
    const { output } = taken.call
    for (let i = 0; i < ITEMS_WINDOW; i++) output?.send(i)
    let woken = false
    void output?.ready()?.then(() => {
      woken = true
    })
    pair.answer()
    const items = readerOf(started)
    for (let i = 0; i < ITEMS_WINDOW / 2 - 1; i++) await items.next()
    pair.deliver()
    await settle()
    expect(woken).toBe(false)
    await items.next()
    pair.deliver()
    await settle()
    expect(woken).toBe(true)
    expect(output?.ready()).toBeUndefined()
  })

  it('counts bytes too: few long items fill the window', () => {
    const pair = greeted()
    const { taken } = pair.startStream()
    const { output } = taken.call
    let sent = 0
    while (output?.ready() === undefined && sent < 100) {
      output?.send(new Uint8Array(PIECE_BYTES))
      pair.calleeBox.fillSlab()
      pair.calleeBox.take(true)
      sent++
    }
    expect(sent * PIECE_BYTES).toBeGreaterThanOrEqual(windowFor(0).bytes - PIECE_BYTES)
    expect(sent * PIECE_BYTES).toBeLessThanOrEqual(windowFor(0).bytes + PIECE_BYTES)
  })

  it('shares the bytes of a connection with many others, down to a smallest window', () => {
    expect([windowFor(0), windowFor(127), windowFor(1_000), windowFor(100_000)].map(({ bytes }) => bytes)).toEqual([
      131_072, 131_072, 67_041, 16_384,
    ])
  })

  it('that fails says so after its items', async () => {
    const pair = greeted()
    const { started, taken } = pair.startStream()
    taken.call.output?.send(1)
    pair.answer()
    taken.settle({ ok: false, error: new RpcError('REMOTE', 'broken', { executed: 'yes' }) })
    pair.answer()
    const items = readerOf(started)
    expect((await items.next()).value).toBe(1)
    await expect(items.next()).rejects.toMatchObject({ code: 'REMOTE', executed: 'yes' })
    expect(await items.next()).toEqual({ done: true, value: undefined })
  })

  it('that fails while its items wait for the socket ends behind them', async () => {
    const pair = greeted()
    const { started, taken } = pair.startStream()
    pair.calleeBox.holdsItems = true
    for (let i = 0; i < 3; i++) taken.call.output?.send(i)
    taken.settle({ ok: false, error: new RpcError('REMOTE', 'broken', { executed: 'yes' }) })
    pair.calleeBox.holdsItems = false
    pair.answer()
    const items = readerOf(started)
    expect([await items.next(), await items.next(), await items.next()].map(({ value }) => value)).toEqual([0, 1, 2])
    await expect(items.next()).rejects.toMatchObject({ code: 'REMOTE' })
  })

  it('of a lost connection: no in the slab, maybe before its first item, yes after it', async () => {
    const pair = greeted()
    const { started: begun, taken } = pair.startStream()
    taken.call.output?.send(1)
    pair.answer()
    const { started: sent } = pair.startStream()
    const inSlab = pair.start({ stream: true })
    pair.caller.lost('CONNECTION_LOST', 'gone')
    expect([outcomeOf(inSlab), outcomeOf(sent)]).toEqual(['CONNECTION_LOST no', 'CONNECTION_LOST maybe'])
    const items = readerOf(begun)
    await items.next()
    await expect(items.next()).rejects.toMatchObject({ code: 'CONNECTION_LOST', executed: 'yes' })
  })

  it('given up by its caller stops its handler, and what was under way is passed over', () => {
    const pair = greeted()
    const { started, taken } = pair.startStream()
    taken.call.output?.send(1)
    pair.answer()
    for (let i = 0; i < 3; i++) taken.call.output?.send(i)
    pair.caller.abort(started.call)
    pair.answer()
    pair.deliver()
    expect(taken.cancelled).toEqual(['cancelled'])
    expect(taken.call.output?.isClosed).toBe(true)
    taken.call.output?.send('late')
    taken.settle({ ok: true, value: undefined })
    pair.answer()
    expect([pair.caller.state, pair.counters.get('late-item')]).toEqual(['ready', 3])
  })

  it('of a caller that is gone is closed, and its sender does not wait for ever', async () => {
    const pair = greeted()
    const { taken } = pair.startStream()
    const { output } = taken.call
    for (let i = 0; i < ITEMS_WINDOW; i++) output?.send(i)
    const waiting = output?.ready()
    pair.callee.callerLost()
    await waiting
    expect([taken.cancelled, output?.isClosed, output?.ready()]).toEqual([['caller-lost'], true, undefined])
  })
})

describe('a stream as an argument', () => {
  async function* numbers(seen: string[]): AsyncGenerator<number> {
    try {
      for (let i = 0; ; i++) yield i
    } finally {
      seen.push('ended')
    }
  }

  it('is not drawn before the handler reads, and then a window ahead', async () => {
    const pair = greeted()
    const seen: string[] = []
    let drawn = 0
    async function* counted(): AsyncGenerator<number> {
      for await (const number of numbers(seen)) {
        drawn++
        yield number
      }
    }
    const input = findInput([1, counted()])
    const { taken } = pair.startStream({ stream: false, args: input?.others ?? [], input })
    expect(taken.call.args[0]).toBe(1)
    const received = taken.call.args[1] as ReceivedItems
    await settle()
    expect(drawn).toBe(0)
    const first = received.next()
    pair.answer()
    await settle()
    pair.deliver()
    expect((await first).value).toBe(0)
    await settle()
    expect(drawn).toBeLessThanOrEqual(ITEMS_WINDOW + 1)
    void received.return()
    pair.answer()
    await settle()
    expect(seen).toEqual(['ended'])
  })

  it('ends with an error for the handler when the call is given up', async () => {
    const pair = greeted()
    const seen: string[] = []
    const input = findInput([numbers(seen)])
    const { started, taken } = pair.startStream({ stream: false, args: input?.others ?? [], input })
    const received = taken.call.args[0] as ReceivedItems
    const first = received.next()
    pair.answer()
    await settle()
    pair.deliver()
    await first
    pair.caller.abort(started.call)
    pair.deliver()
    await settle()
    expect([outcomeOf(started), seen]).toEqual(['CANCELLED maybe', ['ended']])
    const failed = (async (): Promise<RpcError | undefined> => {
      try {
        for await (const _ of received);
        return undefined
      } catch (error) {
        return error as RpcError
      }
    })()
    expect(await failed).toMatchObject({ code: 'CANCELLED' })
    expect(pair.calleeBudget.taken).toBe(0)
  })
})

describe('a long request', () => {
  const long = { args: [new Uint8Array(5 * PIECE_BYTES)] }

  it('lets short ones pass, which may use a method before it comes', () => {
    const pair = greeted()
    pair.start(long)
    pair.deliver()
    pair.start()
    pair.deliver()
    pair.start()
    for (let i = 0; i < 6; i++) pair.deliver()
    expect(pair.arrived.map(({ call }) => call.args[0])).toEqual([1, 1, expect.any(Uint8Array)])
    // The buffer is given back when no other long message came for a while.
    pair.callee.sweep(0)
    pair.callee.sweep(10_000)
    expect([pair.callee.state, pair.calleeBudget.taken]).toEqual(['serving', 0])
  })

  it('given up before its last piece has not run: no, and the callee forgets it', () => {
    const pair = greeted()
    const whole = pair.start(long)
    const part = pair.start(long)
    pair.deliver()
    pair.deliver()
    pair.caller.abort(part.call)
    pair.caller.abort(whole.call)
    pair.deliver()
    expect([outcomeOf(whole), outcomeOf(part)]).toEqual(['CANCELLED no', 'CANCELLED no'])
    expect([pair.arrived.length, pair.calleeBudget.taken, pair.callerBox.bulkBytes]).toEqual([0, 0, 0])
  })

  it('whose connection is lost: no before its last piece, maybe after it', () => {
    const pair = greeted()
    const call = pair.start(long)
    pair.deliver()
    const other = pair.start(long)
    for (let i = 0; i < 12 && pair.arrived.length < 1; i++) pair.deliver()
    pair.caller.lost('CONNECTION_LOST', 'gone')
    expect([outcomeOf(call), outcomeOf(other)]).toEqual(['CONNECTION_LOST maybe', 'CONNECTION_LOST no'])
  })

  it('as a cast resolves with its last piece', () => {
    const pair = greeted()
    const cast = pair.start({ ...long, cast: true })
    pair.deliver()
    expect(outcomeOf(cast)).toBe('pending')
    for (let i = 0; i < 6; i++) pair.deliver()
    expect([outcomeOf(cast), pair.arrived.length]).toEqual(['ok', 1])
  })

  it('as a cast that was given up is forgotten, whatever else leaves after it', async () => {
    const pair = greeted()
    const megabyte = { args: [new Uint8Array(1_048_576)], cast: true }
    const before = heldBytes()
    for (let i = 0; i < 80; i++) {
      const { call } = pair.start(megabyte)
      pair.caller.flushed()
      pair.caller.abort(call)
    }
    for (let i = 0; i < 3; i++) pair.deliver()
    heldBytes() // what was just given up is swept beside the program
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(heldBytes() - before).toBeLessThan(30_000_000)
  })

  it('that ends after the callee began to leave is refused, although a later one was taken', () => {
    const pair = greeted()
    const first = pair.start(long)
    pair.deliver()
    const second = pair.start()
    pair.deliver()
    pair.callee.goAway()
    pair.answer()
    expect([outcomeOf(first), outcomeOf(second)]).toEqual(['pending', 'pending'])
    for (let i = 0; i < 6; i++) pair.deliver()
    pair.answer()
    expect([outcomeOf(first), outcomeOf(second)]).toEqual(['UNAVAILABLE no', 'pending'])
  })
})

describe('a long reply', () => {
  it('that nobody wants any more is dropped where it is', () => {
    const pair = greeted()
    const call = pair.start()
    pair.deliver()
    pair.arrived[0]?.settle({ ok: true, value: new Uint8Array(5 * PIECE_BYTES) })
    pair.answer()
    expect(pair.callerBudget.taken).toBeGreaterThan(0)
    pair.caller.abort(call.call)
    pair.answer()
    expect([pair.callerBudget.taken, pair.counters.get('late-piece')]).toEqual([0, 1])
    pair.deliver()
    expect(pair.calleeBox.bulkBytes).toBe(0)
  })
})

describe('a peer of an earlier version', () => {
  it('gets whole frames, and a call with streams fails before it is sent', () => {
    const pair = new SessionPair()
    pair.caller.greet()
    pair.callerBox.take(true)
    const welcome = oldWelcome()
    pair.caller.handleBytes(welcome, welcome.length)
    const stream = pair.start({ stream: true })
    const up = pair.start({ input: findInput([(async function* () {})()]) })
    expect([outcomeOf(stream), outcomeOf(up)]).toEqual(['NO_METHOD no', 'NO_METHOD no'])
    pair.start({ args: [new Uint8Array(5 * PIECE_BYTES)] })
    expect(pair.callerBox.hasBulk).toBe(false)
    expect(pair.callerBox.pendingBytes).toBeGreaterThan(5 * PIECE_BYTES)
  })

  it('that does not read holds up no more than its own items', async () => {
    const pair = new SessionPair()
    const hello = oldHello()
    pair.callee.handleBytes(hello, hello.length, 0)
    pair.caller.greet()
    pair.answer()
    const body = Buffer.concat([requestHeadOf('endless'), Uint8Array.of(0x90)])
    pair.forge(FrameKind.request, 1, body)
    const { output } = pair.arrived[0]?.call ?? {}
    pair.calleeBox.holdsItems = true
    output?.send(new Uint8Array(2 * PIECE_BYTES))
    pair.calleeBox.fillSlab()
    expect(pair.calleeBox.pendingBytes).toBeGreaterThan(2 * PIECE_BYTES)
    expect(pair.calleeBox.hasBulk).toBe(false)
  })

  it('is answered in whole frames', () => {
    const pair = new SessionPair()
    const hello = oldHello()
    pair.callee.handleBytes(hello, hello.length, 0)
    pair.calleeBox.take(true)
    pair.caller.greet()
    pair.callerBox.take(true)
    const welcome = oldWelcome()
    pair.caller.handleBytes(welcome, welcome.length)
    const call = pair.start()
    pair.deliver()
    pair.arrived[0]?.settle({ ok: true, value: new Uint8Array(5 * PIECE_BYTES) })
    expect(pair.calleeBox.hasBulk).toBe(false)
    pair.answer()
    expect(outcomeOf(call)).toBe('ok')
  })

  it('and one of a later version: frames of a kind that nobody knows are skipped on both sides', () => {
    const pair = greeted()
    for (const kind of [13, 99, 13 | MORE_FLAG]) {
      pair.forge(kind, 5, new Uint8Array(3))
      pair.forgeAnswer(kind, 5, new Uint8Array(3))
    }
    expect([pair.caller.state, pair.callee.state, pair.counters.get('unknown-frame')]).toEqual(['ready', 'serving', 6])
  })
})

describe('a hostile caller', () => {
  const piece = new Uint8Array(2_000)

  it.each<[string, string, (pair: SessionPair) => void]>([
    ['crumbs', 'piece-too-small', (pair) => pair.forge(FrameKind.request | MORE_FLAG, 9, new Uint8Array(10))],
    [
      'too many messages at once',
      'too-many-messages',
      (pair) => {
        for (let id = 1; id < 30; id++) pair.forge(FrameKind.request | MORE_FLAG, id, piece)
      },
    ],
    [
      'a message without an end',
      'message-too-large',
      (pair) => {
        for (let i = 0; i < 300; i++) pair.forge(FrameKind.request | MORE_FLAG, 1, new Uint8Array(60_000))
      },
    ],
    ['credit that overflows', 'credit-overflow', (pair) => pair.forge(FrameKind.streamCredit, 1, creditBody(2e6, 1))],
    ['credit that is none', 'bad-credit', (pair) => pair.forge(FrameKind.streamCredit, 1, new Uint8Array(3))],
    [
      'an item beyond its credit',
      'item-beyond-credit',
      (pair) => pair.forge(FrameKind.streamItem, 1, new Uint8Array([1])),
    ],
  ])('is told, and its connection closed: %s', (_what, reason, attack) => {
    const pair = greeted()
    const input = findInput([(async function* () {})()])
    const { taken } = pair.startStream({ args: input?.others ?? [], input })
    attack(pair)
    expect([pair.callee.state, pair.counters.get(reason)]).toEqual(['refused', 1])
    pair.answer()
    expect([pair.caller.state, pair.caller.failure]).toEqual(['failed', expect.stringContaining(reason)])
    pair.callee.callerLost()
    expect([taken.cancelled, pair.calleeBudget.taken]).toEqual([['caller-lost'], 0])
  })

  it('is closed when it has more kept than it may', () => {
    const pair = greeted({ callee: { budget: new ByteBudget(100_000) } })
    for (let i = 0; i < 60; i++) pair.forge(FrameKind.request | MORE_FLAG, 1, piece)
    expect([pair.callee.state, pair.counters.get('too-many-bytes-held')]).toEqual(['refused', 1])
  })

  it('reaches nothing with frames of streams that are not there', () => {
    const pair = greeted()
    pair.forge(FrameKind.streamItem, 7, new Uint8Array([1]))
    pair.forge(FrameKind.streamEnd, 7)
    pair.forge(FrameKind.streamCredit, 7, creditBody(1, 1))
    pair.forge(FrameKind.streamItem | MORE_FLAG, 7, piece)
    pair.forge(FrameKind.cancel, 7)
    expect([pair.callee.state, pair.calleeBudget.taken]).toEqual(['serving', 0])
    expect(pair.counters.snapshot()).toMatchObject({ 'late-item': 2, 'late-credit': 1, 'late-piece': 1 })
  })

  it('has a bound on its streams', () => {
    const pair = greeted({ callee: { streamsMax: 2 } })
    const calls = [1, 2, 3].map(() => pair.start({ stream: true }))
    pair.deliver()
    pair.answer()
    expect(calls.map(outcomeOf)).toEqual(['pending', 'pending', 'OVERLOADED no'])
  })
})

describe('a hostile callee', () => {
  it.each<[string, string, (pair: SessionPair, id: number) => void]>([
    [
      'items beyond their credit',
      'item-beyond-credit',
      (pair, id) => {
        for (let i = 0; i <= ITEMS_WINDOW; i++) pair.forgeAnswer(FrameKind.streamItem, id, new Uint8Array([1]))
      },
    ],
    ['credit that is none', 'bad-credit', (pair, id) => pair.forgeAnswer(FrameKind.streamCredit, id)],
    ['crumbs', 'piece-too-small', (pair, id) => pair.forgeAnswer(FrameKind.reply | MORE_FLAG, id, new Uint8Array(9))],
  ])('loses its connection: %s', (_what, reason, attack) => {
    const pair = greeted()
    const { started } = pair.startStream()
    attack(pair, started.call.id)
    expect([pair.caller.state, pair.counters.get(reason)]).toEqual(['failed', 1])
  })

  it('that sends pieces for calls it was not asked has none of them kept', () => {
    const pair = greeted()
    for (let id = 50; id < 90; id++) pair.forgeAnswer(FrameKind.reply | MORE_FLAG, id, new Uint8Array(2_000))
    expect([pair.caller.state, pair.callerBudget.taken]).toEqual(['ready', 0])
  })

  it('that answers a stream with a value, or sends what cannot be read, ends that stream alone', async () => {
    const pair = greeted()
    const { started: first } = pair.startStream()
    pair.forgeAnswer(FrameKind.reply, first.call.id, new Uint8Array([1]))
    const { started: second } = pair.startStream()
    pair.forgeAnswer(FrameKind.streamItem, second.call.id, new Uint8Array([0xc1]))
    expect([outcomeOf(first), outcomeOf(second), pair.caller.state]).toEqual(['REMOTE yes', 'REMOTE yes', 'ready'])
  })
})
