/** Each checker of the tidy test bites: it finds the offence, at its line, and lets the permitted neighbour pass. */
import { describe, expect, it } from 'vitest'
import { checkCycles, checkDirection, checkSoleImporters } from '../support/tidy/imports.js'
import { BUDGETS } from '../support/tidy/layers.js'
import { checkImpureImports, checkPurity, checkShellList } from '../support/tidy/purity.js'
import { checkExports, checkFileLength, checkFunctions, checkNesting } from '../support/tidy/size.js'
import { type Offence, parseAll, report } from '../support/tidy/source.js'
import { checkDebts, checkFeatures, checkFileNames, checkHeaders, checkTests } from '../support/tidy/wording.js'

const found = (offences: readonly Offence[]): string[] =>
  offences.map(({ path, line, rule }) => `${path}:${line} ${rule}`)
const one = (text: string, path = 'src/a.ts') => parseAll({ [path]: text })

describe('purity', () => {
  const impure = [
    "import { readFileSync } from 'node:fs'\nreadFileSync('x')",
    "import fs from 'fs'\nfs.readFileSync('x')",
    "import type { Socket } from 'node:net'\nexport type S = Socket",
    "export { randomBytes } from 'node:crypto'",
    "export const load = () => import('node:fs')",
    'setTimeout(() => {}, 1)',
    'export const later = { run: setImmediate }',
    'export const timers = { queueMicrotask }',
    'Date.now()',
    'export const now = Date.now',
    'new Date()',
    'new Date',
    'Date()',
    "Date['now']()",
    'const { now } = Date',
    'performance.now()',
    'Math.random()',
    'const { random: dice } = Math',
    'crypto.randomUUID()',
    'AbortSignal.timeout(5)',
    'process.exit(1)',
    'process.nextTick(() => {})',
    "process.env['HOME']",
    'const { env } = process',
    'globalThis.setTimeout(() => {}, 1)',
    "fetch('http://x')",
    "console.log('x')",
    "import debug from 'debug'\ndebug('x')",
    "import retry from 'p-retry'\nretry(() => 1)",
    "new Function('return 1')",
    "eval('1')",
  ]
  it.each(impure)('refuses %s', (text) => {
    expect(checkPurity(one(text), {}).map(({ rule }) => rule)).toContain('purity')
  })

  const pure = [
    "import { encode } from '@msgpack/msgpack'\nencode(1)",
    'export const at = (value: number) => new Date(value)',
    'export const isDate = (value: unknown) => value instanceof Date',
    'export const half = Math.floor(5 / 2)',
    'export function run(process: () => void): void { process() }',
    'export class Clock { performance = 1; fetch(): number { return this.performance } }',
    'export type Timer = ReturnType<typeof setTimeout>',
    'export const table = { process: 1, console: 2 }\nexport const sum = table.process + table.console',
    'export const { crypto: box } = { crypto: 1 }',
  ]
  it.each(pure)('permits %s', (text) => {
    expect(report(checkPurity(one(text), {}))).toBe('')
  })

  it('grants a shell exactly what is listed for it', () => {
    const sources = one("Date.now()\nsetTimeout(() => {}, 1)\nprocess.env['A']\nprocess.exit()")
    expect(found(checkPurity(sources, { 'src/a.ts': ['clock', 'timers', 'env'] }))).toEqual(['src/a.ts:4 purity'])
  })

  it('refuses a shell behind an import or behind a door, but not its types', () => {
    const sources = parseAll({
      'src/shell.ts': 'export const now = Date.now',
      'src/x/index.ts': "export { now } from '../shell.js'",
      'src/a.ts': "import { now } from './shell.js'\nimport { now as again } from './x/index.js'",
      'src/b.ts': "import type { now } from './shell.js'",
    })
    const shells = { 'src/shell.ts': ['clock'] } as const
    expect(found(checkImpureImports(sources, shells))).toEqual(['src/a.ts:1 impure-import', 'src/a.ts:2 impure-import'])
  })

  it('refuses a list of shells that grants more than is used', () => {
    const sources = parseAll({ 'src/a.ts': 'Date.now()', 'src/b.ts': 'export const b = 1' })
    expect(checkShellList(sources, { 'src/a.ts': ['clock'] })).toEqual([])
    const lax = { 'src/a.ts': ['clock', 'timers'], 'src/b.ts': [], 'src/gone.ts': ['node'] } as const
    expect(checkShellList(sources, lax).map(({ path }) => path)).toEqual(['src/a.ts', 'src/b.ts', 'src/gone.ts'])
  })
})

