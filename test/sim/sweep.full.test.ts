/** The long sweeps, in processes of their own. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

/** Runs the simulator's command line; what it printed at the end is the message of a failure. */
function run(...options: string[]): Promise<{ code: number | null; tail: string }> {
  return new Promise((resolve) => {
    const script = fileURLToPath(new URL('run.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', script, ...options])
    let output = ''
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-6_000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('exit', (code) => resolve({ code, tail: output }))
  })
}

it('100 nodes agree again after chaos, for 200 seeds', async () => {
  const { code, tail } = await run('--scenario', 'chaos', '--nodes', '100', '--seeds', '200', '--jobs', '2')
  expect(code, tail).toBe(0)
}, 2_400_000)

it('8 nodes keep every rule under any mixture of faults, and agree after them, for 2,000 seeds', async () => {
  const { code, tail } = await run('--seeds', '2000', '--first-seed', '301')
  console.log(tail)
  expect(code, tail).toBe(0)
}, 1_800_000)

it('two halves of 100 nodes that were apart for five minutes agree again within 10 s, for 20 seeds', async () => {
  const { code, tail } = await run('--scenario', 'split', '--nodes', '100', '--seeds', '20')
  console.log(tail)
  expect(code, tail).toBe(0)
}, 2_400_000)

it('the command fails, with a reason, for a scenario that does not exist', async () => {
  const { code, tail } = await run('--scenario', 'none')
  expect(code).toBe(2)
  expect(tail).toContain("no scenario 'none'")
}, 60_000)
