/**
 * Makes one hostile input after the other from a seeded random: a message of some kind, often about the members that the
 * machine really has, wrapped, damaged at some layer, sealed, labelled, and perhaps damaged once more. A part of it stays
 * whole, so that the machine's state goes on moving, and some honest traffic keeps its cluster alive.
 */
import { COMPOUND_PARTS_MAX, encodeCompound } from '../../src/membership/wire/compound.js'
import { withCrc } from '../../src/membership/wire/crc.js'
import { INFLATED_BYTES_MAX } from '../../src/membership/wire/decode.js'
import { encodeErrorReply, encodeMessage, encodePushPull, encodeStreamUser } from '../../src/membership/wire/encode.js'
import type { PacketMessage, PushNodeState, Source, WireState } from '../../src/membership/wire/messages.js'
import { type Random, randomInt } from '../../src/random.js'
import { damaged, damagedOne, pick, tellingBytes } from '../support/hostile-bytes.js'
import { BOOT_1, BOOT_2, BOOT_3 } from '../support/registry-cluster.js'
import { compressed } from '../support/wire.js'
import {
  BOMBS,
  makeGreatBomb,
  metaOf,
  OUTER_PACKETS,
  OUTER_STREAMS,
  PACKETS,
  PAYLOADS,
  PEERS,
  PLAIN_PACKETS,
  STREAMS,
} from './corpus.js'
import type { LivingCore, Step } from './living-core.js'
import type { Sealed } from './sealed.js'

const STRANGERS = 200
/** What is compressed but no bomb stays below it in a stream, too. */
const PACKET_INFLATED = INFLATED_BYTES_MAX
const STREAM_INFLATED = 20 * 1024 * 1024
const VSN = Uint8Array.of(1, 5, 2, 0, 0, 0)
const U32_EXTREMES = [0, 1, 0x7fff_ffff, 0xefff_fffe, 0xf000_0001, 0xffff_ffff]
/** More than an owner may have, and more than a packet holds. */
const LARGE_META = new Uint8Array(3_000).fill(0x81)
const SOME_ERRORS = ['refused', '', 'x'.repeat(300)]

export class Inputs {
  readonly #random: Random
  readonly #core: LivingCore
  readonly #sealed: Sealed

  constructor(random: Random, core: LivingCore, sealed: Sealed) {
    this.#random = random
    this.#core = core
    this.#sealed = sealed
  }

