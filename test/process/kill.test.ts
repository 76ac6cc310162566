/**
 * A service on three processes, called without pause by two others while its processes are stopped and killed. What a
 * caller may lose is what ran on the victim, and it must be told so.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type NodeProcess, NodeProcesses } from '../support/node-process.js'
import type { LoopFailure, Tally } from '../support/node-protocol.js'
import { until } from '../support/until.js'

const PROVIDERS = ['p1', 'p2', 'p3'] as const
const CALLERS = ['c1', 'c2'] as const
const TIMEOUT_MS = 1_000
/** What a loaded machine may add to a deadline. */
const SLACK_MS = 1_000
const PLAN = { service: 'jobs', lanes: 8, workMs: 5, timeoutMs: TIMEOUT_MS } as const
const TUNING = { probeIntervalMs: 400, probeTimeoutMs: 200 } as const

let processes: NodeProcesses
const byName = new Map<string, NodeProcess>()
const callers = (): NodeProcess[] => CALLERS.map((name) => byName.get(name)!)

beforeAll(async () => {
  processes = await NodeProcesses.prepare()
  let seeds: string[] = []
  for (const name of [...PROVIDERS, ...CALLERS]) {
    const { process, address } = await processes.start(name, { seeds, profile: 'local', tuning: TUNING })
    byName.set(name, process)
    seeds = seeds.length === 0 ? [address] : seeds
  }
  for (const name of PROVIDERS) await byName.get(name)!.order('provide', PLAN.service)
  await processes.untilAll('both callers know three instances', callers(), ({ services }) => {
    return services[PLAN.service]?.length === 3
  })
})

afterAll(() => processes?.stop())

it('a stopped process is delisted, calls to it end by their deadline, and it serves again when it continues', async () => {
  const p3 = byName.get('p3')!
  for (const caller of callers()) await caller.order('startLoop', PLAN)
  await untilAnswers('p3', 20)

  p3.pause()
  const lost = await until('each caller has lost a call on p3', async () => {
    const tallies = await tally()
    return tallies.every(({ failures }) => failures.length > 0) && tallies
  })
  for (const name of ['p1', 'p2']) await untilAnswers(name, 50)
  await processes.untilAll('both callers see p3 dead and list it no more', callers(), ({ members, services }) => {
    return members['p3'] === 'dead' && services[PLAN.service]?.join() === 'p1,p2'
  })

  p3.continue()
  await processes.untilAll('all see p3 alive and serving', processes.running, ({ members, services }) => {
    return members['p3'] === 'alive' && services[PLAN.service]?.includes('p3') === true
  })
  await untilAnswers('p3', 20)

  const tallies = await Promise.all(callers().map((caller) => caller.order('stopLoop')))
  expect(lost).toHaveLength(2)
  for (const { failures, started, answered } of tallies) {
    expect(failures.filter((failure) => !isLossOn(['p3'], failure))).toEqual([])
    expect(Math.max(...failures.map(({ tookMs }) => tookMs))).toBeLessThan(TIMEOUT_MS + SLACK_MS)
    expect(failures.some(({ code }) => code === 'DEADLINE_EXCEEDED')).toBe(true)
    expect(started).toBe(failures.length + sum(answered))
  }
})

it('no call fails that did not start on a killed process', async () => {
  const killed: string[] = []
  for (const caller of callers()) await caller.order('startLoop', PLAN)
  for (const victim of ['p1', 'p2']) {
    await untilAnswers(victim, 20)
    killed.push(victim)
    await byName.get(victim)!.kill()
    for (const name of PROVIDERS) if (!killed.includes(name)) await untilAnswers(name, 50)
  }
  await processes.untilAll(
    'the killed are dead to all, the survivor serves',
    processes.running,
    ({ members, services }) => {
      return killed.every((name) => members[name] === 'dead') && services[PLAN.service]?.join() === 'p3'
    },
  )
  await untilAnswers('p3', 50)

  const tallies = await Promise.all(callers().map((caller) => caller.order('stopLoop')))
  for (const { failures, started, answered, failedOver } of tallies) {
    expect(failures.filter((failure) => !isLossOn(killed, failure))).toEqual([])
    // Eight calls at most were under way on a victim.
    expect(failures.length).toBeLessThanOrEqual(killed.length * PLAN.lanes)
    expect(started).toBe(failures.length + sum(answered))
    expect(Object.keys(answered).sort()).toEqual([...PROVIDERS])
    expect(failedOver).toBeGreaterThan(0)
  }
  const failed = tallies.flatMap(({ failures }) => failures)
  expect(failed.length, 'a call was lost on a killed process, so that the rule was put to the test').toBeGreaterThan(0)
  const counts = tallies.map(({ started, failures, failedOver }) => ({ started, failed: failures.length, failedOver }))
  process.stdout.write(`killed while called: ${JSON.stringify(counts)}\n`)
})

it('no process had anything to complain about', () => {
  expect(processes.running.map(({ stderr }) => stderr).join('')).toBe('')
})

function tally(): Promise<readonly Tally[]> {
  return Promise.all(callers().map((caller) => caller.order('tally')))
}

/** Until each caller got so many more answers from this node. */
async function untilAnswers(name: string, count: number): Promise<void> {
  const before = await tally()
  await until(`each caller got ${count} more answers of ${name}`, async () => {
    const now = await tally()
    return now.every(({ answered }, index) => (answered[name] ?? 0) - (before[index]?.answered[name] ?? 0) >= count)
  })
}

/** The call was on the victim when it was lost, and says that it may have run; instances tried before it did not run it. */
function isLossOn(victims: readonly string[], { executed, node, attempts }: LoopFailure): boolean {
  const before = attempts.slice(0, -1)
  return executed === 'maybe' && victims.includes(node ?? '') && before.every((attempt) => attempt.executed === 'no')
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
