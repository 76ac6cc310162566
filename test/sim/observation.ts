/**
 * What can be seen of a simulated cluster: a stream of observations while it runs, and a snapshot of everyone's view.
 * Checkers know nothing else, so that a test can feed them a history that no correct cluster would produce.
 */
import type { MemberEventType } from '../../src/membership/effects.js'
import type { MemberState } from '../../src/membership/member.js'
import type { SwimStats } from '../../src/membership/swim-contract.js'

/** Every start of a process is a life; its boot id may be raised while it lives. */
interface OfNode {
  readonly at: number
  readonly node: string
  readonly boot: string
}

export interface MemberObservation {
  readonly type: 'member'
  readonly at: number
  readonly observer: string
  readonly observerLife: number
  readonly observerBoot: string
  /** `raise`: a change that no event tells of, as of the incarnation alone. */
  readonly event: MemberEventType | 'raise'
  readonly member: string
  readonly boot: string
  readonly state: MemberState
  readonly incarnation: number
  /** Address and meta, as text. */
  readonly identity: string
}

export type Observation =
  | ({ readonly type: 'boot'; readonly life: number } & OfNode)
  /** A node found a later boot under its name and went above it. */
  | ({ readonly type: 'raised-boot' } & OfNode)
  | ({ readonly type: 'crash'; readonly life: number } & OfNode)
  /** It began to leave; it still answers for a while. */
  | ({ readonly type: 'leave' } & OfNode)
  /** Its leave is told and its sockets are closed. */
  | ({ readonly type: 'gone'; readonly life: number } & OfNode)
  /** A node's own record has changed: its first one, a refutation, or new tags. */
  | ({
      readonly type: 'own'
      readonly life: number
      readonly incarnation: number
      readonly state: MemberState
      readonly identity: string
    } & OfNode)
  | MemberObservation
  | {
      readonly type: 'packet'
      readonly at: number
      readonly node: string
      readonly life: number
      readonly bytes: number
    }
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
