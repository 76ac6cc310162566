/**
 * The endpoints of a service by how they are preferred, kept from call to call: most calls have no filter of their own,
 * and what they may choose from changes only when the view of the cluster does. Decides nothing: what is on a list is
 * said by `selection.ts`.
 */
import type { ClusterView } from './cluster-view.js'
import type { ServiceEndpoint } from './effects.js'
import type { Instance } from './record.js'
import { prefersLocal, type SelectionWish, type Shortlist, shortlist } from './selection.js'

/** Method names may come from outside; past so many lists all are made anew. */
const KEPT_MAX = 4_096

/** By whether the local instance comes first. */
interface Kept {
  localFirst: Shortlist<ServiceEndpoint> | undefined
  noneFirst: Shortlist<ServiceEndpoint> | undefined
}

export class Shortlists {
  readonly #view: ClusterView
  /** By service and method. */
  readonly #kept = new Map<string, Map<string | undefined, Kept>>()
  #count = 0
  #revision = -1

  constructor(view: ClusterView) {
    this.#view = view
  }

  /** Throws INVALID_ARGUMENT when `where` throws. */
  get(service: string, wish: SelectionWish): Shortlist<ServiceEndpoint> {
    if (wish.version !== undefined || wish.where !== undefined) return this.#make(service, wish)
    const kept = this.#entry(service, wish.method)
    if (prefersLocal(wish)) {
      kept.localFirst ??= this.#make(service, wish)
      return kept.localFirst
    }
    kept.noneFirst ??= this.#make(service, wish)
    return kept.noneFirst
  }

  #entry(service: string, method: string | undefined): Kept {
    if (this.#revision !== this.#view.revision || this.#count >= KEPT_MAX) this.#clear()
    let methods = this.#kept.get(service)
    if (methods === undefined) {
      methods = new Map()
      this.#kept.set(service, methods)
    }
    let kept = methods.get(method)
    if (kept === undefined) {
      kept = { localFirst: undefined, noneFirst: undefined }
      methods.set(method, kept)
      this.#count++
    }
    return kept
  }

  #clear(): void {
    this.#kept.clear()
    this.#count = 0
    this.#revision = this.#view.revision
  }

  #make(service: string, wish: SelectionWish): Shortlist<ServiceEndpoint> {
    const { index, suspects } = this.#view
    const { local, trusted, suspected } = shortlist([...index.of(service).values()], wish, suspects)
    const endpoints = (instances: readonly Instance[]): readonly ServiceEndpoint[] =>
      instances.map(({ node }) => this.#view.endpoint(node)).filter((endpoint) => endpoint !== undefined)
    return { service, local: endpoints(local), trusted: endpoints(trusted), suspected: endpoints(suspected) }
  }
}
