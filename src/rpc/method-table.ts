/**
 * Short numbers for method names, one table per connection and direction. The first request of a method carries its
 * names with the number they get; later ones carry the number alone. Bounded: past the last entry names are sent inline
 * each time.
 */

export const METHOD_TABLE_ENTRIES_MAX = 4_096
/** The number of a method whose names are sent inline and not remembered. */
export const INLINE_METHOD = 0xffff
/** Longest service or method name on the wire, in UTF-8 bytes. */
export const NAME_BYTES_MAX = 255

export interface MethodName {
  readonly service: string
  readonly method: string
}

/** The sender's side. */
export class OutgoingMethods {
  readonly #services = new Map<string, Map<string, number>>()
  #count = 0
  /** What was asked for last: most calls are of the method of the one before. */
  #last: { readonly service: string; readonly method: string; readonly id: number } | undefined

  /** The number of a method that was sent on this connection before. */
  tryGet({ service, method }: MethodName): number | undefined {
    if (this.#last?.method === method && this.#last.service === service) return this.#last.id
    const id = this.#services.get(service)?.get(method)
    if (id !== undefined) this.#last = { service, method, id }
    return id
  }

  /** The number under which to send a new one together with its names. */
  define({ service, method }: MethodName): number {
    if (this.#count >= METHOD_TABLE_ENTRIES_MAX) return INLINE_METHOD
    const methods = this.#services.get(service) ?? new Map<string, number>()
    this.#services.set(service, methods)
    methods.set(method, this.#count)
    return this.#count++
  }
}

/** The receiver's side. */
export class IncomingMethods {
  readonly #names: MethodName[] = []

  tryGet(id: number): MethodName | undefined {
    return this.#names[id]
  }

  /** False when the peer breaks the rule that numbers are given in order and never past the bound. */
  define(id: number, name: MethodName): boolean {
    if (id === INLINE_METHOD) return true
    if (id !== this.#names.length || id >= METHOD_TABLE_ENTRIES_MAX) return false
    this.#names.push(name)
    return true
  }
}
