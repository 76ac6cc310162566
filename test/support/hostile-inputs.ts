/**
 * Inputs for the three ports of a node that no honest peer sends, each made from real messages and a seeded random, so
 * that the seed alone decides what they are. Every kind comes up in turn.
 */
import { concatBytes, utf8Encode } from '../../src/bytes.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { encodeMessage, encodePushPull } from '../../src/membership/wire/encode.js'
import { labelHeader } from '../../src/membership/wire/label.js'
import type { Random } from '../../src/random.js'
import { damaged, nested, pick, randomBytes } from './hostile-bytes.js'
import { aliveSample, compressed, nodeSample, pushPullSample } from './wire.js'

/** The frames that a real caller wrote. */
export type RpcSamples = readonly [hello: Uint8Array, ...requests: Uint8Array[]]

type Kinds = readonly (() => Uint8Array)[]

const MIB = 1024 * 1024
const ARRAY_OF_ONE = 0x91
const MAP_OF_ONE = 0x81

export interface HostileOptions {
  readonly cluster: string
  readonly service: string
  readonly random: Random
}

export class HostileInputs {
  readonly #label: Uint8Array
  readonly #service: string
  readonly #random: Random

  constructor({ cluster, service, random }: HostileOptions) {
    this.#label = labelHeader(cluster)
    this.#service = service
    this.#random = random
  }

