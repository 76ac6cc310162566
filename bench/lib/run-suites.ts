/**
 * Runs suites one after another and collects their result. A suite that fails is reported and the next one has its turn;
 * an interruption ends the run with what there is by then. Knows nothing of what a suite measures.
 */
import {
  type Chart,
  type Figure,
  figureId,
  RESULT_FORMAT,
  RESULT_VERSION,
  type Result,
  type SuiteReport,
} from '../report/result.js'
import { readEnvironment } from './environment.js'
import type { BenchOptions } from './options.js'
import type { Owner } from './owner.js'
import { buildProgram, type Entry } from './program.js'
import { Progress } from './progress.js'
import type { Bench, Suite, Value } from './suite.js'

type Collected = Figure & { readonly values: number[] }

export async function runSuites(
  suites: readonly Suite[],
  options: BenchOptions,
  owner: Owner,
  interrupted: AbortSignal,
): Promise<Result> {
  const startedAt = performance.now()
  const environment = readEnvironment()
  const plan = suites.map((suite) => ({ name: suite.name, ...suite.plan(options) }))
  const progress = new Progress(plan)
  const collection = new Collection()
  const programs = new Map<Entry, Promise<string>>()
  const program = (entry: Entry): Promise<string> => {
    const made = programs.get(entry) ?? buildProgram(entry, owner)
    programs.set(entry, made)
    return made
  }
  const reports: SuiteReport[] = []
  for (const [index, suite] of suites.entries()) {
    if (interrupted.aborted) break
    progress.begin()
    const begunAt = performance.now()
    const lateAt = begunAt + (plan[index]?.seconds ?? 0) * 1_000
    const notes: string[] = []
    const collected = collection.for(suite.name)
    const bench: Bench = {
      ...collected,
      options,
      owner,
      program,
      isLate: () => !options.patient && performance.now() >= lateAt,
      step: (what) => progress.step(what),
      note: (line) => void notes.push(line),
      attempt: (what, part) =>
        part().catch((error: unknown) => {
          if (interrupted.aborted) throw error
          collected.miss(`${what} failed: ${messageOf(error)}`)
        }),
    }
    const complete = await runOne(suite, bench, interrupted)
    const seconds = (performance.now() - begunAt) / 1_000
    reports.push({ name: suite.name, seconds, complete, notes, ownTables: suite.ownTables === true })
  }
  progress.end()
  return {
    format: RESULT_FORMAT,
    version: RESULT_VERSION,
    environment,
    options: Object.assign({}, options, ...suites.map((suite) => suite.options ?? {})),
    seconds: (performance.now() - startedAt) / 1_000,
    complete: !interrupted.aborted,
    suites: reports,
    ...collection.parts(),
  }
}

async function runOne(suite: Suite, bench: Bench, interrupted: AbortSignal): Promise<boolean> {
  const stopped = new Promise<false>((resolve) =>
    interrupted.addEventListener('abort', () => resolve(false), { once: true }),
  )
  const ran = suite.run(bench).then(
    () => true,
    (error: unknown) => {
      // What an interruption pulls from under a suite makes it fail: that is no finding.
      if (!interrupted.aborted) bench.miss(`stopped early: ${messageOf(error)}`)
      return false
    },
  )
  return Promise.race([ran, stopped])
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

class Collection {
  readonly #figures = new Map<string, Collected>()
  readonly #charts: Chart[] = []
  readonly #misses: string[] = []

  for(suite: string): Pick<Bench, 'record' | 'chart' | 'miss'> {
    return {
      record: ({ value, ...key }: Value) => {
        const figure: Collected = { suite, ...key, values: [] }
        const id = figureId(figure)
        const known = this.#figures.get(id) ?? figure
        this.#figures.set(id, known)
        known.values.push(value)
      },
      chart: (chart) => void this.#charts.push({ suite, ...chart }),
      miss: (what) => void this.#misses.push(`${suite}: ${what}`),
    }
  }

  parts(): Pick<Result, 'figures' | 'charts' | 'misses'> {
    return { figures: [...this.#figures.values()], charts: this.#charts, misses: this.#misses }
  }
}
