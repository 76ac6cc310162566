/**
 * Membership as a running thing: sockets, machine and seeds put together. `start` binds and announces, `leave` says
 * goodbye, `close` frees everything. Usable without registry and rpc.
 */
import debug from 'debug'
import { formatHostPort, type HostPort, ipToBytes, tryParseHostPort } from '../address.js'
import { EMPTY_BYTES } from '../bytes.js'
import { monotonicMs, wallMs } from '../clock.js'
import { ShoalError } from '../errors.js'
import type { Random } from '../random.js'
import { resolveAdvertise } from './advertise.js'
import { type DelegateProtocol, type Profile, resolveSwimConfig, type SwimConfig, versionsFor } from './config.js'
import { Driver } from './driver.js'
import type { MemberEvent, Notice } from './effects.js'
import { Envelope, type Sealing } from './envelope.js'
import { type GossipKey, Keyring, type KeyringControl } from './keyring.js'
import type { Member } from './member.js'
import type { Broadcast, PayloadHandler } from './payload.js'
import { Sealer } from './sealer.js'
import { type JoinResult, SeedKeeper } from './seeds.js'
import { StreamTransport } from './stream-transport.js'
import { Swim, type SwimStats } from './swim.js'
import { encodeTags } from './tags.js'
import { UdpTransport } from './udp-transport.js'

export interface MembershipOptions {
  /** memberlist's label: clusters with different ones never merge. `''` is unlabelled. At most 255 bytes. */
  readonly cluster: string
  /** Unique in the cluster, 1 to 255 bytes. */
  readonly name: string
  /** `host:port` of the UDP socket and the TCP listener; port 0 takes any that is free for both. Default `0.0.0.0:7946`. */
  readonly bind?: string
  /** What others are told: `host` or `host:port`. Default the bound address, for a wildcard the machine's own. */
  readonly advertise?: string
  /** `host:port`, `[v6]:port`, `dns://name:port` or `srv://name`. */
  readonly seeds?: readonly string[]
  readonly profile?: Profile
  readonly delegateProtocol?: DelegateProtocol
  /** Changes to the profile's numbers. */
  readonly tuning?: Partial<SwimConfig>
  readonly tags?: Readonly<Record<string, string>>
  /**
   * Encrypts gossip, UDP and TCP, with AES-GCM: the first key seals, all of them open; 16, 24 or 32 bytes each, raw or
   * in base64 as `serf keygen` prints it. Default none, which is plaintext. Whoever holds a key is trusted fully, and
   * nothing but gossip is protected: `createNode` has no such option as long as its RPC channel is not covered by it.
   */
  readonly keys?: readonly GossipKey[]
  /**
   * Drops what is not sealed with one of the keys. Default true with keys. To encrypt a cluster that runs in plaintext,
   * restart its nodes with `keys` and both of these false, then with `verifyOutgoing` true, then with both true: each
   * step on all nodes before the next.
   */
  readonly verifyIncoming?: boolean
  /** Seals what is sent. Default true with keys. */
  readonly verifyOutgoing?: boolean
  readonly payload?: PayloadHandler
  readonly random?: Random
  readonly onEvent?: (event: MemberEvent) => void
  /** Trouble that stops nothing. */
  readonly onNotice?: (notice: Notice) => void
}

export interface LeaveResult {
  /** The leave was sent as often as it is worth; false when the time ran out before. */
  readonly told: boolean
}

export interface MembershipStats extends SwimStats {
  readonly lagMs: number
  readonly packetsReceived: number
  readonly sendErrors: number
  readonly streamsRefused: number
  /** Listeners of ours that threw. */
  readonly listenerErrors: number
}

const DEFAULT_PORT = 7_946
const DEFAULT_BIND = `0.0.0.0:${DEFAULT_PORT}`
/** How often a random port that is free for TCP is tried for UDP as well. */
const BIND_TRIES = 16
const NAME_BYTES_MAX = 255

const log = debug('shoal:membership')

export class Membership {
  readonly name: string
  /** The advertised `host:port`. */
  readonly address: string
  /** The keys of gossip, to be replaced without a gap: add the new one on all nodes, use it on all, remove the old one on all. */
  readonly keyring: KeyringControl
  readonly #swim: Swim
  readonly #udp: UdpTransport
  readonly #streams: StreamTransport
  readonly #driver: Driver
  readonly #seeds: SeedKeeper
  readonly #joins = new Map<number, (error: string | undefined) => void>()
  readonly #leaves = new Set<(told: boolean) => void>()
  #listenerErrors = 0
  #closed: Promise<void> | undefined

