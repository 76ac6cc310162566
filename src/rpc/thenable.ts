/** Telling a promise, of whatever library or realm, from a value. */

/** True for what `await` would wait for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return typeof (value as { readonly then?: unknown }).then === 'function'
}

/** Goes on with a value at once, with a promise once it is kept. */
export function whenSettled<In, Out>(
  value: In | PromiseLike<In>,
  next: (value: In) => Out,
): Out | Promise<Awaited<Out>> {
  if (!isThenable(value)) return next(value as In)
  return Promise.resolve(value as PromiseLike<In>).then(next) as Promise<Awaited<Out>>
}