  next(): Step {
    const random = this.#random
    const afterMs = random() < 0.02 ? randomInt(random, 4_000) : random() < 0.5 ? 0 : randomInt(random, 40)
    const from = this.#chance(0.7) ? this.#peer() : this.#stranger()
    const kind = random()
    if (kind < 0.76) return { do: 'packet', from, afterMs, ...this.#packet() }
    if (kind < 0.92)
      return { do: 'stream', from, afterMs, pieces: 1 + randomInt(random, 4), ...this.#stream('accepted') }
    if (kind < 0.98) return { do: 'reply', from, afterMs, pieces: 1 + randomInt(random, 3), ...this.#stream('dialled') }
    return { do: 'failure', from, afterMs, error: pick(SOME_ERRORS, random) }
  }

  /** What keeps the cluster alive: somebody returns, falls silent or speaks up again, is suspected, or our services change. */
  honest(): Step {
    const random = this.#random
    const from = this.#peer()
    const kind = random()
    if (kind < 0.3) return { do: 'silence', from, afterMs: randomInt(random, 200), silent: this.#chance(0.4) }
    if (kind < 0.4) return { do: 'service', from, afterMs: 0, turn: randomInt(random, 1_000) }
    if (kind < 0.6) return this.#farewell()
    const incarnation = this.#core.incarnationOf(from)
    const wasDown = this.#core.stateOf(from) !== 'alive'
    const message: PacketMessage = wasDown
      ? this.#alive(from, incarnation + 1)
      : { type: 'suspect', node: from, incarnation: Math.max(0, incarnation), from: this.#peer() }
    return {
      do: 'packet',
      from,
      afterMs: randomInt(random, 200),
      ...this.#sealed.packet(encodeMessage(message), random),
    }
  }

  /** One that the inputs brought in leaves again, with whatever versions it declared. */
  #farewell(): Step {
    const random = this.#random
    const others = this.#core.liveOthers()
    const node = others.length === 0 ? this.#stranger() : pick(others, random)
    const bytes = encodeMessage({ type: 'dead', node, incarnation: this.#core.incarnationOf(node), from: node })
    return { do: 'packet', from: node, afterMs: 0, ...this.#sealed.packet(bytes, random) }
  }

  #packet(): Layered {
    const random = this.#random
    if (this.#chance(0.03)) return { bytes: damaged(OUTER_PACKETS, random), inflated: PACKET_INFLATED }
    if (this.#chance(0.03)) return { bytes: tellingBytes(random, randomInt(random, 60)), inflated: PACKET_INFLATED }
    const inner = this.#wrapped(this.#chance(0.2) ? 1 + Math.floor(6 * random() * random()) : 0)
    return this.#outer(inner, inner.inflated > 0 ? PACKETS : PLAIN_PACKETS, (bytes) =>
      this.#sealed.packet(bytes, random),
    )
  }

  #stream(side: 'accepted' | 'dialled'): Layered {
    const random = this.#random
    if (this.#chance(0.03)) return { bytes: damaged(OUTER_STREAMS, random), inflated: PACKET_INFLATED }
    if (this.#chance(0.03)) return { bytes: tellingBytes(random, randomInt(random, 60)), inflated: PACKET_INFLATED }
    const plain = this.#streamMessage()
    const inflated = Math.max(plain.inflated, PACKET_INFLATED)
    const inner = this.#chance(0.15) ? { bytes: compressed(plain.bytes), inflated } : plain
    return this.#outer(inner, STREAMS, (bytes) => this.#sealed.stream(bytes, side, random))
  }

  /** Damage inside the seal, then the seal and the label, then damage outside. */
  #outer(inner: Layered, others: readonly Uint8Array[], seal: (bytes: Uint8Array) => { bytes: Uint8Array }): Layered {
    const random = this.#random
    const broken = this.#chance(0.6) ? damagedOne(inner.bytes, random, others) : inner.bytes
    const { bytes } = seal(this.#chance(0.1) ? damagedOne(broken, random, others) : broken)
    const isDamagedOutside = this.#chance(this.#sealed.isOpen ? 0.05 : 0.15)
    return { bytes: isDamagedOutside ? damagedOne(bytes, random, others) : bytes, inflated: inner.inflated }
  }

  #wrapped(depth: number): Layered {
    const random = this.#random
    if (depth === 0) return this.#plainPacket()
    const kind = random()
    const inner = this.#wrapped(depth - 1)
    if (kind < 0.1) return { bytes: compressed(inner.bytes), inflated: PACKET_INFLATED }
    if (kind < 0.25) return { bytes: withCrc(inner.bytes), inflated: inner.inflated }
    const count = this.#chance(0.001) ? COMPOUND_PARTS_MAX - 1 : randomInt(random, 5)
    const parts = Array.from({ length: count }, () => this.#plainPacket())
    parts.push(inner)
    const fitting = parts.filter(({ bytes }) => bytes.length < 20_000)
    return {
      bytes: encodeCompound(fitting.map(({ bytes }) => bytes)),
      inflated: Math.max(0, ...fitting.map((each) => each.inflated)),
    }
  }

  #plainPacket(): Layered {
    const kind = this.#random()
    if (kind < 0.04) return { bytes: pick(PLAIN_PACKETS, this.#random), inflated: 0 }
    if (kind < 0.041) return { bytes: pick(PACKETS, this.#random), inflated: PACKET_INFLATED }
    if (kind < 0.044) return { bytes: pick(BOMBS, this.#random), inflated: PACKET_INFLATED }
    return { bytes: encodeMessage(this.#message()), inflated: 0 }
  }

  #message(): PacketMessage {
    const random = this.#random
    const node = this.#name()
    switch (randomInt(random, 9)) {
      case 0:
        return { type: 'ping', seqNo: this.#seqNo(), node: pick(['me', '', node], random), source: this.#source() }
      case 1: {
        const { addr, port } = this.#endpoint(node)
        return {
          type: 'indirectPing',
          seqNo: this.#seqNo(),
          target: addr,
          port,
          node,
          nack: this.#chance(0.5),
          source: this.#source(),
        }
      }
      case 2:
        return { type: 'ack', seqNo: this.#seqNo(), payload: tellingBytes(random, randomInt(random, 20)) }
      case 3:
        return { type: 'nack', seqNo: this.#seqNo() }
      case 4:
      case 5:
        return this.#alive(node, this.#incarnation(node))
      case 6:
        return { type: 'suspect', node, incarnation: this.#incarnation(node), from: this.#name() }
      case 7:
        return {
          type: 'dead',
          node,
          incarnation: this.#incarnation(node),
          from: this.#chance(0.3) ? node : this.#name(),
        }
      default:
        return { type: 'user', payload: this.#payload(PAYLOADS.messages) }
    }
  }

  #streamMessage(): Layered {
    const random = this.#random
    const kind = random()
    if (kind < 0.2) return { bytes: pick(STREAMS, random), inflated: 0 }
    if (kind < 0.2005) return { bytes: pick(BOMBS, random), inflated: STREAM_INFLATED }
    if (kind < 0.200_505) return { bytes: makeGreatBomb(), inflated: STREAM_INFLATED }
    if (kind < 0.45) return { bytes: encodeStreamUser(this.#payload(PAYLOADS.messages)), inflated: 0 }
    if (kind < 0.6) return { bytes: encodeMessage(this.#message()), inflated: 0 }
    if (kind < 0.65) return { bytes: encodeErrorReply(pick(SOME_ERRORS, random)), inflated: 0 }
    const nodes = Array.from({ length: this.#chance(0.02) ? 80 : randomInt(random, 5) }, () => this.#pushNode())
    const userState = this.#chance(0.5) ? this.#payload(PAYLOADS.states) : new Uint8Array(0)
    return { bytes: encodePushPull({ type: 'pushPull', join: this.#chance(0.5), nodes, userState }), inflated: 0 }
  }

  #pushNode(): PushNodeState {
    const name = this.#name()
    const { addr, port, meta, vsn } = this.#alive(name, 0)
    return {
      name,
      addr,
      port,
      meta,
      vsn,
      incarnation: this.#incarnation(name),
      state: randomInt(this.#random, 4) as WireState,
    }
  }

  #payload(samples: readonly Uint8Array[]): Uint8Array {
    const random = this.#random
    return this.#chance(0.5) ? pick(samples, random) : damaged(samples, random)
  }

  #alive(node: string, incarnation: number): Extract<PacketMessage, { type: 'alive' }> {
    const random = this.#random
    const { addr, port } = this.#endpoint(node)
    const vsn = this.#chance(0.998) ? VSN : Uint8Array.of(1, 1 + randomInt(random, 5), 1, 0, randomInt(random, 3), 0)
    return { type: 'alive', node, incarnation, addr, port, meta: this.#meta(node), vsn }
  }

  #meta(node: string): Uint8Array {
    const random = this.#random
    if (this.#chance(0.85)) return metaOf(node)
    if (this.#chance(0.5)) return metaOf(node, pick([BOOT_1, BOOT_2, BOOT_3], random))
    return this.#chance(0.1) ? LARGE_META : tellingBytes(random, pick([0, 10, 100], random))
  }

  #endpoint(node: string): { addr: Uint8Array; port: number } {
    const random = this.#random
    const { addr, port } = this.#core.identityOf(node)
    if (this.#chance(0.9)) return { addr, port }
    return { addr: tellingBytes(random, pick([4, 16], random)), port: 1 + randomInt(random, 65_535) }
  }

  #source(): Source | undefined {
    if (this.#chance(0.3)) return undefined
    const node = this.#name()
    return { ...this.#endpoint(node), node }
  }

  #name(): string {
    if (this.#chance(0.6)) return this.#peer()
    if (this.#chance(0.3)) return 'me'
    return this.#chance(0.9)
      ? this.#stranger()
      : pick(['é', '__proto__', 'constructor', '\u0000', 'n'.repeat(255)], this.#random)
  }

  #peer(): string {
    return pick(PEERS, this.#random)
  }

  #stranger(): string {
    return `s${randomInt(this.#random, STRANGERS)}`
  }

  /** Near what the machine holds, seldom an extreme. */
  #incarnation(node: string): number {
    const random = this.#random
    if (this.#chance(0.01)) return pick(U32_EXTREMES, random)
    return Math.max(0, this.#core.incarnationOf(node) + randomInt(random, 4) - 1)
  }

  /** Often one that the machine waits for. */
  #seqNo(): number {
    return this.#chance(0.7) ? this.#core.lastSeqNo : randomInt(this.#random, 0x1_0000_0000)
  }

  #chance(probability: number): boolean {
    return this.#random() < probability
  }
}

/** An input, and to how many bytes it may inflate: none when nothing in it is compressed. */
interface Layered {
  readonly bytes: Uint8Array
  readonly inflated: number
}
