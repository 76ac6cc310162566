/** Charts as inline SVG, made of nothing but text: axes with round ticks, lines or bars, and a legend below. */
import { figure } from '../lib/table.js'
import type { Axis, Chart, Line } from './result.js'

const SIZE = { width: 720, height: 360, left: 64, right: 16, top: 12, bottom: 48 } as const
const PLOT = {
  width: SIZE.width - SIZE.left - SIZE.right,
  height: SIZE.height - SIZE.top - SIZE.bottom,
} as const
const LEGEND = { row: 18, column: 350, perRow: 2 } as const
/** Told apart also by those who do not see red and green; dashes tell those apart that share a colour. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#8a6d00', '#5b3a8e', '#444444']
const DASHES = ['', '6 3', '2 2']

type Point = readonly [x: number, y: number]

/** Empty when there is not a single point to draw. */
export function renderChart(chart: Chart): string {
  const drawable = { ...chart, lines: chart.lines.map((line) => ({ ...line, points: drawablePoints(line, chart) })) }
  const lines = drawable.lines.filter(({ points }) => points.length > 0)
  if (lines.length === 0) return ''
  const height = SIZE.height + LEGEND.row * Math.ceil(lines.length / LEGEND.perRow)
  const body = chart.kind === 'bars' ? drawBars(chart, lines) : drawLines(chart, lines)
  const label = escapeText(chart.title)
  return `<svg viewBox="0 0 ${SIZE.width} ${height}" role="img" aria-label="${label}">${body}${drawLegend(lines)}</svg>`
}

/** What an axis cannot show is left out: nothing at or below zero has a place on a logarithmic one. */
function drawablePoints({ points }: Line, { x, y, kind }: Chart): Point[] {
  const fits = (value: number, axis: Axis): boolean => Number.isFinite(value) && (axis.scale === 'linear' || value > 0)
  return points.filter(([px, py]) => fits(py, y) && (kind === 'bars' || fits(px, x)))
}

function drawLines({ x, y }: Chart, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points)
  const xs = scaleFor(
    x,
    all.map(([value]) => value),
    PLOT.width,
  )
  const ys = scaleFor(
    y,
    all.map(([, value]) => value),
    PLOT.height,
  )
  const place = ([px, py]: Point): Point => [SIZE.left + xs.at(px), SIZE.top + PLOT.height - ys.at(py)]
  const paths = lines.map(({ name, points }, i) => {
    const placed = [...points].sort(([a], [b]) => a - b).map(place)
    const dots =
      placed.length > 12
        ? ''
        : placed.map((p) => `<circle cx="${n(p[0])}" cy="${n(p[1])}" r="2.5" fill="${color(i)}"/>`).join('')
    const path = `<polyline points="${placed.map(([px, py]) => `${n(px)},${n(py)}`).join(' ')}" fill="none" stroke="${color(i)}" stroke-dasharray="${dash(i)}" stroke-width="1.6"><title>${escapeText(name)}</title></polyline>`
    return `<g class="data">${path}${dots}</g>`
  })
  return frame(y, ys) + xTicks(x, xs) + paths.join('')
}

function drawBars({ y, groups = [] }: Chart, lines: readonly Line[]): string {
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value))
  const ys = scaleFor(y, y.scale === 'linear' ? [0, ...values] : values, PLOT.height)
  const groupWidth = PLOT.width / Math.max(1, groups.length)
  const barWidth = (groupWidth * 0.8) / lines.length
  const bars = lines.map(({ name, points }, i) => {
    const rects = points.map(([group, value]) => {
      const height = Math.max(1, ys.at(value))
      const left = SIZE.left + groupWidth * (group + 0.1) + barWidth * i
      return `<rect x="${n(left)}" y="${n(SIZE.top + PLOT.height - height)}" width="${n(barWidth * 0.92)}" height="${n(height)}" fill="${color(i)}"><title>${escapeText(name)}: ${figure(value)}</title></rect>`
    })
    return `<g class="data">${rects.join('')}</g>`
  })
  const names = groups.map((name, i) => text(SIZE.left + groupWidth * (i + 0.5), SIZE.height - 28, 'middle', name))
  return frame(y, ys) + names.join('') + bars.join('')
}

