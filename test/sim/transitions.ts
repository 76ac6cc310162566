/**
 * The life of a member in one observer's view, as a table: SWIM 4.2 with memberlist's `left` and the rule that incarnation
 * is monotone over all evidence. Written from the protocol's text, not from the code, so that the checker can contradict
 * the code. What is not in the table must not happen.
 */
import { type Checker, Findings, viewKey } from './findings.js'
import type { MemberObservation, Observation } from './observation.js'

type Known = 'unknown' | MemberObservation['state']

interface Rule {
  readonly from: Known
  readonly event: MemberObservation['event']
  readonly to: Known
  /** How the incarnation after it compares with the one before. */
  readonly incarnation: 'any' | 'higher' | 'not lower' | 'equal'
}

const RULES: readonly Rule[] = [
  // The first word about a name, whatever its incarnation.
  { from: 'unknown', event: 'join', to: 'alive', incarnation: 'any' },
  // alive(i) beats alive(j) and suspect(j) only if i > j; new bytes (update) need it like anything else.
  { from: 'alive', event: 'raise', to: 'alive', incarnation: 'higher' },
  { from: 'alive', event: 'update', to: 'alive', incarnation: 'higher' },
  { from: 'suspect', event: 'alive', to: 'alive', incarnation: 'higher' },
  // suspect(i) beats alive(j) if i >= j, and suspect(j) if i > j.
  { from: 'alive', event: 'suspect', to: 'suspect', incarnation: 'not lower' },
  { from: 'suspect', event: 'raise', to: 'suspect', incarnation: 'higher' },
  // dead(i) and left(i) beat alive(j) and suspect(j) if i >= j.
  { from: 'alive', event: 'dead', to: 'dead', incarnation: 'not lower' },
  { from: 'suspect', event: 'dead', to: 'dead', incarnation: 'not lower' },
  { from: 'alive', event: 'leave', to: 'left', incarnation: 'not lower' },
  { from: 'suspect', event: 'leave', to: 'left', incarnation: 'not lower' },
  // Of the dead nothing is believed but a newer alive; what else is heard of them only counts as evidence.
  { from: 'dead', event: 'join', to: 'alive', incarnation: 'higher' },
  { from: 'left', event: 'join', to: 'alive', incarnation: 'higher' },
  { from: 'dead', event: 'raise', to: 'dead', incarnation: 'higher' },
  { from: 'left', event: 'raise', to: 'left', incarnation: 'higher' },
  { from: 'dead', event: 'reap', to: 'unknown', incarnation: 'equal' },
  { from: 'left', event: 'reap', to: 'unknown', incarnation: 'equal' },
]

/** A line of the table, by which a sweep counts how often it happened. */
export type Transition = `${Known} ${MemberObservation['event']}`

export const TRANSITIONS: readonly Transition[] = RULES.map(nameOf)

interface Held {
  readonly state: Known
  readonly incarnation: number
  readonly event: MemberObservation['event'] | undefined
}

const UNKNOWN: Held = { state: 'unknown', incarnation: -1, event: undefined }

/** Every change of every view is in the table. `counts` says which lines came up. */
export function transitionsLegal(): Checker & { readonly counts: Readonly<Partial<Record<Transition, number>>> } {
  const findings = new Findings()
  const views = new Map<string, Held>()
  const counts: Partial<Record<Transition, number>> = {}
  const judge = (observation: MemberObservation): void => {
    const { at, observer, member, event, state, incarnation } = observation
    const key = viewKey(observation)
    const held = views.get(key) ?? UNKNOWN
    if (event === 'conflict' || isEcho(observation, held)) return
    const to = event === 'reap' ? 'unknown' : state
    const rule = RULES.find((each) => each.from === held.state && each.event === event && each.to === to)
    const fits = rule !== undefined && (isMovedStranger(observation) || compares(rule, held.incarnation, incarnation))
    if (rule === undefined || !fits) {
      const [before, after] = [`${held.state}(${held.incarnation})`, `${to}(${incarnation})`]
      findings.add(at, `${observer} took ${member} from ${before} to ${after} by ${event}`)
    } else counts[nameOf(rule)] = (counts[nameOf(rule)] ?? 0) + 1
    if (to === 'unknown') views.delete(key)
    else views.set(key, { state: to, incarnation, event })
  }
  return {
    name: 'a member changes only as the protocol says',
    violations: findings.violations,
    counts,
    observe(observation: Observation) {
      if (observation.type === 'member') judge(observation)
    },
  }
}

/** One alive may clear a suspicion and bring new bytes: it is told as two events. */
function isEcho({ event, incarnation }: MemberObservation, held: Held): boolean {
  return event === 'update' && held.event === 'alive' && incarnation === held.incarnation
}

/**
 * A memberlist node that moves begins at incarnation 1 again, and its free name is taken over at any (memberlist's
 * aliveNode). Shoal nodes, who have a boot id, outbid what is held of them.
 */
export function isMovedStranger({ event, boot }: MemberObservation): boolean {
  return event === 'join' && boot === ''
}

function compares({ incarnation }: Rule, before: number, after: number): boolean {
  if (incarnation === 'any') return true
  if (incarnation === 'equal') return after === before
  return incarnation === 'higher' ? after > before : after >= before
}

function nameOf({ from, event }: Rule): Transition {
  return `${from} ${event}`
}
