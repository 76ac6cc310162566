/** The closing line of a test run, as other tools read it: run for real on small suites in a folder of their own. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'

const reporter = fileURLToPath(new URL('../support/plain-reporter.ts', import.meta.url))
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

it('a run that passes ends with the line and exits with zero', () => {
  const { lastLine, status } = run({ 'a.test.ts': "it('a', () => {})\nit.skip('b', () => {})" })
  expect(lastLine).toBe('1 passed, 0 failed, 1 skipped')
  expect(status).toBe(0)
})

it('failed tests, files that do not load and hooks that fail are counted, and the run exits non-zero', () => {
  const { lastLine, status } = run({
    'a.test.ts': "it('a', () => {})\nit('b', () => { throw new Error('b') })",
    'missing.test.ts': "import './nowhere.js'\nit('c', () => {})",
    'throws.test.ts': "it('d', () => {})\nthrow new Error('at load')",
    'hook.test.ts': "describe('e', () => { beforeAll(() => { throw new Error('hook') })\nit('f', () => {}) })",
  })
  expect(lastLine).toBe('1 passed, 4 failed, 1 skipped')
  expect(status).not.toBe(0)
})

it('an error outside any test is a failure', () => {
  const stray = "it('a', async () => { Promise.reject(new Error('stray')); await new Promise(setImmediate) })"
  const { lastLine, status } = run({ 'a.test.ts': stray })
  expect(lastLine).toBe('1 passed, 1 failed, 0 skipped')
  expect(status).not.toBe(0)
})

/** Both streams into one pipe, as a log would have them. */
function run(files: Readonly<Record<string, string>>): { lastLine: string | undefined; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-reporter-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const args = ['run', '--root', folder, '--globals', '--reporter=default', `--reporter=${reporter}`]
  const command = [process.execPath, vitest, ...args].map((word) => `'${word}'`).join(' ')
  const { stdout, status } = spawnSync('sh', ['-c', `${command} 2>&1`], { encoding: 'utf8', env: cleanEnv() })
  return { lastLine: stdout.trimEnd().split('\n').at(-1), status }
}

/** Without what the outer run tells its own workers. */
function cleanEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST$|NODE_ENV$)/.test(name)))
}
