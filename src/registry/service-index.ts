/**
 * Which nodes list a service: the running, visible instances by service and node, and the names of all services ever
 * seen. Only a table; what is listed is the registry's decision.
 */
import type { Instance } from './record.js'

/** Names remembered in `seen`; later ones are not added. */
const SEEN_MAX = 16_384
const NONE: ReadonlyMap<string, Instance> = new Map()

export class ServiceIndex {
  readonly #services = new Map<string, Map<string, Instance>>()
  readonly #seen = new Set<string>()

  /** The listed instances of a service by node. */
  of(service: string): ReadonlyMap<string, Instance> {
    return this.#services.get(service) ?? NONE
  }

  put(instance: Instance): void {
    const { service, node } = instance
    const nodes = this.#services.get(service)
    if (nodes === undefined) this.#services.set(service, new Map([[node, instance]]))
    else nodes.set(node, instance)
  }

  remove({ service, node }: Instance): void {
    const nodes = this.#services.get(service)
    if (nodes === undefined) return
    nodes.delete(node)
    if (nodes.size === 0) this.#services.delete(service)
  }

  /** Services with at least one listed instance. */
  services(): IterableIterator<string> {
    return this.#services.keys()
  }

  see(service: string): void {
    if (this.#seen.size < SEEN_MAX) this.#seen.add(service)
  }

  seen(): string[] {
    return [...this.#seen]
  }
}
