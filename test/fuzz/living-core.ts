/**
 * A node's whole receiving side in the middle of its life: envelope, decoders, machine and registry, with a dozen members
 * that answer or have fallen silent, suspicions under way and time going on. Takes one step after the other; `violations`
 * says what may never be, whatever was taken in.
 */
import type { HostPort } from '../../src/address.js'
import { equalBytes } from '../../src/bytes.js'
import type { SwimConfig } from '../../src/membership/config.js'
import { TAG_BOOT_ID, TAG_RPC_ADDRESS } from '../../src/membership/member.js'
import { INCARNATION_MAX } from '../../src/membership/precedence.js'
import type { StreamResult } from '../../src/membership/wire/stream.js'
import type { Registry } from '../../src/registry/index.js'
import { BOOT_1, newRegistry } from '../support/registry-cluster.js'
import { type ExchangeEffect, PORT, SwimHarness } from '../support/swim-harness.js'
import { allocatedBy, type Cost } from './allocation-gauge.js'
import { metaOf, PEERS } from './corpus.js'
import { Sealed } from './sealed.js'
import type { Tally } from './tally.js'

interface Endpoint {
  readonly addr: Uint8Array
  readonly port: number
}

interface Timed {
  readonly from: string
  readonly afterMs: number
}

/** One thing that happens to the core. `inflated`: how many bytes may come out of what is compressed in it. */
export type Step = Timed &
  (
    | { readonly do: 'packet'; readonly bytes: Uint8Array; readonly inflated: number }
    | {
        readonly do: 'stream' | 'reply'
        readonly bytes: Uint8Array
        readonly inflated: number
        readonly pieces: number
      }
    | { readonly do: 'failure'; readonly error: string }
    | { readonly do: 'silence'; readonly silent: boolean }
    | { readonly do: 'service'; readonly turn: number }
  )

/** Small limits, so that every one of them is met. */
const LIMITS: Partial<SwimConfig> = { memberMax: 64, queueMax: 8, reapAfterMs: 5_000 }
const EARLY_NODES_MAX = 32
const BOOT_SECONDS = 1_700_000_000
const EXCHANGES_MAX = 32
/** Longer than any deadline that the machine may set while all of its timers run. */
const DEADLINE_MAX_MS = 60_000
/** All urgent probes that may wait, one after the other, and what else is due at that instant. */
const TURNS_MAX = 130

export class LivingCore {
  readonly sealed: Sealed
  readonly #harness: SwimHarness
  readonly #registry: Registry
  readonly #tally: Tally
  /** Exchanges that the machine waits for, oldest first. */
  readonly #exchanges: ExchangeEffect[] = []
  readonly #broken: string[] = []
  readonly #identities = new Map<string, Endpoint>()
  #streamId = 0
  #incarnation = 0
  #sentBytes = 0
  lastSeqNo = 0

