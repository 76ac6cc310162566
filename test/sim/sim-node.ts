/**
 * One simulated process: the real machine and the real registry, wired as the node wires them, with the driver's rules
 * on virtual time - effects are pulled after each input, one deadline is kept, and after a stall whatever came in is
 * handled before the timers judge.
 */
import { createHash } from 'node:crypto'
import type { HostPort } from '../../src/address.js'
import { formatHostPort, ipToBytes } from '../../src/address.js'
import { unreachable } from '../../src/errors.js'
import type { SwimConfig } from '../../src/membership/config.js'
import type { Effect, MemberEvent, Notice } from '../../src/membership/effects.js'
import type { Envelope } from '../../src/membership/envelope.js'
import { ALL_FEATURES, type Loop, type SwimFeatures } from '../../src/membership/features.js'
import { TAG_BOOT_ID, TAG_RPC_ADDRESS } from '../../src/membership/member.js'
import { Swim } from '../../src/membership/swim.js'
import type { ExchangeResult } from '../../src/membership/swim-contract.js'
import { encodeTags } from '../../src/membership/tags.js'
import type { Random } from '../../src/random.js'
import type { RegistryEffect } from '../../src/registry/effects.js'
import {
  type Instance,
  makeBootId,
  Registry,
  raisedBootId,
  type ServiceMeta,
  type ServiceStatus,
} from '../../src/registry/index.js'
import type { EventQueue } from '../../src/testing/event-queue.js'
import type { MemberSeen, NodeStats, Observer } from './observation.js'
import { SeedWatch } from './seed-watch.js'
import { ViewWatch } from './view-watch.js'
import type { Block, Endpoint, VirtualNetwork } from './virtual-network.js'

export interface SimNodeParts {
  readonly name: string
  /** Which of its name's lives this is. */
  readonly life: number
  readonly address: HostPort
  /** Looked up again at each pass, as names are. */
  readonly seeds: () => readonly string[]
  readonly config: SwimConfig
  readonly features?: SwimFeatures | undefined
  readonly envelope: Envelope
  readonly clock: EventQueue
  readonly network: VirtualNetwork
  readonly random: Random
  /** Wall clock minus virtual clock, in ms. */
  readonly wallOffsetMs: () => number
  /** As the node's option, in ms; 0 is never. Default 10,000. */
  readonly recheckIntervalMs?: number | undefined
  readonly observe: Observer
  readonly onNotice?: (notice: Notice) => void
  /** Tell of changes that no event tells of as well. */
  readonly everyChange?: boolean
  /** Its leave has been told, and it is gone. */
  readonly onGone: () => void
}

/** As in the driver: a timer later than this has met a stall. */
const STALL_MS = 5
/** As in the node: a leave that takes longer is given up. */
const LEAVE_TIMEOUT_MS = 2_000
const TICK_MS = 1_000
const LOOPS: readonly Loop[] = ['probe', 'gossip']
/** While it is blocked: its loops may have to stand still at a time that the machine does not name. */
const BLOCKED_LOOK_MS = 10
const RECHECK_JITTER = 0.2
/** What a raised receive buffer holds; a longer stall loses the rest. */
const RECEIVE_BUFFER_PACKETS = 2_048
/** As in the node: a rival for the boot id is outbid at most this often. */
const RAISE_INTERVAL_MS = 10_000

export interface Stall {
  readonly ms: number
  /** What its receive buffer holds meanwhile. */
  readonly bufferPackets?: number
  /**
   * `sleeps`: the machine is off, and what is sent to it meanwhile is lost. Its monotonic clock then jumps, or stands
   * still, as Linux has it.
   */
  readonly sleeps?: 'clock-jumps' | 'clock-stands'
}

export class SimNode implements Endpoint {
  readonly #parts: SimNodeParts
  readonly #swim: Swim
  readonly #registry: Registry
  readonly #seeds: SeedWatch
  readonly #views: ViewWatch
  readonly #rpcAddress: string
  #boot: string
  #tags: Readonly<Record<string, string>> = {}
  #raisedAt = Number.NEGATIVE_INFINITY
  /** Loops that take no turn. */
  readonly #standing = new Set<Loop>()
  /** Those that have met a send since it was blocked; undefined while it is not. */
  #stuck: Set<Loop> | undefined
  readonly #streams = new Map<number, (bytes: Uint8Array | undefined) => void>()
  #streamId = 0
  #wakeAt = Number.POSITIVE_INFINITY
  #ended = false
  #leaving = false
  /** Set while the event loop stands still: what came in meanwhile, in order. */
  #inbox: (() => void)[] | undefined
  #stall: Stall | undefined
  #overflowed = 0
  #sent = 0
  /** Time that its monotonic clock stood still. */
  #lostMs = 0
  /** Everything that comes in comes so much later. */
  #slowMs = 0

