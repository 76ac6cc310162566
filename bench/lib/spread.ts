/** How news spread over observers: the figures of a table, and the curve of a chart. */
import type { Line } from '../report/result.js'
import { quantile } from './statistics.js'
import type { Bench } from './suite.js'

/** From the act to the observer, in ms; `undefined` for one who did not see it in time. */
export type Times = readonly (number | undefined)[]

const COLUMNS: readonly (readonly [column: string, q: number])[] = [
  ['first', 0],
  ['half', 0.5],
  ['99 %', 0.99],
  ['all', 1],
]
const POINTS_MAX = 200

/** Collects the times of every repeat by row, records their figures, and draws one curve for each row. */
export class Spreads {
  readonly #bench: Bench
  readonly #table: string
  readonly #lossy: boolean
  readonly #pooled = new Map<string, number[]>()
  readonly #unseen = new Map<string, number>()

  /** Where packets are lost, not to know in time is a figure and no failure. */
  constructor(bench: Bench, table: string, lossy: boolean = false) {
    this.#bench = bench
    this.#table = table
    this.#lossy = lossy
  }

  /** One repeat. The figures that would need those who did not see it in time are left out. */
  add(row: string, times: Times): void {
    const seen = times.filter((time) => time !== undefined).sort((a, b) => a - b)
    const missing = times.length - seen.length
    if (this.#lossy) {
      const value = (100 * seen.length) / times.length
      this.#bench.record({ table: this.#table, row, column: 'in time, %', unit: '%', better: 'higher', value })
    } else if (missing > 0) this.#bench.miss(`${row}: ${missing} of ${times.length} did not see it in time`)
    this.#pooled.set(row, [...(this.#pooled.get(row) ?? []), ...seen])
    this.#unseen.set(row, (this.#unseen.get(row) ?? 0) + missing)
    // Who never knew stands at the end of the order, so that the median is that of all observers.
    const sorted = [...seen, ...Array.from({ length: missing }, () => Number.POSITIVE_INFINITY)]
    for (const [column, q] of COLUMNS) {
      const value = q === 0 ? sorted[0] : quantile(sorted, q)
      if (value === undefined || !Number.isFinite(value)) continue
      this.#bench.record({ table: this.#table, row, column, unit: 'ms', better: 'lower', value })
    }
  }

  /** Share of observers over time, all repeats together. */
  curve(row: string): Line {
    const times = [...(this.#pooled.get(row) ?? [])].sort((a, b) => a - b)
    const total = times.length + (this.#unseen.get(row) ?? 0)
    const every = Math.max(1, Math.ceil(times.length / POINTS_MAX))
    const points = times
      .map((time, index): readonly [number, number] => [time, (100 * (index + 1)) / total])
      .filter((_point, index) => index % every === 0 || index === times.length - 1)
    return { name: row, points }
  }

  /** A chart of these rows, those without a time left out. */
  chart(title: string, rows: readonly string[], scale: 'linear' | 'log'): void {
    const lines = rows.map((row) => this.curve(row)).filter(({ points }) => points.length > 0)
    if (lines.length === 0) return
    const y = { title: '% of observers that know', scale: 'linear' } as const
    this.#bench.chart({ title, kind: 'lines', x: { title: 'ms', scale }, y, lines })
  }
}
