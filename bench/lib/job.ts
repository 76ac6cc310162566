/** What a simulation process is asked to do, and what it answers: one job, one answer. */
import type { GrowthFigures, GrowthRun } from '../scenarios/growth.js'
import type { IntervalFigures, LifeguardRun, ThresholdFigures } from '../scenarios/lifeguard.js'
import type { BootFigures, QuietFigures } from '../scenarios/sim.js'

export type Job =
  | { readonly kind: 'boot'; readonly nodes: number; readonly lossRate: number; readonly seed: number }
  | { readonly kind: 'quiet'; readonly nodes: number; readonly slices: number; readonly seed: number }
  | { readonly kind: 'growth'; readonly run: GrowthRun }
  | { readonly kind: 'interval'; readonly run: LifeguardRun }
  | { readonly kind: 'threshold'; readonly run: LifeguardRun }

export type Answer =
  | { readonly kind: 'boot'; readonly figures: BootFigures }
  | { readonly kind: 'quiet'; readonly figures: QuietFigures }
  | { readonly kind: 'growth'; readonly figures: GrowthFigures }
  | { readonly kind: 'interval'; readonly figures: IntervalFigures }
  | { readonly kind: 'threshold'; readonly figures: ThresholdFigures }

/** For the progress line. */
export function describeJob(job: Job): string {
  switch (job.kind) {
    case 'boot':
      return `boot of ${job.nodes} nodes, ${job.lossRate * 100} % loss`
    case 'quiet':
      return `${job.nodes} nodes at rest`
    case 'growth': {
      const { nodes, lossRate, seed } = job.run
      return `${nodes} nodes, ${lossRate * 100} % loss, seed ${seed}`
    }
    default: {
      const { detector, concurrent, durationMs, intervalMs } = job.run
      return `${job.kind}: ${detector}, ${concurrent} blocked for ${durationMs} ms every ${durationMs + intervalMs} ms`
    }
  }
}
