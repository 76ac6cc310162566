/**
 * The architecture and the style as tests. What is permitted where is data in `support/tidy/layers.ts`; every offence
 * is printed with its file, line and rule.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { checkCycles, checkDirection, checkSoleImporters } from './support/tidy/imports.js'
import { BUDGETS, CODE_MAKERS, SHELLS, SOLE_IMPORTERS } from './support/tidy/layers.js'
import { checkImpureImports, checkPurity, checkShellList } from './support/tidy/purity.js'
import { checkExports, checkFileLength, checkFunctions, checkNesting } from './support/tidy/size.js'
import { type Offence, parse, report, type Source } from './support/tidy/source.js'
import { checkDebts, checkFeatures, checkFileNames, checkHeaders, checkTests } from './support/tidy/wording.js'

const src = read('src')
const tests = read('test')
const rest = [...read('bench'), ...read('examples')]

it('only the listed shells touch clocks, timers, randomness, the process and the network', () => {
  expectNone([...checkPurity(src, { ...SHELLS, ...CODE_MAKERS }), ...checkImpureImports(src, SHELLS)])
})

it('every listed shell exists and uses what it is granted', () => {
  expectNone([...checkShellList(src, SHELLS), ...checkShellList(src, CODE_MAKERS)])
})

it('imports go from index to node to the modules to the leaves, and through doors', () => {
  expectNone(checkDirection(src))
})

it('sockets are opened by the named files only', () => {
  expectNone(checkSoleImporters(src, SOLE_IMPORTERS))
})

it('no files import each other in a circle', () => {
  expectNone(checkCycles(src))
})

it('files, functions, parameter lists, exports and nesting stay within budget', () => {
  expectNone([
    ...checkFileLength(BUDGETS, src),
    ...checkFunctions(BUDGETS, src),
    ...checkExports(BUDGETS, src),
    ...checkNesting(BUDGETS, src),
  ])
})

it('files are named for an idea and say at the top what they decide', () => {
  expectNone([...checkFileNames([...src, ...tests, ...rest]), ...checkHeaders(src)])
})

it('no debts, no star exports, no asserted or untyped values', () => {
  expectNone([...checkDebts([...src, ...tests, ...rest]), ...checkFeatures(src)])
})

it('no test is switched off and no module is mocked', () => {
  expectNone(checkTests(tests))
})

function expectNone(offences: readonly Offence[]): void {
  if (offences.length > 0) expect.fail(`${offences.length} offences\n${report(offences)}`)
}

function read(folder: string): Source[] {
  const root = fileURLToPath(new URL('../', import.meta.url))
  if (!existsSync(`${root}${folder}`)) return []
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/(^|\/)(node_modules|results)\//.test(name))
    .sort()
    .map((name) => parse(`${folder}/${name}`, readFileSync(`${root}${folder}/${name}`, 'utf8')))
}
