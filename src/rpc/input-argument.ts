/**
 * An argument that is a stream: which of a call's arguments it is, and that it is read once. Nothing of it is drawn
 * before the handler asks for an item, so a call that was refused elsewhere can still be made here.
 */
import { RpcError } from '../errors.js'
import type { CallRequest } from './call.js'
import { invalidArgument } from './call-options.js'
import { messageOf } from './names.js'

/** Its place travels in one byte. */
const INDEX_MAX = 255

export interface InputArgument {
  /** Which argument it is. */
  readonly at: number
  /** All arguments, with nothing in its place. */
  readonly others: readonly unknown[]
  /** Throws when it is opened a second time: what was drawn is gone. */
  open(): AsyncIterator<unknown>
}

/** The stream among the arguments of a call, if there is one. Throws INVALID_ARGUMENT when there are two. */
export function findInput(args: readonly unknown[]): InputArgument | undefined {
  for (let at = 0; at < args.length; at++) if (isAsyncIterable(args[at])) return inputAt(at, args)
  return undefined
}

function inputAt(at: number, args: readonly unknown[]): InputArgument {
  if (args.findLastIndex(isAsyncIterable) !== at || at > INDEX_MAX) {
    throw invalidArgument('one argument of a call may be a stream (an AsyncIterable), and among the first 256')
  }
  const given = args[at] as AsyncIterable<unknown>
  let isOpen = false
  return {
    at,
    others: args.with(at, undefined),
    open() {
      if (isOpen) throw invalidArgument('the stream among the arguments was read by another attempt of this call')
      isOpen = true
      return given[Symbol.asyncIterator]()
    },
  }
}

/** What becomes of a call whose own stream fails. */
export function inputFailure(
  { node, request, hasBegun }: { readonly node: string; readonly request: CallRequest; readonly hasBegun: boolean },
  error: unknown,
): RpcError {
  const why = messageOf(error, 'it threw no error')
  const message = `the stream among the arguments of ${request.service}.${request.method} failed: ${why}`
  return new RpcError('CANCELLED', message, { executed: hasBegun ? 'yes' : 'maybe', node, cause: error })
}

/** True for what `for await` reads as a stream: async generators, Node's and the web's readable streams. */
export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  if (typeof value !== 'object' || value === null) return false
  return typeof (value as { readonly [Symbol.asyncIterator]?: unknown })[Symbol.asyncIterator] === 'function'
}
