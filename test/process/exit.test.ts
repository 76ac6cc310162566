/**
 * A program that is done with its nodes ends by itself: no timer, socket or listener holds it. Run with both builds of
 * the package, as an installed one.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BuiltPackage } from '../support/built-package.js'

/** Between the last line of a program and its end; a timer of shoal's that was left would be there for longer. */
const LINGER_MS = 1_500

let built: BuiltPackage

beforeAll(async () => {
  built = await BuiltPackage.make()
}, 60_000)

afterAll(() => built?.remove())

const IMPORTS = {
  mjs: `import { createNode, defineService, isRpcError, isShoalError, method } from 'shoal'
import { createTestNetwork } from 'shoal/testing'`,
  cjs: `const { createNode, defineService, isRpcError, isShoalError, method } = require('shoal')
const { createTestNetwork } = require('shoal/testing')`,
} as const

const FORMATS = ['mjs', 'cjs'] as const

/** Ends with the line `done`, or with status 1 and what was thrown. */
function program(format: 'mjs' | 'cjs', body: string): string {
  return `${IMPORTS[format]}
const options = { cluster: 'exit', bind: '127.0.0.1:0' }
function assert(what, holds) { if (!holds) throw new Error('does not hold: ' + what) }
async function main() {
${body}
}
main().then(() => console.log('done'), (error) => { console.error(error); process.exitCode = 1 })
`
}

async function expectToEnd(format: 'mjs' | 'cjs', body: string): Promise<void> {
  const { code, stdout, stderr, lingeredMs } = await built.run(format, program(format, body))
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'done\n', stderr: '' })
  expect(lingeredMs).toBeLessThan(LINGER_MS)
}

describe.each(FORMATS)('a program with the %s build ends by itself', (format) => {
  it('after close', () => expectToEnd(format, 'const node = await createNode(options)\nawait node.close()'))

  it('after leave and close', () =>
    expectToEnd(format, 'const node = await createNode(options)\nawait node.leave()\nawait node.close()'))

  it('after a test network, and with one that was never closed', () =>
    expectToEnd(
      format,
      `
  const nets = [1, 1].map((seed) => createTestNetwork({ seed, latencyMs: 10, loss: 0.1 }))
  const traffic = []
  for (const net of nets) {
    const a = await net.node({ name: 'a' })
    const b = await net.node({ name: 'b' })
    const Sums = defineService('sums', { version: '1.0.0' }, { add: method({ idempotent: true }) })
    await net.run(b.provide(Sums, { add: (x, y) => x + y }))
    await net.settled()
    assert('a call is answered', await net.run(a.stub(Sums).add(1, 2)) === 3)
    net.crash(b)
    const error = await net.run(a.callCb('sums', 'add', [1, 2], { timeout: 2_000 })).catch((error) => error)
    assert('errors are of the same package', isRpcError(error, 'CONNECTION_LOST') && error.executed === 'maybe')
    await net.settled()
    assert('a death is seen', a.members().some(({ name, state }) => name === 'b' && state === 'dead'))
    traffic.push(JSON.stringify([net.now(), net.stats()]))
  }
  assert('a seed gives the same traffic', traffic[0] === traffic[1])
  await nets[0].close()
`,
    ))

  it('after await using', () =>
    expectToEnd(format, 'const node = await createNode(options)\nawait node[Symbol.asyncDispose]()'))

  it('after a life of calls, with waits, retries, watches and running handlers still under way', () =>
    expectToEnd(
      format,
      `
  const a = await createNode({ ...options, name: 'a' })
  const b = await createNode({ ...options, name: 'b', seeds: [a.address, '127.0.0.1:1'] })
  let aborted = false
  await a.provide('jobs', { quick: () => 1, endless: () => new Promise(() => {}) })
  await b.waitForServices(['jobs'])
  assert('a call is answered', await b.callCb('jobs', 'quick', []) === 1)
  await b.callCb('jobs', 'quick', [], { timeout: 0 })
  const pending = [
    b.callCb('jobs', 'endless', []),
    a.callCb('jobs', 'endless', []),
    b.remote('never', 'there', []),
    b.waitForServices(['never']),
    b.join(['127.0.0.1:1']),
  ]
  const watch = b.watch('jobs')
  assert('the watch begins with what there is', (await watch.next()).value.type === 'up')
  const next = watch.next()
  const settled = Promise.allSettled(pending)
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([a.close(), b.close()])
  assert('the watch ended', (await next).done === true)
  const outcomes = await settled
  assert('what was pending ended', outcomes.slice(0, 4).every(({ status }) => status === 'rejected'))
  assert('with an error of ours', outcomes.slice(0, 4).every(({ reason }) => isShoalError(reason)))
`,
    ))

  it('after starts that failed: port in use, options refused, no seed reached', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    try {
      await expectToEnd(
        format,
        `
  const codeOf = (given) => createNode({ ...options, ...given }).then(() => 'none', (error) => error.code)
  assert('gossip port in use', await codeOf({ bind: '127.0.0.1:${port}' }) === 'EADDRINUSE')
  assert('rpc port in use', await codeOf({ rpc: { bind: '127.0.0.1:${port}' } }) === 'EADDRINUSE')
  assert('health port in use', await codeOf({ health: { bind: '127.0.0.1:${port}' } }) === 'EADDRINUSE')
  const withHealth = { bind: '127.0.0.1:${port}', health: { bind: '127.0.0.1:0' } }
  assert('gossip port in use, health bound', await codeOf(withHealth) === 'EADDRINUSE')
  assert('bad seed', await codeOf({ seeds: ['127.0.0.1:0'] }) === 'INVALID_OPTION')
  assert('bad name', await codeOf({ name: 'n'.repeat(256) }) === 'INVALID_OPTION')
  assert('tags too large', await codeOf({ tags: { text: 't'.repeat(600) } }) === 'TOO_LARGE')
  assert('no seed', await codeOf({ seeds: ['127.0.0.1:1'], requireSeed: true }) === 'JOIN_FAILED')
  const first = await createNode(options)
  assert('same port as another node', await codeOf({ bind: first.address }) === 'EADDRINUSE')
  await first.close()
`,
      )
    } finally {
      taken.close()
    }
  })
})

