/**
 * The users' abort signals: one listener per signal however many calls share it, gone with the last of them. A signal
 * may live as long as the process and never fire, so nothing of a finished call stays with it.
 */

export interface Abortable {
  readonly request: { readonly signal: AbortSignal | undefined }
}

export class AbortWatch<T extends Abortable> {
  readonly #onAbort: (call: T) => void
  readonly #watched = new Map<AbortSignal, { readonly calls: Set<T>; readonly listener: () => void }>()

  constructor(onAbort: (call: T) => void) {
    this.#onAbort = onAbort
  }

  /** Signals that have a listener of ours. */
  get size(): number {
    return this.#watched.size
  }

  add(signal: AbortSignal, call: T): void {
    const known = this.#watched.get(signal)
    if (known !== undefined) {
      known.calls.add(call)
      return
    }
    const calls = new Set([call])
    const listener = (): void => {
      for (const each of [...calls]) this.#onAbort(each)
    }
    this.#watched.set(signal, { calls, listener })
    signal.addEventListener('abort', listener)
  }

  remove(signal: AbortSignal, call: T): void {
    const known = this.#watched.get(signal)
    if (known === undefined) return
    known.calls.delete(call)
    if (known.calls.size > 0) return
    this.#watched.delete(signal)
    signal.removeEventListener('abort', known.listener)
  }
}
