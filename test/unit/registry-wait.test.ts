import { describe, expect, test } from 'vitest'
import { isShoalError, WaitTimeoutError } from '../../src/errors.js'
import type { RegistryEvent } from '../../src/registry/effects.js'
import { ServiceFeed, type ServiceSource } from '../../src/registry/feed.js'
import type { Instance } from '../../src/registry/record.js'
import { type SetTimer, WaitList, waitForServices } from '../../src/registry/wait.js'
import { watchService } from '../../src/registry/watch.js'

/** A source whose instances the test lists and unlists, and a timer that it fires. */
class Stage implements ServiceSource {
  readonly feed = new ServiceFeed()
  readonly timers = new Map<() => void, number>()
  readonly #listed = new Map<string, Instance>()

  readonly setTimer: SetTimer = (callback, ms) => {
    this.timers.set(callback, ms)
    return () => this.timers.delete(callback)
  }

  subscribe(listener: Parameters<ServiceFeed['subscribe']>[0]): () => void {
    return this.feed.subscribe(listener)
  }

  getInstances(service: string): Instance[] {
    return [...this.#listed.values()].filter((instance) => instance.service === service)
  }

  countInstances(service: string): number {
    return this.getInstances(service).length
  }

  up(service: string, node: string, version = ''): void {
    const type = this.#listed.has(`${node}/${service}`) ? 'update' : 'up'
    const facts = {
      version,
      status: 'running',
      statusAt: 1,
      reason: undefined,
      methods: [],
      meta: {},
      metaPending: false,
      hash: '',
    } as const
    const instance = { node, service, ...facts, address: `${node}:1`, local: false }
    this.#listed.set(`${node}/${service}`, instance)
    this.feed.publish({ type, instance })
  }

  down(service: string, node: string): void {
    const instance = this.#listed.get(`${node}/${service}`)!
    this.#listed.delete(`${node}/${service}`)
    this.feed.publish({ type: 'down', instance })
  }

  fire(): void {
    for (const callback of [...this.timers.keys()]) callback()
  }

  /** Nothing is left behind. */
  get isQuiet(): boolean {
    return this.feed.size === 0 && this.timers.size === 0
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (isShoalError(error) ? error.code : `not of shoal: ${String(error)}`),
  )
}

describe('waiting for services', () => {
  test('ends at once when all are there, or none is asked for', async () => {
    const stage = new Stage()
    stage.up('users', 'a')
    await waitForServices(stage, ['users'], { timeoutMs: 0, setTimer: stage.setTimer })
    await waitForServices(stage, [], { timeoutMs: 0, setTimer: stage.setTimer })
    expect(stage.isQuiet).toBe(true)
  })

  test('ends with the event that brings the last of them', async () => {
    const stage = new Stage()
    let done = false
    const waiting = waitForServices(stage, ['users', 'billing', 'users'], {
      min: 2,
      timeoutMs: 1_000,
      setTimer: stage.setTimer,
    }).then(() => {
      done = true
    })
    expect([...stage.timers.values()]).toEqual([1_000])
    stage.up('users', 'a')
    stage.up('users', 'b')
    stage.up('billing', 'a')
    stage.up('other', 'c')
    await Promise.resolve()
    expect(done).toBe(false)
    stage.up('billing', 'b')
    await waiting
    expect(stage.isQuiet).toBe(true)
  })

  test('wants all of them at one time: one that went away again counts no more', async () => {
    const stage = new Stage()
    const waiting = waitForServices(stage, ['users', 'billing'], { timeoutMs: 1_000, setTimer: stage.setTimer })
    stage.up('users', 'a')
    stage.down('users', 'a')
    stage.up('billing', 'a')
    stage.fire()
    const error = await waiting.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(WaitTimeoutError)
    expect((error as WaitTimeoutError).missing).toEqual(['users'])
    expect(stage.isQuiet).toBe(true)
  })

  test('with no time looks once', async () => {
    const stage = new Stage()
    const waiting = waitForServices(stage, ['users'], { timeoutMs: 0, setTimer: stage.setTimer })
    expect(stage.isQuiet).toBe(true)
    expect(await codeOf(waiting)).toBe('WAIT_TIMEOUT')
  })

  test('without end sets no timer', async () => {
    const stage = new Stage()
    const waiting = waitForServices(stage, ['users'], { timeoutMs: Number.POSITIVE_INFINITY, setTimer: stage.setTimer })
    expect(stage.timers.size).toBe(0)
    stage.up('users', 'a')
    await waiting
  })

  test('is ended by its signal, before and after it began, and leaves no listener on it', async () => {
    const stage = new Stage()
    const control = new AbortController()
    const options = { timeoutMs: 1_000, setTimer: stage.setTimer, signal: control.signal }
    const waiting = waitForServices(stage, ['users'], options)
    control.abort(new Error('enough'))
    const error = (await waiting.catch((reason: unknown) => reason)) as Error
    expect(isShoalError(error, 'CANCELLED') && (error.cause as Error).message).toBe('enough')
    expect(await codeOf(waitForServices(stage, ['users'], options))).toBe('CANCELLED')
    expect(stage.isQuiet).toBe(true)
  })

  test('is ended by the close of its source', async () => {
    const stage = new Stage()
    const options = { timeoutMs: 1_000, setTimer: stage.setTimer }
    const waiting = waitForServices(stage, ['users'], options)
    stage.feed.close()
    expect(await codeOf(waiting)).toBe('CLOSED')
    expect(await codeOf(waitForServices(stage, ['users'], options))).toBe('CLOSED')
    expect(stage.isQuiet).toBe(true)
  })

  test('refuses a minimum or a time that makes no sense', async () => {
    const stage = new Stage()
    for (const options of [{ min: 0 }, { min: 1.5 }, { timeoutMs: -1 }, { timeoutMs: Number.NaN }]) {
      const waiting = waitForServices(stage, ['users'], { timeoutMs: 1, setTimer: stage.setTimer, ...options })
      expect(await codeOf(waiting)).toBe('INVALID_ARGUMENT')
    }
  })

  test('lists what is missing once, in the given order', () => {
    const list = new WaitList(['c', 'a', 'c', 'b'], 1)
    list.update('a', 1)
    list.update('unasked', 1)
    expect(list.missing()).toEqual(['c', 'b'])
    expect([list.has('a'), list.has('unasked')]).toEqual([true, false])
  })
})

describe('watching a service', () => {
  const shown = ({ type, instance }: RegistryEvent): string => `${type} ${instance.node} ${instance.version}`.trim()

  test('gives the present instances as up, then each change of that service', async () => {
    const stage = new Stage()
    stage.up('users', 'a')
    const seen: string[] = []
    const control = new AbortController()
    const reading = (async () => {
      for await (const event of watchService(stage, 'users', { signal: control.signal })) {
        seen.push(shown(event))
        if (seen.length === 1) stage.up('users', 'b')
        if (seen.length === 2) stage.up('billing', 'b')
        if (seen.length === 2) stage.up('users', 'b', '2')
        if (seen.length === 3) stage.down('users', 'a')
        if (seen.length === 4) control.abort()
      }
    })()
    await reading
    expect(seen).toEqual(['up a', 'up b', 'update b 2', 'down a'])
    expect(stage.isQuiet).toBe(true)
  })

  test('wakes a consumer that waits', async () => {
    const stage = new Stage()
    const watch = watchService(stage, 'users')
    const [first, second] = [watch.next(), watch.next()]
    stage.up('users', 'a')
    stage.up('users', 'b')
    expect([shown((await first).value!), shown((await second).value!)]).toEqual(['up a', 'up b'])
    await watch.return?.()
  })

  test('gives a slow consumer the latest state of each instance, and nothing of what came and went', async () => {
    const stage = new Stage()
    stage.up('users', 'a')
    const watch = watchService(stage, 'users')
    expect(shown((await watch.next()).value!)).toBe('up a')
    for (let i = 0; i < 10_000; i++) {
      stage.down('users', 'a')
      stage.up('users', 'a', String(i))
      stage.up('users', `brief-${i}`)
      stage.down('users', `brief-${i}`)
    }
    stage.up('users', 'b')
    stage.down('users', 'a')
    expect(shown((await watch.next()).value!)).toBe('down a 9999')
    expect(shown((await watch.next()).value!)).toBe('up b')
    stage.up('users', 'c')
    expect(shown((await watch.next()).value!)).toBe('up c')
    await watch.return?.()
  })

  test('listens from the first read on, and lets go on return, throw, signal and close', async () => {
    const endings: [
      string,
      (watch: ReturnType<typeof watchService>, stage: Stage, control: AbortController) => unknown,
    ][] = [
      ['return', (watch) => watch.return?.()],
      ['throw', (watch) => watch.throw?.(new Error('stop')).catch(() => {})],
      ['signal', (_watch, _stage, control) => control.abort()],
      ['close', (_watch, stage) => stage.feed.close()],
    ]
    for (const [name, end] of endings) {
      const stage = new Stage()
      const control = new AbortController()
      const watch = watchService(stage, 'users', { signal: control.signal })
      expect(stage.feed.size).toBe(0)
      const waiting = watch.next()
      expect(stage.feed.size).toBe(1)
      await end(watch, stage, control)
      expect(await waiting, name).toEqual({ done: true, value: undefined })
      expect(await watch.next(), name).toEqual({ done: true, value: undefined })
      expect(stage.isQuiet, name).toBe(true)
    }
  })

  test('never begins when it was ended before, and passes on what it was thrown', async () => {
    const stage = new Stage()
    const aborted = watchService(stage, 'users', { signal: AbortSignal.abort() })
    expect(await aborted.next()).toEqual({ done: true, value: undefined })
    const returned = watchService(stage, 'users')
    await returned.return?.()
    expect(await returned.next()).toEqual({ done: true, value: undefined })
    await expect(watchService(stage, 'users').throw?.(new Error('stop'))).rejects.toThrow('stop')
    stage.feed.close()
    expect(await watchService(stage, 'users').next()).toEqual({ done: true, value: undefined })
    expect(stage.isQuiet).toBe(true)
  })
})