  constructor(parts: SimNodeParts) {
    const { name, life, clock, random, observe, everyChange = false } = parts
    this.#parts = parts
    this.#boot = makeBootId(this.#wallNow(), random)
    this.#views = new ViewWatch({ name, life, boot: () => this.#boot, now: () => clock.now, observe, everyChange })
    const rpcAddress = formatHostPort({ host: parts.address.host, port: parts.address.port + 1 })
    this.#rpcAddress = rpcAddress
    this.#registry = new Registry({ node: name, bootId: this.#boot, rpcAddress, random, sha256 })
    this.#swim = new Swim(
      {
        config: parts.config,
        name,
        identity: {
          addr: ipToBytes(parts.address.host) ?? new Uint8Array(4),
          port: parts.address.port,
          meta: this.#meta(),
          vsn: Uint8Array.from(parts.config.vsn),
        },
        incarnation: Math.floor(this.#wallNow() / 1_000),
        random,
        payload: this.#registry,
        wallOffsetMs: parts.wallOffsetMs(),
        features: { ...(parts.features ?? ALL_FEATURES), mayRun: (loop) => !this.#standing.has(loop) },
      },
      this.#now(),
    )
    this.#seeds = new SeedWatch({
      seeds: parts.seeds,
      random,
      after: (delayMs, run) => this.#later(delayMs, run),
      join: (seed) => this.#join(seed),
      isInView: (seed) => this.#isInView(seed),
    })
  }

  get boot(): string {
    return this.#boot
  }

  /** Packets that a stall cost because the receive buffer was full. */
  get overflowed(): number {
    return this.#overflowed
  }

  start(): void {
    const { network, address, observe, clock, name, life } = this.#parts
    network.attach(formatHostPort(address), this)
    observe({ type: 'boot', at: clock.now, node: name, boot: this.#boot, life })
    this.#input((swim, now) => swim.start(now))
    this.#seeds.start()
    this.#later(TICK_MS * this.#parts.random(), () => this.#tick())
    this.#armRecheck()
  }

  /** Ends at once, without a word. `silently`: its host is gone too and refuses no connection. */
  crash(silently: boolean): void {
    this.#ended = true
    this.#parts.network.detach(formatHostPort(this.#parts.address), silently)
  }

  /** Says goodbye, then ends. */
  leave(): void {
    if (this.#leaving) return
    this.#leaving = true
    const { clock, name, observe } = this.#parts
    observe({ type: 'leave', at: clock.now, node: name, boot: this.#boot })
    this.#later(LEAVE_TIMEOUT_MS, () => this.#goAway())
    this.#input((swim, now) => swim.leave(now))
  }

  /** The event loop stands still. */
  stall(stall: Stall): void {
    if (this.#inbox !== undefined || this.#ended) return
    this.#inbox = []
    this.#stall = stall
    this.#parts.clock.after(stall.ms, () => this.#resume(stall))
  }

  /**
   * Nothing that it sends leaves and nothing that arrives is read until the returned function is called, while its
   * suspicions run out: Lifeguard's anomaly. As memberlist's goroutines do, prober and gossip stand still in their first
   * send. Let go, the prober finds its time run out, the gossip goes on, and what came in is read.
   */
  block(how?: Block): () => void {
    const { network, address } = this.#parts
    const release = network.block(formatHostPort(address), how)
    this.#stuck = new Set()
    this.#stand(LOOPS)
    return () => {
      this.#stuck = undefined
      this.#stand(['gossip'])
      this.#sends()
      this.#sends() // it asks the helpers, and gives up
      release()
      this.#stand([])
      this.#sends()
    }
  }

  /** From now on everything reaches it so much later. */
  slowDown(ms: number): void {
    this.#slowMs = ms
  }

  setTag(name: string, value: string): void {
    this.#inOrder(() => {
      this.#tags = { ...this.#tags, [name]: value }
      this.#feed((swim, now) => swim.updateMeta(this.#meta(), now))
    })
  }

  provide(service: string): void {
    const declaration = { service, version: '1.0.0', methods: ['get', 'list'], status: 'running' } as const
    this.#inOrder(() => {
      this.#registry.provide(declaration, this.#wallNow())
      this.#settle()
    })
  }

  /** Another version of the same service. */
  touch(service: string, revision: number): void {
    this.setMeta(service, { revision })
  }

  setStatus(service: string, status: ServiceStatus): void {
    this.#inOrder(() => {
      this.#registry.setStatus(service, { status, at: this.#wallNow() })
      this.#settle()
    })
  }

  setMeta(service: string, meta: ServiceMeta): void {
    this.#inOrder(() => {
      this.#registry.setMeta(service, meta, this.#wallNow())
      this.#settle()
    })
  }

  withdraw(service: string): void {
    this.#inOrder(() => {
      this.#registry.withdraw(service, this.#wallNow())
      this.#settle()
    })
  }

  receive(bytes: Uint8Array, from: HostPort): void {
    if (this.#slowMs > 0) this.#parts.clock.after(this.#slowMs, () => this.#receive(bytes, from))
    else this.#receive(bytes, from)
  }

  #receive(bytes: Uint8Array, from: HostPort): void {
    if (this.#stall?.sleeps !== undefined) return
    const bufferMax = this.#stall?.bufferPackets ?? RECEIVE_BUFFER_PACKETS
    if (this.#inbox !== undefined && this.#inbox.length >= bufferMax) {
      this.#overflowed++
      return
    }
    this.#inOrder(() => {
      const opened = this.#parts.envelope.openPacket(bytes)
      if (opened.ok) this.#feed((swim, now) => swim.handlePacket(opened.rest, from, now))
      else this.#swim.count(opened.drop)
    })
  }

  accept(bytes: Uint8Array, from: HostPort, reply: (bytes: Uint8Array | undefined) => void): void {
    if (this.#stall?.sleeps !== undefined) return
    this.#inOrder(() => {
      const decoded = this.#parts.envelope.streamDecoder('accepted').push(bytes)
      if (!decoded.done || 'drop' in decoded) {
        this.#swim.count(decoded.done && 'drop' in decoded ? decoded.drop : 'truncated')
        return
      }
      for (const drop of decoded.drops) this.#swim.count(drop)
      const id = ++this.#streamId
      this.#streams.set(id, reply)
      this.#feed((swim, now) => swim.handleStream(id, decoded.message, from, now))
    })
  }

  members(): MemberSeen[] {
    return this.#swim.members().map(({ name, state, incarnation, tags }) => ({
      name,
      boot: tags[TAG_BOOT_ID] ?? '',
      state,
      incarnation,
    }))
  }

  /** True if it sees this member alive, and under this boot when one is named. */
  seesAlive(name: string, boot?: string): boolean {
    const member = this.#swim.member(name)
    return member?.state === 'alive' && (boot === undefined || member.tags[TAG_BOOT_ID] === boot)
  }

  stateOf(name: string): MemberSeen['state'] | undefined {
    return this.#swim.member(name)?.state
  }

  /** Where it takes this member to be. */
  addressOf(name: string): string | undefined {
    return this.#swim.member(name)?.address
  }

  /** Alive and suspect members, itself included. */
  get liveCount(): number {
    return this.#swim.stats().live
  }

  /** Instances listed, of all services. */
  get listedCount(): number {
    return Object.values(this.#registry.inspect().services).reduce((sum, count) => sum + count, 0)
  }

  lists(service: string, node: string): boolean {
    return this.#registry.getNodes(service).includes(node)
  }

  /** What it shows of this service at that node, whatever its status. */
  instance(service: string, node: string): Instance | undefined {
    return this.#registry.instancesOf(node).find((each) => each.service === service)
  }

  /** Nodes listed by service and, when it was touched, its revision. */
  services(): Map<string, string[]> {
    const { running } = this.#registry.getServices()
    const found = new Map<string, string[]>()
    for (const instances of running.values()) {
      for (const { service, node, meta } of instances) {
        const { revision } = meta as { readonly revision?: number }
        const version = revision === undefined ? service : `${service}#${revision}`
        found.set(version, [...(found.get(version) ?? []), node])
      }
    }
    return found
  }

  stats(): NodeStats {
    const { drops, nodes } = this.#registry.inspect()
    const swim = this.#swim.stats()
    return {
      swim,
      members: Math.max(nodes, swim.members),
      registryDrops: drops.foreign + drops.malformed + drops.misplaced + drops.tooLarge,
    }
  }

  /** As if it had been started with seeds that are long gone. */
  forgetSeeds(): void {
    this.#seeds.stop()
  }

  #join(seed: string): void {
    if (!this.#leaving) this.#input((swim) => void swim.join(hostPortOf(seed)))
  }

  #input(feed: (swim: Swim, now: number) => void): void {
    this.#inOrder(() => this.#feed(feed))
  }

  #feed(feed: (swim: Swim, now: number) => void): void {
    feed(this.#swim, this.#now())
    this.#settle()
  }

  /** Runs now, or when the event loop moves again. */
  #inOrder(run: () => void): void {
    if (this.#ended) return
    if (this.#inbox === undefined) run()
    else this.#inbox.push(run)
  }

  #later(delayMs: number, run: () => void): void {
    this.#parts.clock.after(delayMs, () => this.#inOrder(run))
  }

  #resume({ ms, sleeps }: Stall): void {
    const inbox = this.#inbox
    if (inbox === undefined || this.#ended) return
    if (sleeps === 'clock-stands') this.#lostMs += ms
    const now = this.#now()
    const lagMs = now - this.#swim.nextDeadline()
    this.#inbox = undefined
    this.#stall = undefined
    for (const run of inbox) this.#inOrder(run)
    if (this.#ended) return
    if (lagMs > STALL_MS) this.#swim.handleStall(lagMs)
    if (lagMs > 0) this.#feed((swim) => swim.handleTimeout(now))
    else this.#arm()
  }

  #settle(): void {
    let busy = true
    while (busy) {
      this.#views.lookAtOwn(this.#swim)
      const effects = this.#swim.drain()
      for (const effect of effects) this.#perform(effect)
      const news = this.#registry.drain()
      for (const effect of news) this.#carryOut(effect)
      this.#views.lookAt(this.#swim)
      busy = effects.length + news.length > 0
    }
    this.#outbidRival()
    this.#arm()
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'packet':
        this.#send(effect.to, effect.bytes)
        break
      case 'exchange':
        this.#exchange(effect)
        break
      case 'reply':
        this.#streams.get(effect.stream)?.(effect.bytes)
        this.#streams.delete(effect.stream)
        break
      case 'event':
        this.#handleEvent(effect.event)
        break
      case 'joined':
        this.#seeds.handleJoined(effect.error)
        break
      case 'left':
        this.#parts.clock.after(0, () => this.#goAway()) // what is still to be sent goes first, as in the driver
        break
      case 'notice':
        this.#parts.onNotice?.(effect.notice)
        break
      case 'pinged':
      case 'judge':
        break
      default:
        unreachable(effect)
    }
  }

  #send(to: HostPort, plain: Uint8Array): void {
    this.#sent++
    const { network, address, envelope, observe, clock, name, life } = this.#parts
    const bytes = envelope.sealPacket(plain)
    observe({ type: 'packet', at: clock.now, node: name, life, bytes: bytes.length })
    network.send(address, to, bytes)
  }

  #exchange({ id, to, bytes, expectReply, timeoutMs }: Effect & { type: 'exchange' }): void {
    const { network, address, envelope } = this.#parts
    network.exchange({
      from: address,
      to,
      bytes: envelope.sealStream(bytes),
      expectReply,
      timeoutMs,
      decode: (reply) => this.#decodeReply(reply),
      done: (result) => this.#input((swim, now) => swim.handleExchange(id, result, now)),
    })
  }

  #decodeReply(bytes: Uint8Array): ExchangeResult {
    const decoded = this.#parts.envelope.streamDecoder('dialled').push(bytes)
    if (!decoded.done) return { ok: false, error: 'closed without a reply' }
    if ('drop' in decoded) {
      this.#swim.count(decoded.drop)
      return { ok: false, error: `bad reply: ${decoded.drop}` }
    }
    for (const drop of decoded.drops) this.#swim.count(drop)
    return { ok: true, message: decoded.message }
  }

  #handleEvent(event: MemberEvent): void {
    const { type, member } = event
    const { name, state, tags, rpcAddress } = member
    if (type !== 'conflict') {
      const seen = type === 'reap' ? 'gone' : state
      this.#registry.handleMember({ name, bootId: tags[TAG_BOOT_ID], state: seen, rpcAddress })
    }
    this.#views.handleEvent(event)
  }

  #carryOut(effect: RegistryEffect): void {
    const { clock, observe, name } = this.#parts
    if (effect.type === 'broadcast') this.#swim.broadcast(effect.broadcast, this.#now())
    else if (effect.type === 'sync') this.#swim.syncWith(effect.node)
    else if (effect.type === 'send') this.#swim.send(effect.node, effect.bytes)
    else {
      const { type, instance } = effect.event
      const { service, node } = instance
      observe({ type: 'service', at: clock.now, observer: name, event: type, service, node })
    }
  }

  /** As the node does when its clock was set back between two lives. */
  #outbidRival(): void {
    const { random, observe, clock, name } = this.#parts
    const rival = this.#registry.rivalBootId()
    const now = this.#now()
    if (rival === undefined || now - this.#raisedAt < RAISE_INTERVAL_MS) return
    const raised = raisedBootId(rival, random)
    if (raised === undefined) return
    this.#raisedAt = now
    this.#boot = raised
    observe({ type: 'raised-boot', at: clock.now, node: name, boot: raised })
    this.#registry.adoptBootId(raised)
    this.#feed((swim) => swim.updateMeta(this.#meta(), now))
  }

  #meta(): Uint8Array {
    return encodeTags({ ...this.#tags, [TAG_BOOT_ID]: this.#boot, [TAG_RPC_ADDRESS]: this.#rpcAddress })
  }

  /** A blocked node's turn. */
  #runBlocked(stuck: Set<Loop>): void {
    this.#sends()
    for (const loop of LOOPS) {
      this.#stand(LOOPS.filter((other) => other !== loop || stuck.has(loop)))
      if (this.#sends()) stuck.add(loop)
    }
    this.#stand(LOOPS)
  }

  #stand(loops: readonly Loop[]): void {
    this.#standing.clear()
    for (const loop of loops) this.#standing.add(loop)
  }

  /** Calls the machine; true if that made it send something. */
  #sends(): boolean {
    const sentBefore = this.#sent
    if (!this.#ended) this.#feed((swim, now) => swim.handleTimeout(now))
    return this.#sent > sentBefore
  }

  #arm(): void {
    const dueAt = this.#stuck === undefined ? this.#swim.nextDeadline() : this.#now() + BLOCKED_LOOK_MS
    if (dueAt >= this.#wakeAt) return // that one looks again
    this.#wakeAt = dueAt
    this.#parts.clock.at(dueAt + this.#lostMs, () => this.#onWake(dueAt))
  }

  #onWake(wakeAt: number): void {
    if (this.#ended || wakeAt !== this.#wakeAt) return
    this.#wakeAt = Number.POSITIVE_INFINITY
    if (this.#inbox !== undefined) return // the end of the stall judges
    const now = Math.max(this.#now(), wakeAt) // not a rounding error before it
    if (this.#stuck !== undefined) this.#runBlocked(this.#stuck)
    else if (this.#swim.nextDeadline() > now) this.#arm()
    else this.#feed((swim) => swim.handleTimeout(now))
  }

  #tick(): void {
    this.#later(TICK_MS, () => this.#tick())
    this.#registry.handleTick()
    for (const node of this.#registry.behind()) this.#swim.syncWith(node)
    this.#settle()
  }

  #armRecheck(): void {
    const { recheckIntervalMs = 10_000, random } = this.#parts
    if (recheckIntervalMs === 0) return
    this.#later(recheckIntervalMs * (1 - RECHECK_JITTER * random()), () => {
      this.#registry.recheck()
      this.#settle()
      this.#armRecheck()
    })
  }

  #goAway(): void {
    if (this.#ended) return
    this.#ended = true
    const { network, address, observe, clock, name, life, onGone } = this.#parts
    network.detach(formatHostPort(address), false)
    observe({ type: 'gone', at: clock.now, node: name, boot: this.#boot, life })
    onGone()
  }

  #isInView(address: string): boolean {
    return this.#swim
      .members()
      .some((member) => member.address === address && (member.state === 'alive' || member.state === 'suspect'))
  }

  /** Its own monotonic clock. */
  #now(): number {
    return this.#parts.clock.now - this.#lostMs
  }

  #wallNow(): number {
    return this.#parts.clock.now + this.#parts.wallOffsetMs()
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hostPortOf(address: string): HostPort {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
}
