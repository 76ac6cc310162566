/** What waiting and watching need of a registry in operation, and the list of listeners that provides it. */
import type { RegistryEvent } from './effects.js'
import type { Instance } from './record.js'

/** `undefined` comes last, when the source closes. */
export type FeedListener = (event: RegistryEvent | undefined) => void

export interface ServiceSource {
  countInstances(service: string): number
  getInstances(service: string): readonly Instance[]
  /** Listens to events, each given after the registry took it in. Returns the removal. A closed source says so at once. */
  subscribe(listener: FeedListener): () => void
}

/** Gives each event to each listener that was there before it; owned by whoever drains the registry. */
export class ServiceFeed {
  readonly #listeners = new Set<FeedListener>()
  #isClosed = false

  get size(): number {
    return this.#listeners.size
  }

  subscribe(listener: FeedListener): () => void {
    if (this.#isClosed) {
      listener(undefined)
      return () => {}
    }
    const own: FeedListener = (event) => listener(event)
    this.#listeners.add(own)
    return () => {
      this.#listeners.delete(own)
    }
  }

  publish(event: RegistryEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }

  /** Tells all listeners and lets go of them; later ones are told at once. */
  close(): void {
    this.#isClosed = true
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener(undefined)
  }
}
