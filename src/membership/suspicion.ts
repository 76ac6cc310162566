/**
 * One suspicion's clock (Lifeguard 3.2, "dogpile"; memberlist suspicion.go): it starts long and every independent
 * confirmation shortens it logarithmically towards the minimum. Knows nothing of members or messages.
 */
import { suspicionTimeoutMs } from './scaling.js'

export interface SuspicionLimits {
  /** Confirmations that bring the timeout to its minimum; 0 in a cluster too small to wait for any. */
  readonly confirmations: number
  readonly minMs: number
  readonly maxMs: number
}

export function suspicionLimits(
  config: {
    readonly suspicionMult: number
    readonly suspicionMaxTimeoutMult: number
    readonly probeIntervalMs: number
  },
  members: number,
): SuspicionLimits {
  // Where the longest is the shortest there is nothing to wait for.
  const wanted = config.suspicionMaxTimeoutMult > 1 ? config.suspicionMult - 2 : 0
  const minMs = suspicionTimeoutMs(config.suspicionMult, members, config.probeIntervalMs)
  return { confirmations: members - 2 < wanted ? 0 : wanted, minMs, maxMs: minMs * config.suspicionMaxTimeoutMult }
}

/** How long a suspicion lasts in all, after `confirmed` confirmations. */
export function suspicionTotalMs(confirmed: number, { confirmations, minMs, maxMs }: SuspicionLimits): number {
  if (confirmations < 1) return minMs
  const fraction = Math.log(confirmed + 1) / Math.log(confirmations + 1)
  return Math.max(minMs, Math.floor(maxMs - fraction * (maxMs - minMs)))
}

/** Probe intervals before the end at which the suspect is told once more; twice, since the first may be lost. */
const WARNING_LEADS = [1.5, 0.75] as const

export class Suspicion {
  readonly #limits: SuspicionLimits
  readonly #accusers: Set<string>
  #startedAt: number
  #deadlineAt: number
  #warnings = 0

  /** `accuser` raised it and therefore confirms nothing. */
  constructor(accuser: string, limits: SuspicionLimits, now: number) {
    this.#limits = limits
    this.#accusers = new Set([accuser])
    this.#startedAt = now
    this.#deadlineAt = now + suspicionTotalMs(0, limits)
  }

  /** When the suspect is to be declared dead, as things stand. */
  get deadlineAt(): number {
    return this.#deadlineAt
  }

  /** When there is something to do: a warning, or the end. */
  nextAt(probeIntervalMs: number): number {
    return this.deadlineAt - (WARNING_LEADS[this.#warnings] ?? 0) * probeIntervalMs
  }

  /** True if the suspect is to be told now that it is suspected. Each warning is due once. */
  takeWarning(probeIntervalMs: number, now: number): boolean {
    const before = this.#warnings
    while (this.#warnings < WARNING_LEADS.length && this.nextAt(probeIntervalMs) <= now) this.#warnings++
    return this.#warnings > before
  }

  /**
   * True if this accuser is a new one that still counts: the accusation is then worth spreading. None brings the end
   * closer than `earliestAt`: it may be the echo of an accusation that the suspect has not heard of yet.
   */
  confirm(accuser: string, earliestAt: number): boolean {
    if (this.#accusers.size - 1 >= this.#limits.confirmations || this.#accusers.has(accuser)) return false
    this.#accusers.add(accuser)
    const shortenedAt = this.#startedAt + suspicionTotalMs(this.#accusers.size - 1, this.#limits)
    this.#deadlineAt = Math.min(this.#deadlineAt, Math.max(shortenedAt, earliestAt))
    return true
  }

  /** What ran so far counts for nothing: it lasts as long as the shortest one that begins now, and warns again. */
  hold(now: number): void {
    this.#deadlineAt = Math.max(this.#deadlineAt, now + this.#limits.minMs)
    this.#warnings = 0
  }

  /** Time in which we could not listen does not count against the suspect. */
  extend(ms: number): void {
    this.#startedAt += ms
    this.#deadlineAt += ms
  }
}
