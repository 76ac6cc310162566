/**
 * What a watcher of one service has still to be told. A slow consumer gets the latest state of each instance, in the order
 * in which they first changed; what came and went unseen is left out. So it is bounded by the instances, not by time.
 */
import type { RegistryEvent } from './effects.js'

export class WatchQueue {
  /** Nodes whose instance the consumer believes to be up. */
  readonly #known = new Set<string>()
  readonly #pending = new Map<string, RegistryEvent>()

  get size(): number {
    return this.#pending.size
  }

  offer(event: RegistryEvent): void {
    const { node } = event.instance
    if (event.type === 'down' && !this.#known.has(node)) this.#pending.delete(node)
    else this.#pending.set(node, event)
  }

  take(): RegistryEvent | undefined {
    for (const [node, { type, instance }] of this.#pending) {
      this.#pending.delete(node)
      if (type === 'down') {
        this.#known.delete(node)
        return { type, instance }
      }
      const isKnown = this.#known.has(node)
      this.#known.add(node)
      return { type: isKnown ? 'update' : 'up', instance }
    }
    return undefined
  }
}
