/**
 * Invariants that hold at every instant, whatever the network does. Each is an object that is fed observations and keeps
 * what contradicts it; none knows how the cluster works inside.
 */
import type { Observation } from './observation.js'

export interface Checker {
  readonly name: string
  readonly violations: readonly string[]
  observe(observation: Observation): void
}

type MemberObservation = Observation & { readonly type: 'member' }

/** Violations kept of each checker: one fault may break an invariant at every node. */
const KEPT_MAX = 20

class Findings {
  readonly violations: string[] = []

  add(at: number, text: string): void {
    if (this.violations.length < KEPT_MAX) this.violations.push(`${Math.round(at)} ms: ${text}`)
  }
}

function viewKey({ observer, observerBoot, member }: MemberObservation): string {
  return `${observer} ${observerBoot} ${member}`
}

/** What one observer sees of a member's incarnation never goes down, and nobody but the owner raises it. */
export function incarnationsRise(): Checker {
  const findings = new Findings()
  const seen = new Map<string, number>()
  const issued = new Map<string, number>()
  return {
    name: 'incarnations rise, by their owner alone',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'own') {
        const { at, node, boot, incarnation } = observation
        const before = issued.get(boot) ?? 0
        if (incarnation < before) findings.add(at, `${node} went back from ${before} to ${incarnation}`)
        issued.set(boot, incarnation)
        issued.set(node, Math.max(issued.get(node) ?? 0, incarnation))
      }
      if (observation.type !== 'member') return
      const { at, observer, member, incarnation } = observation
      const key = viewKey(observation)
      const before = seen.get(key) ?? 0
      if (incarnation < before) findings.add(at, `${observer} saw ${member} go from ${before} to ${incarnation}`)
      seen.set(key, incarnation)
      const highest = issued.get(member) ?? 0
      if (incarnation > highest) findings.add(at, `${observer} sees ${member} at ${incarnation}, it issued ${highest}`)
    },
  }
}

/** A boot that an observer saw dead returns only by an incarnation above the one that it died with. */
export function deadStayDead(): Checker {
  const findings = new Findings()
  const died = new Map<string, { boot: string; incarnation: number }>()
  const lastIssued = new Map<string, number>()
  const crashed = new Set<string>()
  return {
    name: 'the dead do not come back',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'own') lastIssued.set(observation.boot, observation.incarnation)
      if (observation.type === 'crash') crashed.add(observation.boot)
      if (observation.type !== 'member') return
      const { at, observer, event, member, boot, incarnation } = observation
      const key = viewKey(observation)
      if (event === 'dead' || event === 'leave') died.set(key, { boot, incarnation })
      if (event !== 'join' && event !== 'alive' && event !== 'suspect') return
      const death = died.get(key)
      if (death === undefined || death.boot !== boot) return
      const end = lastIssued.get(boot) ?? Number.POSITIVE_INFINITY
      if (incarnation <= death.incarnation || (crashed.has(boot) && death.incarnation >= end)) {
        findings.add(at, `${observer} saw ${member} (${boot}) at ${incarnation} after its end at ${death.incarnation}`)
      }
    },
  }
}

/** A node's own record is alive until it leaves itself. */
export function ownRecordLives(): Checker {
  const findings = new Findings()
  const leaving = new Set<string>()
  const judge = (at: number, node: string, boot: string, state: string): void => {
    if (state !== 'alive' && !leaving.has(boot)) findings.add(at, `${node} sees itself ${state}`)
  }
  return {
    name: 'no node takes itself for dead',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'leave') leaving.add(observation.boot)
      if (observation.type === 'own') judge(observation.at, observation.node, observation.boot, observation.state)
      if (observation.type !== 'member' || observation.member !== observation.observer) return
      judge(observation.at, observation.observer, observation.observerBoot, observation.state)
      if (observation.boot !== observation.observerBoot)
        findings.add(observation.at, `${observation.observer} holds another boot of itself`)
    },
  }
}

/** No datagram exceeds the budget. */
export function packetsFit(bytesMax: number): Checker {
  const findings = new Findings()
  return {
    name: 'packets keep to their budget',
    violations: findings.violations,
    observe(observation) {
      if (observation.type !== 'packet' || observation.bytes <= bytesMax) return
      findings.add(observation.at, `${observation.node} sent ${observation.bytes} bytes, the limit is ${bytesMax}`)
    },
  }
}

export interface Bounds {
  readonly members: number
  readonly queued: number
}

/** Tables and queues stay within what the cluster can justify. */
export function tablesBounded({ members, queued }: Bounds): Checker {
  const findings = new Findings()
  return {
    name: 'tables and queues are bounded',
    violations: findings.violations,
    observe(observation) {
      if (observation.type !== 'stats') return
      const { at, node, stats } = observation
      const { rumours, userMessages } = stats.swim.queued
      if (stats.members > members) findings.add(at, `${node} holds ${stats.members} members of ${members}`)
      if (stats.swim.suspicions > members) findings.add(at, `${node} holds ${stats.swim.suspicions} suspicions`)
      if (Math.max(rumours, userMessages) > queued)
        findings.add(at, `${node} queues ${rumours} rumours and ${userMessages} user messages`)
    },
  }
}

/** In a network without faults nobody is suspected and nobody dies. */
export function nobodySuspected(): Checker {
  const findings = new Findings()
  return {
    name: 'a calm network breeds no suspicion',
    violations: findings.violations,
    observe(observation) {
      if (observation.type !== 'member' || (observation.event !== 'suspect' && observation.event !== 'dead')) return
      findings.add(observation.at, `${observation.observer} saw ${observation.member} ${observation.event}`)
    },
  }
}

/** A boot that runs is never declared dead. For scenarios whose faults must not kill. */
export function nobodyDiesFalsely(): Checker {
  const findings = new Findings()
  const ended = new Set<string>()
  return {
    name: 'nobody dies who runs',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'crash' || observation.type === 'leave') ended.add(observation.boot)
      if (observation.type !== 'member' || observation.event !== 'dead' || ended.has(observation.boot)) return
      findings.add(observation.at, `${observation.observer} declared ${observation.member} dead`)
    },
  }
}

/** One that said goodbye is `left`; its absence is no death. */
export function leaversAreLeft(): Checker {
  const findings = new Findings()
  const left = new Set<string>()
  return {
    name: 'who leaves is left, not dead',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'leave') left.add(observation.boot)
      if (observation.type !== 'member' || observation.event !== 'dead' || !left.has(observation.boot)) return
      findings.add(observation.at, `${observation.observer} took the leave of ${observation.member} for a death`)
    },
  }
}
