/** Runs a function of the user with a limit on its time. A hook that ignores its signal is left behind, not waited for. */
import type { Clock } from '../clock.js'
import { ShoalError } from '../errors.js'

/** Work of a service at one of its turns. The signal is aborted when nobody waits for it any longer. */
export type ServiceHook = (options: { readonly signal: AbortSignal }) => unknown

export interface HookRun {
  readonly hook: ServiceHook
  /** For the message when it takes too long. */
  readonly what: string
  readonly timeoutMs: number
  readonly clock: Clock
  /** Ends the wait early, and aborts the hook's own signal. */
  readonly signal?: AbortSignal | undefined
}

/** What the hook returned. Rejects with what it threw, or SERVICE_FAILED when it took longer than its limit. */
export async function runHook({ hook, what, timeoutMs, clock, signal }: HookRun): Promise<unknown> {
  const controller = new AbortController()
  let giveUp = (_why: string): void => {}
  const late = new Promise<never>((_, reject) => {
    giveUp = (why) => {
      const error = new ShoalError('SERVICE_FAILED', `${what} ${why}`)
      controller.abort(error)
      reject(error)
    }
  })
  const timer = clock.setTimeout(() => giveUp(`did not end within ${timeoutMs} ms`), timeoutMs)
  const cancel = (): void => giveUp('was cancelled')
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    return await Promise.race([late, callHook(hook, controller.signal)])
  } finally {
    clock.clearTimer(timer)
    signal?.removeEventListener('abort', cancel)
  }
}

async function callHook(hook: ServiceHook, signal: AbortSignal): Promise<unknown> {
  return hook({ signal })
}
