/** A process that dies and comes back under its name and port: a supervisor's restart, before and after it was missed. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type NodeProcess, NodeProcesses } from '../support/node-process.js'
import type { View } from '../support/node-protocol.js'

const TUNING = { probeIntervalMs: 400, probeTimeoutMs: 200 } as const
const OPTIONS = { profile: 'local', tuning: TUNING } as const

let processes: NodeProcesses
let watchers: NodeProcess[]
let seed: string
let address: string
let phoenix: NodeProcess

beforeAll(async () => {
  processes = await NodeProcesses.prepare()
  const first = await processes.start('watcher-1', OPTIONS)
  seed = first.address
  const second = await processes.start('watcher-2', { ...OPTIONS, seeds: [seed] })
  watchers = [first.process, second.process]
  ;({ process: phoenix, address } = await processes.start('phoenix', { ...OPTIONS, seeds: [seed] }))
  await phoenix.order('provide', 'fire')
  await phoenix.order('provide', 'old')
  await processes.untilAll('both watchers know the services', watchers, isUp)
})

afterAll(() => processes?.stop())

it('restarted at once, before it is missed, it is known again with the services of its new life only', async () => {
  await phoenix.kill()
  await restart(['fire'])
  await processes.untilAll('both watchers know what it offers now', watchers, (view) => {
    return isUp(view) && view.services['old'] === undefined
  })
  await answersEveryone()
})

it('restarted after it was seen dead, it is known again with its services', async () => {
  await phoenix.kill()
  await processes.untilAll('both watchers see it dead', watchers, ({ members, services }) => {
    return members['phoenix'] === 'dead' && services['fire'] === undefined
  })
  await restart(['fire', 'new'])
  await processes.untilAll('both watchers know its services', watchers, (view) => {
    return isUp(view) && view.services['new']?.join() === 'phoenix'
  })
  await answersEveryone()
})

it('restarted after it left, it is known again with its services', async () => {
  await phoenix.order('leave')
  await processes.untilAll('both watchers see that it left', watchers, ({ members, services }) => {
    return members['phoenix'] === 'left' && services['fire'] === undefined
  })
  await phoenix.kill()
  await restart(['fire'])
  await processes.untilAll('both watchers know its services', watchers, isUp)
  await answersEveryone()
})

it('restarted three times in a row, each time without a pause, its last life is the one that is known', async () => {
  for (let life = 1; life <= 3; life++) {
    await phoenix.kill()
    await restart(['fire', `life-${life}`])
  }
  await processes.untilAll('both watchers know the last life only', watchers, (view) => {
    return isUp(view) && Object.keys(view.services).sort().join() === 'fire,life-3'
  })
  await answersEveryone()
})

async function restart(services: readonly string[]): Promise<void> {
  const options = { ...OPTIONS, seeds: [seed], bind: address }
  const started = await processes.start('phoenix', options)
  expect(started.address).toBe(address)
  phoenix = started.process
  for (const service of services) await phoenix.order('provide', service)
}

function isUp({ members, services }: View): boolean {
  return members['phoenix'] === 'alive' && services['fire']?.join() === 'phoenix'
}

/** Each watcher is answered by the process that runs now, and sees it alive. */
async function answersEveryone(): Promise<void> {
  for (const watcher of watchers) {
    const by = await watcher.order('call', 'fire', 'who', [])
    expect(by).toEqual({ node: 'phoenix', pid: phoenix.pid })
  }
}
