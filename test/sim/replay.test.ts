/** One seed is one history: in this process, in another one, and however many share the seeds. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { simulate } from './simulate.js'
import { SweepSum } from './sweep.js'

const SEEDS = 6

/** The trace of all runs, as the command line prints it. */
async function traceOf(jobs: number): Promise<string | undefined> {
  const script = fileURLToPath(new URL('run.ts', import.meta.url))
  const options = ['--scenario', 'swarm', '--nodes', '5', '--seeds', String(SEEDS), '--jobs', String(jobs)]
  const command = ['--import', 'tsx', script, ...options]
  // So few seeds leave promised faults out, which is a failure of the sweep but not of its runs.
  const { stdout } = await promisify(execFile)(process.execPath, command).catch((error: { stdout: string }) => error)
  return /^\d+ runs of 'swarm' .* trace ([0-9a-f]{8})$/m.exec(stdout)?.[1]
}

it('a seed of the swarm replays to the same trace, in this process and in others', async () => {
  const sums = [1, 2].map(() => {
    const sum = new SweepSum('swarm')
    for (let seed = 1; seed <= SEEDS; seed++) sum.take(simulate({ scenario: 'swarm', nodes: 5, seed, loss: 0.2 }))
    return sum
  })
  expect(sums[1]?.hash).toBe(sums[0]?.hash)
  expect(sums[1]?.counts).toEqual(sums[0]?.counts)
  expect(await traceOf(1)).toBe(sums[0]?.hash)
  expect(await traceOf(2)).toBe(sums[0]?.hash)
}, 120_000)

it('another seed is another history', () => {
  const [first, second] = [1, 2].map((seed) => simulate({ scenario: 'swarm', nodes: 5, seed, loss: 0.2 }).hash)
  expect(first).not.toBe(second)
})
