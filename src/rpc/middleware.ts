/**
 * Wraps every incoming call of a service, local or remote. The first of the list is the outermost. A middleware can
 * look, wait, replace the result or refuse by throwing; it cannot change the arguments, and runs the rest at most once.
 */
import type { MiddlewareContext } from './active-call.js'

/** One layer around a service's handlers: `await next()` runs the rest and gives the handler's result. */
export type Middleware = (context: MiddlewareContext, next: () => Promise<unknown>) => unknown

/** Runs the layers around `handler`. */
export function runMiddleware(
  layers: readonly Middleware[],
  context: MiddlewareContext,
  handler: () => unknown,
): Promise<unknown> {
  const enter = async (index: number): Promise<unknown> => {
    const layer = layers[index]
    if (layer === undefined) return handler()
    let entered = false
    return layer(context, () => {
      if (entered) return Promise.reject(new Error(`middleware ${index} called next() twice`))
      entered = true
      return enter(index + 1)
    })
  }
  return enter(0)
}
