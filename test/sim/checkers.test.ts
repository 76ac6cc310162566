import { describe, expect, it } from 'vitest'
import { PROFILES } from '../../src/membership/config.js'
import {
  deadStayDead,
  incarnationsRise,
  leaversAreLeft,
  nobodyDiesFalsely,
  nobodySuspected,
  oneIdentityEach,
  ownRecordLives,
  packetsFit,
  tablesBounded,
  theDeadAreSilent,
} from './checkers.js'
import { crashesNoticed, detectionBoundMs } from './detection.js'
import type { Checker } from './findings.js'
import type { ClusterSnapshot, NodeSnapshot, NodeStats, Observation } from './observation.js'
import { nothingDropped, nothingUnderWay, registryAgrees, viewsAgree } from './snapshot-checkers.js'
import { addCounts, emptyCounts, missingClasses } from './tally.js'
import { TRANSITIONS, transitionsLegal } from './transitions.js'

type Seen = Observation & { readonly type: 'member' }

/** `a` sees `b`, in its boot b1 at incarnation 5, alive. */
function seen(fields: Partial<Seen> = {}): Seen {
  return {
    type: 'member',
    at: 0,
    observer: 'a',
    observerLife: 1,
    observerBoot: 'a1',
    event: 'join',
    member: 'b',
    boot: 'b1',
    state: 'alive',
    incarnation: 5,
    identity: 'b x',
    ...fields,
  }
}

function own(incarnation: number, fields: Partial<Observation & { type: 'own' }> = {}): Observation {
  return { type: 'own', at: 0, node: 'b', boot: 'b1', life: 1, incarnation, state: 'alive', identity: 'b x', ...fields }
}

const crashed: Observation = { type: 'crash', at: 1, node: 'b', boot: 'b1', life: 1 }
const left: Observation = { type: 'leave', at: 1, node: 'b', boot: 'b1' }
const boot = (node: string): Observation => ({ type: 'boot', at: 0, node, boot: `${node}1`, life: 1 })

function judge(checker: Checker, history: readonly Observation[]): readonly string[] {
  for (const observation of history) checker.observe(observation)
  return checker.violations
}

function stats(fields: Partial<NodeStats['swim']> = {}, rest: Partial<NodeStats> = {}): NodeStats {
  const swim = {
    healthScore: 0,
    live: 2,
    suspicions: 0,
    queued: { rumours: 0, userMessages: 0, dropped: 0 },
    drops: {},
  }
  return { swim: { ...swim, ...fields } as NodeStats['swim'], members: 2, registryDrops: 0, ...rest }
}

function node(name: string, fields: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return {
    name,
    boot: `${name}1`,
    phase: 'running',
    provided: [],
    members: [alive('a'), alive('b')],
    services: new Map(),
    stats: stats(),
    ...fields,
  }
}

function alive(name: string): NodeSnapshot['members'][number] {
  return { name, boot: `${name}1`, state: 'alive', incarnation: 5 }
}

const snapshot = (...nodes: NodeSnapshot[]): ClusterSnapshot => ({ at: 0, nodes })