describe('imports', () => {
  const refused: [path: string, text: string, rule: string][] = [
    ['src/rpc/a.ts', "import { x } from '../registry/index.js'", 'direction'],
    ['src/rpc/a.ts', "import type { x } from '../membership/index.js'", 'direction'],
    ['src/rpc/a.ts', "export type X = import('../membership/index.js').X", 'direction'],
    ['src/membership/wire/a.ts', "export { x } from '../../rpc/call.js'", 'direction'],
    ['src/registry/a.ts', "import { x } from '../membership/swim.js'", 'direction'],
    ['src/a.ts', "import { x } from './rpc/index.js'", 'direction'],
    ['src/a.ts', "import { x } from './node.js'", 'direction'],
    ['src/rpc/a.ts', "import { x } from '../index.js'", 'direction'],
    ['src/node.ts', "import { x } from './rpc/caller.js'", 'door'],
    ['src/index.ts', "import type { x } from './membership/config.js'", 'door'],
    ['src/a.ts', "import x from 'left-pad'", 'dependency'],
  ]
  it.each(refused)('%s must not have %s', (path, text, rule) => {
    expect(found(checkDirection(one(text, path)))).toEqual([`${path}:1 ${rule}`])
  })

  const permitted: [path: string, text: string][] = [
    ['src/registry/a.ts', "import { PAYLOAD_MAGIC } from '../membership/payload.js'"],
    ['src/membership/wire/a.ts', "import { x } from '../../bytes.js'\nimport { y } from '../member.js'"],
    ['src/node/wiring.ts', "import { x } from '../rpc/index.js'\nimport { y } from '../node.js'"],
    ['src/index.ts', "export { x } from './node.js'\nexport { y } from './membership/index.js'"],
    ['src/a.ts', "import { encode } from '@msgpack/msgpack'"],
  ]
  it.each(permitted)('%s may have %s', (path, text) => {
    expect(report(checkDirection(one(text, path)))).toBe('')
  })

  it('keeps a socket module to its owners, whose type others may name', () => {
    const sources = parseAll({
      'src/a.ts': "import net from 'node:net'",
      'src/b.ts': "import net from 'node:net'",
      'src/c.ts': "import type { Socket } from 'node:net'",
      'src/d.ts': "import { isIP } from 'node:net'",
      'src/e.ts': "import { isIP, connect as isIPv4 } from 'node:net'",
    })
    const offences = checkSoleImporters(sources, { 'node:net': ['src/a.ts', 'src/c.ts'] })
    expect(found(offences)).toEqual([
      'src/b.ts:1 sole-importer',
      'src/e.ts:1 sole-importer',
      'src/c.ts:1 stale-importer',
    ])
  })

  it('finds a circle of run-time imports and lets one of types pass', () => {
    const circle = (word: string) =>
      parseAll({
        'src/a.ts': "import { b } from './b.js'",
        'src/b.ts': "export { c } from './x/c.js'",
        'src/x/c.ts': `${word} { a } from '../a.js'`,
      })
    expect(report(checkCycles(circle('import')))).toContain('src/a.ts -> src/b.ts -> src/x/c.ts -> src/a.ts')
    expect(checkCycles(circle('import type'))).toEqual([])
  })
})

