/** What the bench and its worker processes say to each other over IPC. */

export interface WorkerOptions {
  readonly name: string
  readonly cluster: string
  readonly seeds: readonly string[]
  readonly profile: 'lan' | 'wan' | 'local'
  /** Services provided as soon as the node is up. */
  readonly services: readonly string[]
}

export type Command =
  | { readonly kind: 'start'; readonly options: WorkerOptions }
  | { readonly kind: 'provide'; readonly service: string }
  | { readonly kind: 'leave' }
  | { readonly kind: 'calls'; readonly run: CallRun }
  | { readonly kind: 'usage' }
  | { readonly kind: 'stop' }

/** A closed loop of calls: `inFlight` at once, each sent when one returns. */
export interface CallRun {
  readonly service: string
  /** Absent: wherever the service is found, the local instance first. */
  readonly node?: string
  readonly inFlight: number
  readonly durationMs: number
  readonly warmupMs: number
  readonly payload: unknown
  /** What else moves on the same connection, without a pause: streams of 64 MiB, or arguments of nearly 16 MiB. */
  readonly beside?: 'stream' | 'values'
}

export interface CallFigures {
  readonly calls: number
  readonly errors: number
  readonly seconds: number
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  /** Of what moved besides. */
  readonly mibPerSecond?: number
}

export interface Usage {
  readonly cpuMs: number
  readonly rssBytes: number
  readonly packetsReceived: number
}

/** Something a worker saw, at a time on the machine's clock. */
export interface Sighting {
  readonly what: 'member' | 'service' | 'called'
  /** `join n7`, `dead n7`, `up bench-3`, … */
  readonly detail: string
  readonly at: number
}

export type Report =
  | {
      readonly kind: 'started'
      readonly calledAt: number
      readonly readyAt: number
      readonly address: string
      readonly servicesSeen: number
    }
  | { readonly kind: 'saw'; readonly sighting: Sighting }
  | { readonly kind: 'provided'; readonly calledAt: number }
  | { readonly kind: 'left'; readonly calledAt: number }
  | { readonly kind: 'calls'; readonly figures: CallFigures }
  | { readonly kind: 'usage'; readonly usage: Usage }
  | { readonly kind: 'failed'; readonly message: string }
