/**
 * One `Swim` on virtual time. Its peers are only names with addresses: a test speaks for them with messages made by the
 * real codec, and reads what the machine sent, told and asked for.
 */
import { formatHostPort, type HostPort, ipToBytes } from '../../src/address.js'
import { EMPTY_BYTES, utf8Decode, utf8Encode } from '../../src/bytes.js'
import { PROFILES, type SwimConfig } from '../../src/membership/config.js'
import type { Effect, MemberEvent, Notice, Question } from '../../src/membership/effects.js'
import type { SwimFeatures } from '../../src/membership/features.js'
import { type Broadcast, PAYLOAD_MAGIC, type PayloadHandler, type Verdict } from '../../src/membership/payload.js'
import { Swim } from '../../src/membership/swim.js'
import type { SwimOptions } from '../../src/membership/swim-contract.js'
import { encodeTags } from '../../src/membership/tags.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { decodePacket } from '../../src/membership/wire/decode.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import type {
  Alive,
  Dead,
  PacketMessage,
  PushNodeState,
  PushPull,
  Source,
  StreamMessage,
  Suspect,
  WireState,
} from '../../src/membership/wire/messages.js'
import { StreamDecoder } from '../../src/membership/wire/stream.js'
import { seededRandom } from '../../src/random.js'

export const VSN: Uint8Array = Uint8Array.of(1, 5, 2, 0, 0, 0)
export const PORT = 7_946

/** More than a day of gossip ticks. */
const TIMEOUTS_MAX = 1_000_000

export interface SentPacket {
  readonly at: number
  readonly to: string
  readonly bytes: Uint8Array
  readonly messages: readonly PacketMessage[]
}

export interface SentMessage<T extends PacketMessage['type']> {
  readonly at: number
  readonly to: string
  readonly message: Extract<PacketMessage, { type: T }>
}

export type ExchangeEffect = Extract<Effect, { type: 'exchange' }>

export interface HarnessOptions {
  readonly config?: Partial<SwimConfig>
  readonly incarnation?: number
  readonly tags?: Readonly<Record<string, string>>
  readonly payload?: PayloadHandler
  readonly features?: SwimFeatures
  readonly seed?: number
  readonly amongSerf?: boolean
  readonly asks?: SwimOptions['asks']
  readonly isAllowed?: (host: string) => boolean
}

export interface AliveChanges {
  readonly meta?: Uint8Array
  readonly vsn?: Uint8Array
  readonly addr?: Uint8Array
  readonly port?: number
}

/** The machine under test is called `me` at 10.0.0.1. */
export class SwimHarness {
  readonly swim: Swim
  readonly config: SwimConfig
  now: number = 1_000
  /** Peers that answer each ping at once. */
  readonly answering: Set<string> = new Set()
  packets: SentPacket[] = []
  events: MemberEvent[] = []
  notices: Notice[] = []
  exchanges: ExchangeEffect[] = []
  replies: { stream: number; bytes: Uint8Array | undefined }[] = []
  joined: { id: number; error: string | undefined }[] = []
  pinged: { id: number; rttMs: number | undefined }[] = []
  questions: { id: number; question: Question }[] = []
  leftCount = 0
  readonly #hosts = new Map<string, string>([['me', '10.0.0.1']])

  constructor(given: HarnessOptions = {}) {
    const { config, incarnation = 100, tags, payload, features, seed = 1, amongSerf = false, asks, isAllowed } = given
    this.config = { ...PROFILES.lan, ...config }
    const meta = tags === undefined ? EMPTY_BYTES : encodeTags(tags)
    const options = { config: this.config, name: 'me', incarnation, payload, features, random: seededRandom(seed) }
    const identity = { addr: Uint8Array.of(10, 0, 0, 1), port: PORT, meta, vsn: VSN }
    const hooks = asks === undefined ? {} : { asks }
    this.swim = new Swim({ ...options, ...hooks, isAllowed, amongSerf, identity, wallOffsetMs: 0 }, this.now)
    this.swim.start(this.now)
    this.collect()
    this.clear()
  }

  /** Where this peer lives; the first mention gives it an address. */
  address(name: string): HostPort {
    let host = this.#hosts.get(name)
    if (host === undefined) {
      const index = this.#hosts.size + 1
      host = `10.0.${index >> 8}.${index & 255}`
      this.#hosts.set(name, host)
    }
    return { host, port: PORT }
  }

  at(name: string): string {
    return formatHostPort(this.address(name))
  }