describe('budgets', () => {
  const lines = (count: number, line = '//'): string => `${line}\n`.repeat(count)

  it('a file may have 400 lines and not 401', () => {
    expect(checkFileLength(BUDGETS, one(lines(400)))).toEqual([])
    expect(found(checkFileLength(BUDGETS, one(lines(401))))).toEqual(['src/a.ts:1 file-length'])
  })

  it('a function may have 70 lines and not 71', () => {
    const method = (count: number) => one(`class A {\n  /** Docs do not count. */\n  run() {\n${lines(count - 2)}}\n}`)
    expect(checkFunctions(BUDGETS, method(70))).toEqual([])
    expect(found(checkFunctions(BUDGETS, method(71)))).toEqual(['src/a.ts:3 function-length'])
  })

  it('a function may have four parameters and not five', () => {
    expect(checkFunctions(BUDGETS, one('const f = (a, b, c, d) => a'))).toEqual([])
    expect(found(checkFunctions(BUDGETS, one('class A { constructor(a, b, c, d, e) {} }')))).toEqual([
      'src/a.ts:1 parameters',
    ])
  })

  it('a file may export ten values, a door any number', () => {
    const values = (count: number): string =>
      Array.from({ length: count }, (_, i) => `export const v${i} = 1, w${i} = 1`).join('\n')
    const text = `${values(5)}\nexport interface I {}\nexport type { T } from './t.js'`
    expect(checkExports(BUDGETS, one(text))).toEqual([])
    expect(found(checkExports(BUDGETS, one(`${text}\nexport function eleven() {}`)))).toEqual(['src/a.ts:1 exports'])
    expect(found(checkExports(BUDGETS, one(`${text}\nexport { a, type B } from './b.js'`)))).toEqual([
      'src/a.ts:1 exports',
    ])
    expect(checkExports(BUDGETS, one(values(9), 'src/rpc/index.ts'))).toEqual([])
  })

  it('control flow and inner functions may nest four deep', () => {
    const four = 'function f() { for (;;) { if (a) {} else if (b) { try { list.map((x) => { BODY }) } catch {} } } }'
    expect(checkNesting(BUDGETS, one(four.replace('BODY', 'g()')))).toEqual([])
    expect(found(checkNesting(BUDGETS, one(four.replace('BODY', 'while (x) g()'))))).toEqual(['src/a.ts:1 nesting'])
    const fresh = four.replace('BODY', 'return class { m() { if (a) {} } }')
    expect(checkNesting(BUDGETS, one(fresh))).toEqual([])
  })
})

describe('wording', () => {
  const names: [path: string, count: number][] = [
    ['src/byte-utils.ts', 1],
    ['src/helpers.ts', 1],
    ['src/rpc/connection-manager.ts', 1],
    ['src/service.ts', 1],
    ['src/camelCase.ts', 1],
    ['src/define-service.ts', 0],
    ['src/membership/udp-transport.ts', 0],
    ['test/interop/serf.full.test.ts', 0],
    ['test/types/contract.test-d.ts', 0],
  ]
  it.each(names)('%s is %i offences', (path, count) => {
    expect(checkFileNames(one('', path))).toHaveLength(count)
  })

  it('a file begins with a header, which is not the doc of its first declaration', () => {
    const good = [
      "/** Decides. */\nimport 'x'",
      '/** Decides. */\n\nexport const a = 1',
      "/** List. */\nexport { a } from './a.js'",
    ]
    for (const text of good) expect(checkHeaders(one(text))).toEqual([])
    const bad = ['export const a = 1', "import 'x'\n/** Late. */", '/** Doc of a. */\nexport const a = 1', '']
    for (const text of bad) expect(found(checkHeaders(one(text)))).toEqual(['src/a.ts:1 header'])
  })

  it('debts are found in comments and not in strings', () => {
    expect(found(checkDebts(one('const a = 1 // fine\nconst b = 2 // FIXME later')))).toEqual(['src/a.ts:2 debt'])
    expect(found(checkDebts(one('/**\n * Why.\n * TODO: how.\n */\nconst a = 1')))).toEqual(['src/a.ts:3 debt'])
    expect(checkDebts(one("const a = '// TODO'\nconst b = `\n// HACK`"))).toEqual([])
  })

  const features: [text: string, rule: string][] = [
    ["export * from './b.js'", 'export-star'],
    ["export * as b from './b.js'", 'export-star'],
    ['const a = b!', 'non-null'],
    ['class A { b!: number }', 'non-null'],
    ['const a = (b as any)', 'any'],
    ['function f(a: Record<string, any>) {}', 'any'],
  ]
  it.each(features)('refuses %s', (text, rule) => {
    expect(found(checkFeatures(one(text)))).toEqual([`src/a.ts:1 ${rule}`])
  })

  it('permits what only looks like it', () => {
    expect(checkFeatures(one("export { a } from './b.js'\nconst many = !a\nconst any = a !== b"))).toEqual([])
  })

  it('no test is switched off, a stated condition may stay', () => {
    const off = ['it.only', 'describe.skip', 'it.concurrent.only', 'test.todo', 'describe.each([1]).skip']
    for (const call of off) expect(found(checkTests(one(`${call}('x')`)))).toEqual(['src/a.ts:1 disabled-test'])
    expect(checkTests(one("it.skipIf(true)('x')\nlist.only('x')\nit.each([1])('x')"))).toEqual([])
    expect(found(checkTests(one("vi.mock('x')")))).toEqual(['src/a.ts:1 module-mock'])
  })
})
