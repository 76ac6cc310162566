/** What a sweep over many seeds came to, and for tests a sweep in this process with its report. */
import { report } from './report.js'
import { SCENARIOS } from './scenarios.js'
import { replayCommand, type SimulationOptions, type SimulationResult, simulate } from './simulate.js'
import { addCounts, emptyCounts, missingClasses, type RunClass, type RunCounts } from './tally.js'

export class SweepSum {
  readonly scenario: string
  readonly counts: RunCounts = emptyCounts()
  readonly failures: SimulationResult[] = []
  /** All values of each time that the scenario notes. */
  readonly times: Map<string, number[]> = new Map()
  runs = 0
  #hash = 0

  constructor(scenario: string) {
    this.scenario = scenario
  }

  /** Over the traces of all runs, in whatever order they came. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  /** Promised faults and transitions that never happened. */
  get missing(): RunClass[] {
    return missingClasses(this.counts, SCENARIOS[this.scenario]?.promises ?? [])
  }

  take(result: SimulationResult): void {
    this.runs++
    addCounts(this.counts, result.counts)
    if (result.violations.length > 0) this.failures.push(result)
    this.#hash = (this.#hash + Math.imul(Number.parseInt(result.hash, 16) ^ result.seed, 0x9e3779b1)) | 0
    for (const [name, ms] of Object.entries(result.times)) {
      const all = this.times.get(name) ?? []
      all.push(ms)
      this.times.set(name, all)
    }
  }
}

export interface SweepOptions extends Omit<SimulationOptions, 'seed'> {
  readonly firstSeed: number
  readonly seeds: number
}

export interface SweepResult {
  readonly failures: readonly string[]
  readonly counts: RunCounts
}

/** `failures` also names every promised fault and transition that never happened. With `print` the report is shown. */
export function sweep({ firstSeed, seeds, ...options }: SweepOptions, print: boolean = false): SweepResult {
  const sum = new SweepSum(options.scenario)
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) sum.take(simulate({ ...options, seed }))
  if (print) console.log(report(sum).join('\n'))
  const violated = sum.failures.flatMap((result) =>
    result.violations.map((violation) => `${replayCommand(result)}: ${violation}`),
  )
  const missing = sum.missing.map((one) => `${options.scenario}: never any ${one}`)
  return { failures: [...violated, ...missing], counts: sum.counts }
}