  packets(count: number): Uint8Array[] {
    const random = this.#random
    const samples = gossipSamples()
    const labelled = samples.map((sample) => this.labelled(sample))
    const bomb = this.labelled(compressed(new Uint8Array(MIB)))
    const deep = this.labelled(nestedCompounds(300))
    return inTurn(count, [
      () => randomBytes(random, 1_400),
      () => this.labelled(randomBytes(random, 1_400)),
      () => damaged(labelled, random),
      () => damaged(labelled, random),
      () => this.labelled(concatBytes([Uint8Array.of(pick([0, 1, 3, 4, 5], random)), this.#nested(600)])),
      () => deep,
      () => bomb,
      () => concatBytes([labelHeader('another-cluster'), pick(samples, random)]),
    ])
  }

  gossipStreams(count: number): Uint8Array[] {
    const random = this.#random
    const pushPull = encodePushPull({ ...pushPullSample, nodes: [nodeSample, { ...nodeSample, name: 'node-2' }] })
    const ping = encodeMessage({ type: 'ping', seqNo: 1, node: 'target', source: undefined })
    const samples = [pushPull, compressed(pushPull), ping]
    const kinds: Kinds = [
      () => randomBytes(random, 4_096),
      () => this.labelled(randomBytes(random, 4_096)),
      () => this.labelled(damaged(samples, random)),
      () => this.labelled(damaged(samples, random)),
      () => this.promisedState({ nodes: 1_000_000, userStateBytes: 2 ** 30 }),
      () => this.labelled(concatBytes([Uint8Array.of(6), this.#nested(50_000)])),
    ]
    // Unpacking is dear, up to the limit at which it is given up: a few will do.
    const bombs = new Array<Uint8Array>(5).fill(this.labelled(compressed(new Uint8Array(21 * MIB))))
    return [...inTurn(count - bombs.length, kinds), ...bombs]
  }

  rpcStreams(count: number, [hello, ...requests]: RpcSamples): Uint8Array[] {
    const random = this.#random
    const [first = hello] = requests
    const kinds = [1, 2, 4, 7, 12, 99, 0x83]
    return inTurn(count, [
      () => randomBytes(random, 4_096),
      () => damaged([hello], random),
      () => first,
      () => elsewhere(hello),
      () => concatBytes([hello, damaged(requests, random), damaged(requests, random)]),
      () => concatBytes([hello, damaged(requests, random), damaged(requests, random)]),
      () => concatBytes([hello, randomBytes(random, 4_096)]),
      () => concatBytes([hello, frame(pick(kinds, random), 5, randomBytes(random, 64))]),
      () => concatBytes([u32le(pick([0, 4, 5_000, 0x7fff_ffff, 0xffff_ffff], random)), randomBytes(random, 64)]),
      () => concatBytes([hello, u32le(pick([0, 17 * MIB, 0xffff_ffff], random)), randomBytes(random, 64)]),
      () => concatBytes([hello, this.#call(this.#nested(pick([200, 100_000], random)))]),
      // An array of four billion, a map, a text and a binary of as many, of which nothing comes.
      () => concatBytes([hello, this.#call(Uint8Array.of(pick([0xdd, 0xdf, 0xdb, 0xc6], random), 255, 255, 255, 255))]),
    ])
  }

  /** The head of a push/pull that announces more than ever comes. */
  promisedState({ nodes, userStateBytes }: { readonly nodes: number; readonly userStateBytes: number }): Uint8Array {
    const head = [field('Join', [0xc2]), field('Nodes', u32(nodes)), field('UserStateLen', u32(userStateBytes))]
    return this.labelled(concatBytes([Uint8Array.of(6, 0x83), ...head]))
  }

  /** A request of nearly the largest size, of which a little comes. */
  promisedRequest([hello]: RpcSamples): Uint8Array {
    return concatBytes([hello, u32le(16 * MIB - 16), Uint8Array.of(3), u32le(1), new Uint8Array(1_000)])
  }

  labelled(bytes: Uint8Array): Uint8Array {
    return concatBytes([this.#label, bytes])
  }

  #nested(depth: number): Uint8Array {
    return nested(depth, pick([ARRAY_OF_ONE, MAP_OF_ONE], this.#random))
  }

  /** A request in good form but for its arguments. */
  #call(payload: Uint8Array): Uint8Array {
    const namesFollow = 4
    const head = concatBytes([Uint8Array.of(namesFollow), u32le(1_000), Uint8Array.of(0, 0)])
    return frame(3, 9, concatBytes([head, text16(this.#service), text16('who'), payload]))
  }
}

function inTurn(count: number, kinds: Kinds): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => (kinds[index % kinds.length] as () => Uint8Array)())
}

/** Real messages about nodes that there are not, so that damage to them takes no real node away. */
function gossipSamples(): Uint8Array[] {
  const ping = encodeMessage({ type: 'ping', seqNo: 7, node: 'target', source: undefined })
  const alive = encodeMessage(aliveSample)
  const suspect = encodeMessage({ type: 'suspect', incarnation: 70_000, node: 'node-1', from: 'ghost' })
  const user = encodeMessage({ type: 'user', payload: Uint8Array.of(0x53, 0x48, 1, 1, 2, 3, 4) })
  const nack = encodeMessage({ type: 'nack', seqNo: 9 })
  const compound = encodeCompound([ping, alive, suspect, user])
  return [ping, alive, suspect, user, nack, compound, compressed(compound)]
}

/** A compound in a compound in a compound. */
function nestedCompounds(depth: number): Uint8Array {
  let packet: Uint8Array = encodeMessage({ type: 'nack', seqNo: 1 })
  for (let level = 0; level < depth; level++) packet = encodeCompound([packet])
  return packet
}

/** The hello with the name of its cluster, which begins with `t`, changed. */
function elsewhere(hello: Uint8Array): Uint8Array {
  const at = Buffer.from(hello).indexOf('test-')
  if (at < 0) throw new Error('the hello does not name the cluster of a test')
  return Uint8Array.from(hello).fill('T'.charCodeAt(0), at, at + 1)
}

function field(name: string, value: readonly number[] | Uint8Array): Uint8Array {
  const text = utf8Encode(name)
  return concatBytes([Uint8Array.of(0xa0 + text.length), text, Uint8Array.from(value)])
}

/** As MessagePack has it. */
function u32(value: number): Uint8Array {
  return Uint8Array.of(0xce, value >>> 24, value >>> 16, value >>> 8, value)
}

function u32le(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
}

function text16(text: string): Uint8Array {
  const bytes = utf8Encode(text)
  return concatBytes([Uint8Array.of(bytes.length, bytes.length >>> 8), bytes])
}

function frame(kind: number, id: number, body: Uint8Array): Uint8Array {
  return concatBytes([u32le(body.length + 5), Uint8Array.of(kind), u32le(id), body])
}
