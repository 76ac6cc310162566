import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../src/random.js'
import { AbortWatch } from '../../src/rpc/abort-watch.js'
import { isLaterId, type Pending, PendingCalls } from '../../src/rpc/pending-calls.js'

function call(deadlineAt = Number.POSITIVE_INFINITY): Pending {
  return { id: 0, deadlineAt }
}

describe('pending calls', () => {
  it('give ids that only go up, and find each call once', () => {
    const pending = new PendingCalls<Pending>(1_000)
    const calls = Array.from({ length: 500 }, () => call())
    for (const each of calls) pending.add(each)
    expect(calls.map(({ id }) => id)).toEqual(calls.map((_, i) => i + 1))
    for (const each of calls) expect(pending.take(each.id)).toBe(each)
    for (const each of calls) expect(pending.take(each.id)).toBeUndefined()
    expect(pending.size).toBe(0)
  })

  it('ignore a late reply to a call whose slot has another call by now', () => {
    const pending = new PendingCalls<Pending>(1_000)
    const old = call()
    pending.add(old)
    pending.take(old.id)
    for (let i = 0; i < 63; i++) {
      const passing = call()
      pending.add(passing)
      pending.take(passing.id)
    }
    const current = call()
    pending.add(current)
    expect(current.id % 64).toBe(old.id % 64)
    expect(pending.take(old.id)).toBeUndefined()
    expect(pending.take(current.id)).toBe(current)
  })

  it('go past the end of the 32 bits, and never use 0', () => {
    const pending = new PendingCalls<Pending>(1_000, 0xffff_fffe)
    const calls = Array.from({ length: 6 }, () => call())
    for (const each of calls) pending.add(each)
    expect(calls.map(({ id }) => id)).toEqual([0xffff_fffe, 0xffff_ffff, 1, 2, 3, 4])
    for (let i = 1; i < calls.length; i++) expect(isLaterId(calls[i]!.id, calls[i - 1]!.id)).toBe(true)
    expect(isLaterId(5, 5)).toBe(false)
  })

  it('end exactly the calls whose deadline is over', () => {
    const pending = new PendingCalls<Pending>(1_000)
    const [early, same, late] = [call(10), call(20), call(21)]
    for (const each of [late, early, same]) pending.add(each)
    expect(pending.sweep(9)).toEqual([])
    expect(new Set(pending.sweep(20))).toEqual(new Set([early, same]))
    expect(pending.sweep(20)).toEqual([])
    const newest = call(5)
    pending.add(newest)
    expect(pending.sweep(20)).toEqual([newest])
    expect(pending.sweep(1e9)).toEqual([late])
  })

  it('agree with a plain map under any use', () => {
    const seed = Number(process.env['SEED'] ?? 20_261)
    const random = seededRandom(seed)
    const pending = new PendingCalls<Pending>(5_000)
    const model = new Map<number, Pending>()
    for (let step = 0; step < 12_000; step++) {
      const ids = [...model.keys()]
      if (random() < (step % 4_000 < 2_000 ? 0.6 : 0.4) && !pending.isFull()) {
        const added = call(randomInt(random, 60_000))
        pending.add(added)
        expect(model.has(added.id), `seed ${seed}`).toBe(false)
        model.set(added.id, added)
      } else if (random() < 0.02) {
        const expired = pending.sweep(step)
        expect(new Set(expired), `seed ${seed}`).toEqual(
          new Set([...model.values()].filter((c) => c.deadlineAt <= step)),
        )
        for (const each of expired) model.delete(each.id)
      } else {
        const id = ids[randomInt(random, ids.length)] ?? 77
        expect(pending.take(id), `seed ${seed}`).toBe(model.get(id))
        model.delete(id)
      }
      if (step % 1_000 === 0) expect(pending.size, `seed ${seed}`).toBe(model.size)
    }
  })
})

describe('the watch on abort signals', () => {
  it('puts one listener on a signal for all calls that share it, and takes it off with the last', () => {
    const aborted: unknown[] = []
    const watch = new AbortWatch<{ request: { signal: AbortSignal } }>((each) => {
      aborted.push(each)
      watch.remove(each.request.signal, each)
    })
    const { signal, listeners, abort } = countingSignal()
    const calls = Array.from({ length: 20 }, () => ({ request: { signal } }))
    for (const each of calls) watch.add(signal, each)
    expect(listeners()).toBe(1)
    for (const each of calls.slice(0, 5)) watch.remove(signal, each)
    abort()
    expect(aborted).toEqual(calls.slice(5))
    expect(listeners()).toBe(0)
    expect(watch.size).toBe(0)
  })
})

function countingSignal(): { signal: AbortSignal; listeners: () => number; abort: () => void } {
  const controller = new AbortController()
  const { signal } = controller
  let count = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    count++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    count--
    remove(...args)
  }
  return { signal, listeners: () => count, abort: () => controller.abort() }
}
