/** Order statistics of repeated measurements. A figure without its spread is not worth printing. */

export interface Summary {
  readonly count: number
  readonly min: number
  readonly median: number
  readonly p99: number
  readonly max: number
}

export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b)
  return {
    count: sorted.length,
    min: sorted[0] ?? Number.NaN,
    median: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? Number.NaN,
  }
}

/** Of sorted values: nearest rank, except that the median of an even count is the mean of its middle two. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return Number.NaN
  if (q === 0.5 && sorted.length % 2 === 0) {
    const middle = sorted.length / 2
    return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
  }
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] as number
}
