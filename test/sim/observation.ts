/**
 * What can be seen of a simulated cluster: a stream of observations while it runs, and a snapshot of everyone's view.
 * Checkers know nothing else, so that a test can feed them a history that no correct cluster would produce.
 */
import type { MemberEventType } from '../../src/membership/effects.js'
import type { MemberState } from '../../src/membership/member.js'
import type { SwimStats } from '../../src/membership/swim-contract.js'

export type Observation =
  | { readonly type: 'boot'; readonly at: number; readonly node: string; readonly boot: string }
  | { readonly type: 'crash'; readonly at: number; readonly node: string; readonly boot: string }
  /** It began to leave; it still answers for a while. */
  | { readonly type: 'leave'; readonly at: number; readonly node: string; readonly boot: string }
  /** A node's own record has another incarnation: its first one, a refutation, or new tags. */
  | {
      readonly type: 'own'
      readonly at: number
      readonly node: string
      readonly boot: string
      readonly incarnation: number
      readonly state: MemberState
    }
  | {
      readonly type: 'member'
      readonly at: number
      readonly observer: string
      readonly observerBoot: string
      readonly event: MemberEventType
      readonly member: string
      readonly boot: string
      readonly state: MemberState
      readonly incarnation: number
    }
  | { readonly type: 'packet'; readonly at: number; readonly node: string; readonly bytes: number }
  | { readonly type: 'stats'; readonly at: number; readonly node: string; readonly stats: NodeStats }
  | {
      readonly type: 'service'
      readonly at: number
      readonly observer: string
      readonly event: 'up' | 'down' | 'update'
      readonly service: string
      readonly node: string
    }

export type Observer = (observation: Observation) => void

export interface NodeStats {
  readonly swim: SwimStats
  readonly members: number
  /** Traffic of our own nodes that the registry could not read. */
  readonly registryDrops: number
}

export interface MemberSeen {
  readonly name: string
  readonly boot: string
  readonly state: MemberState
  readonly incarnation: number
}

export interface NodeSnapshot {
  readonly name: string
  readonly boot: string
  readonly phase: 'running' | 'crashed' | 'left'
  /** Services it runs itself. */
  readonly provided: readonly string[]
  /** Its view; empty unless it runs. */
  readonly members: readonly MemberSeen[]
  /** Nodes listed by service; empty unless it runs. */
  readonly services: ReadonlyMap<string, readonly string[]>
  readonly stats: NodeStats | undefined
}

export interface ClusterSnapshot {
  readonly at: number
  readonly nodes: readonly NodeSnapshot[]
}
