/**
 * Callers that were turned away before any call: counted each, and told of once in a while, since one node with the wrong
 * key tries for ever. Pure.
 */
import { ShoalError } from '../errors.js'
import type { Refusal } from './caller-identity.js'
import type { Counters } from './counters.js'

/** One fault for each reason within this time. */
const FAULT_MS = 60_000

/** What happens to healthy clusters too: a call on its way to an earlier life of this node, a probe of a balancer. */
const ORDINARY: ReadonlySet<string> = new Set(['wrong-boot', 'tls-nothing-said'])

export interface RefusalsOptions {
  readonly counters: Counters
  readonly now: () => number
  readonly onFault: ((error: Error) => void) | undefined
}

export class Refusals {
  readonly #options: RefusalsOptions
  /** By reason, which are literals of the code. */
  readonly #told = new Map<string, { readonly at: number; readonly count: number }>()

  constructor(options: RefusalsOptions) {
    this.#options = options
  }

  add(refusal: Refusal, address: string): void {
    this.#options.counters.add(refusal.reason)
    this.tell(refusal, address)
  }

  /** One that is counted already. */
  tell({ reason, message }: Refusal, address: string): void {
    const { counters, now, onFault } = this.#options
    if (onFault === undefined || ORDINARY.has(reason)) return
    const told = this.#told.get(reason)
    if (told !== undefined && now() - told.at < FAULT_MS) return
    const count = counters.get(reason)
    this.#told.set(reason, { at: now(), count })
    const more = told === undefined ? '' : `, ${count - told.count} times since this was last told`
    onFault(new ShoalError('CALLER_REFUSED', `a caller at ${address} was refused (${reason}): ${message}${more}`))
  }
}
