/**
 * What beats what (SWIM 4.2; memberlist's aliveNode, suspectNode, deadNode): the one place that compares what we hold
 * of another member with what we hear of it. Our own record has its own rules in `roster.ts`.
 */
import type { MemberState } from './member.js'

/** Higher ones are nobody's boot time for decades to come; they would leave no room to refute. Never applied. */
export const INCARNATION_MAX = 0xf000_0000

export interface Held {
  readonly state: MemberState
  readonly incarnation: number
}

export interface Heard {
  readonly state: 'alive' | 'suspect' | 'dead' | 'left'
  readonly incarnation: number
}

/**
 * | heard \ held | alive | suspect | dead or left |
 * |---|---|---|---|
 * | alive(i) | i > held | i > held | i > held |
 * | suspect(i) | i >= held | confirms, i >= held | never |
 * | dead(i), left(i) | i >= held | i >= held | never |
 */
export function supersedes(heard: Heard, held: Held): boolean {
  switch (heard.state) {
    case 'alive':
      return heard.incarnation > held.incarnation
    case 'suspect':
    case 'dead':
    case 'left':
      return heard.incarnation >= held.incarnation && (held.state === 'alive' || held.state === 'suspect')
  }
}

/**
 * An address change is taken from a member that left, or that has been dead for long enough. Which incarnation it comes
 * with does not matter: a memberlist node that moves begins at 1 again.
 */
export function mayMove(held: { state: MemberState; stateAt: number }, reclaimMs: number, now: number): boolean {
  if (held.state === 'left') return true
  return held.state === 'dead' && reclaimMs > 0 && now - held.stateAt >= reclaimMs
}
