/** What a test may say of its network and its nodes, checked once, with every message naming the value and the limit. */
import { ShoalError } from '../errors.js'
import { checkOptionTable, namesOf } from '../known-options.js'
import type { NodeOptions } from '../node/options.js'
import type { ShoalNode } from '../node/shoal-node.js'

export interface TestNetworkOptions {
  /** Every chance of the network and its nodes is drawn from it. Default 1. */
  readonly seed?: number
  /** One way, in milliseconds, of every packet between two nodes. Default 0. */
  readonly latencyMs?: number
  /** Up to so much is added to it, for each packet anew. Default 0. */
  readonly jitterMs?: number
  /** Share of the packets that are lost, from 0 to 1; streams send theirs again, as TCP does. Default 0. */
  readonly loss?: number
  /** `virtual`: time stands still until the test moves it. `real`: it passes by itself. Default `virtual`. */
  readonly time?: 'virtual' | 'real'
  /** Of nodes that name no other. Default `test`. */
  readonly cluster?: string
}

/** As for `createNode`, without what the network gives: each node has a machine with an address of its own. */
export interface TestNodeOptions extends Omit<NodeOptions, 'bind' | 'advertise' | 'seeds'> {
  /** Nodes, or their names, that need not run yet. Default all that run at the time. */
  readonly seeds?: readonly (string | ShoalNode)[]
}

export interface ResolvedNetworkOptions {
  readonly seed: number
  readonly latencyMs: number
  readonly jitterMs: number
  readonly loss: number
  readonly time: 'virtual' | 'real'
  readonly cluster: string
}

export interface TimeLimit {
  /** Milliseconds of the network's time. Default 60,000. */
  readonly timeout?: number
}

const OPTION_NAMES = namesOf<TestNetworkOptions>({
  seed: true,
  latencyMs: true,
  jitterMs: true,
  loss: true,
  time: true,
  cluster: true,
})
const LIMIT_NAMES = namesOf<TimeLimit>({ timeout: true })
export const LIMIT_MS = 60_000
const DELAY_MS_MAX = 60_000
/** 2^31, the longest that a timer of Node.js can wait. */
const TIME_MS_MAX = 0x7fff_ffff
/** What waits for the disk or a real socket has no place in a time that may pass a day meanwhile. */
const OUTSIDE: Readonly<Record<string, string>> = {
  snapshot: 'reads and writes a real file',
  health: "is a real HTTP endpoint; ask 'node.health()'",
}

/** Throws INVALID_OPTION. */
export function resolveNetworkOptions(given: TestNetworkOptions): ResolvedNetworkOptions {
  checkOptionTable(given, { what: 'option of a test network', names: OPTION_NAMES, code: 'INVALID_OPTION' })
  const { seed = 1, latencyMs = 0, jitterMs = 0, loss = 0, time = 'virtual', cluster = 'test' } = given
  if (!Number.isSafeInteger(seed)) throw invalid(`seed must be a whole number, got ${String(seed)}`)
  if (time !== 'virtual' && time !== 'real') throw invalid(`time must be 'virtual' or 'real', got '${String(time)}'`)
  if (typeof cluster !== 'string') throw invalid(`cluster must be a string, got ${typeof cluster}`)
  return {
    seed,
    latencyMs: checkDelay('latencyMs', latencyMs),
    jitterMs: checkDelay('jitterMs', jitterMs),
    loss: checkLoss(loss),
    time,
    cluster,
  }
}

/** Throws INVALID_OPTION for what the network decides or cannot have. */
export function checkNodeOptions(options: TestNodeOptions, time: 'virtual' | 'real'): void {
  if (typeof options !== 'object' || options === null) throw invalid(`the options of a node must be an object`)
  for (const name of ['bind', 'advertise']) {
    if (name in options) throw invalid(`the network gives each node its address: leave '${name}' out`)
  }
  for (const [name, why] of Object.entries(OUTSIDE)) {
    if (time === 'virtual' && name in options && options[name as keyof TestNodeOptions] !== undefined)
      throw invalid(`'${name}' ${why}: it is not to be had in virtual time, only with time: 'real'`)
  }
  if (options.keys !== undefined || options.rpc?.tls !== undefined)
    throw invalid(
      "calls of a test network travel in memory and cannot be encrypted: leave 'keys' and 'rpc.tls' out, and test them with createNode on 127.0.0.1",
    )
  const { seeds } = options
  if (seeds !== undefined && !Array.isArray(seeds))
    throw invalid(`seeds must be an array of nodes or of their names, got ${typeof seeds}`)
}

/** Throws INVALID_OPTION. */
export function checkDelay(name: string, ms: unknown): number {
  if (typeof ms === 'number' && ms >= 0 && ms <= DELAY_MS_MAX) return ms
  throw invalid(`${name} must be 0 to ${DELAY_MS_MAX} milliseconds, got ${String(ms)}`)
}

/** Throws INVALID_OPTION. */
export function checkLoss(loss: unknown): number {
  if (typeof loss === 'number' && loss >= 0 && loss <= 1) return loss
  throw invalid(`loss must be a share from 0 to 1, got ${String(loss)}`)
}

/** How long something may take, in ms. Throws INVALID_ARGUMENT. */
export function checkLimit(of: string, limit: TimeLimit): number {
  checkOptionTable(limit, { what: `option of ${of}`, names: LIMIT_NAMES, code: 'INVALID_ARGUMENT' })
  return checkTime('timeout', limit.timeout ?? LIMIT_MS)
}

/** A duration of a test. Throws INVALID_ARGUMENT. */
export function checkTime(name: string, ms: unknown): number {
  if (typeof ms === 'number' && ms >= 0 && ms <= TIME_MS_MAX) return ms
  throw new ShoalError('INVALID_ARGUMENT', `${name} must be 0 to ${TIME_MS_MAX} milliseconds, got ${String(ms)}`)
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_OPTION', message)
}