  constructor(seed: number, tally: Tally) {
    this.sealed = new Sealed(seed)
    this.#tally = tally
    const overhead = this.sealed.envelope.overhead
    this.#registry = newRegistry('me', { earlyNodesMax: EARLY_NODES_MAX, earlyBytesMax: 100_000 })
    this.#harness = new SwimHarness({
      config: { ...LIMITS, packetBytesMax: 1_400 - overhead },
      incarnation: BOOT_SECONDS,
      tags: { [TAG_BOOT_ID]: BOOT_1, [TAG_RPC_ADDRESS]: 'me:1' },
      payload: this.#registry,
      seed,
    })
    for (const peer of PEERS) {
      this.#harness.receive(peer, this.#harness.alive(peer, BOOT_SECONDS, { meta: metaOf(peer) }))
      this.#harness.answering.add(peer)
    }
    this.#settle()
    this.#harness.advance(2_000)
    this.#settle()
  }

  /** Does what the step says, and everything that the machine asks for upon it. */
  take(step: Step): void {
    this.#arrive(step)
    this.#act(step)
    this.#settle()
  }

  /** The same, and what it cost: the decoding and the machine, not what records them here. */
  takeMeasured(step: Step): Cost {
    this.#arrive(step)
    const allocatedBytes = allocatedBy(() => this.#act(step))
    this.#sentBytes = 0
    this.#settle()
    const [inputBytes, inflatedBytes] = 'bytes' in step ? [step.bytes.length, step.inflated] : [0, 0]
    return { allocatedBytes, inputBytes, inflatedBytes, sentBytes: this.#sentBytes }
  }

  incarnationOf(name: string): number {
    return this.#harness.swim.member(name)?.incarnation ?? BOOT_SECONDS
  }

  stateOf(name: string): string | undefined {
    return this.#harness.state(name)
  }

  identityOf(name: string): Endpoint {
    let identity = this.#identities.get(name)
    if (identity === undefined) {
      const { addr, port } = this.#harness.alive(name)
      identity = { addr, port }
      this.#identities.set(name, identity)
    }
    return identity
  }

  /** Live members that the inputs brought in. */
  liveOthers(): string[] {
    const members = this.#harness.swim.members()
    return members
      .filter(({ name, state }) => state === 'alive' && name !== 'me' && !PEERS.includes(name))
      .map(({ name }) => name)
  }

  /** Everything that does not hold, in words. */
  violations(): string[] {
    return [...this.#broken.splice(0), ...this.#ownRecord(), ...this.#tables(), ...this.#clock(), ...this.#answers()]
  }

  /** Adds what this life dropped to the tally. */
  end(): void {
    const { drops } = this.#harness.swim.stats()
    for (const [reason, count] of Object.entries(drops)) this.#tally.count(`drop ${reason}`, count)
    const { earlyEvicted, ...registry } = this.#registry.inspect().drops
    for (const [reason, count] of Object.entries(registry)) this.#tally.count(`registry drop ${reason}`, count)
    this.#tally.count('registry early evicted', earlyEvicted)
  }

  #arrive(step: Step): void {
    if (step.afterMs === 0) return
    this.#harness.advance(step.afterMs)
    this.#settle()
  }

  #act(step: Step): void {
    const from = this.#harness.address(step.from)
    switch (step.do) {
      case 'packet':
        this.#takePacket(step.bytes, from)
        break
      case 'stream':
        this.#takeStream(step, from)
        break
      case 'reply':
        this.#takeReply(step)
        break
      case 'failure':
        this.#fail(step.error)
        break
      case 'silence':
        if (step.silent) this.#harness.answering.delete(step.from)
        else this.#harness.answering.add(step.from)
        break
      case 'service':
        this.#changeService(step.turn)
        break
    }
  }

  #takePacket(bytes: Uint8Array, from: HostPort): void {
    const { swim, now } = this.#harness
    const opened = this.sealed.envelope.openPacket(bytes)
    if (opened.ok) swim.handlePacket(opened.rest, from, now)
    else swim.count(opened.drop)
  }

  #takeStream({ bytes, pieces }: { bytes: Uint8Array; pieces: number }, from: HostPort): void {
    const { swim, now } = this.#harness
    const { envelope } = this.sealed
    const result = this.#read(bytes, pieces, 'accepted')
    if (!result.done) return
    if ('drop' in result) {
      swim.count(result.drop)
      envelope.sealRefusal(result.drop)
      return
    }
    for (const drop of result.drops) swim.count(drop)
    swim.handleStream(++this.#streamId, result.message, from, now)
  }

  #takeReply({ bytes, pieces }: { bytes: Uint8Array; pieces: number }): void {
    const exchange = this.#exchanges.pop()
    const result = this.#read(bytes, pieces, 'dialled')
    if (exchange === undefined) return
    if (!result.done || 'drop' in result) {
      this.#harness.swim.handleExchange(exchange.id, { ok: false, error: 'no reply' }, this.#harness.now)
      return
    }
    for (const drop of result.drops) this.#harness.swim.count(drop)
    this.#harness.swim.handleExchange(exchange.id, { ok: true, message: result.message }, this.#harness.now)
  }

  #read(bytes: Uint8Array, pieces: number, side: 'accepted' | 'dialled'): StreamResult {
    const decoder = this.sealed.envelope.streamDecoder(side)
    const size = Math.ceil(bytes.length / pieces)
    let result: StreamResult = { done: false }
    for (let at = 0; at < bytes.length && !result.done; at += size) result = decoder.push(bytes.subarray(at, at + size))
    this.#tally.count(
      !result.done ? 'stream unfinished' : 'drop' in result ? `stream ${result.drop}` : `stream ${result.message.type}`,
    )
    return result
  }

  #fail(error: string): void {
    const exchange = this.#exchanges.shift()
    if (exchange !== undefined) this.#harness.fail(exchange, error)
  }

  #changeService(turn: number): void {
    const service = ['mine', 'other'][turn % 2] as string
    const isProvided = this.#registry.instancesOf('me').some((each) => each.service === service)
    if (!isProvided) this.#registry.provide({ service, version: '1', methods: ['m'], status: 'running' }, turn)
    else if (turn % 3 === 0) this.#registry.withdraw(service, turn)
    else this.#registry.setStatus(service, { status: turn % 4 === 0 ? 'paused' : 'running', at: turn })
  }

  /** As the node wires them: members to the registry, its news to the machine, until both are at rest. */
  #settle(): void {
    const { swim } = this.#harness
    for (let round = 0; ; round++) {
      if (round > 1_000) throw new Error('machine and registry do not come to rest')
      this.#harness.collect()
      const isQuiet = !this.#take()
      const news = this.#registry.drain()
      if (isQuiet && news.length === 0) return
      for (const effect of news) {
        if (effect.type === 'broadcast') swim.broadcast(effect.broadcast, this.#harness.now)
        else if (effect.type === 'sync') swim.syncWith(effect.node)
        else if (effect.type === 'send') swim.send(effect.node, effect.bytes)
        else this.#tally.count(`service ${effect.event.type}`)
      }
    }
  }

  /** Takes what the harness recorded; false when there was nothing. */
  #take(): boolean {
    const { packets, events, exchanges, replies, notices, joined, config } = this.#harness
    if (packets.length + events.length + exchanges.length + replies.length + notices.length + joined.length === 0)
      return false
    for (const { bytes, messages } of packets) {
      this.#sentBytes += bytes.length
      if (bytes.length > config.packetBytesMax)
        this.#broken.push(`a packet of ${bytes.length} bytes: ${messages.map(({ type }) => type).join(' ')}`)
      for (const message of messages) if (message.type === 'ping') this.lastSeqNo = message.seqNo
    }
    for (const { bytes } of replies) this.#sentBytes += bytes?.length ?? 0
    for (const { type, member } of events) {
      this.#tally.count(`event ${type}`)
      if (type === 'conflict') continue
      const state = type === 'reap' ? 'gone' : member.state
      this.#registry.handleMember({
        name: member.name,
        bootId: member.tags[TAG_BOOT_ID],
        state,
        rpcAddress: member.rpcAddress,
      })
    }
    for (const { kind } of notices) this.#tally.count(`notice ${kind}`)
    this.#exchanges.push(...exchanges)
    for (const exchange of exchanges) this.#sentBytes += exchange.bytes.length
    this.#harness.clear()
    while (this.#exchanges.length > EXCHANGES_MAX) this.#fail('timed out')
    return true
  }

  #ownRecord(): string[] {
    const harness = this.#harness
    const own = harness.swim.member('me')
    if (own === undefined) return ['the own record is gone']
    const found: string[] = []
    if (own.state !== 'alive') found.push(`the own record is ${own.state}`)
    if (own.address !== harness.at('me')) found.push(`the own address became ${own.address}`)
    if (!equalBytes(own.meta, metaOf('me'))) found.push('the own meta changed')
    if (own.incarnation < this.#incarnation || own.incarnation > INCARNATION_MAX)
      found.push(`the own incarnation went from ${this.#incarnation} to ${own.incarnation}`)
    this.#incarnation = own.incarnation
    return found
  }

  #tables(): string[] {
    const { swim, config } = this.#harness
    const found: string[] = []
    const members = swim.members()
    const { live, suspicions, queued, healthScore } = swim.stats()
    const limit = (what: string, value: number, most: number): void => {
      if (!(value >= 0 && value <= most)) found.push(`${what}: ${value}, at most ${most}`)
    }
    limit('members', members.length, config.memberMax)
    limit('rumours', queued.rumours, config.queueMax)
    limit('user messages', queued.userMessages, config.queueMax)
    limit('health score', healthScore, config.awarenessMax - 1)
    const { nodes, early } = this.#registry.inspect()
    limit('nodes in the registry', nodes, members.length + 1)
    limit('early nodes in the registry', early, EARLY_NODES_MAX)
    const count = (state: string): number => members.filter((member) => member.state === state).length
    if (live !== count('alive') + count('suspect'))
      found.push(`live is ${live}, of ${members.map(({ state }) => state).join(' ')}`)
    if (suspicions !== count('suspect')) found.push(`${suspicions} suspicions and ${count('suspect')} suspects`)
    for (const { name, incarnation } of members) limit(`incarnation of ${name}`, incarnation, INCARNATION_MAX)
    this.#tally.raise('most rumours dropped', queued.dropped)
    this.#tally.raise('most early nodes', early)
    this.#tally.raise('most members', members.length)
    this.#tally.raise('most suspects', suspicions)
    this.#tally.raise('most rumours', queued.rumours)
    this.#tally.count('checks with a full table of members', members.length === config.memberMax ? 1 : 0)
    this.#tally.count('checks with suspicions under way', suspicions > 0 ? 1 : 0)
    return found
  }

  /**
   * What is due is done and no longer due. One part may give another something to do at once, and each urgent probe that
   * is answered at once lets the next one begin, but nothing spins.
   */
  #clock(): string[] {
    const { swim, now } = this.#harness
    for (let turn = 0; turn < TURNS_MAX && (turn === 0 || swim.nextDeadline() <= now); turn++) {
      swim.handleTimeout(now)
      this.#settle()
    }
    const next = swim.nextDeadline()
    return next > now && next <= now + DEADLINE_MAX_MS ? [] : [`the next deadline is ${next} at ${now}`]
  }

  /** Still alive to others: a ping is answered, with the right number. */
  #answers(): string[] {
    const harness = this.#harness
    harness.receive('p0', { type: 'ping', seqNo: 77, node: 'me', source: undefined })
    const answered = harness
      .sent('ack')
      .some(({ message, to }) => message.seqNo === 77 && to === `${harness.address('p0').host}:${PORT}`)
    this.#settle()
    return answered ? [] : ['a ping was not answered']
  }
}
