/**
 * The numbers of the protocol. Three profiles carry memberlist's defaults; `resolveSwimConfig` merges a user's changes
 * and checks every one of them once, so that the machine never has to.
 *
 * `local` keeps RetransmitMult 4: memberlist's 2 sends a rumour of a small cluster only twice and loses it often.
 */
import { ShoalError } from '../errors.js'

export type Profile = 'lan' | 'wan' | 'local'

export interface SwimConfig {
  /** One member is probed in each interval; it is stretched by the local health score. */
  readonly probeIntervalMs: number
  /** A direct ping that is not answered by then is tried through others. Set it to the p99 round trip of the network. */
  readonly probeTimeoutMs: number
  /** Members asked for an indirect ping (SWIM 3.1, k). */
  readonly indirectChecks: number
  /** Suspicion lasts at least this many probe intervals, times log10 of the cluster size. */
  readonly suspicionMult: number
  /** An unconfirmed suspicion lasts at most this many times the least. */
  readonly suspicionMaxTimeoutMult: number
  /** A rumour rides on at most this many packets per node, times ceil(log10(n + 1)). */
  readonly retransmitMult: number
  readonly gossipIntervalMs: number
  readonly gossipNodes: number
  /** A dead member is still gossiped to for so long, that it may learn of it and refute. */
  readonly gossipToTheDeadMs: number
  /** The whole state is exchanged with one random member this often, scaled up in large clusters. */
  readonly pushPullIntervalMs: number
  /** A whole TCP exchange takes at most this long. */
  readonly streamTimeoutMs: number
  /** The local health score stays below it (Lifeguard 3.1, S). */
  readonly awarenessMax: number
  /** A name whose owner has been dead for so long may return at another address; 0 never. */
  readonly deadNodeReclaimMs: number
  /** Dead and left members are forgotten after this. */
  readonly reapAfterMs: number
  /** Plaintext bytes of a packet: what the network carries less labels and encryption. */
  readonly packetBytesMax: number
  /** Rumours queued at once; the most often sent one gives way. */
  readonly queueMax: number
  /** Members in the table, dead ones included; new names beyond it are dropped. */
  readonly memberMax: number
  /** Extra packets per second that news may be sent with, ahead of the gossip ticks. */
  readonly burstPacketsPerSecond: number
  /** Protocol versions we declare: min, max, current, delegate min, max, current. */
  readonly vsn: readonly [number, number, number, number, number, number]
}

const SHARED = {
  indirectChecks: 3,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  retransmitMult: 4,
  awarenessMax: 8,
  deadNodeReclaimMs: 30_000,
  reapAfterMs: 24 * 3_600_000,
  packetBytesMax: 1_400,
  queueMax: 4_096,
  memberMax: 20_000,
  burstPacketsPerSecond: 50,
  vsn: [1, 5, 2, 0, 0, 0],
} as const

/** memberlist's DefaultLANConfig, DefaultWANConfig and DefaultLocalConfig. */
export const PROFILES: Readonly<Record<Profile, SwimConfig>> = {
  lan: {
    ...SHARED,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 500,
    gossipIntervalMs: 200,
    gossipNodes: 3,
    gossipToTheDeadMs: 30_000,
    pushPullIntervalMs: 30_000,
    streamTimeoutMs: 10_000,
  },
  wan: {
    ...SHARED,
    suspicionMult: 6,
    probeIntervalMs: 5_000,
    probeTimeoutMs: 3_000,
    gossipIntervalMs: 500,
    gossipNodes: 4,
    gossipToTheDeadMs: 60_000,
    pushPullIntervalMs: 60_000,
    streamTimeoutMs: 30_000,
  },
  local: {
    ...SHARED,
    indirectChecks: 1,
    suspicionMult: 3,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 200,
    gossipIntervalMs: 100,
    gossipNodes: 3,
    gossipToTheDeadMs: 15_000,
    pushPullIntervalMs: 15_000,
    streamTimeoutMs: 1_000,
  },
}

/** Who answers for which delegate protocol: plain memberlist, serf, or an application's own `[min, max, current]`. */
export type DelegateProtocol = 'plain' | 'serf' | readonly [min: number, max: number, current: number]

/** The six version bytes for a delegate protocol. Serf refuses a node that does not declare its versions. */
export function versionsFor(delegate: DelegateProtocol): SwimConfig['vsn'] {
  if (delegate === 'plain') return [1, 5, 2, 0, 0, 0]
  if (delegate === 'serf') return [1, 5, 2, 2, 5, 4]
  if (!Array.isArray(delegate) || delegate.length !== 3) {
    throw new ShoalError(
      'INVALID_OPTION',
      `delegateProtocol ${String(delegate)} is none of 'plain', 'serf', [min, max, current]`,
    )
  }
  const [min, max, current] = delegate
  const inByte = delegate.every((version) => Number.isInteger(version) && version >= 0 && version <= 255)
  if (!inByte || min > current || current > max) {
    throw new ShoalError(
      'INVALID_OPTION',
      `delegateProtocol [${delegate.join(', ')}] must be bytes with min <= current <= max`,
    )
  }
  return [1, 5, 2, min, max, current]
}

type Tunable = Exclude<keyof SwimConfig, 'vsn'>
const MAY_BE_ZERO: ReadonlySet<Tunable> = new Set(['indirectChecks', 'deadNodeReclaimMs', 'burstPacketsPerSecond'])
const WHOLE: ReadonlySet<Tunable> = new Set([
  'indirectChecks',
  'gossipNodes',
  'awarenessMax',
  'packetBytesMax',
  'queueMax',
  'memberMax',
])

/** The profile with `changes` on top. Throws INVALID_OPTION that names the field, the value and the rule. */
export function resolveSwimConfig(profile: Profile, changes: Partial<SwimConfig> = {}): SwimConfig {
  const base = Object.hasOwn(PROFILES, profile) ? PROFILES[profile] : undefined
  if (base === undefined) throw new ShoalError('INVALID_OPTION', `profile '${profile}' is none of lan, wan, local`)
  const config = { ...base, ...changes }
  for (const [key, value] of Object.entries(config)) {
    if (key !== 'vsn') assertNumber(key as Tunable, value as number)
  }
  if (config.probeTimeoutMs >= config.probeIntervalMs) {
    throw new ShoalError(
      'INVALID_OPTION',
      `probeTimeoutMs (${config.probeTimeoutMs}) must be below probeIntervalMs (${config.probeIntervalMs})`,
    )
  }
  return config
}

function assertNumber(key: Tunable, value: number): void {
  if (!(key in SHARED) && !(key in PROFILES.lan)) {
    throw new ShoalError('INVALID_OPTION', `'${key}' is no membership setting`)
  }
  const least = MAY_BE_ZERO.has(key) ? 0 : 1
  const isWhole = WHOLE.has(key)
  if (!Number.isFinite(value) || value < least || (isWhole && !Number.isInteger(value))) {
    const kind = isWhole ? 'a whole number' : 'a number'
    throw new ShoalError('INVALID_OPTION', `${key} is ${String(value)}, it must be ${kind} of at least ${least}`)
  }
}
