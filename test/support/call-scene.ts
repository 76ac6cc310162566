/**
 * One call brought to one stage, ready for something to go wrong: the caller is a real one, the callee a scripted one but
 * where its handler runs. Everything in a scene is closed by `close`.
 */
import { createServer } from 'node:net'
import { formatHostPort } from '../../src/address.js'
import { FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { type Admission, currentCall, Rpc, type RpcOptions } from '../../src/rpc/index.js'
import { RelayProcess } from './relay-process.js'
import { directoryOf } from './rpc-fakes.js'
import { ScriptedCallee } from './scripted-callee.js'
import { until } from './until.js'

/** Where a call is, as its caller's kernel and its callee have it; `streaming`: one item of its answer has been read. */
export const STAGES = ['dial', 'hello', 'queued', 'written', 'executing', 'replying', 'streaming'] as const
export type Stage = (typeof STAGES)[number]

export interface SceneWish {
  readonly timeout?: number
  readonly limits?: RpcOptions['limits']
  /** A process stands between the two. */
  readonly relayed?: boolean
}

interface SceneParts {
  readonly caller: Rpc
  readonly peer: ScriptedCallee | undefined
  readonly callee: RunningCallee | undefined
  readonly relay: RelayProcess | undefined
  readonly timeout: number
  readonly stage: Stage
}

/** Quick enough for a table of tests; a stall of this process does not count for any of them. */
const LIMITS = { connectMs: 1_000, pingMs: 100, probeMs: 100, silenceMs: 400, stallMs: 800 } as const
const PIECE = 65_536
/** More than the kernel holds of a connection whose other side does not read. */
const FILLER = new Uint8Array(12_000_000)

export class CallScene {
  readonly abort: AbortController = new AbortController()
  /** The call's end: `ok`, or its code and what is known of its execution. */
  readonly ended: Promise<string>
  readonly caller: Rpc
  /** Absent where the handler really runs. */
  readonly peer: ScriptedCallee | undefined
  readonly callee: RunningCallee | undefined
  readonly relay: RelayProcess | undefined
  readonly #filler: AbortController = new AbortController()
  #itemsRead = 0
  #rest: Uint8Array = new Uint8Array(0)
  /** Of the request, as the peer got it. */
  id = 0

  private constructor({ caller, peer, callee, relay, timeout, stage }: SceneParts) {
    this.caller = caller
    this.peer = peer
    this.callee = callee
    this.relay = relay
    const call = (): Promise<string> => outcomeOf(stage === 'streaming' ? this.#read(timeout) : this.#call(timeout))
    this.ended = stage === 'queued' ? this.#fill().then(call) : call()
  }

  /** Resolves when the call is there. */
  static async at(stage: Stage, { timeout = 10_000, limits, relayed = false }: SceneWish = {}): Promise<CallScene> {
    const peer = stage === 'executing' ? undefined : await ScriptedCallee.listen('callee')
    const callee = stage === 'executing' ? await RunningCallee.listen() : undefined
    if (peer !== undefined) peer.isPolite = stage !== 'hello'
    const port = peer?.port ?? callee?.port ?? 0
    const relay = relayed ? await RelayProcess.start(port, stage === 'dial' ? { backlog: 1 } : {}) : undefined
    if (stage === 'dial') await relay?.stopAnswering()
    const caller = callerOf(relay?.port ?? port, { ...LIMITS, ...limits })
    const scene = new CallScene({ caller, peer, callee, relay, timeout, stage })
    await scene.#reach(stage)
    return scene
  }

  /** Calls of this scene that its caller has in flight, besides the one that fills the connection. */
  inFlight(): number {
    const { peers, localPending, retryPauses } = this.caller.stats()
    const waiting = peers.peers.reduce((sum, { waiting }) => sum + waiting, 0)
    return peers.inFlight + peers.streams + waiting + localPending + retryPauses
  }

  dropFiller(): void {
    this.#filler.abort()
  }

  async close(): Promise<void> {
    this.dropFiller()
    await this.relay?.kill()
    await Promise.all([this.caller.close(), this.peer?.close(), this.callee?.close()])
  }

  async #reach(stage: Stage): Promise<void> {
    const { peer } = this
    if (stage === 'dial') await until('it dials', () => this.caller.stats().peers.connections === 1)
    else if (stage === 'hello') await peer?.came(FrameKind.hello)
    else if (stage === 'queued')
      await until('it waits behind the other', () => this.caller.stats().peers.inFlight === 2)
    else if (stage === 'executing') await this.callee?.began
    else {
      this.id = (await peer?.came(FrameKind.request)) ?? 0
      if (stage === 'replying') this.replyPart()
      if (stage === 'streaming') {
        this.sendItem()
        await until('an item was read', () => this.#itemsRead === 1)
      }
    }
  }

  /** The first piece of a long reply, and half of the next. */
  replyPart(): void {
    const value = this.peer?.encode('x'.repeat(2 * PIECE)) ?? new Uint8Array(0)
    this.peer?.write(FrameKind.reply | MORE_FLAG, this.id, value.subarray(0, PIECE))
    this.#rest = value.subarray(PIECE)
  }

  sendItem(): void {
    this.peer?.write(FrameKind.streamItem, this.id, this.peer.encode('an item'))
  }

  endStream(): void {
    this.peer?.write(FrameKind.streamEnd, this.id)
  }

  replyRest(): void {
    this.peer?.write(FrameKind.reply, this.id, this.#rest)
  }

  /** Its peer reads nothing, so that the connection takes nothing any more. */
  async #fill(): Promise<void> {
    const options = { nodes: ['callee'], signal: this.#filler.signal }
    await this.caller.callCb('test', 'ready', [], { ...options, timeout: 0 })
    await this.peer?.came(FrameKind.request)
    if (this.relay === undefined) this.peer?.socket.pause()
    else this.relay.stop()
    this.caller.callCb('test', 'fill', [FILLER], options).catch(() => {}) // it only takes up room
    let before = -1
    await until(
      'the connection is full',
      async () => {
        const sent = this.caller.stats().peers.peers[0]?.connections[0]?.sentBytes ?? 0
        const isFull = sent === before && sent > 100_000
        before = sent
        return isFull
      },
      { every: 50 },
    )
  }

  async #read(timeout: number): Promise<void> {
    const options = { nodes: ['callee'], timeout, signal: this.abort.signal }
    for await (const _item of this.caller.streamCb('test', 'get', [], options)) this.#itemsRead++
  }

  #call(timeout: number): Promise<unknown> {
    const { signal } = this.abort
    // Long enough to be cut in pieces where it has to wait for its turn.
    const args = [new Uint8Array(this.peer === undefined ? 10 : 2 * PIECE)]
    return this.caller.callCb('test', 'get', args, { nodes: ['callee'], timeout, signal })
  }
}

/** `ok`, or the code and what is known of the execution. */
export function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    ({ code, executed }) => `${code} ${executed}`,
  )
}

