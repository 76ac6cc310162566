import { describe, expect, it } from 'vitest'
import type { RpcError } from '../../src/errors.js'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import { Connection, type ConnectionEnd, type ConnectionOwner } from '../../src/rpc/connection.js'
import { Counters } from '../../src/rpc/counters.js'
import { type Flushable, Flusher } from '../../src/rpc/flusher.js'
import { FrameKind } from '../../src/rpc/frame.js'
import { encodeWelcome } from '../../src/rpc/hello.js'
import { resolveRpcLimits } from '../../src/rpc/limits.js'
import type { Link, LinkHandler } from '../../src/rpc/link.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { OutgoingCall } from '../../src/rpc/outgoing-call.js'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { SilenceWatch } from '../../src/rpc/silence.js'
import { Slabs } from '../../src/rpc/slabs.js'
import { callRequest } from '../support/rpc-fakes.js'

const LIMITS = { pingMs: 1_000, probeMs: 1_000, silenceMs: 10_000 }
const SWEEP_MS = 25

describe('silence', () => {
  it('counts while an answer is due: a ping after a second, quiet after another, over ten seconds after the ping', () => {
    const watch = new SilenceWatch(LIMITS, 0)
    const steps: [number, string][] = []
    for (let now = 0; now <= 12_000; now += SWEEP_MS) {
      const step = watch.sweep(now, true)
      if (step !== undefined) steps.push([now, step])
      if (step === 'over') break
    }
    expect(steps).toEqual([
      [1_000, 'ping'],
      [2_000, 'quiet'],
      [11_000, 'over'],
    ])
  })

  it('is ended by any byte, and begins anew', () => {
    const watch = new SilenceWatch(LIMITS, 0)
    for (let now = 0; now <= 60_000; now += SWEEP_MS) {
      if (watch.sweep(now, true) !== undefined) watch.heard()
      expect(watch.sweep(now, true)).not.toBe('over')
    }
    expect(watch.isAsking).toBe(false)
  })

  it('is no fault of who owes nothing', () => {
    const watch = new SilenceWatch(LIMITS, 0)
    for (let now = 0; now <= 60_000; now += SWEEP_MS) expect(watch.sweep(now, false)).toBeUndefined()
    expect(watch.sweep(60_500, true)).toBeUndefined()
    expect(watch.sweep(61_025, true)).toBe('ping')
  })

  it('is judged by the shorter of two demands, and by what was heard after them', () => {
    const watch = new SilenceWatch(LIMITS, 0)
    watch.heard()
    expect(watch.demand(100, 10_000)).toBe(true)
    expect(watch.demand(200, 1_000)).toBe(false)
    expect(watch.sweep(1_175, true)).toBe('quiet')
    expect(watch.sweep(1_200, true)).toBe('over')
  })
})

describe('a connection that is silent', () => {
  it('is pinged, told of, and ended, its calls as maybe executed', () => {
    const { connection, owner, call, run, sent } = connected()
    const long = call(60_000)
    run(1_975)
    expect([sent(FrameKind.ping), owner.quiet]).toEqual([1, 0])
    run(2_100)
    expect([sent(FrameKind.ping), owner.quiet]).toEqual([1, 1])
    run(10_900)
    expect([connection.stats().state, long.error]).toEqual(['ready', undefined])
    run(11_200)
    expect(long.error).toMatchObject({ code: 'CONNECTION_LOST', executed: 'maybe', message: 'no answer to a ping' })
    expect(owner.ends).toMatchObject([{ wasReady: true, unexpected: true }])
  })

  it('ends calls by their deadline when that comes first', () => {
    const { call, run, owner } = connected()
    const short = call(500)
    run(525)
    expect(short.error).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'maybe' })
    // No call waits any more, and still it has to show that it lives: the next call would fail as well.
    run(1_600)
    expect(owner.quiet).toBe(1)
    run(10_700)
    expect(owner.ends).toHaveLength(1)
  })

  it('lives on when a pong comes, as long as its handler likes', () => {
    const { call, run, sent, receive, owner } = connected()
    const long = call(300_000)
    for (let at = 0; at < 120_000; at += 500) {
      const pings = sent(FrameKind.ping)
      run(at)
      if (sent(FrameKind.ping) > pings) receive(FrameKind.pong)
    }
    expect([long.error, owner.quiet, owner.ends]).toEqual([undefined, 0, []])
    expect(sent(FrameKind.ping)).toBeGreaterThan(50)
  })

  it('has a second to show that it lives when membership calls its node dead', () => {
    const { connection, call, run, owner } = connected()
    const long = call(60_000)
    run(3_000)
    connection.probe()
    run(3_975)
    expect(long.error).toBeUndefined()
    run(4_025)
    expect(long.error).toMatchObject({ code: 'CONNECTION_LOST', executed: 'maybe' })
    expect(owner.ends).toHaveLength(1)
  })

  it('is not judged by the time in which this process stood still', () => {
    const { call, run, stall, receive, owner, clock } = connected()
    const long = call(300_000)
    run(5_000)
    stall(60_000)
    run(clock.real + 5_900)
    expect([long.error, owner.ends]).toEqual([undefined, []])
    receive(FrameKind.pong)
    run(clock.real + 10_000)
    expect([long.error, owner.ends]).toEqual([undefined, []])
    run(clock.real + 2_000)
    expect(long.error).toMatchObject({ code: 'CONNECTION_LOST' })
  })

  it('is heard as long as it takes what we send', () => {
    const { call, run, link, owner, clock } = connected()
    const long = call(300_000)
    link.unsent = 1_000_000
    for (let at = 0; at < 60_000; at += 1_000) {
      link.sent += 10_000
      run(at)
    }
    expect([long.error, owner.ends]).toEqual([undefined, []])
    run(clock.real + 12_000)
    expect(long.error).toMatchObject({ code: 'CONNECTION_LOST' })
  })

  it('that never opened is given up in the time for connecting, stalls apart', () => {
    const { connection, run, stall, owner, clock } = connected(false)
    run(1_000)
    stall(30_000)
    run(clock.real + 500)
    expect(owner.ends).toEqual([])
    run(clock.real + 600)
    expect(owner.ends).toMatchObject([{ wasReady: false, message: 'no connection within the time limit' }])
    expect(connection.isReady).toBe(false)
  })
})

