/** The program of `examples/deploy`, as an orchestrator runs and ends it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { until } from '../support/until.js'

const PROGRAM = fileURLToPath(new URL('../../examples/deploy/server.ts', import.meta.url))
const running: ChildProcess[] = []

afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

interface Pod {
  readonly child: ChildProcess
  readonly output: () => string
  readonly address: string
  readonly health: string
}

async function start(name: string, seeds: string): Promise<Pod> {
  const env = {
    ...process.env,
    NODE_NAME: name,
    SHOAL_CLUSTER: 'deploy',
    SHOAL_BIND: '127.0.0.1:0',
    SHOAL_SEEDS: seeds,
    RPC_BIND: '127.0.0.1:0',
    HEALTH_BIND: '127.0.0.1:0',
  }
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  running.push(child)
  let text = ''
  child.stdout?.on('data', (chunk) => {
    text += String(chunk)
  })
  const words = / gossips at (\S+), health at (\S+)\n/
  const [, address = '', health = ''] = await until(`${name} runs`, () => words.exec(text) ?? undefined, {
    within: 20_000,
  })
  return { child, output: () => text, address, health }
}

it('is ready when its service runs, finds the others by its seeds, and leaves at SIGTERM', async () => {
  const first = await start('greeter-0', '')
  const second = await start('greeter-1', first.address)
  for (const path of ['ready', 'live']) {
    const { status } = await fetch(`http://${second.health}/${path}`)
    expect(status).toBe(200)
  }
  await until('the first has seen the second', () => first.output().includes('join greeter-1\n'))
  const exited = once(second.child, 'exit')
  second.child.kill('SIGTERM')
  expect(await exited).toEqual([null, 'SIGTERM'])
  await until('the first has seen it leave', () => first.output().includes('leave greeter-1\n'))
})
