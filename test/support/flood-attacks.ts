/**
 * What hostile callers do to the port of a node, one connection each: those that never say hello, and those that do and
 * then break a rule, use up a bound, or only make work. Each gives the bytes; how they are sent is the attacker's business.
 */
import { concatBytes } from '../../src/bytes.js'
import { type Random, randomInt } from '../../src/random.js'
import { encodeCredit } from '../../src/rpc/credit.js'
import { encodeRequestHead, NO_HEADERS } from '../../src/rpc/envelope.js'
import { FRAME_BYTES_MAX, FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { encodeHello } from '../../src/rpc/hello.js'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { nested, randomBytes } from './hostile-bytes.js'
import { bodyOf } from './scripted-callee.js'
import { rawFrame } from './session-pair.js'

export interface Attack {
  readonly name: string
  /** Written one after the other, `everyMs` apart, or at once. */
  readonly parts: readonly Uint8Array[]
  readonly everyMs?: number
  /** Hostile frames in it. */
  readonly frames: number
  /** Does not leave by itself. */
  readonly stays?: boolean
  /** Reads nothing of what it is answered. */
  readonly isDeaf?: boolean
}

export interface Target {
  readonly cluster: string
  readonly node: string
  readonly service: string
}

const MORE_BYTES = 65_536
const BURST = 200
const codec = new MsgpackCodec()

export class FloodAttacks {
  readonly #target: Target
  readonly #random: Random
  readonly #hello: Uint8Array

  constructor(target: Target, random: Random) {
    this.#target = target
    this.#random = random
    this.#hello = helloOf(target, 3)
  }

  /** One of each, with other random parts each time. */
  round(): Attack[] {
    return [
      this.#slowloris(),
      { name: 'half a hello', parts: [this.#hello.subarray(0, 20)], frames: 1, stays: true },
      { name: 'nothing', parts: [], frames: 1, stays: true },
      { name: 'a frame before the hello', parts: [rawFrame(FrameKind.ping, 0)], frames: 1 },
      { name: 'random bytes', parts: [randomBytes(this.#random, 400)], frames: 1 },
      { name: 'another cluster', parts: [this.#otherHello()], frames: 1 },
      { name: 'a frame of 4 GiB', parts: [this.#hello, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 3)], frames: 1 },
      this.#said('a frame of 16 MiB that never comes', [promised(16_000_000)], { stays: true }),
      this.#said(
        'deep nesting',
        this.#repeated(20, (id) => this.#request(id, 'echo', nested(10_000, 0x91))),
      ),
      this.#said(
        'an array of millions',
        this.#repeated(20, (id) => this.#request(id, 'echo', HUGE_ARRAY)),
      ),
      this.#said('one id twice', [this.#request(1, 'hold'), this.#request(1, 'hold')]),
      this.#said('answers to nobody', [rawFrame(FrameKind.reply, 7), rawFrame(FrameKind.error, 8)]),
      this.#said(
        'cancels',
        this.#repeated(BURST, (id) => rawFrame(FrameKind.cancel, id)),
      ),
      this.#said(
        'pings, deaf',
        this.#repeated(BURST, (id) => rawFrame(FrameKind.ping, id)),
        { isDeaf: true },
      ),
      this.#said(
        'unknown kinds',
        this.#repeated(BURST, (id) => rawFrame(99, id)),
      ),
      this.#said(
        'credit for nobody',
        this.#repeated(BURST, (id) => rawFrame(FrameKind.streamCredit, id, credit(1, 1))),
      ),
      this.#said('credit without end', [this.#stream(1), rawFrame(FrameKind.streamCredit, 1, credit(0xffff_ffff, 1))]),
      this.#said('items beyond credit', [this.#input(1), ...this.#repeated(3, () => item(1))]),
      this.#said(
        'messages that never end',
        this.#repeated(16, (id) => piece(id, MORE_BYTES)),
        { stays: true },
      ),
      this.#said(
        'too many of them',
        this.#repeated(17, (id) => piece(id, 2_000)),
      ),
      this.#said('crumbs', [piece(1, 10)]),
      this.#said(
        'calls of nothing',
        this.#repeated(BURST, (id) => this.#request(id, 'nothing')),
      ),
      this.#said(
        'calls for ever',
        this.#repeated(BURST, (id) => this.#request(id, 'hold')),
        { stays: true },
      ),
      this.#said(
        'calls, deaf',
        this.#repeated(BURST, (id) => this.#request(id, 'big')),
        { isDeaf: true, stays: true },
      ),
      this.#said(
        'streams for ever, deaf',
        this.#repeated(50, (id) => this.#stream(id)),
        { isDeaf: true, stays: true },
      ),
      {
        name: 'streams of long items to one that reads no pieces, deaf',
        parts: [concatBytes([helloOf(this.#target, 0), ...this.#repeated(5, (id) => this.#stream(id, 'vast'))])],
        frames: 5,
        stays: true,
        isDeaf: true,
      },
      this.#said('a method number that was not named', [this.#numbered()]),
    ]
  }

  #said(name: string, frames: readonly Uint8Array[], more: Partial<Attack> = {}): Attack {
    return { name, parts: [concatBytes([this.#hello, ...frames])], frames: frames.length, ...more }
  }

  #slowloris(): Attack {
    const parts = [...this.#hello].map((byte) => Uint8Array.of(byte))
    return { name: 'slowloris', parts, everyMs: 100, frames: 1, stays: true }
  }

  #otherHello(): Uint8Array {
    const other = this.#hello.slice()
    const at = other.indexOf(this.#target.cluster.charCodeAt(0), 30)
    other[at] = (other[at] ?? 0) ^ 1
    return other
  }

  #repeated(count: number, make: (id: number) => Uint8Array): Uint8Array[] {
    const first = 1 + randomInt(this.#random, 1_000_000)
    return Array.from({ length: count }, (_, i) => make(first + i))
  }

  #request(id: number, method: string, payload: Uint8Array = EMPTY_ARGS): Uint8Array {
    return this.#asked(id, method, payload, {})
  }

  #stream(id: number, method = 'endless'): Uint8Array {
    return this.#asked(id, method, EMPTY_ARGS, { stream: { items: 1_000, bytes: 1_000_000 } })
  }

  #input(id: number): Uint8Array {
    return this.#asked(id, 'hold', codec.encode([null], 'args').slice(), { inputAt: 0 })
  }

  #numbered(): Uint8Array {
    const head = { cast: false, ttlMs: 1_000, methodId: 77, names: undefined, headers: NO_HEADERS }
    return rawFrame(
      FrameKind.request,
      1,
      concatBytes([bodyOf((writer) => encodeRequestHead(writer, head)), EMPTY_ARGS]),
    )
  }

  #asked(
    id: number,
    method: string,
    payload: Uint8Array,
    streams: { readonly stream?: { readonly items: number; readonly bytes: number }; readonly inputAt?: number },
  ): Uint8Array {
    const names = { service: this.#target.service, method }
    const head = { cast: false, ttlMs: 30_000, methodId: 0xffff, names, headers: NO_HEADERS, ...streams }
    return rawFrame(FrameKind.request, id, concatBytes([bodyOf((writer) => encodeRequestHead(writer, head)), payload]))
  }
}

/** With abilities as bits. */
function helloOf({ cluster, node }: Target, features: number): Uint8Array {
  const hello = {
    cluster,
    node: 'flooder',
    bootId: 'f',
    protocolMin: 1,
    protocolMax: 1,
    features,
    frameBytesMax: FRAME_BYTES_MAX,
    codec: 'msgpack',
    expectedNode: node,
    expectedBootId: '',
  }
  return rawFrame(
    FrameKind.hello,
    0,
    bodyOf((writer) => encodeHello(writer, hello)),
  )
}

const EMPTY_ARGS = Uint8Array.of(0x90)
/** An array of 30 million values in five bytes. */
const HUGE_ARRAY = Uint8Array.of(0xdd, 0x01, 0xc9, 0xc3, 0x80)

function promised(bytes: number): Uint8Array {
  const frame = rawFrame(FrameKind.request, 1, new Uint8Array(1_000))
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, bytes, true)
  return frame
}

function piece(id: number, bytes: number): Uint8Array {
  return rawFrame(FrameKind.request | MORE_FLAG, id, new Uint8Array(bytes))
}

function item(id: number): Uint8Array {
  return rawFrame(FrameKind.streamItem, id, Uint8Array.of(1))
}

function credit(items: number, bytes: number): Uint8Array {
  return bodyOf((writer) => encodeCredit(writer, { items, bytes }))
}
