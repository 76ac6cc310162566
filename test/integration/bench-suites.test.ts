/** How the bench runs its suites: what fails or is interrupted does not take the rest with it. */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type BenchOptions, parseCommandLine } from '../../bench/lib/options.js'
import { Owner, removeStaleFolders } from '../../bench/lib/owner.js'
import { runSuites } from '../../bench/lib/run-suites.js'
import type { Bench, Suite } from '../../bench/lib/suite.js'

const CELL = { table: 't', row: 'r', column: 'c', unit: 'ms', better: 'lower' } as const

function suite(name: string, run: (bench: Bench) => Promise<void>): Suite {
  return { name, about: '', plan: () => ({ steps: 1, seconds: 60 }), run }
}

function optionsOf(...args: string[]): BenchOptions {
  const wish = parseCommandLine(args, ['calls'], () => ['calls'])
  if (wish.do !== 'run') throw new Error('no run')
  return wish.options
}

it('a suite that fails is a miss, keeps what it had, and the next one runs', async () => {
  const failing = suite('first', async ({ record }) => {
    record({ ...CELL, value: 1 })
    throw new Error('out of luck')
  })
  const working = suite('second', async ({ record, note }) => {
    record({ ...CELL, value: 2 })
    record({ ...CELL, value: 3 })
    note('all well')
  })
  const result = await runSuites([failing, working], optionsOf(), new Owner(), new AbortController().signal)
  expect(result.misses).toEqual(['first: stopped early: out of luck'])
  expect(result.figures.map(({ suite: name, values }) => [name, values])).toEqual([
    ['first', [1]],
    ['second', [2, 3]],
  ])
  expect(result.suites.map(({ complete, notes }) => [complete, notes])).toEqual([
    [false, []],
    [true, ['all well']],
  ])
  expect(result.complete).toBe(true)
})

it('a scenario that fails is a miss, and the rest of its suite goes on', async () => {
  const some = suite('first', async ({ attempt, record }) => {
    await attempt('kill', async () => Promise.reject(new Error('nobody died')))
    await attempt('leave', async () => record({ ...CELL, value: 1 }))
  })
  const result = await runSuites([some], optionsOf(), new Owner(), new AbortController().signal)
  expect(result).toMatchObject({ misses: ['first: kill failed: nobody died'], suites: [{ complete: true }] })
  expect(result.figures).toHaveLength(1)
})

it('an interrupted run ends at once with what it had by then, and begins no other suite', async () => {
  const interruption = new AbortController()
  const endless = suite('first', async ({ record }) => {
    record({ ...CELL, value: 1 })
    interruption.abort()
    await new Promise(() => {})
  })
  const never = suite('second', async ({ record }) => record({ ...CELL, value: 2 }))
  const result = await runSuites([endless, never], optionsOf(), new Owner(), interruption.signal)
  expect(result).toMatchObject({ complete: false, misses: [], suites: [{ name: 'first', complete: false }] })
  expect(result.figures.map(({ values }) => values)).toEqual([[1]])
})

it('its owner ends every process, stopped ones too, and removes every folder', async () => {
  const owner = new Owner()
  const folder = owner.folder()
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  owner.adopt(child)
  child.kill('SIGSTOP')
  owner.release()
  expect(await exited).toEqual([null, 'SIGKILL'])
  expect(existsSync(folder)).toBe(false)
})

it('removes the folders of runs that were killed, and only those', async () => {
  const gone = fork('-e', [], { execArgv: ['-e', ''], stdio: 'ignore' })
  await once(gone, 'exit')
  const [stale, own] = [gone.pid, process.pid].map((pid) => join(tmpdir(), `shoal-bench-${pid}-test`)) as [
    string,
    string,
  ]
  for (const folder of [stale, own]) mkdirSync(folder)
  removeStaleFolders()
  expect([existsSync(stale), existsSync(own)]).toEqual([false, true])
  rmSync(own, { recursive: true })
})

it.each([
  { args: ['nonsense'], error: "unknown suite 'nonsense'; there are calls" },
  { args: ['--nodes', '101'], error: '--nodes 101 must be 3 to 100' },
  { args: ['--profile', 'moon'], error: '--profile moon is neither lan, wan nor local' },
  { args: ['--compare', 'a.json'], error: '--compare takes two files' },
  { args: ['--repeats', '0'], error: '--repeats 0 must be an integer from 1' },
])('a command line that makes no sense is refused before anything starts: $args', ({ args, error }) => {
  expect(() => parseCommandLine(args, ['calls'], () => ['calls'])).toThrow(error)
})

it('a command line without suites asks for the standard ones, quick ones with smaller clusters', () => {
  expect(parseCommandLine(['--quick'], ['a', 'b'], (quick) => [quick ? 'b' : 'a'])).toMatchObject({
    do: 'run',
    suites: ['b'],
    options: { quick: true, nodes: 10, repeats: 2, seed: 1 },
  })
  expect(parseCommandLine(['--compare', 'a.json', 'b.json', '--margin', '20'], [], () => [])).toEqual({
    do: 'compare',
    files: ['a.json', 'b.json'],
    margin: 0.2,
    json: false,
  })
})
