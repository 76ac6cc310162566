/** The bench's command itself: what an interruption leaves, and a cluster seen from outside. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { type Result, tablesOf } from '../../bench/report/result.js'
import { createNode } from '../../src/index.js'

const ROOT = resolve(import.meta.dirname, '../..')
const RUN = ['--import', 'tsx', 'bench/run.ts']
interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function bench(...args: string[]): Promise<Ran> {
  const options = { cwd: ROOT, timeout: 300_000, maxBuffer: 64 * 1_048_576 }
  return promisify(execFile)(process.execPath, [...RUN, ...args], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ran) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
  )
}

/** Command lines of the processes that name this. */
async function processesNaming(text: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(text))
}

it('interrupted, it leaves no process and no folder, keeps what it had and says so by its exit code', async () => {
  const child = spawn(process.execPath, [...RUN, 'convergence', '--nodes', '4', '--json'], { cwd: ROOT })
  const own = `shoal-bench-${child.pid}-`
  let stdout = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.includes('nothing happens')) continue
    expect(await processesNaming(own)).toHaveLength(4)
    child.kill('SIGINT')
    break
  }
  expect(await exited).toEqual([130, null])
  const result = JSON.parse(stdout) as Result
  expect(result).toMatchObject({ complete: false, misses: [] })
  expect(result.figures.length).toBeGreaterThan(0)
  expect(await processesNaming(own)).toEqual([])
  expect((await readdir(tmpdir())).filter((name) => name.startsWith(own))).toEqual([])
})

it('a running cluster is measured from outside, with its keys, without running any of its methods', async () => {
  const key = Buffer.alloc(32, 1).toString('base64')
  let ran = 0
  const count = { work: () => ++ran }
  const common = { cluster: 'shop', bind: '127.0.0.1:0', keys: [key] }
  const first = await createNode({ ...common, name: 'first' })
  const second = await createNode({ ...common, name: 'second', seeds: [first.address] })
  try {
    await second.provide('work', count)
    process.env['SHOAL_KEYS'] = key
    const { code, stdout, stderr } = await bench('--seeds', first.address, '--cluster', 'shop', '--json')
    expect(stderr).not.toMatch(/Error/)
    const result = JSON.parse(stdout) as Result
    expect(result.misses).toEqual([])
    expect(code).toBe(0)
    const rows = tablesOf(result.figures, 'cluster').map(({ title, rows: names }) => [title, [...names].sort()])
    expect(Object.fromEntries(rows)).toEqual({
      Membership: ['join'],
      Nodes: ['first', 'second'],
      Services: ['work at second'],
      Agreement: ['views'],
    })
    expect(ran).toBe(0)
  } finally {
    delete process.env['SHOAL_KEYS']
    await Promise.all([first.close(), second.close()])
  }
})
