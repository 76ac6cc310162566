/**
 * Push/pull (memberlist's anti-entropy): two nodes exchange everything they know over one TCP stream, on joining and
 * then with a random member now and again. It repairs what gossip lost. Decides who is told what; the merging is done
 * by the roster and the payload.
 */
import { formatHostPort, type HostPort, ipFromBytes } from '../address.js'
import { EMPTY_BYTES } from '../bytes.js'
import type { SwimConfig } from './config.js'
import {
  createEntry,
  isShoalNode,
  type Member,
  type MemberEntry,
  type MemberState,
  snapshotOf,
  TAG_BOOT_ID,
} from './member.js'
import type { Members } from './members.js'
import { mergeList } from './merge.js'
import type { Outbound } from './outbound.js'
import { isShoalPayload, type PayloadHandler } from './payload.js'
import type { Roster } from './roster.js'
import { pushPullIntervalMs } from './scaling.js'
import type { Self } from './self.js'
import { decodeTags } from './tags.js'
import type { Verdicts } from './verdicts.js'
import { versionConflict, versionedOf } from './versions.js'
import { encodeErrorReply, encodePushPull, encodeStreamUser } from './wire/encode.js'
import { type PushNodeState, type PushPull, WIRE_STATE, type WireState } from './wire/messages.js'

export interface SyncParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: Self
  readonly roster: Roster
  readonly payload: PayloadHandler | undefined
  readonly outbound: Outbound
  /** User state of a member that is no shoal node. */
  readonly onForeignState: (state: Uint8Array, now: number) => void
  /** The other side's list, before it is merged. */
  readonly onList: (nodes: readonly PushNodeState[], isJoinReply: boolean, now: number) => void
  /** A member that we held for dead has answered. */
  readonly onHealed: (name: string, now: number) => void
  readonly verdicts: Verdicts
  /** A hook judges joins, on the side that asks and on the side that is asked. */
  readonly judgesJoins: boolean
  readonly wallOffsetMs: number
}

interface Exchange {
  readonly to: HostPort
  /** Whoever asked by `join` or `sync` is told how it ended. */
  readonly reported: boolean
  readonly peer: string | undefined
  /** A try at somebody thought dead: that it fails is what one expects. */
  readonly healing: boolean
  /** Only to see who is there, for the user's hook to judge: nobody is told of us yet. */
  readonly looking: boolean
  /** The number under which the end is reported; the exchange's own unless another one led to it. */
  readonly reportId?: number
}

export interface IncomingRequest {
  readonly request: PushPull
  readonly from: HostPort
  readonly reply: (bytes: Uint8Array) => void
}

/** Asks for a list and gives none. */
const NOTHING: PushPull = { type: 'pushPull', join: false, nodes: [], userState: EMPTY_BYTES }

const EXCHANGES_MAX = 64
/** Joins under way; further ones fail at once. */
const JOINS_MAX = 256
/** Requests held for a hook: each may be as large as a stream. */
const JUDGED_MAX = 32
/**
 * After a join the state is exchanged again so soon, then at doubling intervals until the regular one is reached. The
 * member we joined by may have been new itself, as in a cold start, and user state that it lacked is not gossiped to us.
 */
const AFTER_JOIN_MS = 1_000
const HURRY_MS = 2_000

export class Sync {
  readonly #parts: SyncParts
  readonly #exchanges = new Map<number, Exchange>()
  #tickAt: number
  #intervalMs = Number.POSITIVE_INFINITY
  /** Requests of others that wait for a verdict. */
  #judged = 0
  /** Joins of ours that wait for one. */
  #considered = 0

  constructor(parts: SyncParts, firstTickAt: number) {
    this.#parts = parts
    this.#tickAt = firstTickAt
  }

  get tickAt(): number {
    return this.#tickAt
  }