  private constructor(options: MembershipOptions, bound: Bound) {
    const { advertised, config, envelope } = bound
    this.name = options.name
    this.address = formatHostPort(advertised)
    this.keyring = bound.keyring
    this.#udp = bound.udp
    this.#streams = bound.streams
    const random = options.random ?? Math.random
    this.#swim = createSwim(options, bound, random)
    this.#driver = new Driver({
      swim: this.#swim,
      udp: bound.udp,
      streams: bound.streams,
      envelope,
      onEvent: (event) => this.#report(event, options.onEvent),
      onNotice: (notice) => this.#report(notice, options.onNotice),
      onJoined: (id, error) => this.#settleJoin(id, error),
      onLeft: () => {
        for (const finish of this.#leaves) finish(true)
      },
    })
    this.#seeds = new SeedKeeper({
      seeds: options.seeds ?? [],
      random,
      defaultPort: DEFAULT_PORT,
      self: advertised,
      join: (to) => this.#join(to, config.streamTimeoutMs),
      isInView: ({ host, port }) => this.#isInView(formatHostPort({ host, port })),
      onPass: (results) => log.enabled && log('%s seeds %o', options.name, results),
    })
  }

  /**
   * Binds the sockets and enters the cluster as its only member; `join` or the seeds do the rest. Rejects with
   * INVALID_OPTION, or with the socket's error (EADDRINUSE and the like); nothing is left open then.
   */
  static async start(options: MembershipOptions): Promise<Membership> {
    assertName(options.name)
    const bound = await bindAll(options)
    try {
      const membership = new Membership(options, bound)
      membership.#driver.input((swim, now) => swim.start(now))
      return membership
    } catch (error) {
      await Promise.all([bound.udp.close(), bound.streams.close()])
      throw error
    }
  }

  /** Every member known, this node included, and until reaped the dead and those that left. */
  members(): Member[] {
    return this.#swim.members()
  }

  member(name: string): Member | undefined {
    return this.#swim.member(name)
  }

  /** One pass over the permanent seeds, which go on in the background whatever it brings. */
  joinSeeds(): Promise<readonly JoinResult[]> {
    return this.#seeds.start()
  }

  /** One pass over these seeds, each reported; they do not become permanent. */
  join(seeds: readonly string[]): Promise<readonly JoinResult[]> {
    return this.#seeds.joinOnce(seeds)
  }

  /** Replaces the tags. Throws TOO_LARGE above 512 bytes; the old ones stay then. */
  setTags(tags: Readonly<Record<string, string>>): void {
    const meta = encodeTags(tags)
    this.#driver.input((swim, now) => swim.updateMeta(meta, now))
  }

  broadcast(broadcast: Broadcast): void {
    this.#driver.input((swim, now) => swim.broadcast(broadcast, now))
  }

  /** Exchanges the whole state with this member soon. */
  syncWith(name: string): void {
    this.#driver.input((swim) => swim.syncWith(name))
  }

  /** Evidence from elsewhere speaks against this member: it is probed at once. */
  probeSoon(name: string): void {
    this.#driver.input((swim, now) => swim.probeSoon(name, now))
  }

  /** Tells the others and waits until that was sent often enough, at most `timeoutMs`. Still answers until `close`. */
  async leave(timeoutMs: number): Promise<LeaveResult> {
    if (this.#closed !== undefined) return { told: false }
    this.#seeds.close()
    return new Promise((resolve) => {
      const finish = (told: boolean): void => {
        clearTimeout(timer)
        this.#leaves.delete(finish)
        resolve({ told })
      }
      const timer = setTimeout(() => finish(false), timeoutMs)
      this.#leaves.add(finish)
      this.#driver.input((swim, now) => swim.leave(now))
    })
  }

  /** Frees sockets and timers. Without `leave` before, the others see a crash. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  stats(): MembershipStats {
    return {
      ...this.#swim.stats(),
      lagMs: this.#driver.lagMs,
      packetsReceived: this.#udp.received,
      sendErrors: this.#udp.sendErrors,
      streamsRefused: this.#streams.refused,
      listenerErrors: this.#listenerErrors,
    }
  }

  async #closeAll(): Promise<void> {
    this.#seeds.close()
    this.#driver.close()
    for (const settle of this.#joins.values()) settle('closed')
    this.#joins.clear()
    for (const finish of this.#leaves) finish(false)
    await Promise.all([this.#udp.close(), this.#streams.close()])
  }

  /** The exchange is bounded by the machine's own stream timeout; the timer only guards against a lost report. */
  #join(to: HostPort, timeoutMs: number): Promise<string | undefined> {
    if (this.#closed !== undefined) return Promise.resolve('closed')
    return new Promise((resolve) => {
      const guard = setTimeout(() => resolve('no report of the exchange'), 2 * timeoutMs)
      this.#driver.input((swim) => {
        const id = swim.join(to)
        this.#joins.set(id, (error) => {
          clearTimeout(guard)
          resolve(error)
        })
      })
    })
  }

  #settleJoin(id: number, error: string | undefined): void {
    const settle = this.#joins.get(id)
    this.#joins.delete(id)
    settle?.(error)
  }

  #isInView(address: string): boolean {
    return this.members().some(
      (member) =>
        member.address === address &&
        member.name !== this.name &&
        (member.state === 'alive' || member.state === 'suspect'),
    )
  }

  #report<T>(value: T, listener: ((value: T) => void) | undefined): void {
    if (log.enabled) log('%s %o', this.name, value)
    try {
      listener?.(value)
    } catch (error) {
      // The caller's fault must not end the timer or socket callback that we are in.
      this.#listenerErrors++
      log('%s listener failed: %o', this.name, error)
    }
  }
}

