/**
 * `npm run bench`: runs suites, compares two of their results, or measures a running cluster from outside. Exit code 0 when
 * all went well, 1 when something that should have happened did not or a comparison found a regression, 2 for a command
 * that makes no sense, 130 when it was interrupted; what was measured until then is kept.
 */
import { type BenchOptions, OPTIONS_HELP, parseCommandLine, type Wish } from './lib/options.js'
import { readResult, writeResult } from './lib/output.js'
import { Owner, removeStaleFolders } from './lib/owner.js'
import { runSuites } from './lib/run-suites.js'
import type { Suite } from './lib/suite.js'
import { COMPARE_DEFAULTS, compareResults, renderComparison } from './report/compare.js'
import { renderTerminal } from './report/terminal.js'
import { callsSuite } from './suites/calls.js'
import { convergenceSuite } from './suites/convergence.js'
import { growthSuite, scaleSuite } from './suites/growth.js'
import { lifeguardSuite } from './suites/lifeguard.js'
import { peersSuite } from './suites/peers.js'
import { probeSuite } from './suites/probe.js'
import { registrySuite } from './suites/registry.js'
import { simSuite } from './suites/sim.js'

const PATIENCE_MS = 1_000
const STANDARD: readonly Suite[] = [convergenceSuite, callsSuite, growthSuite, lifeguardSuite]
const QUICK: readonly Suite[] = [convergenceSuite, callsSuite, growthSuite]
const SUITES: readonly Suite[] = [...STANDARD, scaleSuite, registrySuite, simSuite]

function help(): string {
  const list = SUITES.map(({ name, about }) => `  ${name.padEnd(17)}  ${about}`).join('\n')
  const names = (suites: readonly Suite[]): string => suites.map(({ name }) => name).join(', ')
  return `npm run bench -- [suite ...] [options]\n${list}\n  without a name: ${names(STANDARD)}; with --quick: ${names(QUICK)}\n\n${OPTIONS_HELP}`
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'peers' || args[0] === '--peers') {
    const suite = peersSuite(args.slice(1))
    return suite === undefined ? 0 : run([suite], optionsFor([]), false)
  }
  const wish = parse(args)
  switch (wish.do) {
    case 'help':
      return print(help(), 0)
    case 'compare':
      return compare(wish)
    case 'probe':
      return run([probeSuite(wish)], optionsFor(['--profile', wish.profile, '--repeats', `${wish.repeats}`]), wish.json)
    case 'run': {
      const suites = SUITES.filter(({ name }) => wish.suites.includes(name))
      return run(suites, wish.options, wish.json)
    }
  }
}

function parse(args: readonly string[]): Wish {
  const names = (suites: readonly Suite[]): string[] => suites.map(({ name }) => name)
  const standard = (quick: boolean): string[] => names(quick ? QUICK : STANDARD)
  return parseCommandLine(args, names(SUITES), standard)
}

/** For suites with a command line of their own. */
function optionsFor(args: readonly string[]): BenchOptions {
  const wish = parse(args)
  if (wish.do !== 'run') throw new Error('no options of a run')
  return wish.options
}

async function run(suites: readonly Suite[], options: BenchOptions, asJson: boolean): Promise<number> {
  removeStaleFolders()
  const owner = new Owner()
  const interruption = new AbortController()
  let interruptedAt = Number.POSITIVE_INFINITY
  const interrupt = (): void => {
    // A terminal tells the whole group, npm and tsx pass it on as well: only a later one is a second wish, to wait for nothing.
    if (performance.now() - interruptedAt > PATIENCE_MS) process.exit(130)
    interruptedAt = Math.min(interruptedAt, performance.now())
    interruption.abort()
  }
  process.on('exit', () => owner.release())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  const result = await runSuites(suites, options, owner, interruption.signal)
  owner.release()
  const files = await writeResult(result)
  const text = asJson ? JSON.stringify(result) : `${renderTerminal(result)}\nWritten: ${files.join(' ')}`
  const failed = result.misses.length > 0 ? 1 : 0
  return print(text, interruption.signal.aborted ? 130 : failed)
}

async function compare({ files, margin, json }: Wish & { readonly do: 'compare' }): Promise<number> {
  const [before, after] = [await readResult(files[0]), await readResult(files[1])]
  const options = { ...COMPARE_DEFAULTS, margin }
  const comparisons = compareResults(before, after, options)
  const text = json ? JSON.stringify({ options, comparisons }) : renderComparison(before, after, options)
  return print(text, comparisons.some(({ verdict }) => verdict === 'regression') ? 1 : 0)
}

function print(text: string, code: number): Promise<number> {
  return new Promise((resolve) => process.stdout.write(`${text}\n`, () => resolve(code)))
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code), // an interrupted suite may still wait for what will not come
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  },
)
