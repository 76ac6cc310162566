/** A sweep in a few lines: its times, its counts, and what never happened. */
import type { SweepSum } from './sweep.js'

const COUNTS_PER_LINE = 4

export function report({ times, counts, missing }: Pick<SweepSum, 'times' | 'counts' | 'missing'>): string[] {
  const spread = Array.from(times, ([name, all]) => `  ${name}: ${spreadOf(all)}`)
  const cells = Object.entries(counts).map(([name, count]) => `${name} ${count}`.padEnd(28))
  const lines: string[] = []
  for (let i = 0; i < cells.length; i += COUNTS_PER_LINE)
    lines.push(`  ${cells.slice(i, i + COUNTS_PER_LINE).join('')}`.trimEnd())
  const never = missing.map((one) => `never happened, so nothing was proved about it: ${one}`)
  return [...spread, ...lines, ...never]
}

function spreadOf(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
  return `median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)} ms (${values.length} runs)`
}