interface Bound {
  readonly udp: UdpTransport
  readonly streams: StreamTransport
  readonly envelope: Envelope
  readonly keyring: Keyring
  readonly config: SwimConfig
  readonly advertised: HostPort
}

async function bindAll(options: MembershipOptions): Promise<Bound> {
  const keyring = new Keyring(options.keys)
  const envelope = new Envelope(options.cluster, resolveSealing(options, keyring))
  const profile = resolveSwimConfig(options.profile ?? 'lan', options.tuning)
  const vsn = versionsFor(options.delegateProtocol ?? 'plain')
  const config = { ...profile, packetBytesMax: profile.packetBytesMax - envelope.overhead, vsn }
  const bindText = options.bind ?? DEFAULT_BIND
  const bind = tryParseHostPort(bindText, DEFAULT_PORT)
  if (bind === undefined)
    throw new ShoalError('INVALID_OPTION', `bind '${bindText}' is neither host:port nor [v6]:port`)
  const { udp, streams } = await bindBoth(bind, envelope, config.streamTimeoutMs)
  try {
    const advertised = await resolveAdvertise(options.advertise, { host: bind.host, port: udp.port })
    return { udp, streams, envelope, keyring, config, advertised }
  } catch (error) {
    await Promise.all([udp.close(), streams.close()])
    throw error
  }
}

/** Without keys there is nothing to verify by: who asks for it must not run in plaintext. */
function resolveSealing(
  { keys, verifyIncoming, verifyOutgoing }: MembershipOptions,
  keyring: Keyring,
): Sealing | undefined {
  if (keys !== undefined) {
    return {
      cipher: new Sealer(keyring),
      verifyIncoming: verifyIncoming ?? true,
      verifyOutgoing: verifyOutgoing ?? true,
    }
  }
  if (verifyIncoming === true || verifyOutgoing === true)
    throw new ShoalError('INVALID_OPTION', 'verifyIncoming and verifyOutgoing need the option keys')
  return undefined
}

/** UDP and TCP take the same port; with port 0 a free TCP port is tried for UDP until one is free for both. */
async function bindBoth(
  { host, port }: HostPort,
  envelope: Envelope,
  timeoutMs: number,
): Promise<{ udp: UdpTransport; streams: StreamTransport }> {
  for (let attempt = 1; ; attempt++) {
    const streams = await StreamTransport.bind({ host, port }, envelope, timeoutMs)
    try {
      return { udp: await UdpTransport.bind({ host, port: streams.port }), streams }
    } catch (error) {
      await streams.close()
      if (port !== 0 || attempt === BIND_TRIES) throw error
    }
  }
}

function createSwim(options: MembershipOptions, { advertised, config }: Bound, random: Random): Swim {
  const addr = ipToBytes(advertised.host)
  if (addr === undefined) throw new ShoalError('INVALID_OPTION', `address '${advertised.host}' is no IP address`)
  const meta = options.tags === undefined ? EMPTY_BYTES : encodeTags(options.tags)
  const now = monotonicMs()
  return new Swim(
    {
      config,
      name: options.name,
      identity: { addr, port: advertised.port, meta, vsn: Uint8Array.from(config.vsn) },
      incarnation: Math.floor(wallMs() / 1_000),
      random,
      payload: options.payload,
      wallOffsetMs: wallMs() - now,
    },
    now,
  )
}

function assertName(name: string): void {
  const bytes = Buffer.byteLength(name)
  if (bytes >= 1 && bytes <= NAME_BYTES_MAX) return
  throw new ShoalError('INVALID_OPTION', `name '${name}' has ${bytes} bytes, it must have 1 to ${NAME_BYTES_MAX}`)
}
