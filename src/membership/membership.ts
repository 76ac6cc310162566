/**
 * Membership as a running thing: sockets, machine and seeds put together. `start` binds and announces, `leave` says
 * goodbye, `close` frees everything. Usable without registry and rpc.
 */
import debug from 'debug'
import { formatHostPort, type HostPort, ipToBytes } from '../address.js'
import { EMPTY_BYTES } from '../bytes.js'
import { monotonicMs, wallMs } from '../clock.js'
import { ShoalError } from '../errors.js'
import type { Random } from '../random.js'
import { type Bound, bindAll, DEFAULT_PORT } from './binding.js'
import { Driver } from './driver.js'
import type { KeyringControl } from './keyring.js'
import type { Member } from './member.js'
import { assertName, type LeaveResult, type MembershipOptions, type MembershipStats } from './membership-options.js'
import type { Broadcast } from './payload.js'
import { type JoinResult, SeedKeeper } from './seeds.js'
import type { StreamTransport } from './stream-transport.js'
import { Swim } from './swim.js'
import { encodeTags } from './tags.js'
import type { UdpTransport } from './udp-transport.js'

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