interface Scale {
  readonly at: (value: number) => number
  readonly ticks: readonly number[]
}

function scaleFor({ scale }: Axis, values: readonly number[], length: number): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return scale === 'log' ? logScale(low, high, length) : linearScale(Math.min(0, low), high, length)
}

function linearScale(low: number, high: number, length: number): Scale {
  const span = high - low || 1
  const rough = span / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power
  const top = Math.ceil(high / step) * step || 1
  const count = Math.round((top - low) / step)
  return {
    at: (value) => ((value - low) / (top - low)) * length,
    ticks: Array.from({ length: count + 1 }, (_, i) => low + i * step),
  }
}

/** Whole powers of ten, and within them 2 and 5 where there are few. */
function logScale(low: number, high: number, length: number): Scale {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
  const last = to === from ? from + 1 : to
  const factors = last - from <= 2 ? [1, 2, 5] : [1]
  const powers = Array.from({ length: last - from + 1 }, (_, i) => 10 ** (from + i))
  return {
    at: (value) => ((Math.log10(value) - from) / (last - from)) * length,
    ticks: powers
      .flatMap((power) => factors.map((factor) => factor * power))
      .filter((tick) => tick <= 10 ** last * 1.001),
  }
}

function frame(y: Axis, ys: Scale): string {
  const lines = ys.ticks.map((tick) => {
    const at = SIZE.top + PLOT.height - ys.at(tick)
    return `<line class="grid" x1="${SIZE.left}" x2="${SIZE.width - SIZE.right}" y1="${n(at)}" y2="${n(at)}"/>${text(SIZE.left - 6, at + 4, 'end', tickText(tick))}`
  })
  const middle = SIZE.top + PLOT.height / 2
  return `${lines.join('')}<text x="12" y="${n(middle)}" text-anchor="middle" transform="rotate(-90 12 ${n(middle)})">${escapeText(y.title)}</text>`
}

function xTicks(x: Axis, xs: Scale): string {
  const ticks = xs.ticks.map((tick) => {
    const at = SIZE.left + xs.at(tick)
    const bottom = SIZE.top + PLOT.height
    return `<line class="grid" x1="${n(at)}" x2="${n(at)}" y1="${SIZE.top}" y2="${bottom}"/>${text(at, bottom + 16, 'middle', tickText(tick))}`
  })
  return ticks.join('') + text(SIZE.left + PLOT.width / 2, SIZE.height - 12, 'middle', x.title)
}

function drawLegend(lines: readonly Line[]): string {
  const entries = lines.map(({ name }, i) => {
    const [left, top] = [
      SIZE.left + LEGEND.column * (i % LEGEND.perRow) - 40,
      SIZE.height + LEGEND.row * Math.floor(i / LEGEND.perRow) + 4,
    ]
    const line = `<line x1="${left}" x2="${left + 22}" y1="${top}" y2="${top}" stroke="${color(i)}" stroke-dasharray="${dash(i)}" stroke-width="3"/>`
    return line + text(left + 28, top + 4, 'start', name)
  })
  return entries.join('')
}

function text(x: number, y: number, anchor: string, content: string): string {
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${escapeText(content)}</text>`
}

function tickText(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e6) return `${trim(value / 1e6)}M`
  if (size >= 1e3) return `${trim(value / 1e3)}k`
  return trim(value)
}

function trim(value: number): string {
  return `${Number(value.toPrecision(3))}`
}

/** A tenth of a pixel is enough. */
function n(value: number): string {
  return `${Math.round(value * 10) / 10}`
}

function color(index: number): string {
  return COLORS[index % COLORS.length] as string
}

function dash(index: number): string {
  return DASHES[Math.floor(index / COLORS.length) % DASHES.length] as string
}

export function escapeText(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
