/** What everyone must agree on once faults have ended, judged on one snapshot. Each returns what is wrong, in sentences. */
import type { DropReason } from '../../src/membership/swim-contract.js'
import type { ClusterSnapshot, MemberSeen, NodeSnapshot } from './observation.js'

/**
 * Every running node sees exactly the running ones alive, under their latest boot; a crashed one is dead or forgotten, and
 * one that left is `left`. With `strictLeft` off a leave may have been missed and taken for a death.
 */
export function viewsAgree({ nodes }: ClusterSnapshot, strictLeft: boolean = true): string[] {
  const running = nodes.filter((node) => node.phase === 'running')
  return running.flatMap((observer) => {
    const seen = new Map(observer.members.map((member) => [member.name, member]))
    return nodes.flatMap((node) => {
      const fault = faultOf(node, seen.get(node.name), strictLeft)
      return fault === undefined ? [] : [`${observer.name} sees ${node.name} ${fault}`]
    })
  })
}

function faultOf(node: NodeSnapshot, seen: MemberSeen | undefined, strictLeft: boolean): string | undefined {
  const state = seen?.state ?? 'not at all'
  switch (node.phase) {
    case 'running':
      if (state !== 'alive') return `${state}, but it runs`
      return seen?.boot === node.boot ? undefined : `alive in an earlier boot ${seen?.boot}`
    case 'crashed':
      return state === 'alive' || state === 'suspect' ? `${state}, but it crashed` : undefined
    case 'left':
      if (state === 'left' || seen === undefined) return undefined
      return state === 'dead' && !strictLeft ? undefined : `${state}, but it left`
  }
}

/** Every running node lists exactly the services that running nodes provide. */
export function registryAgrees({ nodes }: ClusterSnapshot): string[] {
  const running = nodes.filter((node) => node.phase === 'running')
  const expected = new Set(running.flatMap(({ name, provided }) => provided.map((service) => `${service}@${name}`)))
  return running.flatMap((observer) => {
    const listed = new Set<string>()
    for (const [service, names] of observer.services) for (const name of names) listed.add(`${service}@${name}`)
    return [
      ...[...expected].filter((one) => !listed.has(one)).map((one) => `${observer.name} does not list ${one}`),
      ...[...listed].filter((one) => !expected.has(one)).map((one) => `${observer.name} lists ${one}, which is gone`),
    ]
  })
}

/** Nothing that our own nodes sent was dropped as unreadable or out of place, except for the reasons in `accepted`. */
export function nothingDropped({ nodes }: ClusterSnapshot, accepted: readonly DropReason[] = []): string[] {
  return nodes.flatMap(({ name, stats }) => {
    if (stats === undefined) return []
    const drops = Object.entries(stats.swim.drops).filter(
      ([reason, count]) => count > 0 && !accepted.includes(reason as DropReason),
    )
    const found = drops.map(([reason, count]) => `${name} dropped ${count} messages as ${reason}`)
    if (stats.registryDrops > 0) found.push(`${name}'s registry dropped ${stats.registryDrops} messages`)
    if (stats.swim.queued.dropped > 0) found.push(`${name} dropped ${stats.swim.queued.dropped} rumours`)
    return found
  })
}

/** A suspicion or a rumour that is still under way when all has been calm for long is one that never ends. */
export function nothingUnderWay({ nodes }: ClusterSnapshot): string[] {
  return nodes.flatMap(({ name, stats }) => {
    if (stats === undefined) return []
    const { suspicions, queued } = stats.swim
    const found = suspicions > 0 ? [`${name} still suspects ${suspicions} members`] : []
    if (queued.rumours + queued.userMessages > 0) found.push(`${name} still has rumours to tell`)
    return found
  })
}
