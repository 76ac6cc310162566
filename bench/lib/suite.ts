/** What a suite of simulations needs from the bench, and what it gives back. */
import type { Answer, Job } from './job.js'

export interface JobRunner {
  /** Runs the jobs on `processes` processes, showing progress; answers in the order of the jobs. */
  readonly run: (jobs: readonly Job[], processes: number) => Promise<readonly Answer[]>
}

export interface SuiteResult {
  /** For the JSON file. */
  readonly figures: unknown
  /** For people. */
  readonly lines: readonly string[]
  readonly misses: readonly string[]
}

/** The answers of one kind; the jobs decide which kinds there are. */
export function answersOf<K extends Answer['kind']>(
  answers: readonly Answer[],
  kind: K,
): (Answer & { readonly kind: K })[] {
  return answers.filter((answer): answer is Answer & { readonly kind: K } => answer.kind === kind)
}
