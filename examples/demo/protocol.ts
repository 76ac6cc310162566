/** What the demo and its processes say to each other over IPC. */

export type Command =
  | { readonly kind: 'start'; readonly name: string; readonly seeds: readonly string[]; readonly provides: boolean }
  | { readonly kind: 'quote' }
  | { readonly kind: 'begin-calls' }
  | { readonly kind: 'end-calls' }
  | { readonly kind: 'view' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'close' }

export interface CallTally {
  readonly ok: number
  readonly failed: readonly string[]
  /** Calls answered, by node. */
  readonly servedBy: Readonly<Record<string, number>>
  /** The longest call, in ms: one that failed over. */
  readonly slowestMs: number
}

export type Report =
  | {
      readonly kind: 'started'
      readonly address: string
      /** When `createNode` was called, on the machine's monotonic clock. */
      readonly startedAt: number
      readonly tookMs: number
      readonly services: readonly string[]
    }
  | { readonly kind: 'quoted'; readonly servedBy: string; readonly micros: number }
  | { readonly kind: 'tally'; readonly tally: CallTally }
  | { readonly kind: 'view'; readonly members: Readonly<Record<string, string>>; readonly providers: readonly string[] }
  | { readonly kind: 'left' }
  | { readonly kind: 'begun' }
  /** A member changed in this process's view; `at` is on the machine's monotonic clock, in ms. */
  | { readonly kind: 'member'; readonly type: string; readonly member: string; readonly at: number }
  | { readonly kind: 'failed'; readonly message: string }
