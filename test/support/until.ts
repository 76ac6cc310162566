/** Waiting for something to become true, with a limit and a sentence for the failure. The pause is between looks, never instead of one. */

export interface UntilOptions {
  /** Longest wait in ms. Default 10,000. */
  readonly within?: number
  /** Pause between two looks in ms. Default 10. */
  readonly every?: number
}

/** Resolves with the first value that is neither `false` nor `undefined`; rejects with `what` and the last value of `show`. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  options: UntilOptions & { readonly show?: () => unknown } = {},
): Promise<Exclude<T, false | undefined>> {
  const { within = 10_000, every = 10, show } = options
  const endAt = performance.now() + within
  for (;;) {
    const value = await look()
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>
    if (performance.now() >= endAt) {
      const shown = show === undefined ? '' : `: ${JSON.stringify(show())}`
      throw new Error(`not within ${within} ms: ${what}${shown}`)
    }
    await pause(every)
  }
}

/** Rejects as soon as it is not so; resolves when it was so for all this time. For what must not happen. */
export async function holdsFor(what: string, ms: number, look: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now()
  do {
    if (!(await look())) throw new Error(`no longer after ${Math.round(performance.now() - startedAt)} ms: ${what}`)
    await pause(100)
  } while (performance.now() - startedAt < ms)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