  /** Starts an exchange with an address of which nothing need be known. The end is reported by a `joined` effect. */
  join(to: HostPort): number {
    const looking = this.#parts.judgesJoins
    const request = looking ? encodePushPull(NOTHING) : this.#requestFor(undefined, true)
    const exchange = { to, reported: true, peer: undefined, healing: false, looking }
    if (this.#exchanges.size < JOINS_MAX) return this.#start(exchange, request)
    const id = this.#parts.outbound.nextExchangeId()
    this.#parts.outbound.emit({ type: 'joined', id, error: `${JOINS_MAX} exchanges are under way: join later` })
    return id
  }

  /** Joins of ours are under way, or wait for the user's hook to begin. */
  get isJoining(): boolean {
    if (this.#considered > 0) return true
    for (const { reported } of this.#exchanges.values()) if (reported) return true
    return false
  }

  /** The same as a join of somebody whom we need not join: each is to learn of the other. */
  meet(to: HostPort): void {
    const exchange = { to, reported: false, peer: undefined, healing: true, looking: false }
    this.#start(exchange, this.#requestFor(undefined, false))
  }

  /** There is reason to look again before the regular time. */
  hurry(now: number): void {
    this.#intervalMs = AFTER_JOIN_MS
    this.#tickAt = Math.min(this.#tickAt, now + HURRY_MS)
  }

  /** Starts an exchange with a member, unless one with it is under way. */
  syncWith(entry: MemberEntry): void {
    this.#exchangeWith(entry, false)
  }

  /** The same with one that is thought dead, or is a suspect: it is shown what is thought of it, and refutes. */
  heal(entry: MemberEntry): void {
    this.#exchangeWith(entry, true)
  }

  /** One payload message over a stream of its own. It is not known whether it arrives. */
  send(to: HostPort, payload: Uint8Array): void {
    const { config, outbound } = this.#parts
    const timeoutMs = config.streamTimeoutMs
    outbound.startExchange({ to, bytes: encodeStreamUser(payload), expectReply: false, timeoutMs })
  }

  #exchangeWith(entry: MemberEntry, healing: boolean): void {
    for (const exchange of this.#exchanges.values()) if (exchange.peer === entry.name) return
    if (this.#exchanges.size >= EXCHANGES_MAX) return
    const to = { host: entry.host, port: entry.port }
    this.#start({ to, reported: false, peer: entry.name, healing, looking: false }, this.#requestFor(entry, false))
  }

  handleTimeout(now: number): void {
    if (this.#tickAt > now) return
    const { config, members, roster, self } = this.#parts
    const regularMs = pushPullIntervalMs(config.pushPullIntervalMs, roster.scale)
    this.#intervalMs = Math.min(2 * this.#intervalMs, regularMs)
    this.#tickAt = now + this.#intervalMs
    const [peer] = members.pick(
      1,
      (entry) => entry.state === 'alive' && entry.name !== self.name && members.trusts(entry),
    )
    if (peer !== undefined) this.syncWith(peer)
  }

  /**
   * The other side's request. `reply` is called once: with our list, made before theirs is merged, as memberlist does;
   * or with an error when the user's hook turns a joining node away, of which nothing is merged then.
   */
  handleRequest({ request, from, reply }: IncomingRequest, now: number): void {
    const { verdicts, judgesJoins, outbound, wallOffsetMs } = this.#parts
    const accept = (at: number): void => reply(this.#answer(request, from, at))
    if (!judgesJoins || !request.join) {
      accept(now)
      return
    }
    const peer = formatHostPort(from)
    const settle = (refusal: string | undefined, at: number): void => {
      this.#judged--
      if (refusal === undefined) accept(at)
      else {
        outbound.notice({ kind: 'merge-refused', peer, reason: refusal })
        reply(encodeErrorReply(`merge refused: ${refusal}`))
      }
    }
    const members = request.nodes.map((node) => memberOf(node, wallOffsetMs, now))
    const question = { kind: 'merge', merge: { address: peer, initiator: false, members } } as const
    const isAsked = ++this.#judged <= JUDGED_MAX && verdicts.ask(question, settle, now)
    if (!isAsked) settle('too many joins wait for a verdict', now)
  }

  #answer(request: PushPull, from: HostPort, now: number): Uint8Array {
    const reply = encodePushPull({
      type: 'pushPull',
      join: false,
      nodes: this.#localNodes(),
      userState: this.#replyState(request),
    })
    this.#parts.onList(request.nodes, false, now)
    this.#merge(request, formatHostPort(from), now)
    this.#verifySender(request, from)
    // Asked before we asked anybody: a seed, or one whose own join failed, knows no more than we do now.
    if (request.join && this.#intervalMs === Number.POSITIVE_INFINITY) this.#exchangeSoon(now)
    return reply
  }

  /** True if the exchange was ours. */
  handleReply(id: number, reply: PushPull, now: number): boolean {
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined) return false
    this.#exchanges.delete(id)
    this.#prove(exchange, reply)
    if (exchange.looking) {
      this.#judgeThenJoin(id, exchange, reply, now)
      return true
    }
    this.#parts.onList(reply.nodes, exchange.reported, now)
    const { rejected, rest } = this.#merge(reply, formatHostPort(exchange.to), now)
    this.#prove(exchange, reply) // whoever has only now entered the table
    for (const { name } of reply.nodes) this.#parts.members.vouch(name)
    if (rest !== undefined) this.send(exchange.to, rest)
    if (exchange.healing && exchange.peer !== undefined) this.#parts.onHealed(exchange.peer, now)
    if (exchange.reported) {
      this.#exchangeSoon(now)
      this.#endJoin(exchange.reportId ?? id, rejected, now)
    }
    return true
  }

  handleFailure(id: number, error: string): void {
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined) return
    this.#exchanges.delete(id)
    const peer = formatHostPort(exchange.to)
    if (exchange.reported) this.#parts.outbound.emit({ type: 'joined', id: exchange.reportId ?? id, error })
    else if (!exchange.healing) this.#parts.outbound.notice({ kind: 'peer-error', peer, reason: error })
  }

  /** A join has ended when the user's hook, if there is one, has judged whoever it brought. */
  #endJoin(id: number, error: string | undefined, now: number): void {
    const { verdicts, roster, outbound } = this.#parts
    verdicts.afterAsked((at) => {
      // Only now do we know whom to tell that we are here.
      if (error === undefined) roster.announce(at)
      outbound.emit({ type: 'joined', id, error })
    }, now)
  }

  /** We have seen who is there; if the hook has nothing against them, the join begins. */
  #judgeThenJoin(id: number, { to }: Exchange, seen: PushPull, now: number): void {
    const { verdicts, outbound, wallOffsetMs } = this.#parts
    this.#considered++
    const settle = (refusal: string | undefined): void => {
      this.#considered--
      const exchange = { to, reported: true, peer: undefined, healing: false, looking: false, reportId: id }
      if (refusal === undefined) this.#start(exchange, this.#requestFor(undefined, true))
      else outbound.emit({ type: 'joined', id, error: `merge refused on this side: ${refusal}` })
    }
    const members = seen.nodes.map((node) => memberOf(node, wallOffsetMs, now))
    const question = { kind: 'merge', merge: { address: formatHostPort(to), initiator: true, members } } as const
    if (!verdicts.ask(question, settle, now)) settle('too many joins wait for a verdict')
  }

  /** Whoever answered a stream that we dialled is there: of several names at that address the first, our kind's own. */
  #prove({ peer, to }: Exchange, { nodes }: PushPull): void {
    const { members } = this.#parts
    const isThere = ({ addr, port }: PushNodeState): boolean => port === to.port && ipFromBytes(addr) === to.host
    const name = peer ?? nodes.find(isThere)?.name
    const entry = name === undefined ? undefined : members.get(name)
    if (entry !== undefined) members.prove(entry, to)
  }

  #exchangeSoon(now: number): void {
    this.#intervalMs = AFTER_JOIN_MS
    this.#tickAt = Math.min(this.#tickAt, now + AFTER_JOIN_MS)
  }

