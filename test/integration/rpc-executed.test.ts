/** What a failed call says about its execution, over real sockets and in the same process, and what follows from it. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { formatHostPort } from '../../src/address.js'
import type { CallErrorCode, Executed, RpcError } from '../../src/errors.js'
import { type Candidate, currentCall, type Provided, Rpc, type RpcOptions } from '../../src/rpc/index.js'
import { rejection } from '../support/rpc-fakes.js'

const opened: { close(): unknown }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()))
})

/** A few nodes that know each other's services from one hand-made table. */
class Cluster {
  readonly #instances: { service: string; candidate: Candidate }[] = []

  async node(name: string, options: Partial<RpcOptions> = {}): Promise<Rpc> {
    const rpc = new Rpc({
      cluster: 'test',
      node: name,
      bootId: `boot-${name}`,
      bind: { host: '127.0.0.1', port: 0 },
      directory: {
        candidates: (service, _method, { nodes }) => {
          const known = (node: string, wanted: string | undefined): Candidate[] =>
            this.#instances
              .filter((each) => each.candidate.node === node && (wanted === undefined || each.service === wanted))
              .slice(0, 1)
              .map(({ candidate }) => ({ ...candidate, local: candidate.node === name }))
          if (nodes !== undefined) return nodes.flatMap((node) => known(node, undefined))
          return this.#instances
            .filter((each) => each.service === service)
            .flatMap((i) => known(i.candidate.node, service))
        },
      },
      ...options,
    })
    opened.push(rpc)
    const bound = await rpc.listen()
    this.list('', { node: name, bootId: `boot-${name}`, address: formatHostPort(bound), local: false })
    return rpc
  }

  list(service: string, candidate: Candidate): void {
    this.#instances.push({ service, candidate })
  }

  provide(rpc: Rpc, node: string, methods: object, changes: Partial<Provided> = {}): void {
    rpc.provide('users', { methods, admission: () => 'running', ...changes })
    const listed = this.#instances.find((each) => each.candidate.node === node)
    if (listed !== undefined) this.list('users', listed.candidate)
  }
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {}
  const opening = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened: opening, open: () => open() }
}

const never = (): Promise<never> => new Promise(() => {})