  nameAt(address: string): string | undefined {
    for (const name of this.#hosts.keys()) if (this.at(name) === address) return name
    return undefined
  }

  alive(node: string, incarnation = 1, changes: AliveChanges = {}): Alive {
    const addr = ipToBytes(this.address(node).host)!
    return { type: 'alive', node, incarnation, addr, port: PORT, meta: EMPTY_BYTES, vsn: VSN, ...changes }
  }

  /** How this peer names itself in a ping. */
  source(name: string): Source {
    return { addr: ipToBytes(this.address(name).host)!, port: PORT, node: name }
  }

  /** One packet from this peer with these messages. */
  receive(from: string, ...messages: readonly PacketMessage[]): void {
    const parts = messages.map(encodeMessage)
    this.receiveBytes(from, parts.length === 1 ? parts[0]! : encodeCompound(parts))
  }

  receiveBytes(from: string, bytes: Uint8Array): void {
    this.swim.handlePacket(bytes, this.address(from), this.now)
    this.collect()
  }

  /** Members that answer their pings, with all rumours about them told and the record cleared. */
  settleWith(...names: readonly string[]): void {
    for (const name of names) this.receive(name, this.alive(name))
    this.settle(...names)
  }

  settle(...names: readonly string[]): void {
    for (const name of names) this.answering.add(name)
    this.prove(...names)
    const isTold = (): boolean => this.swim.stats().queued.rumours + this.swim.stats().queued.userMessages === 0
    if (this.swim.stats().live > 1) this.advanceUntil(isTold, 60_000)
    this.clear()
  }

  /** These members, who answer, show that they are at their addresses. */
  prove(...names: readonly string[]): void {
    for (const name of names) this.ping(name, 1)
  }

  /** Time goes on, and every deadline on the way is met on time. */
  advance(ms: number): void {
    const end = this.now + ms
    let timeouts = 0
    for (let due = this.swim.nextDeadline(); due <= end; due = this.swim.nextDeadline()) {
      if (++timeouts > TIMEOUTS_MAX) throw new Error(`${timeouts} deadlines within ${ms} ms: they do not move on`)
      this.#timeoutAt(due)
    }
    this.now = end
  }

  advanceUntil(isSo: () => boolean, limitMs: number): void {
    const end = this.now + limitMs
    while (!isSo()) {
      const due = this.swim.nextDeadline()
      if (due > end) throw new Error(`not within ${limitMs} ms of virtual time`)
      this.#timeoutAt(due)
    }
  }

  /** Runs until this peer is pinged directly by the probe cycle; gives the ping. */
  untilProbeOf(name: string, limitMs = 120_000): SentMessage<'ping'> {
    const known = this.packets.length
    const find = (): SentMessage<'ping'> | undefined =>
      flatten(this.packets.slice(known), 'ping').find(({ message }) => message.node === name)
    this.advanceUntil(() => find() !== undefined, limitMs)
    return find()!
  }

  ack(from: string, seqNo: number): void {
    this.receive(from, { type: 'ack', seqNo, payload: EMPTY_BYTES })
  }

  sent<T extends PacketMessage['type']>(type: T): SentMessage<T>[] {
    return flatten(this.packets, type)
  }

  suspect(node: string, incarnation: number, from: string): Suspect {
    return { type: 'suspect', node, incarnation, from }
  }

  dead(node: string, incarnation: number, from: string): Dead {
    return { type: 'dead', node, incarnation, from }
  }

  state(name: string): string | undefined {
    return this.swim.member(name)?.state
  }

  /** A request on an accepted stream; gives the machine's answer. */
  request(from: string, message: StreamMessage): Uint8Array | undefined {
    const stream = this.replies.length + 1
    this.swim.handleStream(stream, message, this.address(from), this.now)
    this.collect()
    const reply = this.replies.find((found) => found.stream === stream)
    if (reply === undefined) throw new Error('a stream was left without its reply effect')
    return reply.bytes
  }

  answer(exchange: ExchangeEffect, message: StreamMessage | undefined): void {
    this.swim.handleExchange(exchange.id, { ok: true, message }, this.now)
    this.collect()
  }

  fail(exchange: ExchangeEffect, error = 'refused'): void {
    this.swim.handleExchange(exchange.id, { ok: false, error }, this.now)
    this.collect()
  }

  pushNode(name: string, state: WireState, incarnation = 1, meta: Uint8Array = EMPTY_BYTES): PushNodeState {
    const { addr } = this.alive(name)
    return { name, addr, port: PORT, meta, incarnation, state, vsn: VSN }
  }

  /** The user's hook answers the oldest question: with a reason not to, or yes. */
  judge(refusal?: string): void {
    const { id } = this.questions.shift()!
    this.swim.handleVerdict(id, refusal, this.now)
    this.collect()
  }

  /** A user's ping; undefined when it is refused. */
  ping(name: string, timeoutMs: number): number | undefined {
    const id = this.swim.ping(name, timeoutMs, this.now)
    this.collect()
    return id
  }

  clear(): void {
    this.packets = []
    this.events = []
    this.notices = []
    this.exchanges = []
    this.replies = []
    this.joined = []
    this.pinged = []
    this.questions = []
    this.leftCount = 0
  }

  collect(): void {
    for (let effects = this.swim.drain(); effects.length > 0; effects = this.swim.drain()) {
      for (const effect of effects) this.#record(effect)
    }
  }

  #timeoutAt(due: number): void {
    this.now = Math.max(this.now, due)
    this.swim.handleTimeout(this.now)
    this.collect()
  }

