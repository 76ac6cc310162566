/**
 * Layers around a call, the first of the list outermost: around the incoming calls of a service or node, and around the
 * calls that a node makes. A layer can look, wait, replace the result or refuse by throwing; it cannot change the
 * arguments, and runs the rest at most once.
 */
import type { MiddlewareContext } from './active-call.js'
import { describe } from './names.js'

/** One layer: `await next()` runs the rest and gives its result. */
export type Layer<Context> = (context: Context, next: () => Promise<unknown>) => unknown

/** One layer around handlers: `await next()` runs the rest and gives the handler's result. */
export type Middleware = Layer<MiddlewareContext>

/** Runs the layers around `inner`. */
export function runMiddleware<Context>(
  layers: readonly Layer<Context>[],
  context: Context,
  inner: () => unknown,
): Promise<unknown> {
  const enter = async (index: number): Promise<unknown> => {
    const layer = layers[index]
    if (layer === undefined) return inner()
    let entered = false
    return layer(context, () => {
      if (entered) return Promise.reject(new Error(`middleware ${index} called next() twice`))
      entered = true
      return enter(index + 1)
    })
  }
  return enter(0)
}

/** What is wrong with a list of middleware, as the middle of a sentence; `undefined` when it can be used. */
export function layersProblem(layers: unknown): string | undefined {
  if (layers === undefined) return undefined
  if (!Array.isArray(layers)) return `must be an array of functions (context, next) => result, got ${describe(layers)}`
  const at = layers.findIndex((layer) => typeof layer !== 'function')
  return at === -1 ? undefined : `must hold functions alone, at ${at} it has ${describe(layers[at])}`
}
