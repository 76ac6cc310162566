/**
 * The suspicions that run, by suspect. When the next one is due is asked after every input, so it is remembered until
 * something changes. Knows nothing of members or messages.
 */
import type { Suspicion } from './suspicion.js'

export class Suspicions {
  readonly #probeIntervalMs: number
  readonly #warns: boolean
  readonly #byName = new Map<string, Suspicion>()
  /** `undefined` when it must be looked for. */
  #nextAt: number | undefined

  /** `warns`: suspects are told before their time is over. */
  constructor(probeIntervalMs: number, warns: boolean) {
    this.#probeIntervalMs = probeIntervalMs
    this.#warns = warns
  }

  get size(): number {
    return this.#byName.size
  }

  get(name: string): Suspicion | undefined {
    return this.#byName.get(name)
  }

  set(name: string, suspicion: Suspicion): void {
    this.#byName.set(name, suspicion)
    this.#nextAt = undefined
  }

  delete(name: string): void {
    if (this.#byName.delete(name)) this.#nextAt = undefined
  }

  /** True if this accuser is a new one that still counts. */
  confirm(suspicion: Suspicion, accuser: string, now: number): boolean {
    this.#nextAt = undefined
    return suspicion.confirm(accuser, this.#warns ? now + this.#probeIntervalMs : now)
  }

  extend(ms: number): void {
    for (const suspicion of this.#byName.values()) suspicion.extend(ms)
    this.#nextAt = undefined
  }

  /** Nobody could be heard while they ran: each suspect gets the time to speak now. */
  hold(now: number): void {
    for (const suspicion of this.#byName.values()) suspicion.hold(now)
    this.#nextAt = undefined
  }

  /** When the next suspicion runs out, or its suspect is to be warned. */
  nextDeadline(): number | undefined {
    if (this.#byName.size === 0) return undefined
    if (this.#nextAt !== undefined) return this.#nextAt
    let next = Number.POSITIVE_INFINITY
    for (const suspicion of this.#byName.values()) next = Math.min(next, suspicion.nextAt(this.#probeIntervalMs))
    this.#nextAt = next
    return next
  }

  /** Those that have something due, and what: the suspect is to be declared dead, or to be warned, once. */
  takeDue(now: number): { readonly name: string; readonly what: 'end' | 'warning' }[] {
    const due: { name: string; what: 'end' | 'warning' }[] = []
    const nextAt = this.nextDeadline()
    if (nextAt === undefined || nextAt > now) return due
    for (const [name, suspicion] of this.#byName) {
      if (suspicion.deadlineAt <= now) due.push({ name, what: 'end' })
      else if (suspicion.takeWarning(this.#probeIntervalMs, now) && this.#warns) due.push({ name, what: 'warning' })
    }
    this.#nextAt = undefined
    return due
  }
}
