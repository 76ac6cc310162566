/**
 * The stream that a handler gave, run to its end: its items go to the sink of the call, and the end of the call ends the
 * handler's generator. What the framework refuses of it becomes the call's verdict.
 */
import { isRpcError } from '../errors.js'
import type { ActiveCall } from './active-call.js'
import type { ItemSink } from './call.js'
import { isAsyncIterable } from './input-argument.js'
import { ItemPump } from './item-pump.js'
import type { AnyFunction } from './method-lookup.js'
import { describe } from './names.js'

export interface StreamRules {
  /** What becomes of an item on its way; may throw, or be a promise. */
  readonly check: ((item: unknown) => unknown) | undefined
  /** The error for a handler that gave something else. */
  readonly notStream: (what: string) => Error
}

/** Resolves when the stream has ended, by itself or with its call; rejects with what the handler or a rule throws. */
export async function runStream(
  active: ActiveCall,
  output: ItemSink,
  given: unknown,
  { check, notStream }: StreamRules,
): Promise<undefined> {
  const items = await given
  if (!isAsyncIterable(items)) {
    const error = notStream(describe(items))
    if (isRpcError(error)) active.verdict = error
    throw error
  }
  const sink: ItemSink = {
    get isClosed() {
      return output.isClosed
    },
    ready: () => output.ready(),
    send(item) {
      try {
        output.send(item)
      } catch (error) {
        // An item that cannot travel: said by the framework, not by the handler.
        if (isRpcError(error)) active.verdict = error
        throw error
      }
    },
  }
  const pump = new ItemPump({ iterator: items[Symbol.asyncIterator](), sink, check })
  active.onCancelled = () => pump.stop()
  if (active.isCancelled()) pump.stop()
  await pump.run()
  return undefined
}

/** True for what was written as `async function*`: calling it for a value would be a mistake. */
export function isGenerator(handler: AnyFunction): boolean {
  return (handler as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'AsyncGeneratorFunction'
}