describe('each checker of histories bites, and lets a correct history pass', () => {
  it('an incarnation that goes down in one view is a violation', () => {
    expect(judge(incarnationsRise(), [own(5), seen(), own(6), seen({ incarnation: 6 })])).toEqual([])
    expect(judge(incarnationsRise(), [own(6), seen({ incarnation: 6 }), seen({ incarnation: 5 })])).toHaveLength(1)
  })

  it('an incarnation that its owner never issued is a violation, and so is an owner that goes back', () => {
    expect(judge(incarnationsRise(), [own(5), seen({ incarnation: 6 })])).toHaveLength(1)
    expect(judge(incarnationsRise(), [own(5), own(4)])).toHaveLength(1)
  })

  it('where lies are told an incarnation may come from anybody, and still never goes down', () => {
    const rise = () => incarnationsRise({ byOwnerAlone: false })
    expect(judge(rise(), [own(5), seen({ incarnation: 9 })])).toEqual([])
    expect(judge(rise(), [own(5), seen({ incarnation: 9 }), seen({ incarnation: 8 })])).toHaveLength(1)
  })

  it('a view may begin anew with a reaped member, and with a new life of its observer', () => {
    const reaped = seen({ event: 'reap', state: 'dead', incarnation: 6 })
    expect(judge(incarnationsRise(), [own(6), seen({ incarnation: 6 }), reaped, seen({ incarnation: 5 })])).toEqual([])
    expect(judge(incarnationsRise(), [own(6), seen({ incarnation: 6 }), seen({ observerLife: 2 })])).toEqual([])
  })

  it('two identities of one incarnation are a violation, and so is one that its owner never issued', () => {
    const moved = { identity: 'c x' }
    expect(judge(oneIdentityEach(), [own(5), seen(), own(6, moved), seen({ incarnation: 6, ...moved })])).toEqual([])
    expect(judge(oneIdentityEach(), [own(5), own(5, moved)])).toHaveLength(1)
    expect(judge(oneIdentityEach(), [own(5), seen(moved)])).toHaveLength(1)
    expect(judge(oneIdentityEach(), [own(5), own(6, moved), seen({ incarnation: 6 })])).toHaveLength(1)
  })

  it('two lives within one second may share an incarnation; an accusation carries no identity', () => {
    const second = own(5, { life: 2, boot: 'b2', identity: 'b y' })
    expect(judge(oneIdentityEach(), [own(5), second, seen(), seen({ identity: 'b y' })])).toEqual([])
    expect(judge(oneIdentityEach(), [own(5), seen({ event: 'suspect', state: 'suspect', incarnation: 6 })])).toEqual([])
  })

  it('a packet of a node that has crashed or closed is a violation; its next life may speak', () => {
    const packet = (life: number): Observation => ({ type: 'packet', at: 2, node: 'b', life, bytes: 9 })
    const gone: Observation = { type: 'gone', at: 1, node: 'b', boot: 'b1', life: 1 }
    expect(judge(theDeadAreSilent(), [packet(1), left, packet(1), gone, packet(2)])).toEqual([])
    expect(judge(theDeadAreSilent(), [gone, packet(1)])).toHaveLength(1)
    expect(judge(theDeadAreSilent(), [crashed, packet(1)])).toHaveLength(1)
  })

  it('a dead boot that returns at its last incarnation is a violation; a refutation is none', () => {
    const dead = seen({ event: 'dead', state: 'dead' })
    expect(judge(deadStayDead(), [own(5), dead, own(6), seen({ incarnation: 6 })])).toEqual([])
    expect(judge(deadStayDead(), [own(5), dead, seen()])).toHaveLength(1)
    expect(judge(deadStayDead(), [own(5), crashed, dead, seen({ incarnation: 6 })])).toHaveLength(1)
  })

  it('a new boot of a dead name may return', () => {
    const dead = seen({ event: 'dead', state: 'dead' })
    expect(judge(deadStayDead(), [own(5), crashed, dead, seen({ boot: 'b2', incarnation: 6 })])).toEqual([])
  })

  it('a node that holds itself dead or suspect without leaving is a violation', () => {
    expect(judge(ownRecordLives(), [left, own(5, { state: 'left' })])).toEqual([])
    expect(judge(ownRecordLives(), [own(5, { state: 'dead' })])).toHaveLength(1)
    expect(judge(ownRecordLives(), [seen({ observer: 'b', observerBoot: 'b1', state: 'suspect' })])).toHaveLength(1)
  })

  it('a node that holds another boot in its own record is a violation', () => {
    expect(judge(ownRecordLives(), [seen({ observer: 'b', observerBoot: 'b2' })])).toHaveLength(1)
  })

  it('a packet one byte above the budget is a violation', () => {
    const packet = (bytes: number): Observation => ({ type: 'packet', at: 0, node: 'a', life: 1, bytes })
    expect(judge(packetsFit(1_400), [packet(1_400)])).toEqual([])
    expect(judge(packetsFit(1_400), [packet(1_401)])).toHaveLength(1)
  })

  it('a table or a queue that outgrows the cluster is a violation', () => {
    const of = (one: NodeStats): Observation => ({ type: 'stats', at: 0, node: 'a', stats: one })
    const bounds = { members: 3, queued: 8 }
    const queued = (rumours: number, userMessages: number) => stats({ queued: { rumours, userMessages, dropped: 0 } })
    expect(judge(tablesBounded(bounds), [of(queued(8, 8)), of(stats({}, { members: 3 }))])).toEqual([])
    expect(judge(tablesBounded(bounds), [of(stats({}, { members: 4 }))])).toHaveLength(1)
    expect(judge(tablesBounded(bounds), [of(stats({ suspicions: 4 }))])).toHaveLength(1)
    expect(judge(tablesBounded(bounds), [of(queued(9, 0)), of(queued(0, 9))])).toHaveLength(2)
  })

  it('any suspicion or death in a calm network is a violation', () => {
    expect(judge(nobodySuspected(), [seen(), seen({ event: 'leave', state: 'left' })])).toEqual([])
    expect(judge(nobodySuspected(), [seen({ event: 'suspect' }), seen({ event: 'dead' })])).toHaveLength(2)
  })

  it('the death of a boot that runs is a violation, also when the checker did not see it start', () => {
    const dead = seen({ event: 'dead', state: 'dead' })
    expect(judge(nobodyDiesFalsely(), [crashed, dead])).toEqual([])
    expect(judge(nobodyDiesFalsely(), [dead])).toHaveLength(1)
    expect(judge(nobodyDiesFalsely(), [crashed, boot('b'), { ...dead, boot: 'b2' }])).toHaveLength(1)
  })

  it('a leave that is taken for a death is a violation', () => {
    expect(judge(leaversAreLeft(), [left, seen({ event: 'leave', state: 'left' })])).toEqual([])
    expect(judge(leaversAreLeft(), [left, seen({ event: 'dead', state: 'dead' })])).toHaveLength(1)
  })

  it('a crash that one node notices too late, or never, is a violation', () => {
    const start = [boot('a'), boot('b'), boot('c')]
    const death = (observer: string, at: number): Observation => seen({ observer, at, event: 'dead', state: 'dead' })
    const later = (at: number): Observation => ({ ...boot('z'), at })
    const inTime = crashesNoticed(100)
    expect(judge(inTime, [...start, crashed, death('a', 50), death('c', 90), later(200)])).toEqual([])
    expect(inTime.noticedMs).toEqual([89])
    expect(judge(crashesNoticed(100), [...start, crashed, death('a', 50), death('c', 150)])).toHaveLength(1)
    expect(judge(crashesNoticed(100), [...start, crashed, death('a', 50), later(200)])).toHaveLength(1)
  })

  it('whoever ends between a crash and its bound need not notice it', () => {
    const others: Observation[] = [
      { type: 'crash', at: 2, node: 'c', boot: 'c1', life: 1 },
      { ...boot('z'), at: 90 },
    ]
    const history = [boot('b'), boot('c'), crashed, ...others, { ...boot('y'), at: 200 }]
    expect(judge(crashesNoticed(100), history)).toEqual([])
  })
})