/** A connection over a link that the test moves, on a clock that the test moves, stalls included. */
/** Time is virtual here: there is no end of a tick to wait for. */
class AtOnce extends Flusher {
  override soon(target: Flushable): void {
    target.flush()
  }

  override later(target: Flushable): void {
    target.flush()
  }
}

function connected(isOpen = true) {
  const clock = { real: 0, steady: 0 }
  const frames: number[] = []
  let handler: LinkHandler | undefined
  const link = {
    unsent: 0,
    sent: 0,
    write(bytes: Uint8Array) {
      for (let at = 0; at < bytes.length; ) {
        frames.push(bytes[at + 4] ?? 0)
        at += 4 + ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8))
      }
    },
    unsentBytes: () => link.unsent,
    needsDrain: () => false,
    sentBytes: () => link.sent,
    receivedBytes: () => 0,
    remoteAddress: () => '10.0.0.1:1',
    pauseReading() {},
    resumeReading() {},
    end: () => handler?.handleClose(undefined),
    destroy: () => handler?.handleClose(undefined),
  }
  const owner = {
    quiet: 0,
    ends: [] as ConnectionEnd[],
    connectionReady() {},
    connectionLeaving() {},
    connectionQuiet: () => {
      owner.quiet++
    },
    connectionClosed: (_connection: Connection, end: ConnectionEnd) => {
      owner.ends.push(end)
    },
  } satisfies ConnectionOwner & Record<string, unknown>
  const codec = new MsgpackCodec()
  const connection = new Connection(
    {
      address: { host: '10.0.0.1', port: 1 },
      dial: (_address, given): Link => {
        handler = given
        return link
      },
      flusher: new AtOnce(),
      slabs: new Slabs(),
      budget: new ByteBudget(Number.POSITIVE_INFINITY),
      limits: resolveRpcLimits({}),
      now: () => clock.real,
      steadyNow: () => clock.steady,
      isLoneCall: () => true,
      session: {
        codec,
        identity: { cluster: 'c', node: 'n1', bootId: 'b1' },
        target: { node: 'n2', bootId: 'b2' },
        counters: new Counters(),
        onAnswer: () => {},
      },
    },
    owner,
  )
  const outbox = new Outbox()
  const deliver = (): void => {
    const bytes = outbox.take(true)
    handler?.handleBytes(bytes, bytes.length)
  }
  if (isOpen) {
    handler?.handleOpen()
    const mark = outbox.openFrame(FrameKind.welcome, 0, 64)
    encodeWelcome(outbox.writer, { protocol: 1, features: 0, frameBytesMax: 1 << 24, node: 'n2', bootId: 'b2' })
    outbox.closeFrame(mark)
    deliver()
  }
  const call = (timeoutMs: number): { error?: RpcError } => {
    const state: { error?: RpcError } = {}
    const request = callRequest({ deadlineAt: clock.real + timeoutMs })
    const outgoing = new OutgoingCall(
      { node: 'n2', bootId: 'b2', request, owner: { settled: () => {}, begun: () => {} } },
      () => {},
      (error) => {
        state.error = error
      },
    )
    connection.send(outgoing, codec.encode([], 'args').slice(), clock.real)
    return state
  }
  /** Sweeps on until then. */
  const run = (until: number): void => {
    while (clock.real < until) {
      clock.real += SWEEP_MS
      clock.steady += SWEEP_MS
      connection.sweep(clock.real)
    }
  }
  return {
    connection,
    owner,
    link,
    clock,
    call,
    run,
    stall: (ms: number) => {
      clock.real += ms
    },
    receive: (kind: number) => {
      outbox.bareFrame(kind, 0)
      deliver()
    },
    sent: (kind: number) => frames.filter((each) => each === kind).length,
  }
}
