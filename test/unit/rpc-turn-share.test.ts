import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import { systemClock } from '../../src/clock.js'
import { Accepted } from '../../src/rpc/accepted.js'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import type { IncomingCall } from '../../src/rpc/call.js'
import { Counters } from '../../src/rpc/counters.js'
import { Flusher } from '../../src/rpc/flusher.js'
import { FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { ItemPump } from '../../src/rpc/item-pump.js'
import { resolveRpcLimits } from '../../src/rpc/limits.js'
import { OrphanedCasts } from '../../src/rpc/orphaned-casts.js'
import { type RunningCall, RunningCalls } from '../../src/rpc/running-calls.js'
import { Slabs } from '../../src/rpc/slabs.js'
import type { TurnShare } from '../../src/rpc/turn-share.js'
import { TurnShares } from '../../src/rpc/turn-shares.js'
import { rawFrame, SessionPair } from '../support/session-pair.js'

/** Time that passes by work alone, and turns of the loop that end when a test says so. */
class Turns {
  now = 0
  readonly shares: TurnShares
  #immediates: (() => void)[] = []

  constructor() {
    const setImmediate = (callback: () => void): (() => void) => {
      this.#immediates.push(callback)
      return () => {}
    }
    this.shares = new TurnShares({ monotonicMs: () => this.now, setImmediate })
  }

  get isIdle(): boolean {
    return this.#immediates.length === 0
  }

  /** One turn, with all that its promises and ticks set off. */
  async turn(): Promise<void> {
    for (const callback of this.#immediates.splice(0)) callback()
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** All turns that are asked for. */
  async rest(): Promise<number> {
    let turns = 0
    for (; !this.isIdle; turns++) await this.turn()
    return turns
  }
}

describe('the turns of a loop', () => {
  it('end while there is more to do, and connections come in turn', async () => {
    const turns = new Turns()
    const did: string[] = []
    const busy = (name: string, share: TurnShare, pieces: number): void => {
      did.push(name)
      while (!share.isOver()) turns.now += 0.01
      if (pieces > 1) share.later(() => busy(name, share, pieces - 1))
    }
    const [a, b, c] = [turns.shares.open(), turns.shares.open(), turns.shares.open()]
    a.later(() => busy('a', a, 4))
    a.later(() => busy('A', a, 4))
    b.later(() => busy('b', b, 4))
    c.later(() => busy('c', c, 1))
    const startedAt = turns.now
    await turns.turn()
    expect(turns.now - startedAt).toBeLessThan(1.5)
    expect(turns.isIdle).toBe(false)
    expect(await turns.rest()).toBeGreaterThan(1)
    expect(did.slice(0, 5)).toEqual(['a', 'b', 'c', 'A', 'b'])
    expect(did.toSorted().join('')).toBe('AAAAaaaabbbbc')
  })

  it('give what comes from outside the less the more has come in the same turn', async () => {
    const turns = new Turns()
    const share = turns.shares.open()
    const served = (): number => {
      const from = turns.now
      turns.shares.begin(from)
      while (!share.isOver()) turns.now += 0.01
      turns.shares.end()
      return turns.now - from
    }
    const first = served()
    expect(turns.shares.isCrowded).toBe(true)
    expect(served()).toBeLessThan(first / 5)
    await turns.rest()
    expect(turns.shares.isCrowded).toBe(false)
    expect(served()).toBeCloseTo(first, 1)
  })

  it('put a connection that takes little before those that take much, and keep these going all the same', async () => {
    const turns = new Turns()
    const [greedy, sparing] = [turns.shares.open(), turns.shares.open()]
    // Old enough to have paid what it owed at first.
    turns.now += 1_000
    const did: string[] = []
    const work = (name: string, share: TurnShare, ms: number, pieces: number): void => {
      did.push(name)
      turns.now += ms
      if (pieces > 1) share.later(() => work(name, share, ms, pieces - 1))
    }
    const others = Array.from({ length: 5 }, () => turns.shares.open())
    for (const other of [greedy, ...others]) other.later(() => work('o', other, 1, 12))
    for (let turn = 0; turn < 20; turn++) await turns.turn()
    did.length = 0
    // What comes from outside while all of these wait.
    turns.shares.begin(turns.now, sparing)
    sparing.later(() => work('s', sparing, 0.1, 3))
    turns.shares.end()
    await turns.rest()
    expect(did.join('').slice(0, 5)).toMatch(/^o?sosos?/)
    expect(did.filter((name) => name === 's')).toHaveLength(3)
  })

  it('do not take a new connection for one that takes little', async () => {
    const turns = new Turns()
    const did: string[] = []
    for (const share of Array.from({ length: 3 }, () => turns.shares.open())) share.later(() => did.push('other'))
    const fresh = turns.shares.open()
    turns.now += 20
    fresh.later(() => did.push('new'))
    await turns.rest()
    expect(did).toEqual(['other', 'other', 'other', 'new'])
  })

  it('go on when a piece of work throws', async () => {
    const turns = new Turns()
    const share = turns.shares.open()
    let isDone = false
    share.later(() => {
      throw new Error('a bug')
    })
    share.later(() => {
      isDone = true
    })
    await expect(turns.turn()).rejects.toThrow('a bug')
    await new Promise((resolve) => setImmediate(resolve))
    await turns.rest()
    expect(isDone).toBe(true)
  })
})

describe('a caller that asks for much at once', () => {
  it('is served in parts, in order and wholly, however its bytes were cut', () => {
    for (const chunkBytes of [1, 7, 64, 1_000, 100_000]) {
      let framesLeft = 0
      const share: TurnShare = { isOver: () => --framesLeft < 0, later: () => {} }
      const pair = new SessionPair({ callee: { share } })
      pair.greet()
      const started = Array.from({ length: 50 }, (_, i) => pair.start({ args: [i, 'x'.repeat(i * 7)] }))
      const bytes = pair.callerBox.take(true)
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        let rest = bytes.slice(at, at + chunkBytes)
        while (rest.length > 0) {
          framesLeft = 2
          const before = pair.arrived.length
          const taken = pair.callee.handleBytes(rest, rest.length, 0)
          expect(pair.arrived.length - before).toBeLessThanOrEqual(3)
          rest = rest.slice(taken)
        }
      }
      for (const { settle, call } of pair.arrived) settle({ ok: true, value: call.args[0] })
      pair.answer()
      expect(pair.arrived.map(({ call }) => call.args[0])).toEqual(started.map((_, i) => i))
      expect(started.map(({ outcome }) => outcome)).toEqual(started.map((_, value) => ({ value })))
    }
  })

  it('has each call judged by an instant after the ones before it', () => {
    const turns = new Turns()
    const share = turns.shares.open()
    const instants: (number | undefined)[] = []
    const dispatch = ({ lookedAt }: IncomingCall): undefined => {
      instants.push(lookedAt)
      turns.now += 0.25
    }
    const pair = new SessionPair({ callee: { share, dispatcher: { dispatch } } })
    pair.greet()
    for (let i = 0; i < 3; i++) pair.start()
    const bytes = pair.callerBox.take(true)
    turns.now = 7
    turns.shares.begin(turns.now)
    expect(pair.callee.handleBytes(bytes, bytes.length, turns.now)).toBe(bytes.length)
    expect(instants).toEqual([7, 7.25, 7.5])
    // To read a long payload takes time itself.
    pair.start({ args: ['x'.repeat(100_000)] })
    const long = pair.callerBox.take(true)
    pair.callee.handleBytes(long, long.length, turns.now)
    expect(instants.slice(3)).toEqual([undefined])
  })

  it('is served no further while it leaves too much unread', () => {
    let isBehind = false
    const pair = new SessionPair({ callee: { isBehind: () => isBehind } })
    pair.greet()
    for (let i = 0; i < 3; i++) pair.start()
    const bytes = pair.callerBox.take(true)
    isBehind = true
    const taken = pair.callee.handleBytes(bytes, bytes.length, 0)
    expect([pair.arrived.length, taken < bytes.length]).toEqual([1, true])
    isBehind = false
    expect(pair.callee.handleBytes(bytes.slice(taken), bytes.length - taken, 0)).toBe(bytes.length - taken)
    expect(pair.arrived).toHaveLength(3)
  })
})

describe('a connection of which something waits', () => {
  /** A connection to a callee that answers nothing, whose caller has asked for calls by these chunks. */
  function accepted(receivedBytesMax: number, turns = new Turns()) {
    const pair = new SessionPair()
    pair.caller.greet()
    const hello = pair.callerBox.take(true)
    pair.callee.handleBytes(hello, hello.length, 0)
    pair.answer()
    const calls = [1, 2, 3, 4].map((id) => {
      pair.start({ args: [id] })
      return pair.callerBox.take(true)
    })
    const counters = new Counters()
    const budget = new ByteBudget(receivedBytesMax)
    const arrived: unknown[] = []
    const ended: string[] = []
    const link = { isReading: true, isOpen: true }
    const connection = new Accepted({
      open: () => ({
        ...{
          write: () => {},
          unsentBytes: () => 0,
          needsDrain: () => false,
          sentBytes: () => 0,
          receivedBytes: () => 0,
        },
        ...{ remoteAddress: () => '127.0.0.1:1', end: () => {} },
        pauseReading: () => {
          link.isReading = false
        },
        resumeReading: () => {
          link.isReading = true
        },
        destroy: () => {
          link.isOpen = false
        },
      }),
      flusher: new Flusher(),
      slabs: new Slabs(),
      limits: resolveRpcLimits(undefined),
      shares: turns.shares,
      now: () => turns.now,
      steadyNow: () => turns.now,
      onBusy: () => {},
      onUnsent: () => {},
      onClosed: () => {},
      onRefused: () => {},
      session: {
        codec: pair.codec,
        identity: { cluster: 'c', node: 'n2', bootId: 'b2' },
        dispatcher: {
          dispatch: (call) => {
            arrived.push(call.args[0])
            turns.now += 5
            return (reason) => ended.push(reason)
          },
        },
        counters,
        budget,
      },
    })
    connection.handleBytes(hello, hello.length)
    return { turns, connection, calls, counters, budget, arrived, ended, link }
  }

  it('is not read meanwhile, and what its socket had in hand comes after it', async () => {
    const { turns, connection, calls, budget, arrived, link } = accepted(1e6)
    const [first, second, third, fourth] = calls
    const chunk = concatBytes([first!, second!, third!])
    connection.handleBytes(chunk, chunk.length)
    expect([arrived, link.isReading]).toEqual([[1], false])
    expect(budget.taken).toBe(second!.length + third!.length)
    connection.handleBytes(fourth!, fourth!.length)
    await turns.rest()
    expect([arrived, link.isReading, budget.taken]).toEqual([[1, 2, 3, 4], true, 0])
  })

  it('is closed when there is no memory for it, and gives it back when it ends', () => {
    const small = accepted(10)
    const chunk = concatBytes(small.calls)
    small.connection.handleBytes(chunk, chunk.length)
    expect([small.counters.snapshot(), small.link.isOpen]).toEqual([{ 'too-many-bytes-held': 1 }, false])
    const large = accepted(1e6)
    large.connection.handleBytes(chunk, chunk.length)
    expect(large.budget.taken).toBeGreaterThan(0)
    large.connection.handleClose(undefined)
    expect(large.budget.taken).toBe(0)
  })

  it('has its calls ended when it is thrown out, not when it has gone, and once', () => {
    const { connection, calls, counters, ended } = accepted(1e6)
    connection.handleBytes(calls[0]!, calls[0]!.length)
    const crumb = rawFrame(FrameKind.request | MORE_FLAG, 9, new Uint8Array(10))
    connection.handleBytes(crumb, crumb.length)
    expect([connection.stats().state, counters.snapshot(), ended]).toEqual([
      'refused',
      { 'piece-too-small': 1 },
      ['caller-lost'],
    ])
    connection.handleClose(undefined)
    expect(ended).toEqual(['caller-lost'])
  })

  it('has strangers wait in a crowd, and nobody else', async () => {
    const { turns, connection, calls, arrived } = accepted(1e6)
    turns.shares.begin(turns.now)
    turns.now += 5
    turns.shares.end()
    const stranger = accepted(1e6, turns)
    connection.handleBytes(calls[0]!, calls[0]!.length)
    expect([arrived, stranger.connection.stats().state]).toEqual([[1], 'hello'])
    await turns.rest()
    expect(stranger.connection.stats().state).toBe('serving')
  })
})

describe('a stream', () => {
  it('gives way to others between its items, and loses none', async () => {
    const turns = new Turns()
    const pair = new SessionPair({ callee: { share: turns.shares.open() } })
    pair.greet()
    const { taken } = pair.startStream()
    const sink = taken.call.output!
    let drawn = 0
    const items = async function* (): AsyncGenerator<number> {
      for (; drawn < 100; drawn++) {
        turns.now += 0.1
        yield drawn
      }
    }
    const run = new ItemPump({ iterator: items(), sink }).run()
    await new Promise((resolve) => setImmediate(resolve))
    const first = drawn
    expect(first).toBeLessThan(20)
    await turns.turn()
    expect(drawn).toBeGreaterThan(first)
    expect(drawn - first).toBeLessThan(20)
    await turns.rest()
    await run
    expect(drawn).toBe(100)
  })
})

describe('calls that lose their caller', () => {
  function lost(count: number) {
    const told: number[] = []
    const waiting: (() => void)[] = []
    const share: TurnShare = { isOver: () => false, later: (work) => waiting.push(work) }
    const running = new RunningCalls({ share, orphans: undefined, onAbandoned: (id) => told.push(id) })
    const calls = Array.from({ length: count }, (_, id): RunningCall => {
      return { id, deadlineAt: 5, cast: false, abandoned: false, cancel: undefined }
    })
    for (const call of calls) running.add(call)
    return { running, calls, told, waiting }
  }

  it('leave a cast in one hand, however often their loss is told', () => {
    const told: number[] = []
    const orphans = new OrphanedCasts(systemClock)
    const share: TurnShare = { isOver: () => false, later: () => {} }
    const running = new RunningCalls({ share, orphans, onAbandoned: (id) => told.push(id) })
    const cast: RunningCall = { id: 1, deadlineAt: 1e9, cast: true, abandoned: false, cancel: undefined }
    running.add(cast)
    running.callerLost()
    running.callerLost()
    running.remove(cast)
    orphans.close()
    expect(told).toEqual([])
  })

  it('are told a few at a time, all of them in the end', () => {
    const { running, told, waiting } = lost(100)
    running.callerLost()
    expect(told.length).toBeLessThan(20)
    for (let work = waiting.shift(); work !== undefined; work = waiting.shift()) {
      const before = told.length
      work()
      expect(told.length - before).toBeLessThan(20)
    }
    expect(told).toEqual(Array.from({ length: 100 }, (_, id) => id))
  })

  it('are not told when they settled meanwhile, nor is a later call of the same id', () => {
    const { running, calls, told, waiting } = lost(40)
    running.expire(5)
    running.remove(calls[30]!)
    running.remove(calls[31]!)
    running.add({ ...calls[31]!, deadlineAt: 50 })
    while (waiting.length > 0) waiting.shift()?.()
    expect(told).toHaveLength(38)
    running.expire(49)
    expect(told).toHaveLength(38)
    running.expire(50)
    expect(told.slice(38)).toEqual([31])
  })
})
