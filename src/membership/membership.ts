/**
 * Membership as a running thing: sockets, machine and seeds put together. `start` binds and announces, `leave` says
 * goodbye, `close` frees everything. Usable without registry and rpc.
 */
import debug from 'debug'
import { formatHostPort, type HostPort, ipToBytes } from '../address.js'
import { EMPTY_BYTES } from '../bytes.js'
import type { Clock } from '../clock.js'
import { ShoalError } from '../errors.js'
import { type Runtime, systemRuntime } from '../runtime.js'
import { reaches } from './advertise.js'
import { AskedPings, closed, type PingOptions } from './asked-pings.js'
import { type Bound, bindAll, DEFAULT_PORT } from './binding.js'
import type { SwimConfig } from './config.js'
import type { NameContest } from './contest.js'
import { Driver } from './driver.js'
import type { Question } from './effects.js'
import { broadcastBytesMax } from './gossip.js'
import { type AdmissionHooks, type Refusal, runHook } from './hooks.js'
import type { KeyringControl } from './keyring.js'
import type { Member } from './member.js'
import { assertName, type LeaveResult, type MembershipOptions, type MembershipStats } from './membership-options.js'
import { isOwnAddress } from './own-address.js'
import type { Broadcast } from './payload.js'
import { FormerMembers } from './rejoin.js'
import { systemResolver } from './resolver.js'
import { checkSeeds, type Seeds } from './seed.js'
import { SeedLookup } from './seed-lookup.js'
import { type JoinResult, SeedKeeper } from './seeds.js'
import { SnapshotKeeper } from './snapshot-keeper.js'
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
  readonly #snapshot: SnapshotKeeper | undefined
  readonly #joins = new Map<number, (error: string | undefined) => void>()
  readonly #leaves = new Set<(told: boolean) => void>()
  /** Set from `leave` until this node comes back. */
  #leaving: Promise<LeaveResult> | undefined
  readonly #pings = new AskedPings()
  readonly #config: SwimConfig
  readonly #clock: Clock
  #listenerErrors = 0
  #closed: Promise<void> | undefined

  private constructor(options: MembershipOptions, bound: Bound, snapshot: SnapshotKeeper | undefined) {
    const { advertised, envelope } = bound
    this.name = options.name
    this.address = formatHostPort(advertised)
    this.keyring = bound.keyring
    this.#config = bound.config
    this.#udp = bound.udp
    this.#streams = bound.streams
    const runtime = runtimeOf(options)
    this.#clock = runtime.clock
    this.#swim = createSwim(options, bound, runtime)
    this.#driver = new Driver({
      clock: this.#clock,
      swim: this.#swim,
      udp: bound.udp,
      streams: bound.streams,
      envelope,
      onEvent: (event) => {
        snapshot?.handleChange()
        this.#report(event, options.onEvent)
      },
      onNotice: (notice) => this.#report(notice, options.onNotice),
      onJoined: (id, error) => this.#settleJoin(id, error),
      onLeft: () => {
        for (const finish of this.#leaves) finish(true)
      },
      onPinged: (id, rttMs) => this.#pings.settle(id, rttMs),
      onQuestion: (id, question) => this.#judge(id, question, options),
      isAllowed: bound.isAllowed,
    })
    this.#seeds = this.#createSeeds(options, bound, snapshot?.former ?? [])
    this.#snapshot = snapshot
    snapshot?.start({
      members: () => this.members(),
      onNotice: (notice) => this.#report(notice, options.onNotice),
    })
  }

  /**
   * Binds the sockets and enters the cluster as its only member; `join` or the seeds do the rest. Rejects with
   * INVALID_OPTION, or with the socket's error (EADDRINUSE and the like); nothing is left open then.
   */
  static async start(options: MembershipOptions): Promise<Membership> {
    const { name, cluster, seeds, snapshot: path } = options
    assertName(name)
    checkSeeds(seeds ?? [], DEFAULT_PORT)
    const runtime = runtimeOf(options)
    const { clock } = runtime
    const snapshot = path === undefined ? undefined : await SnapshotKeeper.open(path, { cluster, name, clock })
    const bound = await bindAll(options, runtime)
    try {
      const membership = new Membership(options, bound, snapshot)
      membership.#driver.input((swim, now) => swim.start(now))
      return membership
    } catch (error) {
      await Promise.all([bound.udp.close(), bound.streams.close()])
      throw error
    }
  }

  /** Throws INVALID_OPTION for what can never be seeds. */
  static assertSeeds(seeds: Seeds): void {
    checkSeeds(seeds, DEFAULT_PORT)
  }

  /** Every member known, this node included, and until reaped the dead and those that left. */
  members(): Member[] {
    return this.#swim.members()
  }

  member(name: string): Member | undefined {
    return this.#swim.member(name)
  }

  /**
   * One pass over the permanent seeds and the members of a former life (`snapshot`), which go on in the background
   * whatever it brings. Resolves when all were tried, or as soon as the first has answered. After a leave this node comes
   * back under its name with its present tags, as soon as the leave has ended.
   */
  async joinSeeds(until: 'first' | 'all' = 'all'): Promise<readonly JoinResult[]> {
    await this.#comeBack()
    return this.#seeds.start(until)
  }

  /**
   * One pass over these seeds, each reported; they do not become permanent. After a leave this node comes back as by
   * `joinSeeds`, and its permanent seeds go on in the background. Rejects INVALID_OPTION for what is no seed, changing
   * nothing.
   */
  async join(seeds: Seeds): Promise<readonly JoinResult[]> {
    const checked = checkSeeds(seeds, DEFAULT_PORT)
    if (await this.#comeBack()) void this.#seeds.start('all')
    return this.#seeds.joinOnce(checked)
  }

  /** Whether another address claims this node's name just now, or did a moment ago. */
  nameContest(): NameContest {
    return this.#swim.nameContest(this.#clock.monotonicMs())
  }

  /** Replaces the tags. Throws TOO_LARGE above 512 bytes; the old ones stay then. */
  setTags(tags: Readonly<Record<string, string>>): void {
    const meta = encodeTags(tags)
    this.#driver.input((swim, now) => swim.updateMeta(meta, now))
  }

  /** Spreads a payload message. Throws TOO_LARGE for one that no packet can carry; nothing is queued then. */
  broadcast(broadcast: Broadcast): void {
    const limit = broadcastBytesMax(this.#config)
    const { key, bytes } = broadcast
    if (bytes.length > limit)
      throw new ShoalError('TOO_LARGE', `the broadcast '${key}' has ${bytes.length} bytes; the limit is ${limit}`)
    this.#driver.input((swim, now) => swim.broadcast(broadcast, now))
  }

  /** Exchanges the whole state with this member soon. */
  syncWith(name: string): void {
    this.#driver.input((swim) => swim.syncWith(name))
  }

  /** Sends a payload message to this member alone, over TCP. Nothing tells whether it arrived. */
  send(name: string, payload: Uint8Array): void {
    this.#driver.input((swim) => swim.send(name, payload))
  }

  /** Evidence from elsewhere speaks against this member: it is probed at once. */
  probeSoon(name: string): void {
    this.#driver.input((swim, now) => swim.probeSoon(name, now))
  }

  /**
   * Sends one ping over UDP to a known member, the dead and this node itself included; resolves with the round trip in
   * ms. Rejects UNREACHABLE when no answer comes in time, INVALID_ARGUMENT for an unknown name or a bad timeout, CLOSED,
   * or OVERLOADED beyond 1,024 at once. An answer counts as a sign of life, silence has the member probed at once.
   */
  ping(name: string, options: PingOptions = {}): Promise<number> {
    if (this.#closed !== undefined) return Promise.reject(closed(this.name))
    const timeoutMs = options.timeout ?? this.#config.probeTimeoutMs
    return this.#pings.start(this.#driver, { member: name, timeoutMs })
  }

  /**
   * Tells the others and waits until that was sent often enough, at most `timeoutMs`. Still answers until `close`; `join`
   * and `joinSeeds` come back. Called again while it is under way it waits for the same, and afterwards is done at once.
   */
  leave(timeoutMs: number): Promise<LeaveResult> {
    if (this.#closed !== undefined) return Promise.resolve({ told: false })
    this.#seeds.close()
    this.#leaving = this.#leave(timeoutMs)
    return this.#leaving
  }

  async #leave(timeoutMs: number): Promise<LeaveResult> {
    const forgotten = this.#snapshot?.forget()
    const result = await this.#tellLeave(timeoutMs)
    await forgotten
    return result
  }

  #tellLeave(timeoutMs: number): Promise<LeaveResult> {
    return new Promise((resolve) => {
      const finish = (told: boolean): void => {
        this.#clock.clearTimer(timer)
        this.#leaves.delete(finish)
        resolve({ told })
      }
      const timer = this.#clock.setTimeout(() => finish(false), timeoutMs)
      this.#leaves.add(finish)
      this.#driver.input((swim, now) => swim.leave(now, timeoutMs))
    })
  }

  /** Frees sockets and timers. Without `leave` before, the others see a crash. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  stats(): MembershipStats {
    const sendErrorsByCode = this.#udp.sendErrors
    return {
      ...this.#swim.stats(),
      lagMs: this.#driver.lagMs,
      packetsReceived: this.#udp.received,
      packetBytesReceived: this.#udp.bytesReceived,
      packetsSent: this.#udp.sent,
      packetBytesSent: this.#udp.bytesSent,
      sendErrors: Object.values(sendErrorsByCode).reduce((sum, count) => sum + count, 0),
      sendErrorsByCode,
      streamsRefused: this.#streams.refused,
      snapshotErrors: this.#snapshot?.errors ?? 0,
      listenerErrors: this.#listenerErrors,
    }
  }

  async #closeAll(): Promise<void> {
    this.#seeds.close()
    this.#driver.close()
    for (const settle of this.#joins.values()) settle('closed')
    this.#joins.clear()
    this.#pings.close(this.name)
    for (const finish of this.#leaves) finish(false)
    await Promise.all([this.#udp.close(), this.#streams.close(), this.#snapshot?.close()])
  }

  #createSeeds(options: MembershipOptions, bound: Bound, former: readonly HostPort[]): SeedKeeper {
    const { clock, random } = runtimeOf(options)
    const isOwn = (address: HostPort): boolean => isOwnAddress(bound, address)
    const lookup = new SeedLookup({
      clock,
      resolver: options.resolver ?? systemResolver,
      random,
      defaultPort: DEFAULT_PORT,
      isOwn,
      reaches: (host) => reaches(bound.bind.host, host),
    })
    return new SeedKeeper({
      clock,
      seeds: checkSeeds(options.seeds ?? [], DEFAULT_PORT),
      former: new FormerMembers(former, random),
      lookup,
      random,
      isOwn,
      join: (to) => this.#join(to, bound.config.streamTimeoutMs),
      inView: () => new Set(this.#others().map(({ address }) => address)),
      onPass: (results) => log.enabled && log('%s seeds %o', options.name, results),
    })
  }

  /** True if this node had left. A leave under way comes to its end first. */
  async #comeBack(): Promise<boolean> {
    while (this.#leaving !== undefined) {
      const leaving = this.#leaving
      await leaving
      if (this.#closed !== undefined) return false
      if (this.#leaving !== leaving) continue // left again, or back already by another call
      this.#leaving = undefined
      for (const finish of this.#leaves) finish(false)
      this.#seeds.reopen()
      this.#snapshot?.resume()
      this.#driver.input((swim, now) => swim.rejoin(now))
      return true
    }
    return false
  }

  /** The exchange is bounded by the machine's own stream timeout; the timer only guards against a lost report. */
  #join(to: HostPort, timeoutMs: number): Promise<string | undefined> {
    if (this.#closed !== undefined) return Promise.resolve('closed')
    if (this.#leaving !== undefined) return Promise.resolve('left')
    return new Promise((resolve) => {
      const guard = this.#clock.setTimeout(() => resolve('no report of the exchange'), 2 * timeoutMs)
      this.#driver.input((swim) => {
        const id = swim.join(to)
        this.#joins.set(id, (error) => {
          this.#clock.clearTimer(guard)
          resolve(error)
        })
      })
    })
  }

  #settleJoin(id: number, error: string | undefined): void {
    const settle = this.#joins.get(id)
    this.#joins.delete(id)
    // A balancer's address may lead back to this very node: that is no cluster joined.
    const alone = error === undefined && settle !== undefined && this.#others().length === 0
    settle?.(alone ? 'answered, but nobody else is alive there' : error)
  }

  #judge(id: number, question: Question, options: MembershipOptions): void {
    const settle = (refusal: Refusal): void => this.#driver.input((swim, now) => swim.handleVerdict(id, refusal, now))
    const failed = (hook: keyof AdmissionHooks, cause: unknown): void =>
      this.#report({ kind: 'hook-failed', hook, cause }, options.onNotice)
    runHook(question, { hooks: options, settle, failed })
  }

  /** Who else is alive. */
  #others(): Member[] {
    return this.members().filter(({ name, state }) => name !== this.name && (state === 'alive' || state === 'suspect'))
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

/** Without one the system's; the option `random` alone is for seeded choices of a real node. */
function runtimeOf({ runtime = systemRuntime, random = runtime.random }: MembershipOptions): Runtime {
  return { ...runtime, random }
}

function createSwim(
  options: MembershipOptions,
  { advertised, config, isAllowed }: Bound,
  { clock, random }: Runtime,
): Swim {
  const addr = ipToBytes(advertised.host)
  if (addr === undefined) throw new ShoalError('INVALID_OPTION', `address '${advertised.host}' is no IP address`)
  const meta = options.tags === undefined ? EMPTY_BYTES : encodeTags(options.tags)
  const now = clock.monotonicMs()
  return new Swim(
    {
      config,
      name: options.name,
      identity: { addr, port: advertised.port, meta, vsn: Uint8Array.from(config.vsn) },
      incarnation: Math.floor(clock.wallMs() / 1_000),
      random,
      payload: options.payload,
      amongSerf: options.delegateProtocol === 'serf',
      asks: { members: options.admitMember !== undefined, merges: options.admitMerge !== undefined },
      isAllowed,
      wallOffsetMs: clock.wallMs() - now,
    },
    now,
  )
}
