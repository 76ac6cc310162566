/** For tests: several seeds of a scenario in this process, as one list of what went wrong with the commands to replay it. */
import { SCENARIOS } from './scenarios.js'
import { replayCommand, type SimulationOptions, simulate } from './simulate.js'
import { addCounts, emptyCounts, missingClasses, type RunCounts } from './tally.js'

export interface SweepOptions extends Omit<SimulationOptions, 'seed'> {
  readonly firstSeed: number
  readonly seeds: number
}

export interface SweepResult {
  readonly failures: readonly string[]
  readonly counts: RunCounts
}

/** `failures` also names every promised fault that never happened. */
export function sweep({ firstSeed, seeds, ...options }: SweepOptions): SweepResult {
  const failures: string[] = []
  const counts = emptyCounts()
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const result = simulate({ ...options, seed })
    addCounts(counts, result.counts)
    failures.push(...result.violations.map((violation) => `${replayCommand(result)}: ${violation}`))
  }
  const promises = SCENARIOS[options.scenario]?.promises ?? []
  failures.push(...missingClasses(counts, promises).map((one) => `${options.scenario}: never any ${one}`))
  return { failures, counts }
}
