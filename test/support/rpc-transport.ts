/** Callers and callees of the rpc transport on real sockets, with a dispatcher that the test scripts. */
import { createServer, type Server, type Socket } from 'node:net'
import type { CallErrorCode, Executed, RpcError } from '../../src/errors.js'
import type { CallRequest, CancelReason, Dispatcher, IncomingCall, Outcome } from '../../src/rpc/call.js'
import type { ChannelSecurity } from '../../src/rpc/channel-security.js'
import { type Dial, dialSecured } from '../../src/rpc/dialer.js'
import type { Candidate, PeerEvidence } from '../../src/rpc/directory.js'
import type { RpcLimits } from '../../src/rpc/limits.js'
import { Peers } from '../../src/rpc/peers.js'
import { RpcServer } from '../../src/rpc/server.js'

export interface ArrivedCall {
  readonly call: IncomingCall
  readonly settle: (outcome: Outcome) => void
  readonly cancelled: CancelReason[]
}

/** `echo` answers with its arguments, `hold` never by itself; everything that arrives is kept. */
export class ScriptedDispatcher implements Dispatcher {
  readonly arrived: ArrivedCall[] = []
  readonly #watchers = new Set<() => void>()

  dispatch(call: IncomingCall, settle: (outcome: Outcome) => void): ((reason: CancelReason) => void) | undefined {
    const entry: ArrivedCall = { call, settle, cancelled: [] }
    this.arrived.push(entry)
    this.#changed()
    if (call.method === 'echo') {
      settle({ ok: true, value: call.args })
      return undefined
    }
    if (call.method === 'echoLater') {
      setImmediate(() => settle({ ok: true, value: call.args }))
    }
    return (reason) => {
      entry.cancelled.push(reason)
      this.#changed()
    }
  }

  /** Resolves as soon as the condition holds; looks again at each arrival and each cancellation. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return
        this.#watchers.delete(check)
        resolve()
      }
      this.#watchers.add(check)
      check()
    })
  }

  #changed(): void {
    for (const check of [...this.#watchers]) check()
  }
}

export interface Callee {
  readonly server: RpcServer
  readonly dispatcher: ScriptedDispatcher
  readonly candidate: Candidate
  readonly faults: readonly Error[]
}

export interface CallerWish {
  readonly cluster?: string | undefined
  readonly node?: string
  readonly security?: ChannelSecurity
  readonly dial?: Dial
}

export interface Evidence {
  readonly node: string
  readonly evidence: PeerEvidence
}

/** Everything started through one of these is closed by `close`. */
export class RpcTestbed {
  readonly #closers: (() => Promise<unknown>)[] = []

  async callee(limits?: Partial<RpcLimits>, node = 'callee', security?: ChannelSecurity): Promise<Callee> {
    const dispatcher = new ScriptedDispatcher()
    const faults: Error[] = []
    const identity = { cluster: 'test', node, bootId: `${node}-1` }
    const onFault = (fault: Error): unknown => faults.push(fault)
    const server = new RpcServer({ dispatcher, limits, identity, security, onFault })
    this.#closers.push(() => server.close({ graceMs: 0 }))
    const { host, port } = await server.listen({ host: '127.0.0.1', port: 0 })
    return {
      server,
      dispatcher,
      faults,
      candidate: { node, bootId: `${node}-1`, address: `${host}:${port}`, local: false },
    }
  }

  caller(
    limits?: Partial<RpcLimits>,
    { cluster = 'test', node = 'caller', security, dial }: CallerWish = {},
  ): { peers: Peers; evidence: Evidence[] } {
    const evidence: Evidence[] = []
    const peers = new Peers({
      identity: { cluster, node, bootId: `${node}-1` },
      dial: security === undefined ? dial : dialSecured(security),
      limits,
      random: Math.random,
      onEvidence: ({ node }, what) => evidence.push({ node, evidence: what }),
    })
    this.#closers.push(() => peers.close())
    return { peers, evidence }
  }

  /** A listener that speaks no protocol by itself. */
  async rawServer(onSocket: (socket: Socket) => void): Promise<{ candidate: Candidate; sockets: Socket[] }> {
    const sockets: Socket[] = []
    const server: Server = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => {})
      onSocket(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#closers.push(() => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    })
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    return { candidate: { node: 'raw', bootId: '', address: `127.0.0.1:${port}`, local: false }, sockets }
  }

  async close(): Promise<void> {
    await Promise.all(this.#closers.splice(0).map((close) => close()))
  }
}

export function request(method: string, args: readonly unknown[] = [], change: Partial<CallRequest> = {}): CallRequest {
  return {
    service: 'test',
    method,
    args,
    deadlineAt: performance.now() + 10_000,
    headers: undefined,
    signal: undefined,
    cast: false,
    ...change,
  }
}

/** How a call failed, as `[code, executed, message]`; a call that succeeds fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<[CallErrorCode, Executed, string]> {
  const error = await call.then(
    (value) => {
      throw new Error(`the call succeeded with ${JSON.stringify(value)}`)
    },
    (rejection: RpcError) => rejection,
  )
  return [error.code, error.executed, error.message]
}
