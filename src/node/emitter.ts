/**
 * The node's listeners. A listener that throws harms neither the node nor the next listener: it becomes a `fault`. There
 * is no `error` event, so nothing here can end a process.
 */

type Listener<T> = (value: T) => void

export class Emitter<Events extends { readonly fault: Error }> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>()

  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    let listeners = this.#listeners.get(name)
    if (listeners === undefined) {
      listeners = new Set()
      this.#listeners.set(name, listeners)
    }
    listeners.add(listener as Listener<never>)
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.#listeners.get(name)?.delete(listener as Listener<never>)
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        ;(listener as Listener<Events[Name]>)(value)
      } catch (error) {
        // A fault listener that throws has nobody left to be told.
        if (name !== 'fault') this.emit('fault', asError(error) as Events['fault'])
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
