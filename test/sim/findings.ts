/** What every checker is made of: it is fed observations and keeps what contradicts it. */
import type { MemberObservation, Observation } from './observation.js'

export interface Checker {
  readonly name: string
  readonly violations: readonly string[]
  observe(observation: Observation): void
}

/** Violations kept of each checker: one fault may break an invariant at every node. */
const KEPT_MAX = 20

export class Findings {
  readonly violations: string[] = []

  add(at: number, text: string): void {
    if (this.violations.length < KEPT_MAX) this.violations.push(`${Math.round(at)} ms: ${text}`)
  }
}

/** One life of one observer looking at one name. */
export function viewKey({ observer, observerLife, member }: MemberObservation): string {
  return `${observer}/${observerLife} ${member}`
}
