/** A result as Markdown tables, for the README and the docs. */
import { type Result, tablesOf } from './result.js'
import { gridOf, headline } from './terminal.js'

export function renderMarkdown(result: Result): string {
  const tables = result.suites.flatMap(({ name, ownTables, notes }) =>
    ownTables
      ? [notes.join('\n')]
      : tablesOf(result.figures, name).map((table) => {
          const { head, rows } = gridOf(table)
          return `**${name}: ${table.title}**\n\n${markdownTable(head, rows)}\n`
        }),
  )
  return [`${headline(result)}\n`, ...tables].join('\n')
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---|' : '---:|')).join('')}`, ...rows.map(line)].join('\n')
}
