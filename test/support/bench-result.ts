/** A result of the bench as a run would leave it, with what a test cares for in it. */
import { RESULT_FORMAT, RESULT_VERSION, type Result } from '../../bench/report/result.js'

export function benchResult({ unitMs = 130, ...parts }: Partial<Result> & { readonly unitMs?: number }): Result {
  const suites = [...new Set([...(parts.figures ?? []), ...(parts.charts ?? [])].map(({ suite }) => suite))]
  return {
    format: RESULT_FORMAT,
    version: RESULT_VERSION,
    environment: {
      at: '2026-01-01T00:00:00.000Z',
      node: 'v20.0.0',
      platform: 'linux x64',
      cpu: 'some processor',
      cores: 2,
      memoryGiB: 8,
      loadBefore: 0,
      unitMs,
      commit: 'abcdef0',
    },
    options: { nodes: 30 },
    seconds: 1,
    complete: true,
    suites: suites.map((name) => ({ name, seconds: 1, complete: true, notes: [], ownTables: false })),
    figures: [],
    charts: [],
    misses: [],
    ...parts,
  }
}
