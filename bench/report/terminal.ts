/** A result as text for a terminal: its tables, its notes, what went wrong, how long each suite took. */
import { summarize } from '../lib/statistics.js'
import { figure, renderTable } from '../lib/table.js'
import { type Figure, type FigureTable, type Result, tablesOf } from './result.js'

export function renderTerminal(result: Result): string {
  const blocks = result.suites.flatMap(({ name, seconds, complete, notes, ownTables }) => [
    `\n== ${name}: ${seconds.toFixed(0)} s${complete ? '' : ', NOT COMPLETE'}`,
    ...(ownTables ? [] : tablesOf(result.figures, name).map(renderFigures)),
    ...notes,
  ])
  return [headline(result), ...blocks, ...closing(result)].join('\n')
}

export function headline({ environment, complete }: Result): string {
  const { node, cpu, cores, commit, loadBefore } = environment
  const shared = loadBefore > 1 ? ' - above 1: others use this machine, the figures are preliminary' : ''
  const cut = complete ? '' : '\nINTERRUPTED: what was measured until then'
  return `Node ${node} on ${cores} x ${cpu}, commit ${commit}, load before ${loadBefore}${shared}${cut}`
}

/** Median, and the spread when there was more than one repeat. */
export function cellText(cell: Figure | undefined, withUnit: boolean): string {
  if (cell === undefined) return '-'
  const { median, min, max, count } = summarize(cell.values)
  const unit = withUnit && cell.unit !== '' ? ` ${cell.unit}` : ''
  return count === 1 ? `${figure(median)}${unit}` : `${figure(median)}${unit} (${figure(min)}-${figure(max)})`
}

/** Head and rows of a table: the last column says how many repeats each row had. */
export function gridOf(table: FigureTable): { readonly head: string[]; readonly rows: string[][] } {
  const { rows, columns, unit, cell } = table
  const counts = (row: string): number[] =>
    columns.map((column) => cell(row, column)?.values.length).filter((count) => count !== undefined)
  return {
    head: [unit ?? '', ...columns, 'n'],
    rows: rows.map((row) => {
      const [least, most] = [Math.min(...counts(row)), Math.max(...counts(row))]
      const cells = columns.map((column) => cellText(cell(row, column), unit === undefined))
      return [row, ...cells, least === most ? `${least}` : `${least}-${most}`]
    }),
  }
}

function renderFigures(table: FigureTable): string {
  const { head, rows } = gridOf(table)
  return `\n${table.title}\n${renderTable(head, rows)}`
}

function closing({ misses, seconds }: Result): string[] {
  return ['', ...misses.map((miss) => `MISSED: ${miss}`), `The run took ${seconds.toFixed(0)} s.`]
}
