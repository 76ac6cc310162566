/**
 * The node's listeners. One that throws, or whose promise rejects, harms neither the node nor the next listener: it
 * becomes a `fault`. There is no `error` event, so nothing here can end a process.
 */

import { ShoalError } from '../errors.js'

type Listener<T> = (value: T) => void

export class Emitter<Events extends { readonly fault: Error }> {
  readonly #listeners: ReadonlyMap<keyof Events, Set<Listener<never>>>

  constructor(names: readonly (keyof Events & string)[]) {
    this.#listeners = new Map(names.map((name) => [name, new Set()]))
  }

  /** Throws INVALID_ARGUMENT for an event that there is not, which would never come, and for what is no function. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    const listeners = this.#listeners.get(name)
    if (listeners === undefined) {
      const events = [...this.#listeners.keys()].join(', ')
      throw new ShoalError('INVALID_ARGUMENT', `there is no event '${String(name)}'; there are ${events}`)
    }
    if (typeof listener !== 'function') {
      const what = `a listener of '${String(name)}' must be a function`
      throw new ShoalError('INVALID_ARGUMENT', `${what}, got ${typeof listener}`)
    }
    listeners.add(listener as Listener<never>)
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.#listeners.get(name)?.delete(listener as Listener<never>)
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        const result: unknown = (listener as Listener<Events[Name]>)(value)
        if (result instanceof Promise) result.catch((error: unknown) => this.#failed(name, error))
      } catch (error) {
        this.#failed(name, error)
      }
    }
  }

  clear(): void {
    for (const listeners of this.#listeners.values()) listeners.clear()
  }

  /** A fault listener that throws has nobody left to be told. */
  #failed(name: keyof Events, thrown: unknown): void {
    if (name !== 'fault') this.emit('fault', asError(thrown) as Events['fault'])
  }
}

export function asError(thrown: unknown): Error {
  try {
    return thrown instanceof Error ? thrown : new Error(String(thrown))
  } catch {
    return new Error('something was thrown that has no text')
  }
}
