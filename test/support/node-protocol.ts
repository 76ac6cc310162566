/** What a test says to a node in another process, and what it answers: plain data, so that IPC carries it as it is. */
import type { CallCbOptions, FailedAttempt, MemberEventType, NodeInspection, NodeOptions } from '../../src/index.js'
import type { LoadPlan, LoadTally } from './ledger.js'
import type { PeerLoss } from './peer-watch.js'

export interface Orders {
  start: { args: [options: NodeOptions]; result: { address: string; rpcAddress: string } }
  /** `who()` answers the node's name and process, `work(ms)` does after so many ms. */
  provide: { args: [service: string]; result: undefined }
  call: { args: [service: string, method: string, args: readonly unknown[]]; result: unknown }
  /** One call with options; how it failed is an answer too. */
  attempt: {
    args: [
      service: string,
      method: string,
      args: readonly unknown[],
      options: Pick<CallCbOptions, 'timeout' | 'nodes' | 'localFirst'>,
    ]
    result: AttemptResult
  }
  /** Calls `work` in a loop until `stopLoop`. */
  startLoop: { args: [plan: LoopPlan]; result: undefined }
  tally: { args: []; result: Tally }
  stopLoop: { args: []; result: Tally }
  /** Provides the ledger, which writes into this folder. */
  provideLedger: { args: [folder: string]; result: undefined }
  /** Calls the ledger of any node until `stopLoad`. */
  startLoad: { args: [plan: LoadPlan]; result: undefined }
  stopLoad: { args: []; result: LoadTally }
  /** Looks what it does with a node that is about to be killed, until `peerLoss`. */
  watchPeer: { args: [name: string]; result: undefined }
  peerLoss: { args: []; result: PeerLoss }
  view: { args: []; result: View }
  /** What its listeners were told since it started. */
  heard: { args: []; result: Heard }
  join: { args: [seeds: readonly string[]]; result: undefined }
  inspect: { args: []; result: NodeInspection }
  /** Resident memory of the process, after a collection where that is possible. */
  memory: { args: []; result: number }
  leave: { args: []; result: undefined }
  close: { args: []; result: undefined }
}

export interface LoopPlan {
  readonly service: string
  /** Loops side by side. */
  readonly lanes: number
  /** How long the handler works on each call. */
  readonly workMs: number
  readonly timeoutMs: number
}

export type AttemptResult =
  | { readonly ok: true; readonly value: unknown; readonly tookMs: number }
  | ({ readonly ok: false } & LoopFailure)

export interface Heard {
  /** Wall clock ms, the same for all processes of a machine. */
  readonly members: readonly { readonly type: MemberEventType; readonly name: string; readonly at: number }[]
  readonly faults: readonly string[]
}

/** One call that failed. */
export interface LoopFailure {
  readonly code: string
  readonly message: string
  readonly executed: string
  readonly node: string | undefined
  readonly attempts: readonly FailedAttempt[]
  readonly tookMs: number
}

export interface Tally {
  readonly started: number
  /** Answers by the node that gave them. */
  readonly answered: Readonly<Record<string, number>>
  /** Answers of another node than the first candidate. */
  readonly failedOver: number
  readonly failures: readonly LoopFailure[]
}

export interface View {
  /** Name to state. */
  readonly members: Readonly<Record<string, string>>
  /** Service to the nodes that run it, sorted. */
  readonly services: Readonly<Record<string, readonly string[]>>
}

export type OrderName = keyof Orders

export interface Order {
  readonly id: number
  readonly name: OrderName
  readonly args: readonly unknown[]
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string }
