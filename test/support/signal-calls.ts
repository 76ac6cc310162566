/** Calls of every kind that share one signal, which may live as long as the process: what is left on it afterwards. */
import { getEventListeners } from 'node:events'
import type { CallCbOptions, ShoalNode } from '../../src/index.js'

export const SERVICE = 'signalled'
export const METHODS = {
  now: (value: number): number => value,
  later: (value: number): Promise<number> => new Promise((resolve) => setImmediate(resolve, value)),
  fails: (): never => {
    throw new Error('on purpose')
  },
  never: (): Promise<number> => new Promise(() => {}),
}

type Kind = (node: ShoalNode, options: CallCbOptions, index: number) => Promise<unknown>

/** Some answer at once, some later, some never; some fail, some are tried again, some are made twice. */
const KINDS: readonly Kind[] = [
  (node, options, index) => node.callCb(SERVICE, 'now', [index], options),
  (node, options, index) => node.callCb(SERVICE, 'later', [index], options),
  (node, options) => node.callCb(SERVICE, 'fails', [], options),
  (node, options, index) => node.callCb(SERVICE, 'later', [index], { ...options, nodes: [node.name] }),
  (node, options, index) => node.callCb(SERVICE, 'now', [index], { ...options, timeout: 0 }),
  (node, options, index) => node.callCbAll(SERVICE, 'later', [index], options),
  (node, options, index) => node.call(SERVICE, 'later', [index], { ...options, service: SERVICE }),
  (node, options, index) => node.remote(SERVICE, 'now', [index], options),
  (node, options) => node.callCb('nobody', 'now', [], options),
  (node, options, index) => node.callCb(SERVICE, 'later', [index], { ...options, idempotent: true, hedge: 1 }),
]
const SLOW: readonly Kind[] = [
  (node, options) => node.callCb(SERVICE, 'never', [], { ...options, timeout: 20 }),
  (node, options) => node.remote('nobody', 'now', [], { ...options, timeout: 30, retries: { unavailable: 2 } }),
]

export interface SignalUse {
  readonly made: number
  readonly failed: number
  /** Listeners on the signal at the end of a batch, the most of all batches. */
  readonly listenersLeft: number
  /** While calls were under way. */
  readonly listenersMax: number
}

/** `count` calls, `batch` at a time. */
export async function callWithSignal(
  node: ShoalNode,
  signal: AbortSignal,
  count: number,
  batch = 500,
): Promise<SignalUse> {
  let [made, failed, listenersLeft, listenersMax] = [0, 0, 0, 0]
  while (made < count) {
    const size = Math.min(batch, count - made)
    const calls = Array.from({ length: size }, (_, index) => {
      const kind = index < SLOW.length ? SLOW[index] : KINDS[(made + index) % KINDS.length]
      return (kind as Kind)(node, { signal }, index)
    })
    listenersMax = Math.max(listenersMax, listenersOf(signal))
    for (const { status } of await Promise.allSettled(calls)) if (status === 'rejected') failed++
    listenersLeft = Math.max(listenersLeft, listenersOf(signal))
    made += size
  }
  return { made, failed, listenersLeft, listenersMax }
}

export function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}
