/** What a result of the bench looks like as text, Markdown and HTML, and the time that is left. */
import { describe, expect, it } from 'vitest'
import { secondsLeft } from '../../bench/lib/progress.js'
import { disagreements } from '../../bench/report/agreement.js'
import { emptyCharts, renderHtml } from '../../bench/report/html.js'
import { renderMarkdown } from '../../bench/report/markdown.js'
import { type Chart, type Figure, parseResult } from '../../bench/report/result.js'
import { renderTerminal } from '../../bench/report/terminal.js'
import { benchResult } from '../support/bench-result.js'

const KEY = { suite: 'calls', table: 'Paths', row: 'remote', better: 'lower' } as const
const FIGURES: Figure[] = [
  { ...KEY, column: 'p50', unit: 'us', values: [3, 1, 2] },
  { ...KEY, column: 'rate', unit: '1/s', better: 'higher', values: [20_000] },
  { ...KEY, row: 'local', column: 'p50', unit: 'us', values: [0.5] },
]
const CHART: Chart = {
  suite: 'calls',
  title: 'Latency <of all>',
  kind: 'lines',
  x: { title: 'in flight', scale: 'log' },
  y: { title: 'us', scale: 'log' },
  lines: [
    { name: 'one', points: [[1, 10], [10, 20], [100, 400]] }, // biome-ignore format: one line a line
    { name: 'zero', points: [[1, 0]] }, // biome-ignore format: one line a line
  ],
}

describe('a result', () => {
  it('is read back as it was written, and nothing else is', () => {
    const result = benchResult({ figures: FIGURES, charts: [CHART] })
    expect(parseResult(JSON.stringify(result), 'a.json')).toEqual(result)
    expect(() => parseResult('{"convergence":{}}', 'old.json')).toThrow('old.json is no result of this bench')
    expect(() => parseResult(JSON.stringify({ ...result, version: 99 }), 'new.json')).toThrow(/version 99.*version 1/)
  })

  it('is a table with median and spread, units where they differ, and what went wrong below', () => {
    const text = renderTerminal(benchResult({ figures: FIGURES, misses: ['calls: one failed'] }))
    expect(text).toMatch(/remote +2\.00 us \(1\.00-3\.00\) +20,000 1\/s +1-3/)
    expect(text).toMatch(/local +0\.50 us +- +1/)
    expect(text).toMatch(/MISSED: calls: one failed/)
  })

  it('says when others used the machine, and when it was cut short', () => {
    const result = benchResult({ figures: FIGURES, complete: false })
    const text = renderTerminal({ ...result, environment: { ...result.environment, loadBefore: 2.5 } })
    expect(text).toMatch(/preliminary/)
    expect(text).toMatch(/INTERRUPTED/)
  })

  it('is Markdown that a renderer takes for a table', () => {
    const lines = renderMarkdown(benchResult({ figures: FIGURES })).split('\n')
    const head = lines.findIndex((line) => line.startsWith('|'))
    expect(lines.slice(head, head + 3)).toEqual([
      '|  | p50 | rate | n |',
      '|---|---:|---:|---:|',
      '| remote | 2.00 us (1.00-3.00) | 20,000 1/s | 1-3 |',
    ])
  })
})

describe('the report for a browser', () => {
  it('is one file that loads nothing and runs nothing, with everything escaped', () => {
    const html = renderHtml(benchResult({ figures: FIGURES, charts: [CHART], misses: ['<script>'] }))
    expect(html).not.toMatch(/<script|<link|src=|href="(?!#)|url\(|@import|https?:/)
    expect(html).toContain('Latency &lt;of all&gt;')
    expect(html.match(/<svg/g)).toHaveLength(1)
  })

  it('leaves out what an axis cannot show, and tells of a chart in which nothing is left', () => {
    const nothing: Chart = { ...CHART, title: 'nothing', lines: [{ name: 'zero', points: [[1, 0]] }] }
    const result = benchResult({ charts: [CHART, nothing] })
    expect(emptyCharts(result)).toEqual(['calls: nothing'])
    expect(renderHtml(result)).not.toMatch(/NaN|Infinity/)
  })

  it.each([
    { what: 'a single point', points: [[5, 5]] as const },
    { what: 'equal values', points: [[1, 7], [2, 7]] as const }, // biome-ignore format: one line a case
    { what: 'only zeros on a linear axis', points: [[0, 0], [1, 0]] as const }, // biome-ignore format: one line a case
  ])('draws $what without dividing by nothing', ({ points }) => {
    const linear = { title: '', scale: 'linear' } as const
    const chart: Chart = { ...CHART, x: linear, y: linear, lines: [{ name: 'l', points }] }
    const html = renderHtml(benchResult({ charts: [chart] }))
    expect(html).toContain('<polyline')
    expect(html).not.toMatch(/NaN|Infinity/)
  })

  it('puts bars side by side', () => {
    const points = [[0, 1], [1, 2]] as const // biome-ignore format: short
    const bars: Chart = {
      ...CHART,
      kind: 'bars',
      groups: ['a', 'b'],
      lines: [
        { name: 'x', points },
        { name: 'y', points },
      ],
    }
    expect(renderHtml(benchResult({ charts: [bars] })).match(/<rect/g)).toHaveLength(4)
  })
})

describe('the time that is left', () => {
  const current = { name: 'now', steps: 10, seconds: 100 }
  const ahead = [{ name: 'next', steps: 1, seconds: 50 }]

  it('is what was planned until something is done, then goes by the pace', () => {
    expect(secondsLeft({ over: [], current, done: 0, elapsed: 0, ahead })).toBe(150)
    expect(secondsLeft({ over: [], current, done: 5, elapsed: 50, ahead })).toBe(100)
  })

  it('takes what is to come for as wrongly planned as what was', () => {
    const over = [{ planned: 100, took: 300 }]
    expect(secondsLeft({ over, current, done: 5, elapsed: 150, ahead })).toBe(150 + 150)
  })
})

describe('the agreement of views', () => {
  it('names who lacks whom and who adds whom, against the view of most, without whoever looks', () => {
    const view = (text: string): Map<string, string> =>
      new Map(text.split(' ').map((entry) => entry.split(':') as [string, string]))
    const views = new Map([
      ['a', view('a:alive b:alive c:suspect bench:alive')],
      ['b', view('a:alive b:alive c:alive d:dead')],
      ['c', view('a:alive b:dead c:alive d:alive bench:alive')],
    ])
    expect(disagreements(views, new Set(['bench']))).toEqual([{ node: 'c', lacks: ['b'], adds: ['d'] }])
  })
})
