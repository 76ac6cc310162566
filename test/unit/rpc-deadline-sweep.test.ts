import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/clock.js'
import { DeadlineSweep, type Expiring } from '../../src/rpc/deadline-sweep.js'

function sweep(count: number) {
  const timers: (() => void)[] = []
  const immediates: (() => void)[] = []
  const timer = { ref: () => {}, unref: () => {} }
  const clock: Clock = {
    monotonicMs: () => 100,
    wallMs: () => 0,
    setTimeout: (callback) => {
      timers.push(callback)
      return timer
    },
    setInterval: () => timer,
    clearTimer: () => {},
    setImmediate: (callback) => {
      immediates.push(callback)
      return () => {}
    },
  }
  const deadlines = new DeadlineSweep<Expiring>(clock.monotonicMs, clock)
  const expired: number[] = []
  const items = Array.from({ length: count }, (_, i): Expiring => {
    return { deadlineAt: 50, expire: () => expired.push(i) }
  })
  for (const item of items) deadlines.add(item)
  const runAll = (): void => {
    for (let run = immediates.shift(); run !== undefined; run = immediates.shift()) {
      const before = expired.length
      run()
      expect(expired.length - before).toBeLessThan(20)
    }
  }
  return { deadlines, items, expired, timers, runAll }
}

describe('calls whose deadlines are over together', () => {
  it('end a few at a time, all of them in the end', () => {
    const { deadlines, expired, timers, runAll } = sweep(100)
    timers[0]?.()
    expect(expired.length).toBeLessThan(20)
    expect(deadlines.size() + expired.length).toBe(100)
    runAll()
    expect(expired).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(deadlines.size()).toBe(0)
  })

  it('do not end that way when they settled before their turn, or were handed back', () => {
    const { deadlines, items, expired, timers, runAll } = sweep(100)
    timers[0]?.()
    deadlines.remove(items[50]!)
    const left = deadlines.stop()
    expect(left).toHaveLength(99 - expired.length)
    const before = expired.length
    runAll()
    expect(expired).toHaveLength(before)
  })
})
