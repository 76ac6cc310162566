/**
 * Ties the three modules of one node together: membership's events reach the registry, the registry's news goes out by
 * membership, connections' evidence makes membership look. Knows no users' API.
 */
import debug from 'debug'
import type { Clock, Timer } from '../clock.js'
import {
  type MemberEvent,
  type Membership,
  type PayloadHandler,
  TAG_BOOT_ID,
  TAG_RPC_ADDRESS,
  type Verdict,
} from '../membership/index.js'
import type { Random } from '../random.js'
import { type Registry, type RegistryEvent, raisedBootId } from '../registry/index.js'
import type { PeerEvidence, Rpc } from '../rpc/index.js'

export interface ClusterLinkParts {
  readonly clock: Clock
  readonly registry: Registry
  readonly rpc: Rpc
  readonly tags: Readonly<Record<string, string>>
  readonly random: Random
  /** How often all that is held is compared with a peer's; 0 is never. */
  readonly recheckIntervalMs: number
  readonly onMember: (event: MemberEvent) => void
  readonly onService: (event: RegistryEvent) => void
}

/** Nodes of which we missed something are asked again this often until we have it. */
const TICK_MS = 1_000
/** Up to this share of the interval is left out, at random: nodes that were started together do not stay in step. */
const RECHECK_JITTER = 0.2
/** A rival for our boot id is outbid at most this often: two nodes with one name must not race each other. */
const RAISE_INTERVAL_MS = 10_000

/** So long it takes to find out that the rival is another node that lives: boot ids must not move then. */
const RIVAL_SETTLE_MS = 1_000

const log = debug('shoal:registry')

export class ClusterLink {
  readonly #parts: ClusterLinkParts
  #membership: Membership | undefined
  #bootId: string
  #rpcAddress = ''
  #flushing = false
  #tickTimer: Timer | undefined
  #recheckTimer: Timer | undefined
  #raisedAt = Number.NEGATIVE_INFINITY
  #rivalSeenAt: number | undefined

  constructor(parts: ClusterLinkParts, bootId: string) {
    this.#parts = parts
    this.#bootId = bootId
  }

  get bootId(): string {
    return this.#bootId
  }

  /** What membership carries for us: the registry, with its effects pulled soon after each input. */
  payload(): PayloadHandler {
    const { registry } = this.#parts
    return {
      handleMessage: (bytes): Verdict => {
        this.#flushSoon()
        return registry.handleMessage(bytes)
      },
      localState: (remote) => registry.localState(remote),
      mergeState: (bytes) => {
        this.#flushSoon()
        return registry.mergeState(bytes)
      },
    }
  }

  /** The tags that membership shows of us. */
  tags(rpcAddress: string): Readonly<Record<string, string>> {
    this.#rpcAddress = rpcAddress
    return { ...this.#parts.tags, [TAG_BOOT_ID]: this.#bootId, [TAG_RPC_ADDRESS]: rpcAddress }
  }

  attach(membership: Membership): void {
    this.#membership = membership
    this.flush()
    this.#tickTimer = this.#parts.clock.setInterval(() => this.#tick(), TICK_MS)
    this.#armRecheck()
  }

  handleMember(event: MemberEvent): void {
    const { type, member } = event
    const { name, state, tags, rpcAddress } = member
    if (type !== 'conflict') {
      const seen = type === 'reap' ? 'gone' : state
      this.#parts.registry.handleMember({ name, bootId: tags[TAG_BOOT_ID], state: seen, rpcAddress })
      if (type === 'dead') this.#parts.rpc.probe(name)
      this.flush()
    }
    this.#parts.onMember(event)
  }

  /** Smoothed round trip of membership's probes. */
  rttMs(node: string): number | undefined {
    return this.#membership?.member(node)?.rtt
  }

  handleEvidence(node: string, evidence: PeerEvidence): void {
    if (evidence !== 'answered') this.#membership?.probeSoon(node)
  }

  /** Carries out what the registry asks for. Before membership is attached it waits. */
  flush(): void {
    const membership = this.#membership
    if (membership === undefined || this.#flushing) return
    this.#flushing = true
    try {
      for (let effects = this.#parts.registry.drain(); effects.length > 0; effects = this.#parts.registry.drain()) {
        for (const effect of effects) {
          if (effect.type === 'broadcast') membership.broadcast(effect.broadcast)
          else if (effect.type === 'sync') membership.syncWith(effect.node)
          else if (effect.type === 'send') membership.send(effect.node, effect.bytes)
          else this.#parts.onService(effect.event)
        }
      }
    } finally {
      this.#flushing = false
    }
    this.#outbidRival(membership)
  }

  close(): void {
    this.#parts.clock.clearTimer(this.#tickTimer)
    this.#parts.clock.clearTimer(this.#recheckTimer)
    this.#membership = undefined
  }

  #flushSoon(): void {
    queueMicrotask(() => this.flush())
  }

  #tick(): void {
    const { registry } = this.#parts
    registry.handleTick()
    for (const node of registry.behind()) this.#membership?.syncWith(node)
    this.flush()
  }

  #armRecheck(): void {
    const { clock, registry, random, recheckIntervalMs } = this.#parts
    if (recheckIntervalMs === 0) return
    this.#recheckTimer = clock.setTimeout(
      () => {
        registry.recheck()
        this.flush()
        this.#armRecheck()
      },
      recheckIntervalMs * (1 - RECHECK_JITTER * random()),
    )
  }

  /**
   * Somebody ascribes a later boot to our name, after a clock was set back for one: go above it. Not while another node
   * lives under our name, for then the older boot keeps it.
   */
  #outbidRival(membership: Membership): void {
    const rival = this.#parts.registry.rivalBootId()
    const now = this.#parts.clock.monotonicMs()
    this.#rivalSeenAt = rival === undefined ? undefined : (this.#rivalSeenAt ?? now)
    if (rival === undefined || now - this.#raisedAt < RAISE_INTERVAL_MS) return
    if (now - (this.#rivalSeenAt ?? now) < RIVAL_SETTLE_MS || membership.nameContest() !== 'none') return
    const raised = raisedBootId(rival, this.#parts.random)
    if (raised === undefined) return
    log('boot id %s is outbid by %s, now %s', this.#bootId, rival, raised)
    this.#raisedAt = now
    this.#bootId = raised
    this.#parts.rpc.setBootId(raised)
    this.#parts.registry.adoptBootId(raised)
    membership.setTags(this.tags(this.#rpcAddress))
    this.flush()
  }
}
