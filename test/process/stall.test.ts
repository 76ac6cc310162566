/**
 * Five real processes of which some or all stand still: computing without a break, or stopped by the system as a machine
 * that sleeps. Whoever was deaf convicts nobody afterwards, and the others take it back.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import type { WorkerOrder, WorkerReport } from '../support/membership-worker.js'
import { pause, until } from '../support/until.js'

const WORKER = fileURLToPath(new URL('../support/membership-worker.ts', import.meta.url))
const NAMES = ['a', 'b', 'c', 'd', 'e']
const LIMIT_MS = 30_000
/** With the fast numbers a member that is silent for so long has been suspected, accused and buried. */
const STALL_MS = 3_000

type Seen = Extract<WorkerReport, { type: 'seen' }>

const workers = new Map<string, ChildProcess>()

afterEach(() => {
  for (const worker of workers.values()) worker.kill('SIGKILL')
  workers.clear()
})

async function reported<T extends WorkerReport['type']>(
  worker: ChildProcess,
  type: T,
): Promise<Extract<WorkerReport, { type: T }>> {
  const [message] = (await once(worker, 'message', { signal: AbortSignal.timeout(LIMIT_MS) })) as [WorkerReport]
  if (message.type !== type) throw new Error(`a report '${message.type}' instead of '${type}'`)
  return message as Extract<WorkerReport, { type: T }>
}

function start(name: string, seed: string): Promise<string> {
  const worker = fork(WORKER, [name, seed], { execArgv: ['--import', 'tsx'] })
  workers.set(name, worker)
  return reported(worker, 'joined').then(({ address }) => address)
}

function at(name: string): ChildProcess {
  return workers.get(name)!
}

function tell(name: string, order: WorkerOrder): void {
  at(name).send(order)
}

function look(name: string): Promise<Seen> {
  const seen = reported(at(name), 'seen')
  tell(name, { type: 'look' })
  return seen
}

/** What each accused of since the last look, once all see all alive. */
async function untilWhole(): Promise<Record<string, string[]>> {
  const accused: Record<string, string[]> = Object.fromEntries(NAMES.map((name) => [name, []]))
  await until(
    'all see all alive',
    async () => {
      const seen = await Promise.all(NAMES.map(look))
      for (const [i, name] of NAMES.entries()) accused[name]!.push(...seen[i]!.accused)
      return seen.every(({ view }) => NAMES.every((name) => view[name] === 'alive'))
    },
    { within: LIMIT_MS, every: 100, show: () => accused },
  )
  return accused
}

async function startAll(): Promise<void> {
  const seed = await start('a', '')
  await Promise.all(NAMES.slice(1).map((name) => start(name, seed)))
  await untilWhole()
}

function deaths(accused: readonly string[] | undefined): string[] {
  return (accused ?? []).filter((text) => text.startsWith('dead'))
}

it('a node that computed for seconds convicts nobody when it goes on, and the others take it back', async () => {
  await startAll()
  const resumed = reported(at('c'), 'resumed')
  tell('c', { type: 'busy', ms: STALL_MS })
  await resumed
  const accused = await untilWhole()
  expect(accused['c']).toEqual([])
  // The others were right to bury it: it was silent for many suspicions. They buried nobody else.
  for (const name of ['a', 'b', 'd', 'e']) expect(deaths(accused[name]).filter((text) => text !== 'dead c')).toEqual([])
}, 90_000)

it('nodes that were all stopped and resumed together bury nobody', async () => {
  await startAll()
  for (const name of NAMES) at(name).kill('SIGSTOP')
  await pause(STALL_MS)
  for (const name of NAMES) at(name).kill('SIGCONT')
  const first = await untilWhole()
  await pause(1_500) // longer than any suspicion that began at the end of the stop
  const later = await untilWhole()
  for (const name of NAMES) expect(deaths([...first[name]!, ...later[name]!])).toEqual([])
}, 90_000)

it('two of five that were stopped bury none of those who went on, though these buried them', async () => {
  await startAll()
  for (const name of ['b', 'd']) at(name).kill('SIGSTOP')
  await pause(STALL_MS)
  for (const name of ['b', 'd']) at(name).kill('SIGCONT')
  const accused = await untilWhole()
  // What the two say of each other they have heard from the others.
  for (const name of NAMES) {
    expect(deaths(accused[name]).filter((text) => !['dead b', 'dead d'].includes(text))).toEqual([])
  }
}, 90_000)
