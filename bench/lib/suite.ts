/** What a suite is to the bench, and what the bench is to a suite. */
import type { Better, Chart } from '../report/result.js'
import type { BenchOptions } from './options.js'
import type { Owner } from './owner.js'
import type { Entry } from './program.js'

export interface Suite {
  readonly name: string
  /** For `--help`. */
  readonly about: string
  /** Steps that it reports, and seconds that it takes on two idle cores. */
  readonly plan: (options: BenchOptions) => { readonly steps: number; readonly seconds: number }
  readonly run: (bench: Bench) => Promise<void>
  /** Of its own command line, for the result. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Its notes hold tables of their own, which are shown in place of those of its figures. */
  readonly ownTables?: boolean
}

/** One value of a figure; further ones under the same names are further repeats. */
export interface Value {
  readonly table: string
  readonly row: string
  readonly column: string
  readonly unit: string
  readonly better: Better
  readonly value: number
}

/** Given to a suite while it runs; what it records is kept even when it is cut short. */
export interface Bench {
  readonly options: BenchOptions
  readonly owner: Owner
  readonly program: (entry: Entry) => Promise<string>
  /** True once the suite has used up the time that it planned: no further repeats then. */
  readonly isLate: () => boolean
  readonly step: (what: string) => void
  readonly record: (value: Value) => void
  readonly chart: (chart: Omit<Chart, 'suite'>) => void
  /** Something that should have happened did not: the run fails, and goes on. */
  readonly miss: (what: string) => void
  readonly note: (line: string) => void
  /** Runs a part of the suite; when it fails that is a miss, and the suite goes on. */
  readonly attempt: (what: string, part: () => Promise<void>) => Promise<void>
}