/** Accepts connections and says nothing. */
async function silentServer(): Promise<Server> {
  const server = createServer((socket) => {
    opened.push({ close: () => socket.destroy() })
    socket.on('error', () => {})
  })
  opened.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function addressOf(server: Server): string {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not bound')
  return `127.0.0.1:${address.port}`
}

interface Case {
  readonly why: string
  readonly code: CallErrorCode
  readonly executed: Executed
  readonly methods?: object
  readonly provided?: Partial<Provided>
  /** Makes the call, by default `users.get('42')`. */
  readonly call?: (caller: Rpc, callee: Rpc) => Promise<unknown>
  readonly options?: Partial<RpcOptions>
  readonly ran: boolean
}

const cases: readonly Case[] = [
  {
    why: 'unknown service',
    code: 'NOT_PROVIDED',
    executed: 'no',
    call: (caller) => caller.callCb('other', 'get', [], { nodes: ['callee'] }),
    ran: false,
  },
  {
    why: 'unknown method',
    code: 'NO_METHOD',
    executed: 'no',
    call: (caller) => caller.callCb('users', 'nope', []),
    ran: false,
  },
  {
    why: 'a method of Object',
    code: 'NO_METHOD',
    executed: 'no',
    call: (c) => c.callCb('users', 'toString', []),
    ran: false,
  },
  { why: 'paused', code: 'UNAVAILABLE', executed: 'no', provided: { admission: () => 'unavailable' }, ran: false },
  { why: 'draining', code: 'DRAINING', executed: 'no', provided: { admission: () => 'draining' }, ran: false },
  {
    why: 'overloaded',
    code: 'OVERLOADED',
    executed: 'no',
    methods: { wait: never },
    provided: { maxInFlight: 1 },
    call: async (caller) => {
      void caller.callCb('users', 'wait', []).catch(() => {})
      return caller.callCb('users', 'get', [])
    },
    ran: false,
  },
  {
    why: 'handler throws',
    code: 'REMOTE',
    executed: 'yes',
    call: (caller) => caller.callCb('users', 'fail', []),
    ran: true,
  },
  {
    why: 'handler rejects',
    code: 'REMOTE',
    executed: 'yes',
    call: (caller) => caller.callCb('users', 'reject', []),
    ran: true,
  },
  {
    why: 'timeout',
    code: 'DEADLINE_EXCEEDED',
    executed: 'maybe',
    call: (caller) => caller.callCb('users', 'hang', [], { timeout: 60 }),
    ran: true,
  },
  {
    why: 'cancelled before it was sent',
    code: 'CANCELLED',
    executed: 'no',
    call: (caller) => caller.callCb('users', 'get', [], { signal: AbortSignal.abort() }),
    ran: false,
  },
  {
    why: 'arguments that cannot travel',
    code: 'INVALID_ARGUMENT',
    executed: 'no',
    call: (caller) => caller.callCb('users', 'get', [() => 1]),
    options: { local: 'clone' },
    ran: false,
  },
  {
    why: 'a result that cannot travel',
    code: 'REMOTE',
    executed: 'yes',
    call: (caller) => caller.callCb('users', 'give', []),
    options: { local: 'clone' },
    ran: true,
  },
  {
    why: 'no instance',
    code: 'NO_INSTANCES',
    executed: 'no',
    call: (caller) => caller.callCb('unheard', 'get', []),
    ran: false,
  },
  {
    why: 'bad arguments',
    code: 'INVALID_ARGUMENT',
    executed: 'no',
    call: (c) => c.callCb('users', 'get', 'x' as never),
    ran: false,
  },
  {
    why: 'the caller is closed',
    code: 'CLOSED',
    executed: 'no',
    call: async (caller) => {
      await caller.close()
      return caller.callCb('users', 'get', [])
    },
    ran: false,
  },
]

describe.each(['over the network', 'in the same process'])('executed %s', (where) => {
  async function pair(options: Partial<RpcOptions> = {}) {
    const cluster = new Cluster()
    const callee = await cluster.node('callee', options)
    const caller = where === 'over the network' ? await cluster.node('caller', options) : callee
    return { cluster, callee, caller }
  }

  it.each(cases)('$why: $code, $executed', async ({ code, executed, methods, provided, call, options, ran }) => {
    const { cluster, callee, caller } = await pair(options)
    let count = 0
    const counted = (work: () => unknown) => () => {
      count++
      return work()
    }
    const all = {
      get: counted(() => 1),
      fail: counted(() => {
        throw Object.assign(new Error('broken'), { code: 'E_BROKEN' })
      }),
      reject: counted(() => Promise.reject(new Error('broken'))),
      hang: counted(never),
      give: counted(() => () => 1),
      ...methods,
    }
    cluster.provide(callee, 'callee', all, provided)
    const error = await rejection(call === undefined ? caller.callCb('users', 'get', ['42']) : call(caller, callee))
    expect(error).toMatchObject({ code, executed })
    expect(count).toBe(ran ? 1 : 0)
  })

  it('cancelled after it was sent: CANCELLED, maybe, and the signal of the handler is aborted', async () => {
    const { cluster, callee, caller } = await pair()
    const started = gate()
    const stopped = gate()
    const controller = new AbortController()
    const hang = (): Promise<never> => {
      currentCall()?.signal.addEventListener('abort', stopped.open)
      started.open()
      return never()
    }
    cluster.provide(callee, 'callee', { hang })
    const failed = rejection(caller.callCb('users', 'hang', [], { signal: controller.signal }))
    await started.opened
    controller.abort()
    expect(await failed).toMatchObject({ code: 'CANCELLED', executed: 'maybe' })
    await stopped.opened
    expect(callee.stats().handlers).toMatchObject({ inFlight: 1, cancelledRunning: 1 })
  })

  it('deadline over before it was sent: DEADLINE_EXCEEDED, no', async () => {
    const { cluster, callee, caller } = await pair()
    let nested: RpcError | undefined
    let ran = 0
    const finished = gate()
    const get = async (): Promise<void> => {
      await new Promise((resolve) => currentCall()?.signal.addEventListener('abort', resolve))
      nested = await rejection(caller.callCb('users', 'count', []))
      finished.open()
    }
    cluster.provide(callee, 'callee', { get, count: () => ++ran })
    expect(await rejection(caller.callCb('users', 'get', [], { timeout: 40 }))).toMatchObject({ executed: 'maybe' })
    await finished.opened
    expect(nested).toMatchObject({ code: 'DEADLINE_EXCEEDED', executed: 'no' })
    expect(ran).toBe(0)
  })

  it('the handler error arrives with name, message and code, and without its stack', async () => {
    const { cluster, callee, caller } = await pair()
    cluster.provide(callee, 'callee', {
      get: () => {
        throw Object.assign(new RangeError('too far'), { code: 'E_FAR', data: { by: 3 } })
      },
    })
    const error = await rejection(caller.callCb('users', 'get', []))
    expect(error.node).toBe('callee')
    expect(error.remote).toEqual({ name: 'RangeError', message: 'too far', code: 'E_FAR', data: { by: 3 } })
  })

  it('a handler cannot look like a refusal, so nothing runs twice', async () => {
    const { cluster, callee, caller } = await pair()
    const second = await cluster.node('second')
    let ran = 0
    const get = async (): Promise<unknown> => {
      ran++
      return caller.callCb('unheard', 'get', [])
    }
    cluster.provide(callee, 'callee', { get })
    cluster.provide(second, 'second', { get })
    const failed = await rejection(caller.remote('users', 'get', [], { idempotent: true, retryDelay: 1 }))
    expect(failed).toMatchObject({ code: 'REMOTE', executed: 'yes', remote: { code: 'NO_INSTANCES' } })
    expect(ran).toBe(1)
  })

  it('a nested call inherits headers and what is left of the deadline', async () => {
    const { cluster, callee, caller } = await pair()
    const inner = (): unknown => [currentCall()?.headers, currentCall()?.remaining(), currentCall()?.caller.node]
    cluster.provide(callee, 'callee', { get: () => callee.callCb('users', 'inner', []), inner })
    const headers = { traceparent: '00-abc', tenant: 't1' }
    const [seen, remaining, from] = (await caller.callCb('users', 'get', [], { timeout: 900, headers })) as unknown[]
    expect(seen).toEqual(headers)
    expect(remaining).toBeGreaterThan(0)
    expect(remaining).toBeLessThanOrEqual(900)
    expect(from).toBe('callee')
  })

  it('a cast resolves before its handler ends and reports its failure as a fault', async () => {
    const fault = new Promise<Error>((resolve) => {
      opened.push({ close: () => resolve(new Error('no fault came')) })
      void run(resolve)
    })
    async function run(onFault: (error: Error) => void): Promise<void> {
      const { cluster, callee, caller } = await pair({ onFault })
      const started = gate()
      const release = gate()
      const get = async (): Promise<void> => {
        started.open()
        await release.opened
        throw new Error('late trouble')
      }
      cluster.provide(callee, 'callee', { get })
      expect(await caller.callCb('users', 'get', [], { timeout: 0 })).toBeUndefined()
      await started.opened
      release.open()
    }
    expect(await fault).toMatchObject({ code: 'REMOTE', remote: { message: 'late trouble' } })
  })
})

describe('executed when the connection fails', () => {
  it('connection refused: UNREACHABLE, no', async () => {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const gone = createServer()
    gone.listen(0, '127.0.0.1')
    await once(gone, 'listening')
    const address = addressOf(gone)
    gone.close()
    await once(gone, 'close')
    cluster.list('users', { node: 'gone', bootId: 'b', address, local: false })
    expect(await rejection(caller.callCb('users', 'get', []))).toMatchObject({ code: 'UNREACHABLE', executed: 'no' })
  })

  it('another node at that address: UNREACHABLE, no, and nothing ran', async () => {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const other = await cluster.node('other')
    let ran = 0
    other.provide('users', { methods: { get: () => ++ran }, admission: () => 'running' })
    const address = other.stats().server.address ?? ''
    for (const [node, bootId] of [
      ['expected', 'b'],
      ['other', 'an earlier boot'],
    ] as const) {
      cluster.list(`users of ${node}`, { node, bootId, address, local: false })
    }
    const wrongNode = await rejection(caller.callCb('users of expected', 'get', []))
    expect(wrongNode).toMatchObject({ code: 'UNREACHABLE', executed: 'no', node: 'expected' })
    expect(ran).toBe(0)
  })

  it('lost after it was written: CONNECTION_LOST, maybe', async () => {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const callee = await cluster.node('callee')
    let closing: Promise<void> | undefined
    const get = (): Promise<never> => {
      closing = callee.close()
      return never()
    }
    cluster.provide(callee, 'callee', { get })
    const error = await rejection(caller.callCb('users', 'get', []))
    expect(error).toMatchObject({ code: 'CONNECTION_LOST', executed: 'maybe', node: 'callee' })
    await closing
  })

  it.each(['cancelled', 'out of time'])('%s while connecting: not executed', async (how) => {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const silent = await silentServer()
    cluster.list('users', { node: 'silent', bootId: 'b', address: addressOf(silent), local: false })
    const controller = new AbortController()
    const options = how === 'cancelled' ? { signal: controller.signal } : { timeout: 50 }
    const connected = once(silent, 'connection')
    const failed = rejection(caller.callCb('users', 'get', [], options))
    await connected
    controller.abort()
    const code = how === 'cancelled' ? 'CANCELLED' : 'DEADLINE_EXCEEDED'
    expect(await failed).toMatchObject({ code, executed: 'no' })
  })

  it('too large to send: TOO_LARGE, no; too large to answer: TOO_LARGE, yes', async () => {
    const cluster = new Cluster()
    const limits = { frameBytesMax: 100_000 }
    const caller = await cluster.node('caller', { limits })
    const callee = await cluster.node('callee', { limits })
    let ran = 0
    const get = (): string => {
      ran++
      return 'x'.repeat(200_000)
    }
    cluster.provide(callee, 'callee', { get })
    const unsent = await rejection(caller.callCb('users', 'get', ['x'.repeat(200_000)]))
    expect(unsent).toMatchObject({ code: 'TOO_LARGE', executed: 'no' })
    expect(ran).toBe(0)
    const unanswered = await rejection(caller.callCb('users', 'get', []))
    expect(unanswered).toMatchObject({ code: 'TOO_LARGE', executed: 'yes' })
    expect(ran).toBe(1)
  })
})

describe('failover over the network', () => {
  async function three(get: (node: string, rpc: Rpc) => unknown, provided: Partial<Provided> = {}) {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const ran: string[] = []
    for (const name of ['a', 'b', 'c']) {
      const rpc = await cluster.node(name)
      const serve = (): unknown => {
        ran.push(name)
        return get(name, rpc)
      }
      cluster.provide(rpc, name, { get: serve }, name === 'a' ? provided : {})
    }
    return { caller, ran }
  }

  it('goes on when the first refuses', async () => {
    const { caller, ran } = await three((name) => `from ${name}`, { admission: () => 'draining' })
    expect(await caller.callCb('users', 'get', [])).toBe('from b')
    expect(ran).toEqual(['b'])
  })

  it('a call that starts while its instance goes away is answered by the next', async () => {
    const { caller } = await three((name) => `from ${name}`)
    const all = await caller.callCbAll('users', 'get', [])
    expect(all).toEqual(['a', 'b', 'c'].map((node) => ({ node, ok: true, value: `from ${node}` })))
    await (opened[1] as Rpc).close()
    expect(await caller.callCb('users', 'get', [])).toBe('from b')
  })

  it.each([true, false])('after a lost connection goes on only if idempotent: %s', async (idempotent) => {
    const { caller, ran } = await three((name, rpc) => {
      if (name !== 'a') return `from ${name}`
      void rpc.close()
      return never()
    })
    const result = caller.callCb('users', 'get', [], { idempotent })
    if (idempotent) expect(await result).toBe('from b')
    else expect(await rejection(result)).toMatchObject({ code: 'CONNECTION_LOST', executed: 'maybe' })
    expect(ran).toEqual(idempotent ? ['a', 'b'] : ['a'])
  })

  it('a stub made before any instance exists reaches the first that comes up', async () => {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const users = caller.stub('users', { retryDelay: 5 })
    const answer = users['get']?.('42')
    expect(caller.stub('users')).toBe(caller.stub('users'))
    const callee = await cluster.node('callee')
    cluster.provide(callee, 'callee', { get: (id: string) => `user ${id}` })
    expect(await answer).toBe('user 42')
  })

  it('drain waits for running calls and tells whether it emptied in time', async () => {
    const cluster = new Cluster()
    const caller = await cluster.node('caller')
    const callee = await cluster.node('callee')
    const started = gate()
    const release = gate()
    const get = async (): Promise<string> => {
      started.open()
      await release.opened
      return 'done'
    }
    cluster.provide(callee, 'callee', { get })
    const answer = caller.callCb('users', 'get', [])
    await started.opened
    expect(await callee.drain('users', 10)).toBe(false)
    const drained = callee.drain('users', 5_000)
    release.open()
    expect(await drained).toBe(true)
    expect(await answer).toBe('done')
  })
})