describe('the table of transitions', () => {
  /** What leads `a`'s view of `b` to each state, at incarnation 5. */
  const upTo: Readonly<Record<'unknown' | Seen['state'], readonly Observation[]>> = {
    unknown: [],
    alive: [seen()],
    suspect: [seen(), seen({ event: 'suspect', state: 'suspect' })],
    dead: [seen(), seen({ event: 'dead', state: 'dead' })],
    left: [seen(), seen({ event: 'leave', state: 'left' })],
  }
  const into = (from: string, event: Seen['event'], incarnation: number): Seen => {
    const state =
      { suspect: 'suspect', dead: 'dead', leave: 'left', raise: from, reap: from }[event as string] ?? 'alive'
    return seen({ event, state: state as Seen['state'], incarnation })
  }
  const offences = (from: string, event: Seen['event'], incarnation: number): number =>
    judge(transitionsLegal(), [...upTo[from as keyof typeof upTo], into(from, event, incarnation)]).length
  const EVENTS = ['join', 'alive', 'update', 'raise', 'suspect', 'dead', 'leave', 'reap'] as const

  it('permits what the protocol says, each change at the incarnation that it needs', () => {
    for (const name of TRANSITIONS) {
      const [from = '', event = ''] = name.split(' ')
      const [atSame, above] = [5, 6].map((incarnation) => offences(from, event as Seen['event'], incarnation))
      expect(`${name} ${event === 'reap' ? atSame : above}`).toBe(`${name} 0`)
    }
  })

  it('forbids every other event in every state', () => {
    for (const from of Object.keys(upTo)) {
      for (const event of EVENTS) {
        if (TRANSITIONS.includes(`${from} ${event}` as (typeof TRANSITIONS)[number])) continue
        expect(`${from} ${event} ${offences(from, event, 6)}`).toBe(`${from} ${event} 1`)
      }
    }
  })

  it.each([
    ['alive', 'raise'],
    ['alive', 'update'],
    ['suspect', 'alive'],
    ['suspect', 'raise'],
    ['dead', 'join'],
    ['left', 'join'],
    ['dead', 'raise'],
    ['left', 'raise'],
  ] as const)('forbids %s -> %s at the incarnation that is held', (from, event) => {
    expect(offences(from, event, 5)).toBe(1)
    expect(offences(from, event, 6)).toBe(0)
  })

  it.each(['suspect', 'dead', 'leave'] as const)('lets %s come at the incarnation that is held, not below', (event) => {
    expect(offences('alive', event, 5)).toBe(0)
    expect(offences('alive', event, 4)).toBe(1)
  })

  it('takes the new bytes that came with a refutation as part of it, and counts what it saw', () => {
    const checker = transitionsLegal()
    const refuted = [...upTo.suspect, seen({ event: 'alive', incarnation: 6 })]
    expect(judge(checker, [...refuted, seen({ event: 'update', incarnation: 6 })])).toEqual([])
    expect(checker.counts).toEqual({ 'unknown join': 1, 'alive suspect': 1, 'suspect alive': 1 })
  })

  it('lets a stranger who moved begin anew, but no shoal node', () => {
    const begun = seen({ incarnation: 1, boot: '' })
    expect(judge(transitionsLegal(), [...upTo.left, begun])).toEqual([])
    expect(judge(incarnationsRise({ byOwnerAlone: false }), [...upTo.left, begun])).toEqual([])
    expect(judge(transitionsLegal(), [...upTo.left, seen({ incarnation: 1 })])).toHaveLength(1)
  })

  it('holds nothing against a new life of the observer', () => {
    const again = seen({ observerLife: 2 })
    expect(judge(transitionsLegal(), [...upTo.dead, again])).toEqual([])
  })
})

