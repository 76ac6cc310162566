/**
 * A stream's bytes to its one message, in whatever pieces they come, after the label. There is no length in front and
 * no end to wait for: the message is over when its last field is in. What is complete is read once and given up, so
 * the work is linear in the bytes; what is announced beyond the limits is refused before it is waited for.
 */
import { EMPTY_BYTES } from '../../bytes.js'
import { unreachable } from '../../errors.js'
import { inflate, readCompressed } from './compress.js'
import { MESSAGE_TYPE, type PushNodeState, type StreamMessage, type WireDrop } from './messages.js'
import { MsgpackReader } from './msgpack-reader.js'
import { ownBytes } from './own-bytes.js'
import { readAck, readPing } from './packet-records.js'
import { ReceiveBuffer } from './receive-buffer.js'
import {
  type PushPullHeader,
  readErrorReply,
  readNodeState,
  readPushPullHeader,
  readUserHeader,
} from './stream-records.js'

export interface StreamLimits {
  /** Of the whole message, as it comes and as it is after decompression. */
  readonly maxBytes: number
  /** Members in a push/pull list. */
  readonly maxNodes: number
}

export interface StreamUnfinished {
  readonly done: false
}

export interface StreamDecoded {
  readonly done: true
  readonly message: StreamMessage
  /** One entry per member record of a push/pull list that was left out. */
  readonly drops: readonly WireDrop[]
}

export interface StreamDropped {
  readonly done: true
  readonly drop: WireDrop
}

export type StreamResult = StreamUnfinished | StreamDecoded | StreamDropped

type Stage =
  | { readonly at: 'type' }
  | { readonly at: 'ping' | 'ack' | 'err' | 'compressed' | 'pushPull' | 'user' }
  | { readonly at: 'nodes' | 'userState'; readonly header: PushPullHeader }
  | { readonly at: 'userBody'; readonly length: number }

const UNFINISHED: StreamUnfinished = { done: false }

/** Member lists shrink to a third, hardly ever to a twentieth: beyond this it is a bomb, unless it is a small one. */
const INFLATION_MAX = 64
const INFLATED_BYTES_ALWAYS = 2 * 1024 * 1024

export class StreamDecoder {
  readonly #limits: StreamLimits
  readonly #reader = new MsgpackReader()
  readonly #buffer = new ReceiveBuffer()
  readonly #nodes: PushNodeState[] = []
  readonly #drops: WireDrop[] = []
  #stage: Stage = { at: 'type' }
  #isInflated = false
  #received = 0
  #consumed = 0
  /** Bytes that must be buffered before another look is worth it. */
  #wanted = 1
  #result: StreamDecoded | StreamDropped | undefined

  constructor(limits: StreamLimits) {
    this.#limits = limits
  }

