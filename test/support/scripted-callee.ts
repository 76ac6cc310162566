/**
 * A callee that does what the test says: a listener that reads the frames of its callers and writes what it is told, by
 * the encoders of the project. For stages of a call at which no real callee stops.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { CallErrorCode, Executed } from '../../src/errors.js'
import { ByteWriter } from '../../src/rpc/byte-writer.js'
import { encodeErrorHead, encodeGoingAway } from '../../src/rpc/envelope.js'
import { FRAME_BYTES_MAX, FrameKind } from '../../src/rpc/frame.js'
import { FrameReader } from '../../src/rpc/frame-reader.js'
import { encodeWelcome } from '../../src/rpc/hello.js'
import { MsgpackCodec } from '../../src/rpc/payload-codec.js'
import { rawFrame } from './session-pair.js'
import { until } from './until.js'

export interface CameFrame {
  readonly kind: number
  readonly id: number
  readonly bytes: number
}

export class ScriptedCallee {
  readonly node: string
  /** Of all connections, in order. */
  readonly frames: CameFrame[] = []
  port = 0
  /** Whether a hello is answered by a welcome at once, and a ping by a pong. */
  isPolite = true
  readonly #codec = new MsgpackCodec()
  readonly #sockets = new Set<Socket>()
  #last: Socket | undefined
  readonly #server: Server
  #onRequest: (id: number) => void = () => {}
  #onConnection: (socket: Socket) => void = () => {}

  private constructor(node: string) {
    this.node = node
    this.#server = createServer((socket) => this.#serve(socket))
  }

  static async listen(node: string): Promise<ScriptedCallee> {
    const callee = new ScriptedCallee(node)
    await new Promise<void>((resolve) => callee.#server.listen(0, '127.0.0.1', resolve))
    const address = callee.#server.address()
    callee.port = typeof address === 'object' && address !== null ? address.port : 0
    return callee
  }

  /** The connection that came last. */
  get socket(): Socket {
    if (this.#last === undefined) throw new Error('nobody has connected')
    return this.#last
  }

  /** Resolves with the id of the `count`th frame of this kind, once it is there. */
  async came(kind: number, count = 1): Promise<number> {
    const nth = (): CameFrame | undefined => this.frames.filter((frame) => frame.kind === kind)[count - 1]
    return (await until(`frame ${count} of kind ${kind} came`, nth, { show: () => this.frames })).id
  }

  /** Called for each request from now on, and for those that came already. */
  onRequest(answer: (id: number) => void): void {
    this.#onRequest = answer
    for (const { kind, id } of this.frames) if (kind === FrameKind.request) answer(id)
  }

  onConnection(take: (socket: Socket) => void): void {
    this.#onConnection = take
  }

  welcome(features = 3): void {
    const body = bodyOf((writer) =>
      encodeWelcome(writer, {
        protocol: 1,
        features,
        frameBytesMax: FRAME_BYTES_MAX,
        node: this.node,
        bootId: `boot-${this.node}`,
      }),
    )
    this.write(FrameKind.welcome, 0, body)
  }

  reply(id: number, value: unknown): void {
    this.write(FrameKind.reply, id, this.encode(value))
  }

  /** Id 0 speaks of the connection. */
  refuse(id: number, code: CallErrorCode, executed: Executed): void {
    this.write(
      FrameKind.error,
      id,
      bodyOf((writer) => encodeErrorHead(writer, { code, executed, message: 'refused' })),
    )
  }

  goAway(lastAcceptedId: number): void {
    this.write(
      FrameKind.goingAway,
      0,
      bodyOf((writer) => encodeGoingAway(writer, lastAcceptedId)),
    )
  }

  encode(value: unknown): Uint8Array {
    return this.#codec.encode(value, 'value').slice()
  }

  write(kind: number, id: number, body?: Uint8Array): void {
    this.socket.write(rawFrame(kind, id, body))
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    this.#last = socket
    this.#onConnection(socket)
    const reader = new FrameReader(
      { handleFrame: (kind, id, { start, end }) => this.#take(kind, id, end - start) },
      1e9,
    )
    socket.on('data', (chunk) => reader.push(chunk, chunk.length))
    socket.on('error', () => {}) // it is meant to be cut
    socket.on('close', () => this.#sockets.delete(socket))
  }

  #take(kind: number, id: number, bytes: number): boolean {
    this.frames.push({ kind, id, bytes })
    if (kind === FrameKind.request) this.#onRequest(id)
    if (!this.isPolite) return true
    if (kind === FrameKind.hello) this.welcome()
    if (kind === FrameKind.ping) this.write(FrameKind.pong, id)
    return true
  }
}

export function bodyOf(encode: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(256)
  encode(writer)
  return writer.bytes.slice(0, writer.length)
}
