/** Nodes of a cluster with keys, certificates and a hook that says who may call what: by the public surface alone. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type CallContext,
  createNode,
  currentCall,
  isRpcError,
  isShoalError,
  type RpcTlsOptions,
  type ShoalNode,
} from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { rejection, stateOf, TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const OLD = Buffer.alloc(32, 1).toString('base64')
const NEW = Buffer.alloc(32, 2).toString('base64')

let nodes = new TestNodes()
afterEach(async () => {
  await nodes.close()
  nodes = new TestNodes()
})

let authority: Authority
beforeAll(() => {
  authority = new Authority()
})

function certificate(...names: string[]): RpcTlsOptions {
  return { ...authority.issue({ names }), ca: authority.ca }
}

const who = {
  who: () => currentCall()?.caller,
  later: () => new Promise((resolve) => setTimeout(resolve, 20, 'done')),
}

async function seeing(...all: ShoalNode[]): Promise<void> {
  await until('all see each other and the service', () =>
    all.every((node) => all.every(({ name }) => stateOf(node, name) === 'alive') && node.getNodes('who').length > 0),
  )
}

describe('a cluster with keys', () => {
  it('is protected as a whole: gossip and calls, and whoever has no key sees neither', async () => {
    const a = await nodes.start('a', { keys: [OLD] })
    await a.provide('who', who)
    const b = await nodes.start('b', { keys: [OLD] })
    await seeing(a, b)
    expect(await b.callCb('who', 'who', [])).toMatchObject({ node: 'b', verified: false })
    expect(a.inspect().rpc.security).toBe('keys')
    const [connection] = a.inspect().rpc.server.connections
    expect(connection?.caller.node).toBe('b')

    const faults: Error[] = []
    a.on('fault', (fault) => faults.push(fault))
    const keyless = await nodes.start('keyless', { seeds: [a.address] })
    keyless.expose('nothing', {})
    expect(stateOf(keyless, 'a')).toBeUndefined()
    expect(JSON.stringify(a.inspect())).not.toContain(OLD)
  })

  it('replaces a key while calls run, and loses none of them', async () => {
    const a = await nodes.start('a', { keys: [OLD] })
    await a.provide('who', who)
    const b = await nodes.start('b', { keys: [OLD] })
    await seeing(a, b)
    const faults: Error[] = []
    for (const node of [a, b]) node.on('fault', (fault) => faults.push(fault))
    let isOver = false
    let made = 0
    const call = async (): Promise<void> => {
      while (!isOver) {
        await b.callCb('who', made++ % 2 === 0 ? 'who' : 'later', [], { timeout: 5_000 })
      }
    }
    const callers = Promise.all(Array.from({ length: 20 }, call))
    const pass = (): Promise<unknown> => {
      const from = made
      return until('calls go on', () => made > from + 200)
    }
    await pass()
    for (const step of ['add', 'use', 'remove'] as const) {
      for (const node of [b, a]) {
        node.keyring[step](step === 'remove' ? OLD : NEW)
        await pass()
      }
    }
    isOver = true
    await callers
    expect(a.keyring.list()).toEqual([NEW])
    expect(faults).toEqual([])

    const stale = await nodes.start('stale', { keys: [OLD] })
    expect(stateOf(stale, 'a')).toBeUndefined()
    const fresh = await nodes.start('fresh', { keys: [NEW] })
    await seeing(a, b, fresh)
    expect(await fresh.callCb('who', 'later', [], { nodes: ['a'] })).toBe('done')
  })

  it('closes what was opened with a key that is removed, once its calls are done', async () => {
    const a = await nodes.start('a', { keys: [NEW, OLD] })
    await a.provide('who', who)
    const b = await nodes.start('b', { keys: [OLD, NEW] })
    await seeing(a, b)
    const running = b.callCb('who', 'later', [])
    await until('it runs', () => a.inspect().rpc.server.connections[0]?.running === 1)
    a.keyring.remove(OLD)
    expect(await running).toBe('done')
    await until('the connection is gone', () => a.inspect().rpc.server.connections.length === 0)
    const refused = await rejection(b.callCb('who', 'who', [], { timeout: 1_000 }))
    expect(isRpcError(refused, 'UNREACHABLE') && refused.executed).toBe('no')
  })

  it.each([
    ['an empty list', []],
    ['a key of a wrong length', [Buffer.alloc(17, 9).toString('base64')]],
    ['what is no base64', ['?'.repeat(24)]],
  ])('refuses %s, and never shows it', async (_what, keys) => {
    const error = await rejection(createNode({ cluster: 'x', bind: '127.0.0.1:0', keys }))
    expect(isShoalError(error, 'INVALID_OPTION')).toBe(true)
    for (const key of keys) expect(String(error)).not.toContain(key)
  })

  it('may have them from the environment, where an empty text is no plaintext', async () => {
    process.env['SHOAL_KEYS'] = `${NEW}, ${OLD}`
    try {
      const a = await nodes.start('a')
      expect(a.keyring.list()).toEqual([NEW, OLD])
      process.env['SHOAL_KEYS'] = ''
      const error = await rejection(createNode({ cluster: 'x', bind: '127.0.0.1:0' }))
      expect(isShoalError(error, 'INVALID_OPTION')).toBe(true)
    } finally {
      process.env['SHOAL_KEYS'] = undefined
      delete process.env['SHOAL_KEYS']
    }
  })
})

describe('a cluster with certificates', () => {
  it('proves who calls, and takes other certificates while it runs', async () => {
    const a = await nodes.start('a', { rpc: { tls: certificate('a') } })
    await a.provide('who', who)
    const b = await nodes.start('b', { rpc: { tls: certificate('b') } })
    await seeing(a, b)
    const first = (await b.callCb('who', 'who', [])) as { certificate: { fingerprint256: string } }
    expect(first).toMatchObject({ node: 'b', verified: true, certificate: { subjectAltName: 'DNS:b' } })
    b.setTls(certificate('b', 'b.shop'))
    const second = (await b.callCb('who', 'who', [])) as typeof first
    expect(second).toMatchObject({ verified: true, certificate: { subjectAltName: 'DNS:b, DNS:b.shop' } })
    a.setTls(certificate('a'))
    expect(await b.callCb('who', 'later', [])).toBe('done')
    expect(() => b.setTls({ cert: 'x', key: 'y', ca: 'z' })).toThrow(/rpc\.tls cannot be used/)
    expect(await b.callCb('who', 'later', [])).toBe('done')
  })

  it('keeps a node out that has the right gossip and no certificate, and tells both sides', async () => {
    const a = await nodes.start('a', { keys: [OLD], rpc: { tls: certificate('a') } })
    await a.provide('who', who)
    const faults: Error[] = []
    a.on('fault', (fault) => faults.push(fault))
    const b = await nodes.start('b', { keys: [OLD] })
    await seeing(a, b)
    const refused = await rejection(b.callCb('who', 'who', []))
    expect(isRpcError(refused, 'UNREACHABLE') && refused.executed).toBe('no')
    expect((refused as Error).message).toMatch(/certificate/)
    await until('a is told', () => faults.length > 0)
    expect(faults[0]).toMatchObject({ code: 'CALLER_REFUSED' })
  })

  it.each([
    ['without ca', { cert: 'x', key: 'y' }, /needs cert, key and ca/],
    ['that are no PEM', { cert: 'x', key: 'y', ca: 'z' }, /cannot be used/],
    ['with an option that there is not', { cert: 'x', key: 'y', ca: 'z', pfx: 'q' }, /has no option 'pfx'/],
  ])('refuses options %s', async (_what, tls, message) => {
    const rpc = { tls: tls as unknown as RpcTlsOptions }
    const error = await rejection(createNode({ cluster: 'x', bind: '127.0.0.1:0', rpc }))
    expect(isShoalError(error, 'INVALID_OPTION')).toBe(true)
    expect((error as Error).message).toMatch(message)
  })
})

describe('a node that can be reached from elsewhere', () => {
  it('warns once when gossip or calls are in plaintext, and names which', async () => {
    const warnings: (Error & { code?: string })[] = []
    const onWarning = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', onWarning)
    const reachable = { bind: '0.0.0.0:0', advertise: '10.99.99.99', seeds: [] }
    await nodes.start('a', { ...reachable, keys: [OLD] })
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
    await nodes.start('b', { ...reachable, rpc: { tls: certificate('b') } })
    await nodes.start('c', reachable)
    await until('it warned', () => warnings.length > 0)
    process.off('warning', onWarning)
    expect(warnings).toMatchObject([{ name: 'SecurityWarning', code: 'SHOAL_INSECURE' }])
    expect(warnings[0]?.message).toMatch(/^gossip at 10\.99\.99\.99: neither encrypted nor authenticated/)
  })
})

describe('authorize', () => {
  it('decides on each call by who calls what, over the network and in the process alike', async () => {
    const seen: unknown[] = []
    const authorize = async (call: CallContext): Promise<boolean | string> => {
      const { service, method, caller, headers } = call
      seen.push([service, method, caller.node, caller.verified, headers['tenant']])
      return method === 'later' || caller.verified || 'only proven callers'
    }
    const a = await nodes.start('a', { authorize, keys: [OLD] })
    await a.provide('who', who)
    a.expose('tools', { ping: () => 'pong' })
    const b = await nodes.start('b', { keys: [OLD] })
    await seeing(a, b)
    expect(await b.callCb('who', 'later', [], { headers: { tenant: 't1' } })).toBe('done')
    const refused = await rejection(b.callCb('who', 'who', []))
    expect(refused).toMatchObject({ code: 'UNAUTHORIZED', executed: 'no', node: 'a' })
    expect((refused as Error).message).toBe("node 'a' does not allow who.who to 'b': only proven callers")
    expect(await rejection(b.call('tools', 'ping', [], { nodes: ['a'] }))).toMatchObject({ code: 'UNAUTHORIZED' })
    expect(await a.callCb('who', 'who', [])).toMatchObject({ node: 'a', verified: true })
    expect(seen).toEqual([
      ['who', 'later', 'b', false, 't1'],
      ['who', 'who', 'b', false, undefined],
      ['tools', 'ping', 'b', false, undefined],
      ['who', 'who', 'a', true, undefined],
    ])
    expect(a.inspect().rpc.handlers).toMatchObject({ unauthorized: 2, authorizeFailed: 0, served: 2 })
  })

  it('that throws refuses, says nothing of it to the caller, and tells its own node once', async () => {
    const a = await nodes.start('a', {
      authorize: () => {
        throw new Error('the database of secrets is at 10.0.0.9')
      },
    })
    await a.provide('who', who)
    const faults: Error[] = []
    a.on('fault', (fault) => faults.push(fault))
    const b = await nodes.start('b')
    await seeing(a, b)
    for (let i = 0; i < 3; i++) {
      const refused = await rejection(b.callCb('who', 'who', []))
      expect(refused).toMatchObject({ code: 'UNAUTHORIZED', executed: 'no' })
      expect((refused as Error).message).not.toContain('secrets')
    }
    expect(faults).toMatchObject([
      { code: 'HOOK_FAILED', cause: { message: 'the database of secrets is at 10.0.0.9' } },
    ])
  })

  it('must be a function', async () => {
    const authorize = 'everybody' as unknown as () => boolean
    const error = await rejection(createNode({ cluster: 'x', bind: '127.0.0.1:0', authorize }))
    expect(isShoalError(error, 'INVALID_OPTION')).toBe(true)
  })
})

describe('a handler that does not heed its signal', () => {
  it('is counted, and the count is in inspect()', async () => {
    const a = await nodes.start('a')
    let finish = (): void => {}
    await a.provide('who', { ...who, deaf: () => new Promise<void>((resolve) => (finish = resolve)) })
    const b = await nodes.start('b')
    await seeing(a, b)
    expect(await rejection(b.callCb('who', 'deaf', [], { timeout: 100 }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await until('it is cancelled', () => a.inspect().rpc.handlers.cancelledRunning === 1)
    finish()
    await until('it is counted', () => a.inspect().rpc.handlers.ignoredCancel === 1)
    expect(a.inspect().rpc.handlers).toMatchObject({ inFlight: 0, cancelledRunning: 0 })
  })
})