describe('each checker of snapshots bites, and lets an agreed cluster pass', () => {
  const view = (state: 'alive' | 'suspect' | 'dead' | 'left', fields: object = {}) => [
    alive('a'),
    { ...alive('b'), state, ...fields },
  ]

  it('a running member must be alive, under its latest boot, in every view', () => {
    expect(viewsAgree(snapshot(node('a'), node('b')))).toEqual([])
    for (const members of [view('suspect'), view('dead'), view('left'), view('alive', { boot: 'b0' }), [alive('a')]])
      expect(viewsAgree(snapshot(node('a', { members }), node('b')))).toHaveLength(1)
  })

  it('a crashed member must be dead or forgotten', () => {
    const gone = node('b', { phase: 'crashed', members: [] })
    for (const members of [view('dead'), [alive('a')]])
      expect(viewsAgree(snapshot(node('a', { members }), gone))).toEqual([])
    for (const members of [view('alive'), view('suspect')])
      expect(viewsAgree(snapshot(node('a', { members }), gone))).toHaveLength(1)
  })

  it('a member that left must be left, and dead only where leaves may be missed', () => {
    const gone = node('b', { phase: 'left', members: [] })
    expect(viewsAgree(snapshot(node('a', { members: view('left') }), gone))).toEqual([])
    expect(viewsAgree(snapshot(node('a', { members: view('alive') }), gone), false)).toHaveLength(1)
    expect(viewsAgree(snapshot(node('a', { members: view('dead') }), gone))).toHaveLength(1)
    expect(viewsAgree(snapshot(node('a', { members: view('dead') }), gone), false)).toEqual([])
  })

  it('a service that is missing, and one that outlived its node, are violations', () => {
    const lists = (...names: string[]) => ({ services: new Map([['users', names]]) })
    const owner = node('b', { provided: ['users'], ...lists('b') })
    expect(registryAgrees(snapshot(node('a', lists('b')), owner))).toEqual([])
    expect(registryAgrees(snapshot(node('a'), owner))).toHaveLength(1)
    expect(registryAgrees(snapshot(node('a', lists('b', 'c')), owner))).toHaveLength(1)
    expect(registryAgrees(snapshot(node('a', lists('b')), { ...owner, phase: 'crashed' }))).toHaveLength(1)
  })

  it('a dropped message of our own is a violation', () => {
    const with_ = (one: NodeStats) => nothingDropped(snapshot(node('a', { stats: one })))
    expect(with_(stats({ drops: { malformed: 0 } }))).toEqual([])
    expect(with_(stats({ drops: { malformed: 1 } }))).toHaveLength(1)
    const moved = snapshot(node('a', { stats: stats({ drops: { 'address-conflict': 1, malformed: 1 } }) }))
    expect(nothingDropped(moved, ['address-conflict'])).toHaveLength(1)
    expect(with_(stats({}, { registryDrops: 1 }))).toHaveLength(1)
    expect(with_(stats({ queued: { rumours: 0, userMessages: 0, dropped: 1 } }))).toHaveLength(1)
  })

  it('a suspicion or a rumour that never ends is a violation', () => {
    const with_ = (one: NodeStats) => nothingUnderWay(snapshot(node('a', { stats: one })))
    expect(with_(stats())).toEqual([])
    expect(with_(stats({ suspicions: 1 }))).toHaveLength(1)
    expect(with_(stats({ queued: { rumours: 1, userMessages: 0, dropped: 0 } }))).toHaveLength(1)
  })
})

describe('a sweep proves that it was not vacuous', () => {
  it('a promised fault that never happened is named', () => {
    const counts = addCounts(emptyCounts(), { lost: 3, deaths: 1 })
    expect(missingClasses(counts, ['lost', 'deaths'])).toEqual([])
    expect(missingClasses(counts, ['lost', 'stalls'])).toEqual(['stalls'])
  })

  it('a line of the table that never came up is named', () => {
    const counts = addCounts(emptyCounts(), transitionsLegal().counts)
    expect(missingClasses(counts, TRANSITIONS)).toEqual([...TRANSITIONS])
  })

  it('the detection bound follows the suspicion formulas', () => {
    expect(detectionBoundMs(PROFILES.lan, 10)).toBe(14_000 + 1_000 + 24_000 + 2_000)
    expect(detectionBoundMs(PROFILES.lan, 3)).toBe(5_000 + 1_000 + PROFILES.lan.suspicionMult * 6_000 + 2_000)
  })
})
