/**
 * Invariants that hold at every instant, whatever the network does. Each is an object that is fed observations and keeps
 * what contradicts it; none knows how the cluster works inside. Which state may follow which is in `transitions.ts`.
 */
import { type Checker, Findings, viewKey } from './findings.js'
import { isMovedStranger } from './transitions.js'

/** What one observer sees of a member's incarnation never goes down, and - without lies - nobody but the owner raises it. */
export function incarnationsRise({ byOwnerAlone = true }: { byOwnerAlone?: boolean } = {}): Checker {
  const findings = new Findings()
  const seen = new Map<string, number>()
  const issued = new Map<string, number>()
  return {
    name: 'incarnations rise, by their owner alone',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'own') {
        const { at, node, life, incarnation } = observation
        const before = issued.get(`${node}/${life}`) ?? 0
        if (incarnation < before) findings.add(at, `${node} went back from ${before} to ${incarnation}`)
        issued.set(`${node}/${life}`, incarnation)
        issued.set(node, Math.max(issued.get(node) ?? 0, incarnation))
      }
      if (observation.type !== 'member') return
      const { at, observer, member, incarnation } = observation
      const key = viewKey(observation)
      const before = isMovedStranger(observation) ? 0 : (seen.get(key) ?? 0)
      if (incarnation < before) findings.add(at, `${observer} saw ${member} go from ${before} to ${incarnation}`)
      if (observation.event === 'reap') seen.delete(key)
      else seen.set(key, incarnation)
      const highest = issued.get(member) ?? 0
      if (byOwnerAlone && incarnation > highest)
        findings.add(at, `${observer} sees ${member} at ${incarnation}, it issued ${highest}`)
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
      if (event === 'reap') died.delete(key) // forgotten, and with it that it died
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

/**
 * Whoever holds a member alive at an incarnation holds the address and meta that its owner issued with it. An accusation
 * carries none, so that a suspect's bytes may be older than its incarnation. Two lives may issue the same incarnation, a
 * restart within one second; one life may not issue two identities.
 */
export function oneIdentityEach(): Checker {
  const findings = new Findings()
  const issued = new Map<string, Map<string, number>>()
  return {
    name: 'one identity for each incarnation',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'own') {
        const { at, node, life, incarnation, identity } = observation
        const key = `${node} ${incarnation}`
        const lives = issued.get(key) ?? new Map<string, number>()
        issued.set(key, lives)
        for (const [other, owner] of lives)
          if (owner === life && other !== identity) findings.add(at, `${node} issued ${incarnation} for two identities`)
        lives.set(identity, life)
      }
      if (observation.type !== 'member' || observation.state !== 'alive' || observation.event === 'conflict') return
      const { at, observer, member, incarnation, identity } = observation
      if (issued.get(`${member} ${incarnation}`)?.has(identity) === true) return
      findings.add(at, `${observer} holds ${member} at ${incarnation} with an identity that it never had then`)
    },
  }
}

/** A node that has crashed, or has closed after its leave, says nothing any more. */
export function theDeadAreSilent(): Checker {
  const findings = new Findings()
  const ended = new Set<string>()
  return {
    name: 'a closed node sends nothing',
    violations: findings.violations,
    observe(observation) {
      if (observation.type === 'crash' || observation.type === 'gone')
        ended.add(`${observation.node}/${observation.life}`)
      if (observation.type !== 'packet' || !ended.has(`${observation.node}/${observation.life}`)) return
      findings.add(observation.at, `${observation.node} sent ${observation.bytes} bytes after its end`)
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
