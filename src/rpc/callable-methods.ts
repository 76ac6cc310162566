/**
 * The methods of one implementation that can be called by name, and how each of them answers. What was found is
 * remembered, and looked for anew when the implementation has another function by then.
 */
import { type AnyFunction, tryMethod } from './method-lookup.js'
import { isGenerator } from './run-stream.js'

/** An implementation may be a proxy that has every name; past so many they are looked up each time. */
const REMEMBERED_MAX = 1_024

export interface CallableMethod {
  readonly handler: AnyFunction
  readonly isStream: boolean
}

export interface CallableMethodsOptions {
  readonly methods: object
  /** Only these can be called. */
  readonly only: readonly string[] | undefined
  /** Those that answer with a stream; the async generator functions when it is not said. */
  readonly streams: readonly string[] | undefined
}

export class CallableMethods {
  readonly #implementation: object
  readonly #only: ReadonlySet<string> | undefined
  readonly #streams: ReadonlySet<string> | undefined
  readonly #remembered = new Map<string, CallableMethod>()

  constructor({ methods, only, streams }: CallableMethodsOptions) {
    this.#implementation = methods
    this.#only = only === undefined ? undefined : new Set(only)
    this.#streams = streams === undefined ? undefined : new Set(streams)
  }

  /** Whether it is said which methods are streams. */
  get saysStreams(): boolean {
    return this.#streams !== undefined
  }

  find(name: string): CallableMethod | undefined {
    const known = this.#remembered.get(name)
    if (known !== undefined && this.#isStill(name, known.handler)) return known
    if (this.#only !== undefined && !this.#only.has(name)) return undefined
    const handler = tryMethod(this.#implementation, name)
    if (handler === undefined) {
      this.#remembered.delete(name)
      return undefined
    }
    const isStream = this.#streams === undefined ? isGenerator(handler) : this.#streams.has(name)
    const found = { handler, isStream }
    if (known !== undefined || this.#remembered.size < REMEMBERED_MAX) this.#remembered.set(name, found)
    return found
  }

  /** A plain read, since it is made for each call: an accessor that took the place of a function is run once by it. */
  #isStill(name: string, handler: AnyFunction): boolean {
    try {
      return (this.#implementation as Readonly<Record<string, unknown>>)[name] === handler
    } catch {
      return false // a getter or a proxy by now, which the look-up knows how to ask
    }
  }
}
