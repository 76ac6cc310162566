/** What the bench and its worker processes say to each other over IPC: orders with one answer each, and sightings unasked. */
import type { Profile } from './options.js'

export interface WorkerOptions {
  readonly name: string
  readonly cluster: string
  readonly bind: string
  readonly seeds: readonly string[]
  readonly profile: Profile
  /** Services provided as soon as the node is up. */
  readonly services: readonly string[]
  /** Of this many live members the worker tells when it sees them all for the first time. */
  readonly expected?: number
  readonly keys?: readonly string[]
  /** Microseconds that every handler burns first. */
  readonly handicapUs: number
}

export interface Started {
  readonly calledAt: number
  readonly readyAt: number
  readonly address: string
  readonly servicesSeen: number
}

/** Closed loops: `inFlight` calls at once, each made when one returns. */
export interface ClosedLoad {
  readonly what: CallShape
  /** Absent: wherever the service is found, the local instance first. */
  readonly nodes?: readonly string[]
  readonly service: string
  readonly inFlight: number
  readonly durationMs: number
  readonly warmupMs: number
  /** What else moves on the same connection, without a pause: streams of 64 MiB, or arguments of nearly 16 MiB. */
  readonly beside?: 'stream' | 'values'
}

/** `small`: an object echoed; `bytes`: so many bytes echoed; `all`: a small object to every instance at once; `stream`: items counted. */
export type CallShape =
  | { readonly kind: 'small' | 'all' }
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'stream'; readonly items: number; readonly bytes: number }

/** Calls at fixed instants, whether the ones before have returned or not. */
export interface OpenLoad {
  readonly service: string
  readonly perSecond: number
  readonly durationMs: number
  /** Calls are judged by the window in which they were due. */
  readonly windowMs: number
  readonly idempotent: boolean
  readonly timeoutMs: number
}

/** Latencies in microseconds, as percentiles of one histogram. */
export interface Latencies {
  readonly count: number
  readonly errors: number
  readonly seconds: number
  readonly percentiles: readonly (readonly [percentile: number, us: number])[]
  /** Of the payload, or of what moved besides. */
  readonly mibPerSecond?: number
}

/** One call, timed. */
export interface LoneCall {
  readonly ms: number
  readonly error: string | undefined
}

/** Counters since the start of the process. */
export interface Usage {
  readonly at: number
  readonly cpuMs: number
  readonly rssBytes: number
  readonly packetsSent: number
  readonly packetsReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

/** Something a worker saw, at a time on the machine's clock. */
export interface Sighting {
  /** `join n7`, `dead n7`, `up news-3`, `complete`, … */
  readonly what: string
  readonly at: number
}

export type ServiceChange = 'provide' | 'pause' | 'meta' | 'withdraw'

/** Orders; those that act give the time right before they did. */
export interface Orders {
  readonly start: { readonly args: readonly [options: WorkerOptions]; readonly result: Started }
  readonly service: { readonly args: readonly [change: ServiceChange, service: string]; readonly result: number }
  readonly leave: { readonly args: readonly []; readonly result: number }
  /** Waits until nothing is left to be gossiped for a while; false when the limit came first. */
  readonly quiet: { readonly args: readonly [limitMs: number]; readonly result: boolean }
  readonly usage: { readonly args: readonly []; readonly result: Usage }
  readonly closedLoad: { readonly args: readonly [load: ClosedLoad]; readonly result: Latencies }
  /** One histogram for each window. */
  readonly openLoad: { readonly args: readonly [load: OpenLoad]; readonly result: readonly Latencies[] }
  readonly callOnce: { readonly args: readonly [service: string, nodes: readonly string[]]; readonly result: LoneCall }
  /** Waits until so many instances are listed; false when ten seconds were not enough. */
  readonly sees: { readonly args: readonly [service: string, count: number]; readonly result: boolean }
  /** From now on the event loop stands still for so long in every period; 0 ends it. */
  readonly block: { readonly args: readonly [blockedMs: number, periodMs: number]; readonly result: undefined }
  readonly close: { readonly args: readonly []; readonly result: undefined }
}

export type OrderName = keyof Orders

export interface Order {
  readonly id: number
  readonly name: OrderName
  readonly args: readonly unknown[]
}

export type Message =
  | { readonly kind: 'saw'; readonly sighting: Sighting }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