  #record(effect: Effect): void {
    if (effect.type === 'packet') this.#recordPacket(effect.to, effect.bytes)
    else if (effect.type === 'event') this.events.push(effect.event)
    else if (effect.type === 'notice') this.notices.push(effect.notice)
    else if (effect.type === 'exchange') this.exchanges.push(effect)
    else if (effect.type === 'reply') this.replies.push({ stream: effect.stream, bytes: effect.bytes })
    else if (effect.type === 'pinged') this.pinged.push({ id: effect.id, rttMs: effect.rttMs })
    else if (effect.type === 'judge') this.questions.push({ id: effect.id, question: effect.question })
    else if (effect.type === 'joined') this.joined.push({ id: effect.id, error: effect.error })
    else this.leftCount++
  }

  #recordPacket(endpoint: HostPort, bytes: Uint8Array): void {
    const { messages, drops } = decodePacket(bytes)
    if (drops.length > 0) throw new Error(`the machine sent a packet that does not decode: ${drops.join(', ')}`)
    const to = formatHostPort(endpoint)
    this.packets.push({ at: this.now, to, bytes, messages })
    for (const message of messages) {
      if (message.type !== 'ping' || !this.answering.has(message.node) || this.at(message.node) !== to) continue
      const ack = encodeMessage({ type: 'ack', seqNo: message.seqNo, payload: EMPTY_BYTES })
      this.swim.handlePacket(ack, this.address(message.node), this.now)
    }
  }
}

function flatten<T extends PacketMessage['type']>(packets: readonly SentPacket[], type: T): SentMessage<T>[] {
  return packets.flatMap(({ at, to, messages }) =>
    messages.flatMap((message) =>
      message.type === type ? [{ at, to, message: message as Extract<PacketMessage, { type: T }> }] : [],
    ),
  )
}

/** The one message of a stream's bytes. */
export function decodeStream(bytes: Uint8Array | undefined): StreamMessage {
  if (bytes === undefined) throw new Error('nothing was written')
  const result = new StreamDecoder({ maxBytes: 1 << 20, maxNodes: 1_000 }).push(bytes)
  if (!result.done || 'drop' in result) throw new Error(`no message: ${JSON.stringify(result)}`)
  return result.message
}

export function decodePushPull(bytes: Uint8Array | undefined): PushPull {
  const message = decodeStream(bytes)
  if (message.type !== 'pushPull') throw new Error(`a ${message.type} instead of a push/pull`)
  return message
}

/** Text as a user message or state of shoal's own. */
export function shoalBytes(text: string): Uint8Array {
  return Uint8Array.from([...PAYLOAD_MAGIC, ...utf8Encode(text)])
}

/** A payload whose messages are texts `key:value`; each is fresh once. */
export class TextPayload implements PayloadHandler {
  readonly seen: Set<string> = new Set()
  readonly merged: string[] = []
  readonly asked: (string | undefined)[] = []
  rest: string | undefined

  static broadcast(text: string): Broadcast {
    return { key: text.split(':')[0]!, bytes: shoalBytes(text) }
  }

  static text(bytes: Uint8Array): string {
    return utf8Decode(bytes.subarray(PAYLOAD_MAGIC.length))
  }

  handleMessage(bytes: Uint8Array): Verdict {
    const text = TextPayload.text(bytes)
    if (this.seen.has(text)) return { fresh: false }
    this.seen.add(text)
    return { fresh: true, key: text.split(':')[0]! }
  }

  localState(remote: Uint8Array | undefined): Uint8Array {
    this.asked.push(remote === undefined ? undefined : TextPayload.text(remote))
    return shoalBytes(remote === undefined ? 'digest' : 'full')
  }

  mergeState(bytes: Uint8Array): Uint8Array | undefined {
    this.merged.push(TextPayload.text(bytes))
    return this.rest === undefined ? undefined : shoalBytes(this.rest)
  }
}