  /** Takes the next bytes. Once done it stays so: whatever follows the message is ignored. */
  push(chunk: Uint8Array): StreamResult {
    if (this.#result !== undefined) return this.#result
    const room = this.#limits.maxBytes - this.#received
    const taken = chunk.length > room ? chunk.subarray(0, room) : chunk
    this.#received += taken.length
    this.#buffer.append(taken)
    while (this.#result === undefined && this.#buffer.size() >= this.#wanted) this.#step()
    if (this.#result === undefined && chunk.length > room) this.#drop('too-large')
    if (this.#result === undefined && this.#isInflated) this.#drop('truncated')
    return this.#result ?? UNFINISHED
  }

  /** Reads the next piece if it is whole, or says by `#wanted` how far it reaches. */
  #step(): void {
    const stage = this.#stage
    switch (stage.at) {
      case 'type':
        this.#readType()
        break
      case 'ping':
        this.#finishWith(this.#read(readPing))
        break
      case 'ack':
        this.#finishWith(this.#read(readAck))
        break
      case 'err':
        this.#finishWith(this.#read(readErrorReply))
        break
      case 'compressed':
        this.#readCompressed()
        break
      case 'pushPull':
        this.#readPushPullHeader()
        break
      case 'nodes':
        this.#readNode(stage.header)
        break
      case 'userState':
        this.#readUserState(stage.header)
        break
      case 'user':
        this.#readUserHeader()
        break
      case 'userBody':
        this.#finish({ type: 'user', payload: this.#take(stage.length) })
        break
      default:
        unreachable(stage)
    }
  }

  #readType(): void {
    const first = stageAfter(this.#take(1)[0])
    if (typeof first === 'string') this.#drop(first)
    else if (first.at === 'compressed' && this.#isInflated) this.#drop('too-deep')
    else this.#enter(first, 1)
  }

  #readCompressed(): void {
    const compressed = this.#read(readCompressed)
    if (compressed === undefined) return
    const bytesMax = Math.max(INFLATED_BYTES_ALWAYS, INFLATION_MAX * compressed.bytes.length)
    const inflated = this.#reader.trouble() ?? inflate(compressed, Math.min(bytesMax, this.#limits.maxBytes))
    if (typeof inflated === 'string') {
      this.#drop(inflated)
      return
    }
    this.#isInflated = true
    this.#buffer.replace(inflated)
    this.#consumed = 0
    this.#enter({ at: 'type' }, 1)
  }

  #readPushPullHeader(): void {
    const header = this.#read(readPushPullHeader)
    if (header === undefined) return
    const trouble = this.#reader.trouble()
    // A record takes at least a byte.
    const isFitting = header.nodeCount <= this.#limits.maxNodes && this.#fits(header.nodeCount + header.userStateBytes)
    if (trouble !== undefined) this.#drop(trouble)
    else if (!isFitting) this.#drop('too-large')
    else if (header.nodeCount > 0) this.#enter({ at: 'nodes', header }, 1)
    else this.#enter({ at: 'userState', header }, header.userStateBytes)
  }

  #readNode(header: PushPullHeader): void {
    const node = this.#read(readNodeState)
    if (node === undefined) return
    const trouble = this.#reader.trouble()
    if (trouble === undefined) this.#nodes.push(node)
    else this.#drops.push(trouble)
    if (this.#nodes.length + this.#drops.length < header.nodeCount) return
    if (this.#fits(header.userStateBytes)) this.#enter({ at: 'userState', header }, header.userStateBytes)
    else this.#drop('too-large')
  }

  #readUserState(header: PushPullHeader): void {
    const userState = this.#take(header.userStateBytes)
    this.#finish({ type: 'pushPull', join: header.join, nodes: this.#nodes, userState })
  }

  #readUserHeader(): void {
    const length = this.#read(readUserHeader)
    if (length === undefined) return
    const trouble = this.#reader.trouble() ?? (this.#fits(length) ? undefined : 'too-large')
    if (trouble === undefined) this.#enter({ at: 'userBody', length }, length)
    else this.#drop(trouble)
  }

  /** One struct, flawed or not; `undefined` when it is not whole yet or ended the stream. */
  #read<T>(readStruct: (reader: MsgpackReader) => T): T | undefined {
    this.#reader.open(this.#buffer.view(), 0)
    const value = readStruct(this.#reader)
    const failure = this.#reader.failure()
    if (failure === undefined) {
      this.#consume(this.#reader.position())
      this.#wanted = 1
      return value
    }
    this.#wanted = this.#reader.wantedEnd()
    if (failure !== 'truncated') this.#drop(failure)
    else if (!this.#fits(this.#wanted)) this.#drop('too-large')
    return undefined
  }

  /** A copy of the next bytes, which are known to be there. */
  #take(count: number): Uint8Array {
    const bytes = ownBytes(this.#buffer.view(), 0, count)
    this.#consume(count)
    return bytes
  }

  #consume(count: number): void {
    this.#consumed += count
    this.#buffer.consume(count)
  }

  #fits(count: number): boolean {
    return this.#consumed + count <= this.#limits.maxBytes
  }

  #enter(stage: Stage, wanted: number): void {
    this.#stage = stage
    this.#wanted = wanted
  }

  #finishWith(message: StreamMessage | undefined): void {
    if (message === undefined) return
    const trouble = this.#reader.trouble()
    if (trouble === undefined) this.#finish(message)
    else this.#drop(trouble)
  }

  #finish(message: StreamMessage): void {
    this.#result = { done: true, message, drops: this.#drops }
    this.#buffer.replace(EMPTY_BYTES)
  }

  #drop(drop: WireDrop): void {
    this.#result = { done: true, drop }
    this.#buffer.replace(EMPTY_BYTES)
  }
}

/** What follows the type byte, or why nothing may. */
function stageAfter(type: number | undefined): Stage | WireDrop {
  switch (type) {
    case MESSAGE_TYPE.pushPull:
      return { at: 'pushPull' }
    case MESSAGE_TYPE.ping:
      return { at: 'ping' }
    case MESSAGE_TYPE.ack:
      return { at: 'ack' }
    case MESSAGE_TYPE.user:
      return { at: 'user' }
    case MESSAGE_TYPE.err:
      return { at: 'err' }
    case MESSAGE_TYPE.compress:
      return { at: 'compressed' }
    case MESSAGE_TYPE.encrypt: // whoever has keys has opened it before
      return 'encrypted'
    default:
      return 'unknown-type'
  }
}