  #start(exchange: Exchange, bytes: Uint8Array): number {
    const { config, outbound } = this.#parts
    const timeoutMs = config.streamTimeoutMs
    const id = outbound.startExchange({ to: exchange.to, bytes, expectReply: true, timeoutMs })
    this.#exchanges.set(id, exchange)
    return id
  }

  /** A target of unknown kind is told only of us and gets no user state: it may be a foreign agent. */
  #requestFor(target: MemberEntry | undefined, join: boolean): Uint8Array {
    const { members, self, payload } = this.#parts
    const own = members.get(self.name)
    const nodes = target !== undefined ? this.#localNodes() : own === undefined ? [] : [toPushNode(own)]
    const userState = target !== undefined && isShoalNode(target) ? payload?.localState(undefined) : undefined
    return encodePushPull({ type: 'pushPull', join, nodes, userState: userState ?? EMPTY_BYTES })
  }

  /** Our user state goes only to those who showed that they are shoal nodes; one that joins knows nothing yet. */
  #replyState(request: PushPull): Uint8Array {
    const { payload } = this.#parts
    if (payload === undefined) return EMPTY_BYTES
    if (isShoalPayload(request.userState)) return payload.localState(request.userState)
    const [only, second] = request.nodes
    const isJoiner = only !== undefined && second === undefined && decodeTags(only.meta)[TAG_BOOT_ID] !== undefined
    return isJoiner ? payload.localState(EMPTY_BYTES) : EMPTY_BYTES
  }

  #merge(remote: PushPull, peer: string, now: number): { rejected: string | undefined; rest: Uint8Array | undefined } {
    const { members, roster, payload, outbound } = this.#parts
    const versioned = remote.nodes.map(versionedOf)
    for (const entry of members.values()) {
      versioned.push({ name: entry.name, vsn: entry.vsn, alive: entry.state === 'alive' })
    }
    const rejected = versionConflict(versioned)
    if (rejected !== undefined) {
      outbound.notice({ kind: 'version-conflict', peer, reason: rejected })
      return { rejected, rest: undefined }
    }
    const isOurs = isShoalPayload(remote.userState)
    // First, so that nobody in the list is asked for what is known by now.
    if (!isOurs && remote.userState.length > 0) this.#parts.onForeignState(remote.userState, now)
    mergeList(remote.nodes, roster, this.#parts.self.name, now)
    return { rejected: undefined, rest: isOurs ? payload?.mergeState(remote.userState) : undefined }
  }

  /** Whoever opens a stream shows that it is at its address: our kind names itself first, and a joiner alone. */
  #verifySender({ nodes: [first] }: PushPull, from: HostPort): void {
    const entry = first === undefined ? undefined : this.#parts.members.get(first.name)
    if (entry !== undefined) this.#parts.members.verify(entry, { host: from.host, port: entry.port })
  }

  #localNodes(): PushNodeState[] {
    const nodes: PushNodeState[] = []
    const { members } = this.#parts
    for (const entry of members.values()) if (members.trusts(entry)) nodes.push(toPushNode(entry))
    return nodes
  }
}

function memberOf(node: PushNodeState, wallOffsetMs: number, now: number): Member {
  const entry = createEntry(node.name, node, now)
  entry.incarnation = node.incarnation
  entry.state = stateOf(node.state)
  return snapshotOf(entry, wallOffsetMs)
}

function stateOf(state: WireState): MemberState {
  if (state === WIRE_STATE.alive) return 'alive'
  if (state === WIRE_STATE.suspect) return 'suspect'
  return state === WIRE_STATE.left ? 'left' : 'dead'
}

function toPushNode(entry: MemberEntry): PushNodeState {
  const { name, addr, port, meta, incarnation, vsn } = entry
  return { name, addr, port, meta, incarnation, state: WIRE_STATE[entry.state], vsn }
}
