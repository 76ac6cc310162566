/** Processes that find each other again by their snapshots alone: their seeds are gone, their ports stay. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type NodeProcess, NodeProcesses } from '../support/node-process.js'
import { until } from '../support/until.js'

const NAMES = ['a', 'b', 'c'] as const
type Name = (typeof NAMES)[number]
const TUNING = { probeIntervalMs: 400, probeTimeoutMs: 200 } as const

let processes: NodeProcesses
let folder: string
const running = new Map<Name, NodeProcess>()
const addresses = new Map<Name, string>()

beforeAll(async () => {
  processes = await NodeProcesses.prepare()
  folder = await mkdtemp(join(tmpdir(), 'shoal-rejoin-'))
  for (const name of NAMES) await start(name, name === 'a' ? [] : [addresses.get('a') ?? ''])
  await untilWhole()
})

afterAll(async () => {
  await processes?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(name: Name, seeds: readonly string[]): Promise<void> {
  const bind = addresses.get(name) ?? '127.0.0.1:0'
  const options = { profile: 'local', tuning: TUNING, bind, seeds, snapshot: join(folder, name) } as const
  const { process, address } = await processes.start(name, options)
  running.set(name, process)
  addresses.set(name, address)
}

/** With a seed where nobody is: the file is all that it has. */
async function restart(name: Name): Promise<void> {
  await start(name, ['127.0.0.1:1'])
  expect(addresses.get(name)).toMatch(/^127/)
}

async function untilWhole(): Promise<void> {
  await processes.untilAll('each sees all alive', [...running.values()], ({ members }) => {
    return NAMES.every((name) => members[name] === 'alive')
  })
  await until('each file names both others', async () => {
    for (const name of NAMES) {
      const text = await readFile(join(folder, name), 'utf8').catch(() => '')
      if (!NAMES.every((other) => other === name || text.includes(addresses.get(other) ?? 'unknown'))) return false
    }
    return true
  })
}

it('restarted one by one, each finds the others', async () => {
  for (const name of NAMES) {
    await running.get(name)?.kill()
    await restart(name)
    await untilWhole()
  }
})

it('killed and restarted all at once, they find each other', async () => {
  await Promise.all([...running.values()].map((process) => process.kill()))
  await Promise.all(NAMES.map(restart))
  await untilWhole()
})

it('killed one after the other until nobody was left, and started in another order, they find each other', async () => {
  for (const name of NAMES) await running.get(name)?.kill()
  for (const name of [...NAMES].reverse()) await restart(name)
  await untilWhole()
})

it('a node that left does not come back by itself, and the others do', async () => {
  await running.get('c')?.order('leave')
  await Promise.all([...running.values()].map((process) => process.kill()))
  for (const name of NAMES) await start(name, [])
  const alone = running.get('c')
  const others = (['a', 'b'] as const).map((name) => running.get(name) as NodeProcess)
  await processes.untilAll('a and b see each other', others, ({ members }) => {
    return members['a'] === 'alive' && members['b'] === 'alive'
  })
  expect(JSON.parse(await readFile(join(folder, 'c'), 'utf8'))).toMatchObject({ members: [] })
  expect(Object.keys((await alone?.order('view'))?.members ?? {})).toContain('c')
})