it('a program that does not close its node goes on: what the others show is no accident', async () => {
  const { code, stdout } = await built.run('mjs', program('mjs', 'await createNode(options)'), {
    limitMs: 4 * LINGER_MS,
  })
  expect({ code, stdout }).toEqual({ code: null, stdout: 'done\n' })
})

it('both builds in one program join and call each other, and know their errors and contracts', async () => {
  const { code, stdout, stderr } = await built.run(
    'mjs',
    `
import { createRequire } from 'node:module'
import * as esm from 'shoal'
import * as parts from 'shoal/rpc'
const cjs = createRequire(import.meta.url)('shoal')
if (cjs.createNode === esm.createNode) throw new Error('one build only')
const options = { cluster: 'both', bind: '127.0.0.1:0' }
const a = await esm.createNode({ ...options, name: 'esm' })
const b = await cjs.createNode({ ...options, name: 'cjs', seeds: [a.address], requireSeed: true })
const Greeter = cjs.defineService('greeter', { version: '1.0.0' }, { greet: cjs.method(), refuse: cjs.method() })
const handlers = (name) => ({
  greet: (to) => name + ' greets ' + to + ' of ' + parts.currentCall()?.caller.node,
  refuse: () => { throw new Error('refused by ' + name) },
})
await a.provide(Greeter, handlers('esm'))
await b.provide(Greeter, handlers('cjs'))
await Promise.all([a, b].map((node) => node.waitForServices([Greeter], { min: 2 })))
for (const node of [a, b]) {
  for (const to of ['esm', 'cjs']) console.log(await node.callCb(Greeter, 'greet', ['you'], { nodes: [to] }))
}
const error = await a.callCb(Greeter, 'refuse', [], { nodes: ['cjs'] }).catch((thrown) => thrown)
console.log(cjs.isRpcError(error, 'REMOTE'), esm.isRpcError(error, 'REMOTE'), error.remote.message)
await Promise.all([a.close(), b.close()])
console.log('done')
`,
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.split('\n').slice(0, -1)).toEqual([
    'esm greets you of esm',
    'cjs greets you of esm',
    'esm greets you of cjs',
    'cjs greets you of cjs',
    'true true refused by cjs',
    'done',
  ])
})
