/**
 * The file that a run leaves behind: everything that is printed, drawn and compared is a pure function of it. A figure is
 * a cell of a table with one value for each repeat; a chart is lines of points. The version goes up whenever a reader of
 * older files would misread a newer one.
 */
import type { Environment } from '../lib/environment.js'

export const RESULT_FORMAT = 'shoal-bench'
export const RESULT_VERSION = 1

export type Better = 'lower' | 'higher' | 'neither'

export interface FigureKey {
  readonly suite: string
  /** Which table of the suite it stands in. */
  readonly table: string
  readonly row: string
  readonly column: string
}

export interface Figure extends FigureKey {
  /** Of the values: `ms`, `us`, `1/s`, … */
  readonly unit: string
  readonly better: Better
  /** One for each repeat, in their order. */
  readonly values: readonly number[]
}

export interface Line {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Chart {
  readonly suite: string
  readonly title: string
  /** `lines` through points, or `bars` side by side: their x is the index of a group. */
  readonly kind: 'lines' | 'bars'
  readonly x: Axis
  readonly y: Axis
  readonly lines: readonly Line[]
  /** Names of the groups of bars. */
  readonly groups?: readonly string[]
}

export interface Axis {
  readonly title: string
  readonly scale: 'linear' | 'log'
}

export interface SuiteReport {
  readonly name: string
  readonly seconds: number
  /** False when it was interrupted or failed half-way. */
  readonly complete: boolean
  /** What a reader has to know of the figures, as lines of text. */
  readonly notes: readonly string[]
  /** The notes hold tables that are shown in place of those of the figures. */
  readonly ownTables: boolean
}

export interface Result {
  readonly format: typeof RESULT_FORMAT
  readonly version: typeof RESULT_VERSION
  readonly environment: Environment
  readonly options: Readonly<Record<string, unknown>>
  readonly seconds: number
  /** False for a run that was interrupted: what it had by then. */
  readonly complete: boolean
  readonly suites: readonly SuiteReport[]
  readonly figures: readonly Figure[]
  readonly charts: readonly Chart[]
  /** What should have happened and did not, with the suite in front. */
  readonly misses: readonly string[]
}

/** The same text for the same figure of another run. */
export function figureId({ suite, table, row, column }: FigureKey): string {
  return [suite, table, row, column].join(' / ')
}

/** Reads the text of a file. Throws an error that says what the file is instead. */
export function parseResult(text: string, name: string): Result {
  const value: unknown = JSON.parse(text)
  const { format, version } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Result>
  if (format !== RESULT_FORMAT) throw new Error(`${name} is no result of this bench`)
  if (version !== RESULT_VERSION) {
    throw new Error(`${name} has version ${version} of the format, this bench reads version ${RESULT_VERSION}`)
  }
  return value as Result
}

/** The tables of a suite, in the order of their first figure. */
export function tablesOf(figures: readonly Figure[], suite: string): FigureTable[] {
  const mine = figures.filter((figure) => figure.suite === suite)
  return [...new Set(mine.map(({ table }) => table))].map((title) => {
    const cells = mine.filter(({ table }) => table === title)
    const units = [...new Set(cells.map(({ unit }) => unit))]
    return {
      title,
      rows: [...new Set(cells.map(({ row }) => row))],
      columns: [...new Set(cells.map(({ column }) => column))],
      unit: units.length === 1 ? units[0] : undefined,
      cell: (row, column) => cells.find((figure) => figure.row === row && figure.column === column),
    }
  })
}

export interface FigureTable {
  readonly title: string
  readonly rows: readonly string[]
  readonly columns: readonly string[]
  /** When all cells have one. */
  readonly unit: string | undefined
  readonly cell: (row: string, column: string) => Figure | undefined
}
