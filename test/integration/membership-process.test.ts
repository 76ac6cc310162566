import { type ChildProcess, fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { tryParseHostPort } from '../../src/address.js'
import { Envelope } from '../../src/membership/envelope.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import { MembershipCluster } from '../support/membership-node.js'
import type { WorkerOrder, WorkerReport } from '../support/membership-worker.js'

const WORKER = fileURLToPath(new URL('../support/membership-worker.ts', import.meta.url))
const LIMIT_MS = 15_000

const cluster = new MembershipCluster()
const workers: ChildProcess[] = []

afterEach(async () => {
  for (const worker of workers.splice(0)) if (worker.exitCode === null) worker.kill('SIGKILL')
  await cluster.closeAll()
})

function startWorker(name: string, seed: string): ChildProcess {
  const worker = fork(WORKER, [name, seed], { execArgv: ['--import', 'tsx'] })
  workers.push(worker)
  return worker
}

async function reported<T extends WorkerReport['type']>(
  worker: ChildProcess,
  type: T,
): Promise<Extract<WorkerReport, { type: T }>> {
  const [message] = (await once(worker, 'message', { signal: AbortSignal.timeout(LIMIT_MS) })) as [WorkerReport]
  if (message.type !== type) throw new Error(`a report '${message.type}' instead of '${type}'`)
  return message as Extract<WorkerReport, { type: T }>
}

async function sendPacket(address: string, bytes: Uint8Array): Promise<void> {
  const { host, port } = tryParseHostPort(address)!
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.send(new Envelope('test').sealPacket(bytes), port, host, () => resolve()))
  socket.close()
}

function order(worker: ChildProcess, message: WorkerOrder): void {
  worker.send(message)
}

it('a node whose event loop stood still accuses nobody afterwards and trusts itself less', async () => {
  const [a, b, c] = await cluster.form('a', 'b', 'c')
  const worker = startWorker('blocked', a!.membership.address)
  expect((await reported(worker, 'joined')).error).toBeUndefined()
  await Promise.all([a!, b!, c!].map((node) => node.untilState('blocked', 'alive')))
  // Ten probe timeouts and more: pings, indirect pings and acks are under way whenever it begins.
  for (const ms of [520, 1_010, 730, 555]) {
    order(worker, { type: 'block', ms, listenMs: 600 })
    const { accused, healthScoreMax, blockedMs } = await reported(worker, 'listened')
    expect(blockedMs).toBeGreaterThanOrEqual(ms - 5)
    expect(accused).toEqual([])
    expect(healthScoreMax).toBeGreaterThan(0)
  }
  await Promise.all([a!, b!, c!].map((node) => node.untilState('blocked', 'alive')))
})

it('a refutation that arrived while the event loop stood still is heard before the suspicion is judged', async () => {
  // Two members: a suspicion waits for no confirmation and lasts 300 ms. b refutes it as soon as it hears of it.
  const [b] = await cluster.form('b')
  const worker = startWorker('blocked', b!.membership.address)
  const { address } = await reported(worker, 'joined')
  await b!.untilState('blocked', 'alive')
  order(worker, { type: 'blockWhenSuspecting', ms: 900, listenMs: 700 })
  await reported(worker, 'waiting')
  const incarnation = b!.membership.member('b')!.incarnation
  await sendPacket(address, encodeMessage({ type: 'suspect', node: 'b', incarnation, from: 'stranger' }))
  const { accused, healthScoreMax } = await reported(worker, 'listened')
  expect(accused).toEqual(['suspect b'])
  expect(healthScoreMax).toBeGreaterThan(0)
  expect(b!.membership.member('b')!.incarnation).toBeGreaterThan(incarnation)
})

it('after close nothing keeps the process alive', async () => {
  const [a] = await cluster.form('a')
  const worker = startWorker('closing', a!.membership.address)
  await reported(worker, 'joined')
  const exit = once(worker, 'exit', { signal: AbortSignal.timeout(LIMIT_MS) })
  const start = performance.now()
  order(worker, { type: 'close' })
  expect(await exit).toEqual([0, null])
  expect(performance.now() - start).toBeLessThan(3_000)
})
