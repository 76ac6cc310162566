import { describe, expect, it } from 'vitest'
import type { Clock, Timer } from '../../src/clock.js'
import { Sweeper } from '../../src/rpc/sweeper.js'

const OPTIONS = { soonMs: 25, everyMs: 100, restMs: 1_000 }

/** One interval at a time, on a clock that the test moves; it may stand still, and what was due then comes late. */
function swept(due: () => number | undefined) {
  let now = 0
  let interval: { readonly ms: number; at: number; readonly run: () => void } | undefined
  let immediate: (() => void) | undefined
  const timer: Timer = { ref() {}, unref() {} }
  const clock: Clock = {
    monotonicMs: () => now,
    wallMs: () => now,
    setTimeout: () => timer,
    setInterval: (run, ms) => {
      interval = { ms, at: now + ms, run }
      return timer
    },
    clearTimer: () => {
      interval = undefined
    },
    setImmediate: (run) => {
      immediate = run
      return () => {}
    },
  }
  const sweeps: number[] = []
  const sweeper = new Sweeper({
    ...OPTIONS,
    clock,
    sweep: () => {
      sweeps.push(now)
      return due()
    },
  })
  /** Sweeps until then. `turnMs`: what each turn of the loop takes. */
  const run = (until: number, turnMs = 0): number[] => {
    sweeps.length = 0
    while (interval !== undefined && interval.at <= until) {
      now = Math.max(now, interval.at)
      interval.at = now + interval.ms
      interval.run()
      while (immediate !== undefined) {
        const next = immediate
        immediate = undefined
        now += turnMs
        next()
      }
    }
    now = Math.max(now, until)
    return [...sweeps]
  }
  const stall = (ms: number): void => {
    now += ms
  }
  return { sweeper, run, stall, now: () => now }
}

describe('sweeps', () => {
  it('come seldom while what waits is far off, and often before its instant', () => {
    let dueAt = 990
    const { sweeper, run } = swept(() => dueAt)
    sweeper.start(dueAt)
    expect(run(900)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900])
    expect(run(1_000)).toEqual([925, 950, 975, 1_000])
    dueAt = 2_000
    expect(run(1_225)).toEqual([1_025, 1_125, 1_225])
  })

  it('come often from the moment on that something near is told of', () => {
    let dueAt = 30_000
    const { sweeper, run } = swept(() => dueAt)
    sweeper.start(dueAt)
    run(110)
    dueAt = 150
    sweeper.start(dueAt)
    expect(run(160)).toEqual([135, 160])
    sweeper.start(40_000)
    expect(run(170)).toEqual([])
    expect(run(185)).toEqual([185])
  })

  it('come as soon as may be for what has no instant, and at rest or with nothing to look at seldom or never', () => {
    let dueAt: number | undefined = Number.POSITIVE_INFINITY
    const { sweeper, run } = swept(() => dueAt)
    sweeper.start()
    expect(run(2_100)).toEqual([25, 1_025, 2_025])
    sweeper.start()
    dueAt = undefined
    expect(run(10_000)).toEqual([2_125])
  })
})

describe('the time in which a peer could be heard', () => {
  it('leaves out a stall, at any pace', () => {
    for (const dueAt of [0, Number.MAX_VALUE]) {
      const { sweeper, run, stall, now } = swept(() => dueAt)
      sweeper.start(dueAt)
      run(1_000)
      expect(sweeper.steadyNow()).toBe(1_000)
      stall(60_000)
      const steadyAt = sweeper.steadyNow()
      expect(steadyAt).toBeLessThanOrEqual(1_000 + OPTIONS.everyMs + 50)
      run(now())
      expect(sweeper.steadyNow()).toBe(steadyAt)
      run(now() + 1_000)
      expect(sweeper.steadyNow()).toBe(steadyAt + 1_000)
    }
  })

  it('leaves out a stall, whatever is told of before the sweep that was due', () => {
    const { sweeper, run, stall, now } = swept(() => Number.MAX_VALUE)
    sweeper.start(Number.MAX_VALUE)
    run(1_000)
    stall(3_000)
    const steadyAt = sweeper.steadyNow()
    sweeper.start()
    sweeper.start(now() + 1)
    expect(sweeper.steadyNow()).toBe(steadyAt)
    run(now())
    expect(sweeper.steadyNow()).toBe(steadyAt)
  })

  it('leaves out what a sweep takes itself', () => {
    const { sweeper, run, stall } = swept(() => {
      stall(3_000)
      return 0
    })
    sweeper.start()
    run(25)
    expect(sweeper.steadyNow()).toBeLessThan(200)
  })

  it('leaves out turns that take long, which put a sweep off until the sockets were read', () => {
    const { sweeper, run } = swept(() => 0)
    sweeper.start()
    run(1_000)
    expect(run(1_025, 200)).toHaveLength(1)
    expect(sweeper.steadyNow()).toBeLessThan(2_000)
  })
})
