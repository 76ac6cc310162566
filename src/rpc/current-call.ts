/**
 * Which call the running code serves, carried by AsyncLocalStorage. The one file of rpc that imports `node:async_hooks`.
 * The storage hangs on a registered symbol, so that the ESM and the CJS build of this package see the same call.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { ActiveCall, CallContext } from './active-call.js'

const KEY = Symbol.for('shoal.current-call')
const shared = globalThis as unknown as Record<symbol, AsyncLocalStorage<ActiveCall> | undefined>
shared[KEY] ??= new AsyncLocalStorage<ActiveCall>()
const storage: AsyncLocalStorage<ActiveCall> = shared[KEY]

/**
 * The call that the running code serves; `undefined` outside a handler, and in work that a handler left running after
 * it answered.
 */
export function currentCall(): CallContext | undefined {
  return activeCall()
}

/** As `currentCall`, for those who need the deadline that a nested call inherits. */
export function activeCall(): ActiveCall | undefined {
  const call = storage.getStore()
  return call === undefined || call.isFinished() ? undefined : call
}

/** Runs `work`, and all that it awaits, as part of this call. */
export function runInCall<T>(call: ActiveCall, work: () => T): T {
  return storage.run(call, work)
}
