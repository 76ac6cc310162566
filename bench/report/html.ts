/** A result as one file for a browser: charts, tables, notes. It loads nothing and runs nothing. */
import { type Result, type SuiteReport, tablesOf } from './result.js'
import { escapeText, renderChart } from './svg.js'
import { gridOf, headline } from './terminal.js'

const STYLE = `
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #d8d8d8; --bad: #b00020 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #161616; --faint: #3c3c3c; --bad: #ff6b7d } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; max-width: 820px; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.grid { stroke: var(--faint); stroke-width: 1 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto } td, th { padding: .15rem .7rem; border-bottom: 1px solid var(--faint); text-align: right; white-space: nowrap }
td:first-child, th:first-child { text-align: left } pre { overflow-x: auto } .bad { color: var(--bad) } nav a { margin-right: 1rem }
`

export function renderHtml(result: Result): string {
  const { suites, environment, options, misses, seconds } = result
  const links = suites.map(({ name }) => `<a href="#${escapeText(name)}">${escapeText(name)}</a>`).join('')
  const troubles = misses.map((miss) => `<li>${escapeText(miss)}</li>`).join('')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>shoal bench, ${escapeText(environment.at)}</title><style>${STYLE}</style></head><body>
<h1>shoal bench</h1>
<p>${escapeText(headline(result)).replaceAll('\n', '<br>')}<br>${escapeText(environment.at)}, ${seconds.toFixed(0)} s, ${escapeText(environment.platform)}, ${environment.memoryGiB} GiB; a fixed loop took ${environment.unitMs} ms.</p>
<p>Options: <code>${escapeText(JSON.stringify(options))}</code></p>
<nav>${links}</nav>
${misses.length === 0 ? '' : `<h2 class="bad">Missed</h2><ul class="bad">${troubles}</ul>`}
${suites.map((suite) => renderSuite(result, suite)).join('\n')}
</body></html>
`
}

function renderSuite(result: Result, { name, seconds, complete, notes, ownTables }: SuiteReport): string {
  const charts = result.charts
    .filter(({ suite }) => suite === name)
    .map(
      (chart) => `<figure><figcaption><h3>${escapeText(chart.title)}</h3></figcaption>${renderChart(chart)}</figure>`,
    )
  const tables = ownTables
    ? []
    : tablesOf(result.figures, name).map((table) => {
        const { head, rows } = gridOf(table)
        const line = (tag: string, cells: readonly string[]): string =>
          `<tr>${cells.map((cell) => `<${tag}>${escapeText(cell)}</${tag}>`).join('')}</tr>`
        const body = rows.map((row) => line('td', row)).join('')
        return `<h3>${escapeText(table.title)}</h3><div class="wide"><table><thead>${line('th', head)}</thead><tbody>${body}</tbody></table></div>`
      })
  const text = notes.length === 0 ? '' : `<pre>${escapeText(notes.join('\n').trim())}</pre>`
  const state = complete ? '' : ' <span class="bad">(not complete)</span>'
  return `<section id="${escapeText(name)}"><h2>${escapeText(name)}${state}</h2><p>${seconds.toFixed(0)} s</p>${charts.join('')}${tables.join('')}${text}</section>`
}

/** Charts in which nothing would be seen. */
export function emptyCharts(result: Result): string[] {
  return result.charts.filter((chart) => renderChart(chart) === '').map(({ suite, title }) => `${suite}: ${title}`)
}