/** A callee whose handler runs until it is released, or told to stop. */
export class RunningCallee {
  readonly rpc: Rpc
  /** Resolves when the handler runs. */
  readonly began: Promise<void>
  port = 0
  admission: Admission = 'running'
  ran = 0
  #begin = (): void => {}
  #end: { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void } | undefined

  private constructor() {
    this.rpc = rpcOf('callee', {})
    this.began = new Promise((resolve) => {
      this.#begin = resolve
    })
    this.rpc.provide('test', { methods: { get: () => this.#get() }, admission: () => this.admission })
  }

  static async listen(): Promise<RunningCallee> {
    const callee = new RunningCallee()
    callee.port = (await callee.rpc.listen()).port
    return callee
  }

  release(): void {
    this.#end?.resolve('done')
  }

  fail(): void {
    this.#end?.reject(new Error('no'))
  }

  async close(): Promise<void> {
    this.release()
    await this.rpc.close()
  }

  #get(): Promise<unknown> {
    this.ran++
    const signal = currentCall()?.signal
    return new Promise((resolve, reject) => {
      this.#end = { resolve, reject }
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      this.#begin()
    })
  }
}

/** A port of this machine where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

export function callerOf(port: number, limits: RpcOptions['limits'] = LIMITS): Rpc {
  const address = formatHostPort({ host: '127.0.0.1', port })
  const callee = { node: 'callee', bootId: 'boot-callee', address, local: false }
  return rpcOf('caller', { limits, directory: directoryOf({ test: [callee] }) })
}

function rpcOf(node: string, change: Partial<RpcOptions>): Rpc {
  return new Rpc({
    cluster: 'test',
    node,
    bootId: `boot-${node}`,
    bind: { host: '127.0.0.1', port: 0 },
    directory: directoryOf({}),
    ...change,
  })
}
